//! Documents: short where they are the way in, and links that lead somewhere.

use std::collections::BTreeSet;

use crate::repository::{assert_none, files, read, texts};

/// The README is read to the end, or it is not read.
const README_LINES_MAX: usize = 150;

#[test]
fn the_readme_is_short() {
    if !files().iter().any(|path| path == "README.md") {
        return;
    }
    let findings: Vec<String> = readme_too_long(&read("README.md")).into_iter().collect();
    assert_none("The README is the way in, details go to docs/:", &findings);
}

fn readme_too_long(text: &str) -> Option<String> {
    let lines = text.lines().count();
    let place = README_LINES_MAX + 1;
    (lines > README_LINES_MAX).then(|| format!("README.md:{place}: {lines} lines, at most {README_LINES_MAX}"))
}

#[test]
fn links_in_documents_lead_to_files() {
    let files = files();
    let places = with_folders(&files);
    let findings: Vec<String> =
        texts(&["md"]).iter().flat_map(|(path, text)| broken_links(path, text, &places)).collect();
    assert_none("A link in a document leads to a file of the repository:", &findings);
}

/// All paths that a link may lead to: the files, and the folders that hold them.
fn with_folders(files: &[String]) -> BTreeSet<&str> {
    let mut places: BTreeSet<&str> = BTreeSet::from([""]);
    for file in files {
        places.insert(file);
        places.extend(file.match_indices('/').map(|(end, _)| &file[..end]));
    }
    places
}

fn broken_links(path: &str, text: &str, places: &BTreeSet<&str>) -> Vec<String> {
    let mut findings = Vec::new();
    let mut in_code_block = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
            in_code_block = !in_code_block;
        }
        if in_code_block {
            continue;
        }
        let broken = link_targets(line).into_iter().filter(|target| !leads_somewhere(path, target, places));
        findings.extend(broken.map(|target| format!("{path}:{}: no file `{target}`", index + 1)));
    }
    findings
}

/// Targets of `[text](target)`, `![text](target "title")` and `[label]: target` in a line, outside of code.
fn link_targets(line: &str) -> Vec<String> {
    // Every second part lies between two backticks.
    let prose: String = line.split('`').step_by(2).collect();
    let mut targets: Vec<&str> = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect();
    if prose.starts_with('[') && !prose.starts_with("[^") {
        targets.extend(prose.split_once("]: ").map(|(_, target)| target));
    }
    let bare = targets.into_iter().filter_map(|target| target.split_whitespace().next());
    bare.map(|target| target.trim_matches(['<', '>']).to_owned()).collect()
}

fn leads_somewhere(from: &str, target: &str, places: &BTreeSet<&str>) -> bool {
    let elsewhere = target.contains("://") || target.starts_with("mailto:") || target.starts_with('#');
    elsewhere || resolve(from, target).is_some_and(|path| places.contains(path.as_str()))
}

/// The path from the root that `target` means in the document `from`, unless it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let mut path: Vec<&str> = from.split('/').collect();
    path.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = path.pop()?,
            name => path.push(name),
        }
    }
    (!target.starts_with('/')).then(|| path.join("/"))
}

#[test]
fn a_long_readme_is_found() {
    assert_eq!(readme_too_long(&"line\n".repeat(150)), None);
    let finding = readme_too_long(&"line\n".repeat(151));
    assert_eq!(finding.as_deref(), Some("README.md:151: 151 lines, at most 150"));
}

#[test]
fn broken_links_are_found() {
    let files = ["README.md", "docs/ARCHITECTURE.md", "docs/formats/ledger.md"].map(str::to_owned);
    let check = |path: &str, text: &str| broken_links(path, text, &with_folders(&files));

    assert_eq!(check("README.md", "see [a](docs/ARCHITECTURE.md#levels) and [b](docs/) and [c](#here)"), [""; 0]);
    assert_eq!(check("docs/formats/ledger.md", "[up](../ARCHITECTURE.md) [root](../../README.md \"title\")"), [""; 0]);
    assert_eq!(check("README.md", "[a](https://example.org/x.md) `[b](none.md)`\n```\n[c](none.md)\n```"), [""; 0]);
    assert_eq!(
        check("docs/ARCHITECTURE.md", "fine\n![a](none.svg) [b](formats/ledger.md)\n\n[c]: ../../outside.md"),
        ["docs/ARCHITECTURE.md:2: no file `none.svg`", "docs/ARCHITECTURE.md:4: no file `../../outside.md`"]
    );
    assert_eq!(check("docs/ARCHITECTURE.md", "[a](/README.md)"), ["docs/ARCHITECTURE.md:1: no file `/README.md`"]);
}
