use super::*;
use crate::case::Values;

const HEADER: &str =
    "at_ms,hoster,attester,operator,address,contract,region,outcome,latency_us,throughput_bps,ingress_bps,bytes";

fn json(at_ms: u64, latency_us: u64) -> String {
    format!(
        r#"{{"at_ms":{at_ms},"hoster":"h","attester":"a","operator":"o","contract":"c","region":"u","outcome":"OK","latency_us":{latency_us},"throughput_bps":5}}"#
    )
}

/// Rows of five minutes are one measurement, exact to the value.
#[test]
fn both_formats_read_the_same() {
    let ndjson = [json(1_000, 7), json(2_000, 9), json(300_000, 8)].join("\n");
    let csv =
        format!("{HEADER}\n1000,h,a,o,,c,u,OK,7,5,,\r\n2000,\"h\",a,o,,c,u,OK,9,5,,\n300000,h,a,o,,c,u,OK,8,5,,\n");
    let read_json = read(ndjson.as_bytes(), Format::Ndjson);
    assert_eq!(read_json, read(csv.as_bytes(), Format::Csv));
    assert_eq!((read_json.rows, read_json.refused_count), (3, 0));
    let measurements = &read_json.evidence.measurements;
    assert_eq!(
        measurements.iter().map(|measured| (measured.at_s, measured.round)).collect::<Vec<_>>(),
        [(0, 0), (300, 1)]
    );
    assert_eq!(measurements[0].latency_us, Values::Exact(vec![7, 9]));
    assert_eq!(measurements[0].outcomes.get(ProbeOutcome::Ok), 2);
}

/// Malformed rows are refused by line number, and the rest is read.
#[test]
fn malformed_rows_are_refused_by_line() {
    let rows = [
        json(1_000, 7),
        "{".to_owned(),
        String::new(),
        json(2_000, u64::MAX),
        json(1_000, 1).replace("\"OK\"", "\"FINE\""),
        json(1_000, 1).replace("\"OK\"", "\"REFUSED\""),
        json(1_000, 1).replace("\"a\"", "\"h\""),
        json(1_000, 1).replace("\"operator\":\"o\"", "\"address\":\"1.2.3\""),
        json(1_000, 1).replace("\"region\":\"u\",", ""),
        json(1_000, 1).replace("\"bytes\"", "\"size\"").replace("\"contract\"", "\"set\""),
    ];
    let imported = read(rows.join("\n").as_bytes(), Format::Ndjson);
    assert_eq!(imported.rows, 1);
    let lines: Vec<u64> = imported.refused.iter().map(|refused| refused.line).collect();
    assert_eq!(lines, [2, 4, 5, 6, 7, 8, 9, 10], "{:?}", imported.refused);
    assert!(imported.refused[1].to_string().contains("latency_us"));
    let csv = read(format!("{HEADER}\n1000,h,a\n1000,h,a,o,,c,u,OK,-1,5,,\n").as_bytes(), Format::Csv);
    assert_eq!(csv.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [2, 3]);
    // Without its header nothing of a file is read.
    let headless = read(b"at_ms,hoster\n1,h\n", Format::Csv);
    assert_eq!((headless.rows, headless.refused_count), (0, 2));
}

/// Kinds of evidence are never summed: what was measured with a load of one's own making says nothing about work.
#[test]
fn only_working_evidence_is_taken() {
    let of_class = |class: &str| json(1_000, 7).replace("\"at_ms\"", &format!("\"class\":\"{class}\",\"at_ms\""));
    let rows = ["WORKING", "RAW", "OFF_CHAIN", "SELF_REPORT"].map(of_class);
    let imported = read(rows.join("\n").as_bytes(), Format::Ndjson);
    assert_eq!(imported.rows, 1);
    assert_eq!(imported.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(imported.refused.iter().all(|refused| refused.reason.starts_with("class:")), "{:?}", imported.refused);
}

/// What a failed probe cannot have is a mistake of whoever wrote it, not something to drop in silence.
#[test]
fn failed_probes_have_no_values() {
    let row = |field: &str| {
        format!(r#"{{"at_ms":1000,"hoster":"h","attester":"a","region":"u","outcome":"REFUSED","{field}":5}}"#)
    };
    for field in ["latency_us", "throughput_bps", "ingress_bps", "bytes"] {
        let imported = read(row(field).as_bytes(), Format::Ndjson);
        assert_eq!(imported.rows, 0, "{field}");
        assert_eq!(imported.refused[0].reason, format!("{field}: REFUSED has none"));
    }
    let nothing = row("bytes").replace(":5}", ":0}");
    assert_eq!(read(nothing.as_bytes(), Format::Ndjson).rows, 1, "no bytes are no bytes");
}

#[test]
fn a_row_that_is_there_twice_counts_once() {
    let rows = [json(1_000, 7), json(1_000, 8), json(1_000, 7), json(1_001, 7), json(1_000, 7)];
    let imported = read(rows.join("\n").as_bytes(), Format::Ndjson);
    assert_eq!((imported.rows, imported.refused_count), (3, 2));
    assert_eq!(imported.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [3, 5]);
    assert_eq!(imported.evidence.measurements[0].outcomes.get(ProbeOutcome::Ok), 3);
}

/// Memory ends before the judge would refuse it all: rows that would be one measurement too many are refused one by one.
#[test]
fn a_full_importer_refuses_new_measurements_and_takes_more_of_the_old() {
    let mut importer = Importer::new(Format::Ndjson);
    assert_eq!(importer.most, MAX_MEASUREMENTS);
    importer.most = 2;
    for row in [json(0, 7), json(300_000, 7), json(600_000, 7), json(1, 7)] {
        importer.line(row.as_bytes());
    }
    let imported = importer.finish();
    assert_eq!((imported.rows, imported.evidence.measurements.len()), (3, 2));
    assert_eq!(imported.refused[0].to_string(), "line 3: more than 2 measurements");
}

/// The contract for whoever writes rows is the type itself.
#[test]
fn the_documented_schema_is_that_of_a_row() {
    let document = include_str!("../../../../docs/formats/reports.md");
    let block = document.split_once("```json\n").and_then(|(_, rest)| rest.split_once("\n```")).unwrap().0;
    // By value: the order of members is that of whoever writes them.
    let documented: serde_json::Value = serde_json::from_str(block).unwrap();
    assert_eq!(documented, row_schema().to_value(), "docs/formats/reports.md");
}

#[test]
fn refusals_are_bounded_and_all_counted() {
    let imported = read("x\n".repeat(1_000).as_bytes(), Format::Ndjson);
    assert_eq!((imported.refused.len(), imported.refused_count), (MAX_REFUSED, 1_000));
    let long = vec![b'x'; MAX_LINE + 1];
    assert_eq!(read(&long, Format::Ndjson).refused[0].reason, format!("longer than {MAX_LINE} bytes"));
    assert_eq!(read(&[0xff, 0xfe], Format::Ndjson).refused[0].reason, "not UTF-8");
}
