//! Manifests: one list of versions without dead entries, and the same lints for every crate.

use std::collections::BTreeSet;

use crate::repository::{assert_none, manifest_of, packages, read};

#[test]
fn every_workspace_dependency_is_used() {
    let packages = packages();
    let used: BTreeSet<&str> = packages
        .iter()
        .flat_map(|package| package["dependencies"].as_array().expect("a package lists its dependencies"))
        .filter_map(|dependency| dependency["rename"].as_str().or(dependency["name"].as_str()))
        .collect();
    let findings = unused(&read("Cargo.toml"), |name| used.contains(name));
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
