//! What a source file may be called, how long it may be, and what it may not contain.

use crate::repository::{assert_none, files, texts};

const EXTENSIONS: &[&str] = &["rs", "ts", "tsx"];

/// Nobody reads a longer file. Most stay below [`LINES_WORTH_A_LOOK`].
const LINES_MAX: usize = 600;
const LINES_WORTH_A_LOOK: usize = 300;

/// Names that say nothing, and so collect everything.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "types", "helpers", "helper", "misc", "imp"];

/// What is not finished, or not run, is not committed. Spelled in two parts because this file is a source as well.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!"),
    concat!("unimple", "mented!"),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

#[test]
fn files_are_short() {
    let sources = texts(EXTENSIONS);
    let lengths = || sources.iter().map(|(path, text)| (path, text.lines().count()));
    for (path, lines) in lengths().filter(|(_, lines)| *lines > LINES_WORTH_A_LOOK) {
        println!("{path}: {lines} lines, more than {LINES_WORTH_A_LOOK}");
    }
    let findings: Vec<String> = lengths().filter_map(|(path, lines)| too_long(path, lines)).collect();
    assert_none("A source file is split by duty before it grows too long:", &findings);
}

fn too_long(path: &str, lines: usize) -> Option<String> {
    (lines > LINES_MAX).then(|| format!("{path}:{}: {lines} lines, at most {LINES_MAX}", LINES_MAX + 1))
}

#[test]
fn names_say_something() {
    let paths = files().into_iter().filter(|path| has_source_extension(path));
    let mut findings: Vec<String> = paths.filter_map(|path| bad_path(&path)).collect();
    findings.extend(texts(EXTENSIONS).iter().flat_map(|(path, text)| bad_modules(path, text)));
    assert_none("A file or module is named for its duty, and lies in `foo.rs` + `foo/`:", &findings);
}

fn has_source_extension(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

fn bad_path(path: &str) -> Option<String> {
    let (stem, _) = path.rsplit_once('.')?;
    if let Some(name) = stem.split('/').find(|name| EMPTY_NAMES.contains(name)) {
        return Some(format!("{path}:1: `{name}` names no duty"));
    }
    let in_src = path.split('/').any(|folder| folder == "src");
    (in_src && path.ends_with("/mod.rs"))
        .then(|| format!("{path}:1: move it to the name of its folder: `foo/mod.rs` to `foo.rs`"))
}

fn bad_modules(path: &str, text: &str) -> Vec<String> {
    let named = text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, module_name(line)?)));
    named
        .filter(|(_, name)| EMPTY_NAMES.contains(name))
        .map(|(line, name)| format!("{path}:{line}: module `{name}` names no duty"))
        .collect()
}

/// The name in a line that declares a module.
fn module_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    if words.next()? != "mod" {
        return None;
    }
    words.next().map(|name| name.trim_end_matches([';', '{', '}']))
}

#[test]
fn nothing_is_left_unfinished() {
    let findings: Vec<String> = texts(EXTENSIONS).iter().flat_map(|(path, text)| unfinished(path, text)).collect();
    assert_none("Sources are finished and their tests run:", &findings);
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let found = UNFINISHED.iter().find(|mark| contains_word(line, mark));
        findings.extend(found.map(|mark| format!("{path}:{}: `{mark}`", index + 1)));
    }
    findings
}

/// Whether `line` contains `word`, and not as a part of a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || c == '_';
    let ends_open = word.ends_with(char::is_alphanumeric);
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let inside = before.is_some_and(continues) || (ends_open && after.is_some_and(continues));
        !inside
    })
}

#[test]
fn long_files_are_found() {
    assert_eq!(too_long("a.rs", LINES_MAX), None);
    assert_eq!(too_long("a.rs", LINES_MAX + 1).as_deref(), Some("a.rs:601: 601 lines, at most 600"));
}

#[test]
fn empty_names_are_found() {
    assert_eq!(
        bad_path("crates/node/src/types.rs").as_deref(),
        Some("crates/node/src/types.rs:1: `types` names no duty")
    );
    assert!(bad_path("crates/node/tests/common/server.rs").is_some());
    assert!(bad_path("crates/node/src/api/mod.rs").is_some());
    assert_eq!(bad_path("crates/node/src/common_prefix.rs"), None);
    assert_eq!(bad_path("crates/node/tests/api/mod.rs"), None);

    let text = "mod wire;\npub(crate) mod helpers {\n}\n    mod misc;\n// mod common\n";
    assert_eq!(
        bad_modules("a.rs", text),
        ["a.rs:2: module `helpers` names no duty", "a.rs:4: module `misc` names no duty"]
    );
}

#[test]
fn unfinished_work_is_found() {
    for mark in UNFINISHED {
        assert_eq!(unfinished("a.rs", &format!("//!\n    {mark}")), [format!("a.rs:2: `{mark}`")]);
    }
    let ignored_with_reason = format!("{}{}", UNFINISHED[2], " = \"slow\"]");
    assert_eq!(unfinished("a.rs", &ignored_with_reason).len(), 1);
    assert!(unfinished("a.rs", &format!("let hash = \"A{}B\";", UNFINISHED[4])).is_empty());
}
