//! `peermark monitor` and the monitor in a node, as an operator meets them.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use peermark_store::{RunFilter, Store};
use peermark_testkit::times;
use serde_json::Value;

use crate::program::{Place, stderr, stdout, wait_for};

/// Tests of one's own, once a second; nothing else that takes time.
const CONFIG: &str = r#"
[monitor]
profile = "light"

[monitor.task.node-self-test]
enabled = false

[[monitor.command]]
name = "fine"
run = ["sh", "-c", "echo '{\"free\": 7}'"]
value = "/free"
cron = "* * * * * *"
jitter_s = 0

[[monitor.command]]
name = "garbage"
run = ["sh", "-c", "echo not JSON"]
cron = "* * * * * *"
jitter_s = 0

[[monitor.command]]
name = "flood"
run = ["sh", "-c", "exec head -c 100000000 /dev/zero"]
cron = "0 0 0 1 1 *"
jitter_s = 0

[[monitor.command]]
name = "hangs"
run = ["sh", "-c", "sleep 1000 & wait"]
cron = "0 0 0 1 1 *"
timeout_s = 1
jitter_s = 0
"#;

/// A process that says where it listens in its first line, and ends with this value.
struct Process {
    child: Child,
    api: String,
}

impl Process {
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Self { child, api: said["api"].as_str().unwrap().to_owned() }
    }

    fn monitor(place: &Place) -> Self {
        Self::start(place, &["--config", "c.toml", "monitor", "run", "--data", "m", "--api", "127.0.0.1:0"])
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a command of the monitor says as JSON.
fn json(place: &Place, api: &str, arguments: &[&str]) -> Value {
    let all = [&["monitor"], arguments, &["--api", api, "--format", "json"]].concat();
    let output = place.run(&all);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    serde_json::from_str(&stdout(&output)).unwrap()
}

fn task<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["tasks"].as_array().unwrap().iter().find(|task| task["name"] == name).unwrap()
}

fn attempts(place: &Place, api: &str, name: &str) -> Vec<Value> {
    json(place, api, &["history", name, "--since", "1d"])["attempts"].as_array().unwrap().clone()
}

#[test]
fn every_attempt_is_kept_and_told_and_survives_kill_9() {
    let place = Place::new();
    place.write("c.toml", CONFIG);
    let first = Process::monitor(&place);
    let acknowledged = wait_for("two successes and a failure", || {
        let fine = attempts(&place, &first.api, "fine");
        let garbage = attempts(&place, &first.api, "garbage");
        (fine.len() >= 2 && !garbage.is_empty()).then_some(fine)
    });
    assert!(acknowledged.iter().all(|attempt| attempt["value"] == 7 && attempt["status"] == "ok"), "{acknowledged:?}");
    let status = json(&place, &first.api, &["tasks"]);
    let garbage = task(&status, "garbage");
    assert_eq!((garbage["state"].as_str(), garbage["success"].is_null()), (Some("failed"), true), "{garbage}");
    assert_eq!(garbage["problems"][0]["class"], "bad_output");
    assert!(garbage["problems"][0]["advice"].as_str().unwrap().len() > 20);
    assert_eq!(task(&status, "iperf")["state"], "not_configured");
    first.kill();

    let second = Process::monitor(&place);
    let kept = attempts(&place, &second.api, "fine");
    for attempt in &acknowledged {
        assert!(kept.contains(attempt), "{attempt} was acknowledged and is gone");
    }
    drop(second);
    let place_of_store = place.directory.path().join("m/monitor.db");
    assert_eq!(sound(place_of_store), Vec::<String>::new());
}

/// What the store's own check finds wrong.
fn sound(path: PathBuf) -> Vec<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open_existing(&path).await.unwrap();
        assert!(!store.runs(&RunFilter::default()).await.unwrap().is_empty());
        let found = store.verify().await.unwrap();
        let problems = found.problems.iter().map(|problem| format!("{problem:?}")).collect();
        store.close().await;
        problems
    })
}

#[test]
fn a_flood_and_a_hang_are_failures_with_a_culprit_and_the_monitor_lives_on() {
    let place = Place::new();
    place.write("c.toml", CONFIG);
    let monitor = Process::monitor(&place);
    for (name, class) in [("flood", "bad_output"), ("hangs", "timeout")] {
        let failure = wait_for("the first attempt", || {
            let attempt = attempts(&place, &monitor.api, name).pop()?;
            Some(attempt["failure"].clone())
        });
        assert_eq!((failure["class"].as_str(), failure["culprit"].as_str()), (Some(class), Some("self")), "{failure}");
    }
    let seen = attempts(&place, &monitor.api, "fine").len();
    wait_for("it goes on", || (attempts(&place, &monitor.api, "fine").len() > seen).then_some(()));
}

#[test]
fn orders_are_taken_and_refused_in_words() {
    let place = Place::new();
    place.write("c.toml", CONFIG);
    let monitor = Process::monitor(&place);
    let refused = |arguments: &[&str]| {
        let output = place.run(&[&["monitor"], arguments, &["--api", &monitor.api]].concat());
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        stderr(&output)
    };
    wait_for("a first result", || (!attempts(&place, &monitor.api, "healthcheck").is_empty()).then_some(()));
    let result = json(&place, &monitor.api, &["get", "healthcheck"]);
    assert_eq!(result["result"]["cache"], serde_json::json!([]));
    assert!(refused(&["get", "garbage"]).contains("result not found"));
    assert!(refused(&["run-now", "healthchek"]).contains("did you mean \"healthcheck\""));
    assert!(refused(&["run-now", "iperf"]).contains("not configured"));
    let ticket = json(&place, &monitor.api, &["run-now", "healthcheck"]);
    wait_for("the run", || {
        let newest = attempts(&place, &monitor.api, "healthcheck").pop()?;
        (newest["trigger"] == "request" && newest["seq"].as_u64() > ticket["after_seq"].as_u64()).then_some(())
    });
    assert!(refused(&["run-now", "healthcheck"]).contains("ask again in"));
    assert!(refused(&["pause", "--for", "2h", "--reason", " "]).contains("reason"));
    json(&place, &monitor.api, &["pause", "--for", "2h", "--reason", "new disk"]);
    assert_eq!(json(&place, &monitor.api, &["tasks"])["paused"]["reason"], "new disk");
    let text = stdout(&place.run(&["monitor", "tasks", "--api", &monitor.api]));
    assert!(text.contains("new disk") && text.contains("healthcheck"), "{text}");
}

#[test]
fn a_node_tests_itself_and_says_so_on_its_own_api() {
    let place = Place::new();
    let node = [
        "node",
        "run",
        "--data",
        "n",
        "--api",
        "127.0.0.1:0",
        "--listen",
        "/ip4/127.0.0.1/tcp/0",
        "--monitor",
        "light",
    ];
    let node = Process::start(&place, &node);
    let result = wait_for("the node's test of its own storage", || {
        attempts(&place, &node.api, "node-self-test").pop().filter(|attempt| attempt["status"] == "ok")
    });
    assert!(result["value"].as_i64().unwrap() > 0, "{result}");
    let page = metrics(&node.api);
    assert!(page.contains("peermark_monitor_task_success{task=\"node-self-test\"} 1"), "{page}");
    assert!(page.contains("peermark_block_count"), "the node's own series are there too");
}

fn metrics(api: &str) -> String {
    use std::io::{Read, Write};
    let address = api.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_runs() {
    let place = Place::new();
    for (config, said) in [
        ("[monitor.task.disk]\ncron = \"0 0 * * *\"", "expected exactly 6 fields, found 5"),
        ("[monitor.task.disk]\ncron = \"0 0 0 * * * *\"", "expected exactly 6 fields, found 7"),
        ("[monitor.task.disk]\ncron = \"0 0 0 30 2 *\"", "30"),
        ("[monitor.task.dsk]\nenabled = true", "no task has this name"),
        ("[monitor]\nzone = \"Mars/Olympus\"", "Mars/Olympus"),
        ("[monitor]\nredi = \"x\"", "did you mean \"redis\""),
        ("[monitor]\nredis = \"http://127.0.0.1\"", "Redis URL"),
    ] {
        place.write("bad.toml", config);
        let output = place.run(&["--config", "bad.toml", "monitor", "run", "--data", "m", "--api", "127.0.0.1:0"]);
        assert_eq!(output.status.code(), Some(64), "{config}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{config}: {}", stderr(&output));
    }
    let open = place.run(&["monitor", "run", "--data", "m", "--api", "0.0.0.0:0"]);
    assert_eq!(open.status.code(), Some(64), "{}", stderr(&open));
}

/// Kills a monitor at random moments while its tests run, and looks whether what it had told is still there. How many attempts of
/// one test were told.
fn kills(rounds: u32) -> usize {
    let place = Place::new();
    place.write("c.toml", CONFIG);
    let mut told: Vec<Value> = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds {
        let monitor = Process::monitor(&place);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(std::time::Duration::from_millis(100 + (random >> 33) % 900));
        let now = attempts(&place, &monitor.api, "fine");
        for attempt in &told {
            assert!(now.contains(attempt), "round {round}: {attempt} was told and is gone");
        }
        told = now;
        monitor.kill();
    }
    assert!(told.len() > rounds as usize / 4, "tests ran: {} attempts", told.len());
    assert_eq!(sound(place.directory.path().join("m/monitor.db")), Vec::<String>::new());
    assert_eq!(broken(&place), Vec::<String>::new());
    told.len()
}

/// What is wrong with the chain of sealed records.
fn broken(place: &Place) -> Vec<String> {
    let output = place.run(&["monitor", "verify", "--data", "m", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}{}", stdout(&output), stderr(&output));
    let said: Value = serde_json::from_str(&stdout(&output)).unwrap();
    said["faults"].as_array().unwrap().iter().map(ToString::to_string).collect()
}

/// `make prove-monitor-kills` asks for 200.
#[test]
fn kill_9_at_random_moments_loses_nothing_that_was_told() {
    let rounds = times(option_env!("PEERMARK_KILLS"), 4);
    let told = kills(rounds);
    println!("{rounds} kills, {told} attempts of one test told, none lost, the chain verifies");
}
