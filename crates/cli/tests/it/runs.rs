use serde_json::Value;

use crate::program::{Place, pids, runs, stderr, stdout, wait_for};

const SMALL: [&str; 9] = ["up", "--nodes", "3", "--for", "4s", "--rate", "20", "--seed", "7"];

#[test]
fn a_run_leaves_its_files_its_history_and_no_process() {
    let place = Place::new();
    let output = place.run(&[&SMALL[..], &["--threshold", "fetch.error_ratio<=0%"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("seed 7\n"), "the seed comes first: {}", stderr(&output));
    let result = place.json("result.json");
    let schema: Value = serde_json::from_str(include_str!("../../../lab/schema/run.schema.json")).unwrap();
    assert!(jsonschema::is_valid(&schema, &result));
    assert_eq!(result["nodes"]["ready"], 3);
    assert_eq!(result["exchange"]["unexplained"], 0, "{}", result["exchange"]);
    assert_eq!(result["exchange"]["blocks_sent"], result["exchange"]["blocks_received"]);
    assert!(result["exchange"]["blocks_received"].as_u64().unwrap() > 0);
    for operation in result["operations"].as_array().unwrap() {
        assert_eq!(operation["count"], operation["ok"], "{operation}");
    }
    let run = place.only_run().unwrap();
    for file in ["report.html", "scenario.toml", "observations.ndjson.zst", "nodes.json"] {
        assert!(run.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    assert!(pids(&run).unwrap().into_iter().all(|pid| !runs(pid)));
    let list = stdout(&place.run(&["lab", "list", "--format", "json"]));
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["runs"][0]["state"], "succeeded");
    // The scenario that a run leaves asks for the same run again.
    let again = place.run(&["lab", "plan", run.join("scenario.toml").to_str().unwrap()]);
    let plan: Value = serde_json::from_str(&stdout(&again)).unwrap();
    assert_eq!(plan["scenario_fingerprint"], result["scenario_fingerprint"]);
    assert_eq!(plan["seed"], 7);
}

#[test]
fn a_missed_threshold_is_exit_100_and_one_run_per_arm_is_not_enough() {
    let place = Place::new();
    let output =
        place.run(&[&SMALL[..], &["--workload", "fetch", "--threshold", "fetch.p50<1ns", "--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(100), "{}", stderr(&output));
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(result["thresholds"][0]["ok"], false);
    let id = result["run_id"].as_str().unwrap();
    let compared = place.run(&["lab", "compare", id, "--vs", id, "--fail-on", "worse"]);
    assert_eq!(compared.status.code(), Some(0), "{}", stderr(&compared));
    assert!(stdout(&compared).contains("not enough data"), "{}", stdout(&compared));
    assert!(!stdout(&compared).contains("worse "), "{}", stdout(&compared));
}

#[test]
fn a_killed_controller_leaves_no_process() {
    let place = Place::new();
    let mut controller = place.spawn(&["up", "--nodes", "4", "--for", "60s", "--rate", "20", "--workload", "fetch"]);
    let nodes = wait_for("the nodes", || pids(&place.only_run()?).filter(|pids| pids.len() == 4));
    assert!(nodes.iter().all(|pid| runs(*pid)));
    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_for("the nodes to notice", || nodes.iter().all(|pid| !runs(*pid)).then_some(()));
    let clean = place.run(&["lab", "clean"]);
    assert!(stderr(&clean).contains("nothing was left behind"), "{}", stderr(&clean));
}

#[test]
fn a_kept_network_takes_load_by_url_and_is_cleaned_up() {
    let place = Place::new();
    let output = place.run(&[&SMALL[..], &["--workload", "upload", "--keep"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let run = place.only_run().unwrap();
    let nodes = pids(&run).unwrap();
    assert!(nodes.iter().all(|pid| runs(*pid)));
    let file = place.json("nodes.json");
    // Without the base path: the load finds it by asking.
    let url = |node: usize| {
        let api = file["nodes"][node]["api"].as_str().unwrap();
        api.split("/api/").next().unwrap().to_owned()
    };
    let load = place.run(&[
        "load",
        &url(1),
        &url(2),
        "--workload",
        "fetch",
        "--rate",
        "20",
        "--for",
        "3s",
        "--format",
        "json",
        "--out",
        "loads",
    ]);
    assert_eq!(load.status.code(), Some(0), "{}", stderr(&load));
    let result: Value = serde_json::from_str(&stdout(&load)).unwrap();
    assert!(result["operations"][0]["ok"].as_u64().unwrap() > 20, "{}", result["operations"][0]);
    assert!(result["exchange"]["unexplained"].is_null() && result["exchange"]["reason"].is_string());
    let logs = place.run(&["lab", "logs", "1"]);
    assert_eq!(logs.status.code(), Some(0), "{}", stderr(&logs));
    let dry = stdout(&place.run(&["lab", "clean", "--dry-run"]));
    assert_eq!(dry.lines().filter(|line| line.starts_with("would end")).count(), 3, "{dry}");
    assert!(nodes.iter().all(|pid| runs(*pid)));
    let clean = stdout(&place.run(&["lab", "clean"]));
    assert_eq!(clean.lines().filter(|line| line.starts_with("ended")).count(), 3, "{clean}");
    wait_for("the nodes to end", || nodes.iter().all(|pid| !runs(*pid)).then_some(()));
}
