//! Starting the binary, and waiting for conditions.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for anything; a condition that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of its own for one test, and the binary run in it.
pub(crate) struct Place {
    pub(crate) directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peermark"));
        command.args(arguments).current_dir(self.directory.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The one run below `runs`.
    pub(crate) fn only_run(&self) -> Option<PathBuf> {
        let mut entries = std::fs::read_dir(self.directory.path().join("runs")).ok()?;
        entries.next()?.ok().map(|entry| entry.path())
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        let path = self.only_run().unwrap().join(name);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Looks until a condition holds; fails after [`PATIENCE`].
#[expect(clippy::disallowed_methods, reason = "a deadline of the test itself")]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = SystemTime::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(SystemTime::now() < until, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The processes of a run's nodes.
pub(crate) fn pids(run: &Path) -> Option<Vec<u32>> {
    let nodes: Value = serde_json::from_slice(&std::fs::read(run.join("nodes.json")).ok()?).ok()?;
    Some(nodes["nodes"].as_array()?.iter().map(|node| node["pid"].as_u64().unwrap() as u32).collect())
}

/// Whether a process runs (a zombie does not).
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
