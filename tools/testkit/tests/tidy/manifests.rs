//! Manifests: one list of versions without dead entries, and the same lints for every crate.

use std::collections::BTreeSet;

use crate::repository::{assert_none, manifest_of, packages, read};

/// Entries that stand in the list before the first crate uses them, so that the feature set of the dependency tree is settled once.
/// An entry leaves with its first use.
const AHEAD_OF_USE: &[&str] = &[
    "anyhow",
    "clap",
    "console",
    "figment",
    "hex",
    "humantime",
    "indicatif",
    "jsonschema",
    "peermark-bench",
    "peermark-http",
    "peermark-lab",
    "peermark-node",
    "peermark-probe",
    "peermark-store",
    "peermark-testkit",
    "strsim",
    "tempfile",
    "toml",
    "tower",
    "tracing-subscriber",
];

/// Crates whose first code is still to come.
const LINTS_AHEAD: &[&str] = &["peermark", "peermark-node", "peermark-store"];

#[test]
fn every_workspace_dependency_is_used() {
    let packages = packages();
    let used: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| package["dependencies"].as_array().expect("a package lists its dependencies"))
        .filter_map(|dependency| dependency["rename"].as_str().or(dependency["name"].as_str()))
        .collect();
    for name in AHEAD_OF_USE.iter().filter(|name| used.contains(*name)) {
        println!("{name} is used now and can leave AHEAD_OF_USE");
    }
    let findings = unused(&read("Cargo.toml"), |name| used.contains(name) || AHEAD_OF_USE.contains(&name));
    assert_none("An entry of [workspace.dependencies] that no crate uses is removed:", &findings);
}

fn unused(manifest: &str, is_used: impl Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    let mut in_section = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            in_section = line.trim_end() == "[workspace.dependencies]";
        } else if in_section && line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            findings.extend((!is_used(name)).then(|| format!("Cargo.toml:{}: {name}", index + 1)));
        }
    }
    findings
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let findings: Vec<String> = packages()
        .iter()
        .filter(|package| !LINTS_AHEAD.iter().any(|name| package["name"] == *name))
        .map(manifest_of)
        .filter(|manifest| !inherits_lints(&read(manifest)))
        .map(|manifest| format!("{manifest}:1: add `[lints]` with `workspace = true`"))
        .collect();
    assert_none("Every crate is held to the same lints:", &findings);
}

fn inherits_lints(manifest: &str) -> bool {
    let section = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    section.take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true")
}

#[test]
fn unused_entries_are_found() {
    let manifest = [
        "[workspace]",
        "resolver = \"3\"",
        "[workspace.dependencies]",
        "# serde = \"1\"",
        "hex = \"0.4\"",
        "rand = { version = \"0.10\" }",
        "[profile.dev]",
        "opt-level = 1",
    ];
    assert_eq!(unused(&manifest.join("\n"), |name| name == "hex"), ["Cargo.toml:6: rand"]);
}

#[test]
fn crates_without_lints_are_found() {
    assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
    assert!(!inherits_lints("[package]\nname = \"a\"\n\n[lints]\n\n[dependencies.b]\nworkspace = true\n"));
    assert!(!inherits_lints("[package]\nname = \"a\"\n"));
}
