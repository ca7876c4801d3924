//! `peermark up --workload dht`: a DHT of processes, measured and gone.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::program::{Place, pids, runs, stderr, stdout, wait_for};

const SMALL: [&str; 11] =
    ["up", "--workload", "dht", "--nodes", "8", "--fleets", "default,fullrt", "--for", "6s", "--seed", "7"];

/// How many rows a table of the store has per fleet.
fn rows(place: &Place, table: &str) -> Vec<(String, i64)> {
    let database = rusqlite::Connection::open(place.directory.path().join("peermark.db")).unwrap();
    let sql =
        format!("SELECT n.fleet, count(*) FROM {table} m JOIN nodes_ecs n ON n.id = m.node_id GROUP BY 1 ORDER BY 1");
    let mut statement = database.prepare(&sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Lookups in the store while a run writes it; `None` before it is there.
fn lookups(place: &Place) -> Option<i64> {
    let path = place.directory.path().join("peermark.db");
    let database = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    database.query_row("SELECT count(*) FROM retrievals_ecs", [], |row| row.get(0)).ok()
}

#[test]
fn a_dht_is_measured_per_fleet_and_nothing_is_left() {
    let place = Place::new();
    let output = place.run(&[&SMALL[..], &["--threshold", "lookup.error_ratio<=10%"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).starts_with("seed 7\n"), "the seed comes first: {}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("regions are labels, no distance") && !text.contains("region-"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    for table in ["provides_ecs", "retrievals_ecs"] {
        let rows = rows(&place, table);
        let fleets: Vec<&str> = rows.iter().map(|(fleet, _)| fleet.as_str()).collect();
        assert_eq!(fleets, ["default", "fullrt"], "{table}");
        assert!(rows.iter().all(|(_, count)| *count > 0), "{rows:?}");
    }
    let result = place.json("result.json");
    let schema: Value = serde_json::from_str(include_str!("../../../lab/schema/dht-lab.schema.json")).unwrap();
    assert!(jsonschema::is_valid(&schema, &result), "{result:#}");
    assert_eq!(result["distance"], "regions are labels, no distance");
    let checks = result["preflight"].as_array().unwrap();
    assert!(checks.len() >= 5 && checks.iter().all(|check| check["verdict"] != "FAILS"), "{checks:?}");
    let schedules = result["schedules"].as_array().unwrap();
    assert_eq!((&schedules[0]["name"], &schedules[1]["name"]), (&"mixed".into(), &"pair".into()));
    for fleet in schedules[0]["fleets"].as_array().unwrap() {
        let (provide, lookup) = (&fleet["provide"], &fleet["lookup"]);
        assert!(provide["ok"].as_u64().unwrap() > 0 && lookup["ok"].as_u64().unwrap() > 0, "{fleet:#}");
        assert_eq!(lookup["rpcs"]["operations"], lookup["ok"], "every lookup has its hops: {fleet:#}");
        assert!(lookup["rpcs"]["per_operation"].as_f64().unwrap() >= 1.0, "{fleet:#}");
        assert!(provide["visible_ns"]["n"].as_u64().unwrap() > 0, "{fleet:#}");
        assert!(
            provide["confirmed_ns"]["max"].as_u64() >= provide["returned_ns"]["p50"]["value"].as_u64(),
            "{fleet:#}"
        );
    }
    let run = place.only_run().unwrap();
    let pids = pids(&run).unwrap();
    assert_eq!(pids.iter().collect::<BTreeSet<_>>().len(), 14, "eight servers and two fleets of three");
    assert!(pids.into_iter().all(|pid| !runs(pid)));
    assert!(run.join("report.html").metadata().unwrap().len() > 0);
    let list: Value = serde_json::from_str(&stdout(&place.run(&["lab", "list", "--format", "json"]))).unwrap();
    let listed = list["runs"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "runs of single servers are not the lab's: {list:#}");
    assert_eq!((&listed[0]["scenario"], &listed[0]["state"]), (&"dht".into(), &"succeeded".into()));
    let log = place.run(&["lab", "logs", "13"]);
    assert!(stdout(&log).contains("fullrt over /peermark/lab/"), "{}", stdout(&log));
}

#[test]
fn a_killed_controller_leaves_no_process_and_its_store_can_be_used_again() {
    let place = Place::new();
    let long = ["up", "--workload", "dht", "--nodes", "6", "--fleets", "default", "--for", "60s"];
    let mut controller = place.spawn(&long);
    let nodes = wait_for("the nodes", || pids(&place.only_run()?).filter(|pids| pids.len() == 9));
    assert!(nodes.iter().all(|pid| runs(*pid)));
    wait_for("rows", || (lookups(&place)? > 0).then_some(()));
    let second = place.run(&long);
    assert_eq!(second.status.code(), Some(69), "{}", stderr(&second));
    assert!(stderr(&second).contains("another run uses this store"), "{}", stderr(&second));
    controller.kill().unwrap();
    controller.wait().unwrap();
    wait_for("the nodes to notice", || nodes.iter().all(|pid| !runs(*pid)).then_some(()));
    let clean = place.run(&["lab", "clean"]);
    assert!(stderr(&clean).contains("nothing was left behind"), "{}", stderr(&clean));
}

#[test]
fn a_stopped_run_says_what_it_has_and_is_exit_101() {
    let place = Place::new();
    let arguments =
        ["up", "--workload", "dht", "--nodes", "6", "--fleets", "default", "--for", "60s", "--format", "json"];
    let mut command = place.command(&arguments);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
    let child = command.spawn().unwrap();
    wait_for("rows", || (lookups(&place)? >= 8).then_some(()));
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(101));
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&result["schema"], &result["stopped"]), (&"peermark.dht-lab/1".into(), &true.into()));
    assert!(result["schedules"][0]["fleets"][0]["lookup"]["ok"].as_u64().unwrap() > 0, "{result:#}");
    assert!(pids(&place.only_run().unwrap()).unwrap().into_iter().all(|pid| !runs(pid)));
}

#[test]
fn what_is_no_dht_is_refused_before_anything_starts() {
    let place = Place::new();
    let refused = |arguments: &[&str], code: i32, says: &str| {
        let output = place.run(&[&["up", "--workload", "dht"], arguments].concat());
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(says) && !text.contains("panicked"), "{arguments:?} should say {says:?}: {text}");
    };
    refused(&["--nodes", "0"], 65, "a DHT takes servers");
    refused(&["--nodes", "4"], 65, "fewer than the 6 servers");
    refused(&["--fleets", "defualt"], 65, "default, optprov, fullrt");
    refused(&["--fleets", "default,default"], 65, "twice");
    refused(&["--threshold", "fetch.p99<1s"], 65, "lookup");
    refused(&["--threshold", "nobody/lookup.p99<1s"], 65, "nobody");
    refused(&["--rate", "5"], 64, "--rate");
    refused(&["--keep"], 64, "--keep");
    refused(&["--for", "forever"], 64, "forever");
    let other = place.run(&["up", "--fleets", "default"]);
    assert_eq!(other.status.code(), Some(64), "{}", stderr(&other));
    let unknown = place.run(&["up", "--workload", "dth"]);
    assert!(stderr(&unknown).contains("size-mix, dht"), "{}", stderr(&unknown));
    assert!(place.only_run().is_none(), "nothing was started");
    let plan = place.run(&["lab", "plan", "--workload", "dht", "--nodes", "8", "--seed", "7"]);
    let plan: Value = serde_json::from_str(&stdout(&plan)).unwrap();
    assert_eq!((plan["servers"].as_array().unwrap().len(), plan["measurers"].as_array().unwrap().len()), (8, 9));
}
