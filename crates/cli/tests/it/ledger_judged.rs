//! A ledger whose epochs were judged: statements for people, a bundle that proves one elsewhere, and measurements in the store.

use std::fs::File;
use std::path::Path;

use peermark_ledger::bundle::Bundle;
use serde_json::Value;

use crate::program::{Place, stderr, stdout};
use crate::town::{judged_town, write};

/// Runs a command and returns its exit code, what it printed, and what it said beside.
fn run(place: &Place, arguments: &[&str]) -> (i32, String, String) {
    let output = place.run(arguments);
    let said = stderr(&output);
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    (output.status.code().unwrap(), stdout(&output), said)
}

fn document(place: &Place, code: i32, arguments: &[&str]) -> Value {
    let (found, text, said) = run(place, arguments);
    assert_eq!(found, code, "{arguments:?}: {text} {said}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
}

#[test]
fn a_statement_of_a_ledger_is_proved_elsewhere() {
    let (place, town) = (Place::new(), judged_town(3));
    write(&town.world, &place.directory.path().join("l"));
    let network = town.world.machine.network().to_owned();
    let good = town.hosters[2].to_string();
    let named = ["--ledger", "l", "--network", &network, "--format", "json"];
    statements(&place, &named, &good);

    let bundled = document(&place, 0, &[&["explain", &good, "--bundle", "b"][..], &named].concat());
    let verified =
        document(&place, 0, &["ledger", "verify", "--bundle", "b", "--network", &network, "--format", "json"]);
    assert_eq!(verified["same"], true, "{verified}");
    assert_eq!((&verified["state"], &verified["height"]), (&bundled["state"], &bundled["height"]));
    // A bundle is not written over: it may be all that is left of what it proves.
    assert_eq!(run(&place, &[&["explain", &good, "--bundle", "b"][..], &named].concat()).0, 110);

    let other = format!("{}-{}", network.rsplit_once('-').unwrap().0, "0".repeat(8));
    let refused =
        document(&place, 100, &["ledger", "verify", "--bundle", "b", "--network", &other, "--format", "json"]);
    assert!(refused["faults"][0].as_str().unwrap().contains(&network), "{refused}");
    forged_bundles_prove_nothing(&place);
}

/// Rank, qualify, explain and sla read the ledger's own findings.
fn statements(place: &Place, named: &[&str], good: &str) {
    let rank = document(place, 0, &[&["rank"][..], named].concat());
    assert_eq!(rank["documents"].as_array().unwrap().len(), 1, "{rank}");
    let explained = document(place, 0, &[&["explain", good][..], named].concat());
    assert!(explained.to_string().contains("\"qualified\""), "{explained}");
    let (code, text, said) = run(place, &[&["explain", "999999"][..], named].concat());
    assert_eq!((code, text.as_str()), (65, ""), "{said}");
    let contract = &rank["documents"][0]["contracts"][0]["contract"];
    let sla = run(place, &[&["sla", contract.as_str().unwrap()][..], named].concat());
    assert!([0, 100].contains(&sla.0) && sla.1.contains("MEETS"), "{sla:?}");
    let (code, text, said) = run(place, &[&["qualify"][..], named].concat());
    assert!([0, 100].contains(&code) && text.contains("qualified"), "{code} {text} {said}");
}

/// The statement changed, the evidence changed, the file changed.
fn forged_bundles_prove_nothing(place: &Place) {
    let path = place.directory.path().join("b");
    let bytes = std::fs::read(&path).unwrap();
    let verify = || {
        let found = document(place, 100, &["ledger", "verify", "--bundle", "b", "--format", "json"]);
        found["faults"][0].as_str().unwrap().to_owned()
    };
    let forge = |forge: &dyn Fn(&mut Bundle)| {
        let mut bundle = Bundle::read(&*bytes).unwrap();
        forge(&mut bundle);
        bundle.write(File::create(&path).unwrap()).unwrap();
        verify()
    };
    let praised = |bundle: &mut Bundle| {
        let text = String::from_utf8(std::mem::take(&mut bundle.document)).unwrap();
        assert!(text.contains("\"qualified\""), "{text}");
        bundle.document = text.replace("\"qualified\"", "\"suspended\"").into_bytes();
    };
    assert!(forge(&praised).contains("the statement is not what follows from the evidence"));
    assert!(forge(&|bundle| bundle.subject += 1).contains("statement"));
    assert!(forge(&|bundle| bundle.evidence.records[100][70] ^= 1).contains("not those that the checkpoint signs"));
    assert!(forge(&|bundle| drop(bundle.evidence.records.pop())).contains("not those that the checkpoint signs"));
    for bytes in [&bytes[..bytes.len() - 9], &[&bytes[..], b"x"].concat()] {
        std::fs::write(&path, bytes).unwrap();
        assert!(verify().contains("bundle"));
    }
}

#[test]
fn measurements_are_stored_once_for_each_checkpoint() {
    let (place, town) = (Place::new(), judged_town(1));
    write(&town.world, &place.directory.path().join("l"));
    let stored = document(&place, 0, &["ledger", "export", "--ledger", "l", "--store", "p.db"]);
    assert!(stored["series"].as_u64().unwrap() > 0 && stored["operations"].as_u64().unwrap() > 100, "{stored}");
    let (code, text, said) = run(&place, &["ledger", "export", "--ledger", "l", "--store", "p.db"]);
    assert_eq!((code, text.as_str()), (65, ""), "{said}");
    assert!(said.contains(stored["run"].as_str().unwrap()) && said.contains("already"), "{said}");
    let listed = run(&place, &["lab", "list", "--store", "p.db"]);
    assert_eq!(listed.0, 0, "{listed:?}");
    std::fs::write(place.directory.path().join("no.db"), "hello").unwrap();
    let (code, text, said) = run(&place, &["ledger", "export", "--ledger", "l", "--store", "no.db"]);
    assert_eq!((code, text.as_str()), (69, ""), "{said}");
    assert_eq!(std::fs::read_to_string(Path::new(place.directory.path()).join("no.db")).unwrap(), "hello");
}
