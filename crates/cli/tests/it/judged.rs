//! `rank`, `qualify`, `explain`, `sla`, `capacity` on the files of the examples.

use std::process::Output;

use crate::program::{Place, stderr};

const REPORTS: &str = include_str!("../../../../docs/examples/reports.ndjson");
const CSV: &str = include_str!("../../../../docs/examples/reports.csv");
const POLICY: &str = include_str!("../../../../docs/examples/policy.toml");
const JOB: &str = include_str!("../../../../docs/examples/job.toml");
const HOST: &str = include_str!("../../../../docs/examples/host.toml");

/// A place with the files of the examples.
fn place() -> Place {
    let place = Place::new();
    place.write("reports.ndjson", REPORTS);
    place.write("reports.csv", CSV);
    place.write("policy.toml", POLICY);
    place.write("job.toml", JOB);
    place.write("host.toml", HOST);
    place
}

fn run(place: &Place, command: &str) -> (i32, String, String) {
    let arguments: Vec<&str> = command.split_whitespace().collect();
    let output: Output = place.run(&arguments);
    let (text, said) = (String::from_utf8(output.stdout.clone()).unwrap(), stderr(&output));
    assert!(!said.contains("panicked"), "{command}: {said}");
    (output.status.code().unwrap(), text, said)
}

const FILES: &str = "--reports reports.ndjson --policy policy.toml --job job.toml";

#[test]
fn every_face_marks_unsigned_evidence() {
    let place = place();
    for (command, schema, code) in [
        ("rank", "peermark.rank/1", 0),
        ("qualify", "peermark.qualify/1", 0),
        ("explain alpha", "peermark.explain/1", 0),
        ("sla -", "peermark.sla/1", 100),
    ] {
        let (found, text, said) = run(&place, &format!("{command} {FILES}"));
        assert_eq!(found, code, "{command}: {said}");
        assert!(text.starts_with("UNSIGNED"), "{command}: {text}");
        let (_, json, _) = run(&place, &format!("{command} {FILES} --format json"));
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!((json["schema"].as_str(), json["basis"]["signed"].as_bool()), (Some(schema), Some(false)));
    }
}

#[test]
fn both_formats_judge_the_same() {
    let place = place();
    let (_, ndjson, _) = run(&place, &format!("rank {FILES}"));
    let (code, csv, said) = run(&place, "rank --reports reports.csv --policy policy.toml --job job.toml");
    assert_eq!(code, 0, "{said}");
    assert_eq!(ndjson.replace("reports.ndjson", "reports.csv"), csv);
}

/// Malformed rows are refused by line number, exit 65; nothing is judged unless that is asked for.
#[test]
fn malformed_rows_are_refused_by_line_number() {
    let place = place();
    let torn = REPORTS.lines().take(200).chain(["{\"at_ms\":", "{}"]).collect::<Vec<_>>().join("\n");
    place.write("torn.ndjson", &torn);
    let command = "rank --reports torn.ndjson --policy policy.toml --job job.toml";
    let (code, text, said) = run(&place, command);
    assert_eq!((code, text.as_str()), (65, ""), "{said}");
    assert!(
        said.contains("torn.ndjson: line 201: ") && said.contains("line 202: ") && said.contains("2 malformed"),
        "{said}"
    );
    let (code, text, _) = run(&place, &format!("{command} --skip-malformed"));
    assert_eq!(code, 0);
    assert!(text.contains("2 malformed rows left out"), "{text}");
}

#[test]
fn needs_refuse_what_can_never_be_proven() {
    let place = place();
    let (code, text, said) = run(&place, "qualify --needs job.toml --policy policy.toml --pool 31");
    assert_eq!(code, 0, "{said}");
    assert!(text.contains("GB") && text.contains("days"), "{text}");
    place.write("absurd.toml", "name = \"absurd\"\n[availability]\nguarantee_ppm = 999900\n");
    let (code, _, said) = run(&place, "qualify --needs absurd.toml --policy policy.toml");
    assert_eq!(code, 65, "{said}");
    assert!(said.contains("can never be proven"), "{said}");
    place.write("inverted.toml", "name = \"inverted\"\n[availability]\nguarantee_ppm = 1000001\n");
    let (code, _, said) = run(&place, "qualify --needs inverted.toml --policy policy.toml");
    assert_eq!(code, 65, "{said}");
    assert!(said.contains("availability.guarantee_ppm"), "{said}");
}

#[test]
fn another_policy_is_tried_on_the_past_and_observed_beside() {
    let place = place();
    let strict = POLICY.replace("name = \"example\"", "name = \"strict\"");
    let strict = strict.replace("vetting_audits = 60", "vetting_audits = 600000");
    place.write("strict.toml", &strict);
    let backtest = "qualify --reports reports.ndjson --job job.toml --backtest policy.toml strict.toml";
    let (code, text, said) = run(&place, backtest);
    assert_eq!(code, 0, "{said}");
    assert!(text.contains("example/1 against strict/1") && !text.contains(": 0 of"), "{text}");
    let (code, text, _) = run(&place, &format!("qualify {FILES} --observe strict.toml"));
    assert_eq!(code, 0);
    assert!(text.contains("observed only, without effect: strict/1"), "{text}");
}

#[test]
fn wrong_input_is_refused_with_its_reason() {
    let place = place();
    place.write("typo.toml", "naem = \"x\"\n");
    for (command, code, says) in [
        ("rank --reports reports.ndjson --policy typo.toml --job job.toml", 65, "naem"),
        ("rank --reports reports.ndjson --policy policy.toml --job typo.toml", 65, "naem"),
        ("rank --reports absent.ndjson --policy policy.toml --job job.toml", 69, "absent.ndjson"),
        (&format!("explain nobody {FILES}"), 65, "measured were alpha"),
        (&format!("sla c9 {FILES}"), 65, "nobody measured c9"),
        ("qualify --policy policy.toml", 2, "--reports"),
        ("capacity --host typo.toml", 65, "naem"),
    ] {
        let (found, text, said) = run(&place, command);
        assert_eq!((found, text.as_str()), (code, ""), "{command}: {said}");
        assert!(said.contains(says), "{command}: {said}");
    }
}

#[test]
fn one_more_job_that_does_not_fit_is_exit_100() {
    let place = place();
    let (code, text, said) = run(&place, "capacity --host host.toml");
    assert_eq!(code, 100, "{said}");
    assert!(text.starts_with("UNSIGNED") && text.contains("DOES NOT FIT"), "{text}");
}
