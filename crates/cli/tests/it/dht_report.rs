//! `peermark dht report` as it is used: files, standard output, exit codes.

use peermark_store::Store;

use crate::program::{Place, stderr, stdout};

/// With a store that has no rows.
fn without_rows() -> Place {
    let place = Place::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { Store::open(&place.directory.path().join("empty.db")).await.unwrap().close().await });
    place
}

#[test]
fn a_store_without_rows_is_reported_as_such() {
    let place = without_rows();
    let output = place.run(&["dht", "report", "--store", "empty.db", "--last", "2d", "--out", "out"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("the period has no rows") && text.contains("empty.db"), "{text}");
    assert!(stderr(&output).contains("out/report.html"), "{}", stderr(&output));

    let output = place.run(&["dht", "report", "--store", "empty.db", "--fleets", "a,b", "--format", "json"]);
    let printed: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed["schema"], "peermark.dht-report/1");
    assert_eq!(printed["latencies"].as_array().unwrap().len(), 4, "two operations of two fleets");
    assert_eq!(printed["latencies"][0]["n"], 0);

    let file = std::fs::read(place.directory.path().join("out/report.json")).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let (from, until) =
        (written["period"]["from_ms"].as_u64().unwrap(), written["period"]["until_ms"].as_u64().unwrap());
    assert_eq!(until - from, 2 * 86_400_000);
    assert_eq!(written["before"]["until_ms"].as_u64(), Some(from));
}

#[test]
fn a_mistyped_store_is_refused_and_leaves_no_file() {
    let place = Place::new();
    let output = place.run(&["dht", "report", "--store", "mistyped.db"]);
    assert!(!output.status.success() && stderr(&output).contains("mistyped.db"), "{}", stderr(&output));
    assert!(!place.directory.path().join("mistyped.db").exists());
}

#[test]
fn moments_are_dates_or_how_long_ago() {
    let place = without_rows();
    let json = |arguments: &[&str]| {
        let all = [&["dht", "report", "--store", "empty.db", "--format", "json"], arguments].concat();
        let output = place.run(&all);
        serde_json::from_str::<serde_json::Value>(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)))
    };
    let period = json(&["--from", "2026-01-08", "--until", "2026-01-09T12:00:00Z"])["period"].clone();
    assert_eq!(period, serde_json::json!({ "from_ms": 1_767_830_400_000_u64, "until_ms": 1_767_960_000_000_u64 }));
    let period = json(&["--from", "36h", "--until", "12h"])["period"].clone();
    assert_eq!(period["until_ms"].as_u64().unwrap() - period["from_ms"].as_u64().unwrap(), 86_400_000);
}

#[test]
fn a_period_without_length_is_exit_64_and_a_bad_moment_exit_2() {
    let place = Place::new();
    for (arguments, code, says) in [
        (&["--from", "2026-01-09", "--until", "2026-01-08"][..], 64, "ends before it begins"),
        (&["--from", "1h", "--until", "1h"], 64, "no length"),
        (&["--from", "yesterday"], 2, "2026-01-31T09:00:00Z"),
        (&["--probelab-limits", "--min-rt-provide", "5"], 2, "cannot be used with"),
        (&["--db-host", "127.0.0.1", "--db-port", "1"], 69, "the database cannot be used"),
    ] {
        let all = [&["dht", "report"], arguments].concat();
        let output = place.run(&all);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?} should say {says:?}: {}", stderr(&output));
    }
    assert!(!place.directory.path().join("report.html").exists());
}
