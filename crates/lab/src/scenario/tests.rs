use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse(text, Path::new("test.toml"))
}

const SMALL: &str = r#"
version = 1
name = "small"
seed = 7
thresholds = ["fetch.p99<50ms"]
[nodes]
count = 3
block_size = "64KiB"
[[phase]]
op = "fetch"
rate = 20.0
sizes = [{ size = "1MiB" }, { size = "4KiB", weight = 3.0 }]
[[fault]]
at = "2s"
node = 2
action = "kill"
"#;

#[test]
fn a_scenario_reads_back_and_its_fingerprint_knows_no_seed() {
    let scenario = parse(SMALL).unwrap();
    assert_eq!(scenario.seed, Some(Seed(7)));
    assert_eq!(scenario.phases[0].sizes[0].size, ByteSize(1 << 20));
    let again = parse(&toml::to_string(&scenario).unwrap()).unwrap();
    assert_eq!(again, scenario);
    let other_seed = Scenario { seed: Some(Seed(8)), ..scenario.clone() };
    assert_eq!(other_seed.fingerprint(), scenario.fingerprint());
    let other_count = Scenario { nodes: Nodes { count: 4, ..scenario.nodes.clone() }, ..scenario.clone() };
    assert_ne!(other_count.fingerprint(), scenario.fingerprint());
}

#[test]
fn unknown_keys_name_the_nearest() {
    let error = parse(&SMALL.replace("count = 3", "cout = 3")).unwrap_err().to_string();
    assert!(error.contains("unknown field `cout`") && error.contains("did you mean `count`?"), "{error}");
}

#[test]
fn what_cannot_run_is_refused_with_its_field() {
    let cases = [
        ("count = 3", "count = 0", "nodes.count"),
        ("count = 3", "count = 2", "fault[0].node"),
        ("count = 3", "count = 1", "phase[0].op"),
        ("version = 1", "version = 2", "version"),
        ("rate = 20.0", "rate = -1.0", "phase[0].rate"),
        ("fetch.p99<50ms", "fetch.p98<50ms", "thresholds"),
        ("size = \"1MiB\"", "size = \"0\"", "phase[0].sizes"),
    ];
    for (from, to, field) in cases {
        match parse(&SMALL.replace(from, to)) {
            Err(ScenarioError::Invalid { field: found, .. }) => assert_eq!(found, field, "{to}"),
            other => panic!("{to}: {other:?}"),
        }
    }
    assert!(matches!(parse("version = "), Err(ScenarioError::Malformed { .. })));
}

#[test]
fn every_builtin_workload_can_run() {
    for workload in Workload::ALL {
        workload.scenario().check().unwrap();
    }
}
