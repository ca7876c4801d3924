//! `result.json` and its schema.

use peermark_lab::report;
use peermark_lab::result::RunResult;

use crate::fixture;

const CHECKED_IN: &str = include_str!("../../schema/run.schema.json");
const UPDATE: &str = "cargo run -p peermark-lab --example schema > crates/lab/schema/run.schema.json";

#[test]
fn the_schema_checked_in_is_that_of_the_type() {
    let current = format!("{:#}\n", report::schema());
    assert_eq!(CHECKED_IN, current, "result.json has changed. Where that is meant: {UPDATE}");
}

#[test]
fn the_schema_of_a_dht_run_is_that_of_the_type() {
    const CHECKED_IN: &str = include_str!("../../schema/dht-lab.schema.json");
    const UPDATE: &str = "cargo run -p peermark-lab --example dht_schema > crates/lab/schema/dht-lab.schema.json";
    let current = format!("{:#}\n", peermark_lab::dht::result::schema());
    assert_eq!(CHECKED_IN, current, "result.json of a DHT run has changed. Where that is meant: {UPDATE}");
}

#[test]
fn runs_are_valid_and_read_back() {
    let validator = jsonschema::validator_for(&report::schema()).expect("the schema is a schema");
    for run in [fixture::network(), fixture::aborted()] {
        let document = serde_json::to_value(&run).unwrap();
        let faults: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(serde_json::from_value::<RunResult>(document).unwrap(), run);
    }
}

#[test]
fn the_schema_refuses_what_is_no_run() {
    let validator = jsonschema::validator_for(&report::schema()).expect("the schema is a schema");
    let refused = |change: fn(&mut serde_json::Value)| {
        let mut document = serde_json::to_value(fixture::network()).unwrap();
        change(&mut document);
        !validator.is_valid(&document)
    };
    assert!(refused(|run| run["schema"] = "peermark.run/2".into()));
    assert!(refused(|run| run["validity"]["verdict"] = "GOOD".into()));
    assert!(refused(|run| run["operations"][0]["count"] = (-1).into()));
    assert!(refused(|run| run["operations"][0]["latency_ns"]["p99"] = "n/a".into()));
    // A figure that is missing is not the same as a figure that is null.
    assert!(refused(|run| {
        run["exchange"].as_object_mut().map(|exchange| exchange.remove("unexplained"));
    }));
}
