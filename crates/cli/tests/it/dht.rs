//! `peermark dht server` as far as it goes without a network: arguments, environment, refusals.

use std::process::Output;

use crate::program::{Place, stderr};

const PEER: &str = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5";

fn server(place: &Place, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = place.command(&["dht", "server"]);
    command.args(arguments).envs(variables.iter().copied()).output().unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, says: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(says) && !text.contains("panicked"), "should say {says:?}: {text}");
}

#[test]
fn what_cannot_work_is_said_at_once() {
    let place = Place::new();
    refused(&server(&place, &[], &[]), 64, "no bootstrap peer");
    refused(&server(&place, &[], &["ipni"]), 64, "ipni is not supported");
    refused(&server(&place, &[], &["--network", "nowhere"]), 64, "polkadot/kusama");
    refused(&server(&place, &[], &["--bootstrap", PEER, "--alpha", "0"]), 64, "--alpha 0");
    refused(&server(&place, &[], &["--startup-delay", "soon"]), 2, "1m30s");
    refused(&server(&place, &[], &["--server-port", "70000"]), 2, "70000");
    refused(&server(&place, &[], &["--db-password", "a", "--db-password-file", "b"]), 2, "--db-password-file");
    let missing = ["--bootstrap", PEER, "--db-host", "127.0.0.1", "--db-password-file", "missing"];
    refused(&server(&place, &[], &missing), 69, "missing");
    let nobody = ["--bootstrap", PEER, "--db-host", "127.0.0.1", "--db-port", "9"];
    refused(&server(&place, &[], &nobody), 69, "parsec@127.0.0.1:9/parsec");
    place.write("peermark.toml", "[dht_server]\nserver_prot = 1\n");
    refused(&server(&place, &[], &["--bootstrap", PEER]), 64, "server_port");
}

#[test]
fn parsecs_spelling_and_environment_are_taken() {
    let place = Place::new();
    let flags = ["--server-host", "127.0.0.1", "--firehose-stream", "x", "dht", "--fullrt", "--bootstrap", PEER];
    let text = stderr(&server(&place, &[("PARSEC_DATABASE_HOST", "127.0.0.1"), ("PARSEC_DATABASE_PORT", "9")], &flags));
    assert!(text.contains("without effect: --firehose-stream"), "{text}");
    assert!(text.contains("fullrt over /peermark/kad/1.0.0: alpha 10"), "{text}");
    let variables = [
        ("PARSEC_DATABASE_HOST", "127.0.0.1"),
        ("PARSEC_DATABASE_PORT", "9"),
        ("PARSEC_DATABASE_PASSWORD", "hunter2"),
        ("PARSEC_SERVER_DHT_PROJECT", "ipfs"),
        ("PARSEC_SERVER_DHT_NETWORK", "amino"),
        ("PARSEC_SERVER_DHT_OPTPROV", "true"),
        ("PARSEC_SERVER_DHT_ALPHA", "7"),
        ("PARSEC_SERVER_STARTUP_DELAY", "1m30s"),
        ("PARSEC_SERVER_FLEET", ""),
    ];
    let text = stderr(&server(&place, &variables, &[]));
    assert!(text.contains("optprov over /ipfs/kad/1.0.0: alpha 7"), "{text}");
    assert!(text.contains("its peers are strangers") && text.contains("no --fleet"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn rounds_in_too_quick_succession_are_refused() {
    let place = Place::new();
    for interval in ["0s", "99ms"] {
        let output = place.run(&["dht", "scheduler", "--fleets", "a", "--dry-run", "--interval", interval]);
        refused(&output, 64, "shorter than 100ms");
    }
    let output = place.run(&["dht", "scheduler", "--fleets", "a", "--dry-run", "--interval", "100ms"]);
    assert!(output.status.success(), "{}", stderr(&output));
}
