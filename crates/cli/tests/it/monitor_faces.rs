//! `peermark monitor`, `doctor` and `config print` as they are typed.

use serde_json::Value;

use crate::program::Place;

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_token_in_the_clear_is_refused_before_anything_is_sent() {
    let place = Place::new();
    place.write("token", "secret");
    for url in ["http://192.0.2.1:8090", "192.0.2.1:8090"] {
        let refused = place.run(&["monitor", "tasks", "--api", url, "--token-file", "token"]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(64), "{said}");
        assert!(said.contains("--insecure") && !said.contains("secret"), "{said}");
    }
}

#[test]
fn a_monitor_that_is_not_there_is_named_with_its_exit_code() {
    let place = Place::new();
    let url = nowhere();
    let asked = place.run(&["monitor", "get", "disk", "--api", &url, "--format", "json"]);
    assert_eq!(asked.status.code(), Some(69));
    assert!(String::from_utf8(asked.stderr).unwrap().contains(&url));
    assert!(asked.stdout.is_empty());
}

#[test]
fn one_look_at_a_fleet_prints_its_grid_and_says_that_somebody_has_to_look() {
    let place = Place::new();
    place.write("nodes.toml", &format!("[[node]]\nname = \"gone\"\nurl = \"{}\"\n", nowhere()));
    let arguments = ["monitor", "fleet", "--targets", "nodes.toml", "--once"];
    let looked = place.run(&[&arguments[..], &["--format", "json", "--html", "fleet.html"]].concat());
    assert_eq!(looked.status.code(), Some(100), "{}", String::from_utf8_lossy(&looked.stderr));
    let document = json(&looked.stdout);
    assert_eq!(document["schema"], "peermark.monitor-fleet/1");
    assert_eq!(document["nodes"][0]["state"], "silent");
    assert!(std::fs::read_to_string(place.directory.path().join("fleet.html")).unwrap().contains("gone"));
    assert!(place.directory.path().join("peermark.db").exists());
    let text = String::from_utf8(place.run(&arguments).stdout).unwrap();
    assert!(text.starts_with("1 node: 1 silent"), "{text}");

    place.write("nodes.toml", "[[node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\ncolour = 1\n");
    let refused = place.run(&arguments);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("colour"));
    std::fs::remove_file(place.directory.path().join("nodes.toml")).unwrap();
    assert_eq!(place.run(&arguments).status.code(), Some(69));
}

#[test]
fn install_prints_a_unit_and_does_nothing_else() {
    let place = Place::new();
    let printed = place.run(&["monitor", "install", "--print", "--", "--redis", "redis://127.0.0.1:6379"]);
    assert!(printed.status.success());
    let unit = String::from_utf8(printed.stdout).unwrap();
    let program = env!("CARGO_BIN_EXE_peermark");
    let command =
        format!("ExecStart={program} monitor run --data %S/peermark-monitor --redis redis://127.0.0.1:6379\n");
    assert!(unit.contains(&command) && unit.contains("\nProtectSystem=strict\n"), "{unit}");
    assert_eq!(place.run(&["monitor", "install"]).status.code(), Some(2));
    let twice = place.run(&["monitor", "install", "--print", "--", "--data", "x"]);
    assert_eq!(twice.status.code(), Some(64));
    assert!(String::from_utf8(twice.stderr).unwrap().contains("--data is set by the unit"));

    let file = place.write("peermark.toml", "[monitor]\nzone = \"UTC\"\n").canonicalize().unwrap();
    let unit = String::from_utf8(place.run(&["monitor", "install", "--print"]).stdout).unwrap();
    assert!(unit.contains(&format!("ExecStart={program} --config {} monitor run", file.display())), "{unit}");
}

#[test]
fn rules_for_prometheus_are_printed_without_a_fleet() {
    let place = Place::new();
    let printed = place.run(&["monitor", "fleet", "--rules"]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert!(printed.stdout.starts_with(b"groups:\n"));
    assert_eq!(place.run(&["monitor", "fleet"]).status.code(), Some(2));
}

#[test]
fn a_certificate_that_cannot_be_used_is_told_with_its_cause() {
    let place = Place::new();
    place.write("nodes.toml", "[[node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n");
    let arguments = [
        "monitor",
        "fleet",
        "--targets",
        "nodes.toml",
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        "c.pem",
        "--tls-key",
        "k.pem",
    ];
    let refused = place.run(&arguments);
    assert_eq!(refused.status.code(), Some(64));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("No such file"), "{said}");
}

#[test]
fn a_monitor_that_listens_everywhere_is_asked_here() {
    let place = Place::new();
    let port = nowhere().rsplit_once(':').unwrap().1.to_owned();
    place.write("token", "secret");
    for (api, here) in [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")] {
        place.write("peermark.toml", &format!("[monitor]\napi = \"{api}:{port}\"\n"));
        let asked = place.run(&["monitor", "tasks", "--token-file", "token"]);
        let said = String::from_utf8(asked.stderr).unwrap();
        assert_eq!(asked.status.code(), Some(69), "{said}");
        assert!(said.contains(&format!("{here}:{port}")), "{said}");
    }
}

#[test]
fn every_value_of_the_configuration_has_an_origin() {
    let place = Place::new();
    place.write("peermark.toml", "[monitor]\nzone = \"Europe/Berlin\"\n[monitor.history]\nattempts_days = 7\n");
    let mut command = place.command(&["config", "print", "--format", "json"]);
    let printed = command.env("PEERMARK_MONITOR_API", "127.0.0.1:7777").output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let document = json(&printed.stdout);
    let origin = |section: &str, key: &str| {
        let values = document["values"].as_array().unwrap();
        let value = values.iter().find(|value| value["section"] == section && value["key"] == key).unwrap();
        (value["value"].clone(), value["origin"].as_str().unwrap().to_owned())
    };
    let (zone, from) = origin("monitor", "zone");
    assert!(zone == "Europe/Berlin" && from.starts_with("file ") && from.ends_with("peermark.toml"), "{from}");
    assert_eq!(origin("monitor", "history.attempts_days").0, 7);
    assert_eq!(origin("monitor", "history.rollups_days").1, "default");
    assert_eq!(origin("monitor", "api"), ("127.0.0.1:7777".into(), "environment".into()));
    assert_eq!(origin("monitor", "redis"), (Value::Null, "default".into()));
    assert_eq!(origin("node", "allow_anonymous").1, "default");
    assert_eq!(origin("ledger", "api"), ("127.0.0.1:8090".into(), "default".into()));

    place.write("peermark.toml", "[monitor]\nzoen = \"UTC\"\n");
    let refused = place.run(&["config", "print"]);
    assert_eq!(refused.status.code(), Some(64));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("did you mean \"zone\""));
}

#[test]
fn what_is_printed_can_be_read_back_and_gives_no_password_away() {
    let place = Place::new();
    let written = "[monitor]\nredis = \"redis://:hunter2@127.0.0.1:6379\"\n\
                   [monitor.task.\"of mine\"]\nenabled = false\n\
                   [[monitor.command]]\nname = \"of mine\"\nrun = [\"sh\", \"-c\", \"echo '{\\\"free\\\": 7}'\"]\nvalue = \"/free\"\ncron = \"0 0 * * * *\"\n\
                   [[monitor.command]]\nname = \"other\"\nrun = [\"true\"]\ncron = \"0 0 * * * *\"\n";
    let file = place.write("peermark.toml", written);
    let json = |place: &Place| {
        let printed = place.run(&["config", "print", "--format", "json"]);
        assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
        let document = json(&printed.stdout);
        let values = document["values"].as_array().unwrap().clone();
        values
            .into_iter()
            .map(|value| (value["section"].clone(), value["key"].clone(), value["value"].clone()))
            .collect::<Vec<_>>()
    };
    let before = json(&place);
    let printed = place.run(&["config", "print"]).stdout;
    for text in [String::from_utf8(printed.clone()).unwrap(), format!("{before:?}")] {
        assert!(!text.contains("hunter2") && text.contains("redis://:***@127.0.0.1:6379"), "{text}");
    }
    std::fs::write(file, printed).unwrap();
    assert_eq!(json(&place), before);
}

#[test]
fn the_doctor_sends_no_token_in_the_clear() {
    let place = Place::new();
    place.write("token", "secret");
    let refused = place.run(&["doctor", "--node-api", "http://192.0.2.1:8080", "--token-file", "token"]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains("https://") && !said.contains("secret"), "{said}");
}

#[test]
fn the_doctor_names_at_most_three_fixes_each_with_a_command() {
    let place = Place::new();
    let looked = place.run(&["doctor", "--node-api", &nowhere(), "--format", "json"]);
    assert_eq!(looked.status.code(), Some(100), "{}", String::from_utf8_lossy(&looked.stderr));
    let document = json(&looked.stdout);
    assert_eq!((&document["schema"], &document["check"]), (&"peermark.doctor/1".into(), &"machine".into()));
    let fixes = document["fixes"].as_array().unwrap();
    assert!((1..=3).contains(&fixes.len()));
    assert_eq!(fixes[0]["check"], "node", "a node that does not answer is the worst");
    assert!(fixes.iter().all(|fix| fix["command"].as_str().is_some_and(|command| !command.is_empty())));
    let text = String::from_utf8(place.run(&["doctor"]).stdout).unwrap();
    assert!(text.contains("disk space") && !text.contains("the node does not answer"), "{text}");
}
