use crate::program::{Place, pids, runs, stderr};

const SCENARIO: &str = r#"
version = 1
name = "broken"
seed = 3
duration = "8s"
[nodes]
count = 4
[[phase]]
op = "fetch"
rate = 40.0
timeout = "3s"
[[fault]]
at = "2s"
node = 2
action = "kill"
[[fault]]
at = "3s"
node = 3
action = "restart"
"#;

#[test]
fn killed_and_restarted_nodes_are_verified_and_their_cost_is_counted() {
    let place = Place::new();
    place.write("broken.toml", SCENARIO);
    let output = place.run(&["up", "broken.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = place.json("result.json");
    let faults = result["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().all(|fault| fault["verified"] == true), "{faults:?}");
    let fetch = &result["operations"][0];
    let failed = fetch["count"].as_u64().unwrap() - fetch["ok"].as_u64().unwrap();
    assert!(failed > 0 && fetch["ok"].as_u64().unwrap() > 0, "{fetch}");
    let classes = fetch["failed"].as_object().unwrap();
    assert_eq!(classes.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), failed);
    assert!(!classes.contains_key("wrong_bytes"), "a dead node loses no byte of others: {classes:?}");
    assert!(fetch["culprits"]["peer"].as_u64().unwrap() > 0, "{fetch}");
    let states: Vec<&str> =
        result["resources"].as_array().unwrap().iter().map(|node| node["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["up", "up", "killed", "up"]);
    assert!(pids(&place.only_run().unwrap()).unwrap().into_iter().all(|pid| !runs(pid)));
}

#[test]
fn foreign_nodes_run_beside_ours_and_nothing_is_claimed_of_their_counters() {
    let place = Place::new();
    let program = env!("CARGO_BIN_EXE_peermark");
    let scenario = format!(
        r#"
version = 1
name = "foreign"
seed = 4
duration = "4s"
[nodes]
count = 2
[[foreign]]
name = "other"
command = ["{program}", "node", "run", "--data", "{{data}}", "--api", "127.0.0.1:{{api_port}}",
    "--listen", "/ip4/127.0.0.1/tcp/{{listen_port}}", "--bootstrap", "{{bootstrap}}"]
[[phase]]
op = "fetch"
rate = 20.0
"#
    );
    place.write("foreign.toml", &scenario);
    let output = place.run(&["up", "foreign.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let result = place.json("result.json");
    assert_eq!(result["nodes"]["ready"], 3);
    assert_eq!(result["resources"][2]["kind"], "other");
    assert!(result["exchange"]["unexplained"].is_null());
    assert!(result["exchange"]["reason"].as_str().unwrap().contains("foreign"));
    assert_eq!(result["operations"][0]["ok"], result["operations"][0]["count"]);
    assert!(pids(&place.only_run().unwrap()).unwrap().into_iter().all(|pid| !runs(pid)));
}
