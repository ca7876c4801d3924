use serde_json::Value;

use crate::program::{Place, stderr, stdout};

/// The judge's own tests say whether gates hold; here one trial shows that the program measures, prints and writes what it promises.
#[test]
fn a_simulation_prints_its_gates_and_writes_its_page() {
    let place = Place::new();
    let arguments = ["attest", "simulate", "--gates", "--trials", "1", "--epochs", "2", "--seed", "7"];
    let output = place.run(&[&arguments[..], &["--format", "json", "--html", "page.html"]].concat());
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../../attest/schema/adversary.schema.json")).unwrap();
    assert!(jsonschema::is_valid(&schema, &document));
    let expected = if document["held"] == true { 0 } else { 100 };
    assert_eq!(output.status.code(), Some(expected), "{}", stderr(&output));
    assert_eq!((&document["seed"], &document["trials"], &document["epochs"]), (&7.into(), &1.into(), &2.into()));
    let page = std::fs::read_to_string(place.directory.path().join("page.html")).unwrap();
    assert!(page.contains("What liars do to the estimates"));

    let text = stdout(&place.run(&arguments));
    let gates = document["gates"].as_array().unwrap();
    assert!(text.trim_end().ends_with(&format!("of {} gates held", gates.len())), "{text}");
}

#[test]
fn a_simulation_of_nothing_is_wrong_usage() {
    let place = Place::new();
    for arguments in [["--trials", "0"], ["--epochs", "0"], ["--trials", "1000000000"], ["--seed", "-1"]] {
        let output = place.run(&[&["attest", "simulate"], &arguments[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
    }
}
