//! `peermark ledger`: a ledger from its beginning over its death to its damage.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::program::{Place, stderr, stdout};

/// A ledger that is served, and ends with the test.
struct Served {
    child: Child,
    url: String,
    height: u64,
}

impl Served {
    fn start(place: &Place, block_ms: &str) -> Self {
        let arguments = ["ledger", "serve", "--data", "l", "--api", "127.0.0.1:0", "--block-ms", block_ms];
        let mut child = place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let (url, height) = (told["api"].as_str().unwrap().to_owned(), told["height"].as_u64().unwrap());
        Self { child, url, height }
    }

    /// SIGKILL: nothing is closed or written any more.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command and returns its exit code, stdout as it is, and stderr.
fn run(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let output = place.run(arguments);
    let said = stderr(&output);
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    (output.status.code().unwrap(), stdout(&output), said)
}

/// Runs a command that succeeds and prints one document.
fn document(place: &Place, arguments: &[&str]) -> Value {
    let (code, text, said) = run(place, arguments);
    assert_eq!(code, 0, "{arguments:?}: {text} {said}");
    serde_json::from_str(&text).unwrap()
}

fn key(place: &Place, name: &str) -> String {
    document(place, &["ledger", "init", "--key", name])["public"].as_str().unwrap().to_owned()
}

/// A ledger in `l` with an admin that has money; the network's name and the admin's key.
fn init(place: &Place) -> (String, String) {
    let admin = key(place, "admin.key");
    let grant = format!("{admin}=1000");
    let made = document(place, &["ledger", "init", "--data", "l", "--admin", &admin, "--grant", &grant]);
    (made["network"].as_str().unwrap().to_owned(), admin)
}

fn submit(place: &Place, url: &str, key: &str, transaction: &Value, more: &[&str]) -> (i32, Value, String) {
    place.write("transaction.json", &transaction.to_string());
    let arguments = [&["ledger", "submit", "transaction.json", "--key", key, "--ledger", url][..], more].concat();
    let (code, text, said) = run(place, &arguments);
    (code, serde_json::from_str(&text).unwrap_or_default(), said)
}

#[test]
fn a_ledger_lives_dies_and_is_found_whole() {
    let place = Place::new();
    let (network, _) = init(&place);
    let (user, noise) = (key(&place, "user.key"), key(&place, "noise.key"));
    let served = Served::start(&place, "50");
    let url = served.url.clone();
    let named = ["--network", network.as_str()];
    let transfer = |amount: u64| json!({ "transfer": { "to": user, "amount": amount } });
    let register = json!({ "register": { "noise_key": noise, "signing_key": user, "work": 0 } });
    let (code, receipt, said) = submit(&place, &url, "user.key", &register, &named);
    assert_eq!(code, 100, "a key that did not sign: {receipt} {said}");
    assert!(receipt["refused"].as_str().unwrap().contains("possession"), "{receipt}");
    let proved = [&named[..], &["--prove", "noise.key"]].concat();
    for (key, transaction, more) in [
        ("admin.key", json!({ "grant": { "to": user, "amount": 5 } }), &named[..]),
        ("admin.key", transfer(7), &named),
        ("user.key", register, &proved),
    ] {
        let (code, receipt, said) = submit(&place, &url, key, &transaction, more);
        assert_eq!(code, 0, "{transaction}: {receipt} {said}");
        assert!(receipt["height"].as_u64().unwrap() > 0 && receipt["network_named"] == true, "{receipt}");
    }
    // More than it has: taken, executed, and refused.
    let (code, receipt, _) = submit(&place, &url, "user.key", &transfer(1_000_000), &[]);
    assert_eq!(code, 100, "{receipt}");
    assert!(receipt["refused"].is_string() && receipt["network_named"] == false, "{receipt}");

    let shown = document(&place, &["ledger", "show", "storage", "--ledger", &url]);
    assert!(!shown.is_null());
    // What is exported is what the last checkpoint covers, which follows within a second.
    let exported = (0..200).find_map(|_| {
        let (code, lines, said) = run(&place, &["ledger", "export", "--ledger", &url]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("not named") && said.contains(&network), "{said}");
        let exported: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (exported.iter().filter(|record| record["domain"] == "ledger").count() == 5).then_some(exported)
    });
    let exported = exported.expect("five entries are exported");
    for (place_in_log, record) in exported.iter().enumerate() {
        assert_eq!(
            (record["index"].as_u64(), record["network"].as_str()),
            (Some(place_in_log as u64), Some(&*network))
        );
    }

    served.kill();
    let again = Served::start(&place, "3600000");
    assert!(again.height >= receipt["height"].as_u64().unwrap(), "{} {receipt}", again.height);
    // Nobody closes a block for an hour: the entry is on the disk, and the wait ends.
    let (code, receipt, said) = submit(&place, &again.url, "user.key", &transfer(1), &["--wait", "1"]);
    assert_eq!(code, 69, "{receipt} {said}");
    assert!(receipt["index"].is_u64() && receipt["height"].is_null() && said.contains("within 1 s"), "{said}");
    again.kill();
    let found = document(&place, &["ledger", "verify", "--data", "l", "--format", "json", "--network", &network]);
    assert_eq!((&found["entries"], &found["refused"], &found["network_named"]), (&json!(5), &json!(2), &json!(true)));
    damage_is_found(&place);
}

/// One bit in the middle of the largest file of the log.
fn damage_is_found(place: &Place) {
    let (code, text, _) = run(place, &["ledger", "verify", "--data", "l"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("everything holds") && text.contains("that you have not named"), "{text}");
    let files = std::fs::read_dir(place.directory.path().join("l/log")).unwrap().map(|file| file.unwrap().path());
    let segments = files.filter(|path| path.to_string_lossy().ends_with(".seg"));
    let file = segments.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    // In the first records: the file may be longer than what is written.
    bytes[200] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let (code, text, said) = run(place, &["ledger", "verify", "--data", "l"]);
    assert_eq!(code, 100, "{text} {said}");
    let name = file.file_name().unwrap().to_str().unwrap();
    for part in ["FAULT", name, "damaged at byte", "expected", "found", "DOES NOT HOLD"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn another_network_is_refused() {
    let place = Place::new();
    let (network, _) = init(&place);
    let served = Served::start(&place, "50");
    let other = format!("{}-{}", network.rsplit_once('-').unwrap().0, "0".repeat(8));
    let transfer = json!({ "transfer": { "to": key(&place, "user.key"), "amount": 1 } });
    let (code, receipt, said) = submit(&place, &served.url, "admin.key", &transfer, &["--network", &other]);
    assert_eq!((code, &receipt), (65, &Value::Null), "{said}");
    for ledger in [served.url.as_str(), "l"] {
        let (code, text, said) = run(&place, &["ledger", "show", "--ledger", ledger, "--network", &other]);
        assert_eq!((code, text.as_str()), (65, ""), "{said}");
        assert!(said.contains(&network) && said.contains(&other), "{said}");
    }
    let (code, text, _) = run(&place, &["ledger", "verify", "--data", "l", "--network", &other]);
    assert_eq!(code, 100, "{text}");
    assert!(text.contains(&network) && text.contains(&other), "{text}");
    let (code, _, said) = run(&place, &["ledger", "verify", "--data", "l", "--network", "lab"]);
    assert_eq!(code, 2, "{said}");
}

#[test]
fn bad_input_is_refused_with_its_reason() {
    let place = Place::new();
    init(&place);
    place.write("typo.toml", "epoch_blokcs = 7\n");
    place.write("absurd.toml", "block_seconds = -1\n");
    place.write("long.toml", &"#".repeat(2 << 20));
    place.write("not.json", "{\"transfr\": {}}");
    place.write("long.json", &" ".repeat(2 << 20));
    place.write("no.key", "hello");
    place.write("no.bundle", "hello");
    let nobody = "http://127.0.0.1:1";
    for (arguments, code, says) in [
        (&["ledger", "init"][..], 2, "--data"),
        (&["ledger", "init", "--data", "l"], 65, "is there already"),
        (&["ledger", "init", "--data", "n", "--name", "No Name"], 65, "a name has"),
        (&["ledger", "init", "--data", "n", "--threshold", "2"], 65, "threshold"),
        (&["ledger", "init", "--data", "n", "--admin", "xyz"], 2, "--admin"),
        (&["ledger", "init", "--data", "n", "--grant", "5"], 2, "KEY=AMOUNT"),
        (&["ledger", "init", "--data", "n", "--policy", "typo.toml"], 65, "epoch_blokcs"),
        (&["ledger", "init", "--data", "n", "--policy", "absurd.toml"], 65, "block_seconds"),
        (&["ledger", "init", "--data", "n", "--policy", "long.toml"], 65, "longer than"),
        (&["ledger", "init", "--data", "n", "--policy", "absent.toml"], 69, "absent.toml"),
        (&["ledger", "init", "--key", "admin.key"], 69, "admin.key"),
        (&["ledger", "serve", "--data", "absent"], 65, "holds no ledger"),
        (&["ledger", "verify", "--data", "absent"], 65, "holds no ledger"),
        (&["ledger", "verify", "--bundle", "absent"], 69, "absent"),
        (&["ledger", "export", "--ledger", nobody], 69, "127.0.0.1:1"),
        (&["ledger", "export"], 64, "--ledger"),
        (&["ledger", "submit", "not.json", "--key", "admin.key", "--ledger", "l"], 64, "URL"),
        (&["ledger", "submit", "not.json", "--key", "admin.key", "--ledger", nobody], 65, "not a transaction"),
        (&["ledger", "submit", "long.json", "--key", "admin.key", "--ledger", nobody], 65, "longer than"),
        (&["ledger", "submit", "not.json", "--key", "no.key", "--ledger", nobody], 65, "64 hex digits"),
    ] {
        let (found, text, said) = run(&place, arguments);
        assert_eq!((found, text.as_str()), (code, ""), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    assert!(!place.directory.path().join("n/genesis.cbor").exists());
    // What is there and proves nothing does not hold, as a damaged directory does not.
    let (code, text, said) = run(&place, &["ledger", "verify", "--bundle", "no.bundle"]);
    assert_eq!(code, 100, "{said}");
    assert!(text.contains("malformed bundle") && text.contains("DOES NOT HOLD"), "{text}");
}
