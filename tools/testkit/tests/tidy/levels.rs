//! Who may know whom: a crate depends on lower levels only, so that what is low can be read, tested and trusted alone.

use serde_json::{Value, json};

use crate::repository::{assert_none, line_starting_with, manifest_of, packages, read};

/// Levels from the ground up. Crates on one level do not know each other.
const LEVELS: &[&[&str]] = &[
    &["peermark-core"],
    &["peermark-judge", "peermark-http"],
    &["peermark-node", "peermark-ledger", "peermark-store", "peermark-page"],
    &["peermark-probe"],
    &["peermark-monitor", "peermark-dht", "peermark-attest"],
    &["peermark-lab", "peermark-web"],
    &["peermark-bench"],
    &["peermark"],
];

/// Above everything and below nothing: only tests may use it.
const TESTS_ONLY: &str = "peermark-testkit";

const RULE: &str = "A crate depends on lower levels only (LEVELS in tools/testkit/tests/tidy/levels.rs):";

#[test]
fn crates_depend_on_lower_levels_only() {
    let findings: Vec<String> = packages()
        .iter()
        .flat_map(|package| {
            let manifest = manifest_of(package);
            let text = read(&manifest);
            against_the_levels(package, &manifest, &text)
        })
        .collect();
    assert_none(RULE, &findings);
}

fn level_of(name: &str) -> Option<usize> {
    LEVELS.iter().position(|names| names.contains(&name))
}

fn against_the_levels(package: &Value, manifest: &str, text: &str) -> Vec<String> {
    let name = package["name"].as_str().expect("a package has a name");
    let own_level = level_of(name);
    if own_level.is_none() && name != TESTS_ONLY {
        let line = line_starting_with(text, &["name"]);
        return vec![format!("{manifest}:{line}: {name} has no level: decide whom it may know and add it to LEVELS")];
    }
    let dependencies = package["dependencies"].as_array().expect("a package lists its dependencies");
    dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .filter_map(|dependency| {
            let other = dependency["name"].as_str().expect("a dependency has a name");
            let complaint = complaint_about(own_level, other)?;
            let line = line_starting_with(text, &[&format!("{other}."), &format!("{other} "), &format!("{other}=")]);
            Some(format!("{manifest}:{line}: {name} {complaint}"))
        })
        .collect()
}

fn complaint_about(own_level: Option<usize>, other: &str) -> Option<String> {
    if other == TESTS_ONLY {
        return Some(format!("may use {TESTS_ONLY} in tests only: move it to [dev-dependencies]"));
    }
    match (own_level, level_of(other)) {
        (Some(own), Some(others)) if others >= own => Some(format!("(L{own}) may not know {other} (L{others})")),
        _ => None,
    }
}

#[test]
fn upward_sideways_and_unknown_are_found() {
    let check = |name: &str, dependency: &str, kind: Value| {
        let dependencies = json!([{ "name": dependency, "kind": kind }]);
        let package = json!({ "name": name, "dependencies": dependencies });
        let text = format!("[package]\nname = \"{name}\"\n\n[dependencies]\n{dependency}.workspace = true\n");
        against_the_levels(&package, "Cargo.toml", &text).join("\n")
    };
    assert_eq!(check("peermark-probe", "peermark-store", Value::Null), "");
    assert_eq!(check("peermark-probe", "serde", Value::Null), "");
    assert_eq!(
        check("peermark-store", "peermark-probe", Value::Null),
        "Cargo.toml:5: peermark-store (L2) may not know peermark-probe (L3)"
    );
    assert_eq!(
        check("peermark-judge", "peermark-http", "build".into()),
        "Cargo.toml:5: peermark-judge (L1) may not know peermark-http (L1)"
    );
    assert_eq!(check("peermark-core", "peermark-judge", "dev".into()), "");
    assert!(check("peermark", "peermark-testkit", Value::Null).contains("[dev-dependencies]"));
    assert!(check("peermark-gossip", "serde", Value::Null).starts_with("Cargo.toml:2: peermark-gossip has no level"));
}
