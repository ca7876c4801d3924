//! `docs/REQUIREMENTS.md`: every requirement has one row, and every test that a row names is there.

use std::collections::BTreeMap;

use crate::repository::{assert_none, read, texts};

const DOCUMENT: &str = "docs/REQUIREMENTS.md";

/// Requirements of the performance concept, and of the database.
const KINDS: [(char, u32); 2] = [('R', 100), ('S', 67)];

/// What the third column says of a requirement that no test shows yet.
const LATER: &str = "later: ";

#[test]
fn every_requirement_has_a_row_and_every_named_test_exists() {
    let sources = texts(&["rs"]);
    let findings = against(&read(DOCUMENT), &sources);
    assert_none("docs/REQUIREMENTS.md says where each requirement is shown:", &findings);
}

fn against(document: &str, sources: &[(String, String)]) -> Vec<String> {
    let mut rows = BTreeMap::new();
    let mut findings = Vec::new();
    for (index, line) in document.lines().enumerate() {
        let place = format!("{DOCUMENT}:{}", index + 1);
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(id), Some(_), Some(shown)) = (cells.next(), cells.next(), cells.next()) else { continue };
        if !is_id(id) {
            continue;
        }
        if rows.insert(id.to_owned(), ()).is_some() {
            findings.push(format!("{place}: {id} has two rows"));
        }
        let tests: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() && !shown.starts_with(LATER) {
            findings.push(format!("{place}: {id} names neither a test nor where it will be shown"));
        }
        findings.extend(
            tests.iter().filter(|test| !exists(test, sources)).map(|test| format!("{place}: no test `{test}`")),
        );
    }
    for (kind, last) in KINDS {
        let ids = (1..=last).map(|number| format!("{kind}{number}"));
        findings.extend(ids.filter(|id| !rows.contains_key(id)).map(|id| format!("{DOCUMENT}:1: {id} has no row")));
    }
    findings
}

fn is_id(cell: &str) -> bool {
    let mut letters = cell.chars();
    KINDS.iter().any(|(kind, _)| cell.starts_with(*kind)) && {
        letters.next();
        let digits = letters.as_str();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// Whether `crate::module::...::name` is a function below the crate's folder, in a file of one of the modules.
fn exists(test: &str, sources: &[(String, String)]) -> bool {
    let parts: Vec<&str> = test.split("::").collect();
    let [krate, modules @ .., name] = parts.as_slice() else { return false };
    let folder = format!("crates/{krate}/");
    let function = format!("fn {name}(");
    sources.iter().any(|(path, text)| {
        let is_of_module = modules.iter().any(|module| path.split(['/', '.']).any(|part| part == *module));
        path.starts_with(&folder) && is_of_module && text.contains(&function)
    })
}

#[test]
fn missing_rows_doubles_and_tests_are_found() {
    let sources = [("crates/judge/src/places/tests.rs".to_owned(), "    fn shares_sum() {}".to_owned())];
    let rows = |change: &[(&str, &str)]| {
        let ids = KINDS.iter().flat_map(|(kind, last)| (1..=*last).map(move |number| format!("{kind}{number}")));
        let row = |id: String| {
            let shown = change
                .iter()
                .find(|(changed, _)| *changed == id)
                .map_or("`judge::places::shares_sum`", |(_, shown)| shown);
            if shown.is_empty() { String::new() } else { format!("| {id} | words | {shown} |\n") }
        };
        let document: String = ids.map(row).collect();
        against(&document, &sources).join("\n")
    };
    assert_eq!(rows(&[("R1", "later: with attesters on the network")]), "");
    assert!(rows(&[("S67", "")]).ends_with("S67 has no row"));
    assert!(rows(&[("R2", "soon")]).ends_with("R2 names neither a test nor where it will be shown"));
    assert!(rows(&[("R3", "`judge::places::other`")]).ends_with("no test `judge::places::other`"));
    assert!(rows(&[("R3", "`ledger::places::shares_sum`")]).ends_with("no test `ledger::places::shares_sum`"));
    let twice = "| R1 | words | `judge::places::shares_sum` |\n".repeat(2);
    assert!(against(&twice, &sources).iter().any(|finding| finding.ends_with("R1 has two rows")));
}
