use std::net::TcpListener;

use crate::program::{Place, stderr};

/// Runs the binary and checks its exit code and a part of what it says.
fn refused(place: &Place, arguments: &[&str], code: i32, says: &str) {
    let output = place.run(arguments);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(says), "{arguments:?} should say {says:?}: {text}");
    assert!(!text.contains("panicked"), "{arguments:?}: {text}");
}

#[test]
fn bad_scenarios_are_exit_65_and_name_what_is_wrong() {
    let place = Place::new();
    place.write("typo.toml", "version = 1\nname = \"x\"\n[nodes]\ncuont = 3\n");
    refused(&place, &["up", "typo.toml"], 65, "did you mean `count`?");
    place.write("torn.toml", "version = 1\nname = ");
    refused(&place, &["up", "torn.toml"], 65, "torn.toml");
    place.write("future.toml", "version = 9\nname = \"x\"\n");
    refused(&place, &["up", "future.toml"], 65, "version: 9");
    refused(&place, &["up", "--nodes", "0"], 65, "at least one node");
    refused(&place, &["up", "--nodes", "1", "--workload", "fetch"], 65, "at least two nodes");
    refused(&place, &["up", "--threshold", "fetch.p98<1ms"], 65, "p99");
    refused(&place, &["up", "missing.toml"], 69, "missing.toml");
    assert!(place.only_run().is_none(), "nothing was started");
}

#[test]
fn wrong_use_is_exit_2() {
    let place = Place::new();
    refused(&place, &["up", "--workload", "nonsense"], 2, "dissemination");
    refused(&place, &["up", "--for", "soon"], 2, "30s");
    refused(&place, &["frobnicate"], 2, "unrecognized");
}

#[test]
fn what_is_not_there_is_exit_69() {
    let place = Place::new();
    let file = place.write("file", "");
    let below = file.join("below");
    let below = below.to_str().unwrap();
    refused(&place, &["node", "run", "--api", "127.0.0.1:0", "--data", below], 69, "below");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&place, &["node", "run", "--data", "node", "--api", &address], 69, &address);
    refused(&place, &["load", "http://127.0.0.1:9"], 69, "127.0.0.1:9");
    let scenario = "version = 1\nname = \"x\"\n[nodes]\ncount = 2\n[[foreign]]\nname = \"absent\"\ncommand = [\"no-such-program\"]\n\
        [[phase]]\nop = \"upload\"\nrate = 5.0\n";
    place.write("absent.toml", scenario);
    refused(&place, &["up", "absent.toml"], 69, "no-such-program");
    refused(&place, &["up", "--nodes", "2", "--out", below], 110, "below");
}

#[test]
fn bad_configuration_is_exit_64_and_names_the_nearest_key() {
    let place = Place::new();
    place.write("peermark.toml", "[node]\nblok_size = \"64KiB\"\n");
    refused(&place, &["node", "run", "--data", "node", "--api", "127.0.0.1:0"], 64, "block_size");
    place.write("peermark.toml", "[node]\nblock_size = \"lots\"\n");
    refused(&place, &["node", "run", "--data", "node", "--api", "127.0.0.1:0"], 64, "byte count");
    std::fs::remove_file(place.directory.path().join("peermark.toml")).unwrap();
    refused(
        &place,
        &["node", "run", "--data", "node", "--api", "127.0.0.1:0", "--block-size", "9MiB"],
        64,
        "block_size",
    );
    refused(&place, &["node", "run", "--data", "node", "--api", "0.0.0.0:0"], 69, "token");
}

#[test]
fn what_is_no_run_is_said() {
    let place = Place::new();
    refused(&place, &["lab", "list"], 65, "peermark.db");
    refused(&place, &["lab", "compare", "a", "--vs", "b"], 69, "runs");
    place.write("result.json", "{\"schema\": \"other\"}");
    refused(&place, &["lab", "compare", "result.json", "--vs", "result.json"], 65, "result.json");
}

#[test]
fn a_scheduler_that_could_only_wait_in_silence_says_why() {
    let place = Place::new();
    let scheduler = |more: &[&'static str]| [&["dht", "scheduler"], more].concat();
    refused(&place, &scheduler(&[]), 64, "--fleets");
    refused(&place, &scheduler(&["--fleets", ","]), 64, "no fleet");
    refused(
        &place,
        &scheduler(&["--fleets", "a", "--publish-fleets", "b", "--lookup-fleets", "c"]),
        64,
        "one or the other",
    );
    refused(&place, &scheduler(&["--publish-fleets", "b"]), 2, "--lookup-fleets");
    refused(&place, &scheduler(&["--fleets", "a", "--interval", "soon"]), 2, "--interval");
    refused(&place, &scheduler(&["--fleets", "a", "--probes", "0"]), 2, "--probes");
    refused(&place, &scheduler(&["--fleets", "a", "--timeout", "0s"]), 64, "--timeout");
    refused(&place, &scheduler(&["--fleets", "a", "--rate", "0"]), 64, "--rate");
    refused(&place, &scheduler(&["--fleets", "a", "--rate", "5", "--steps", "99"]), 64, "steps");
    refused(&place, &scheduler(&["--fleets", "a", "--rate", "5"]), 69, "at least 2");
    refused(&place, &scheduler(&["--fleets", "a", "--telemetry-host", "0.0.0.0"]), 64, "allow anonymous");
    refused(&place, &scheduler(&["--fleets", "a", "--db-host", "127.0.0.1", "--db-port", "1"]), 69, "127.0.0.1:1");
    let unknown = scheduler(&["--fleets", "nobody", "--rounds", "1", "--telemetry-port", "0", "--seed", "7"]);
    let output = place.run(&unknown);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.starts_with("seed 7\n") && text.contains("no server of fleet \"nobody\""), "{text}");
    assert!(text.contains("1 rounds, 1 of them skipped"), "{text}");
}
