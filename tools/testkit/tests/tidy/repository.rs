//! What the repository consists of, according to git and cargo.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the testkit lives two levels below the root")
}

/// Paths of all files that belong to the repository, relative to its root: tracked ones, and new ones that are not ignored, so that
/// a rule is broken before the commit and not after it.
pub(crate) fn files() -> Vec<String> {
    // The owner of a checkout may be another user (containers, CI); git would refuse to list it.
    let arguments = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listing = stdout_of(Command::new("git").args(arguments));
    let mut files: Vec<String> = listing.split_terminator('\0').map(str::to_owned).collect();
    files.sort();
    files.dedup();
    // A file that was deleted and not yet staged is still listed.
    files.retain(|path| root().join(path).exists());
    assert!(files.iter().any(|path| path == "Cargo.toml"), "git lists no Cargo.toml: run the tests in a clone");
    files
}

/// Files with one of the extensions, each with its text.
pub(crate) fn texts(extensions: &[&str]) -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|path| path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension)))
        .map(|path| {
            let text = read(&path);
            (path, text)
        })
        .collect()
}

/// The text of one file.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The members of the workspace as `cargo metadata` describes them.
pub(crate) fn packages() -> Vec<Value> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline", "--locked"];
    let metadata = stdout_of(Command::new(env!("CARGO")).args(arguments));
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("metadata lists packages").clone()
}

/// The path of a package's manifest, relative to the root.
pub(crate) fn manifest_of(package: &Value) -> String {
    let path = Path::new(package["manifest_path"].as_str().expect("a package has a manifest"));
    // Cargo and this crate may have reached the same folder through different links.
    let (path, root) = (path.canonicalize(), root().canonicalize());
    let (path, root) = (path.expect("the manifest exists"), root.expect("the root exists"));
    path.strip_prefix(root).expect("members live below the root").display().to_string()
}

/// The number of the first line that starts with one of the prefixes, 1 if there is none.
pub(crate) fn line_starting_with(text: &str, prefixes: &[&str]) -> usize {
    let found = text.lines().position(|line| prefixes.iter().any(|prefix| line.starts_with(prefix)));
    found.map_or(1, |index| index + 1)
}

/// Fails with all findings, one per line.
#[track_caller]
pub(crate) fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n\n{}\n", findings.join("\n"));
}

fn stdout_of(command: &mut Command) -> String {
    let output = command.current_dir(root()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
