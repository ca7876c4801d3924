//! `nodes.json`: where the nodes of a run are, for curl and other tools, and for finding what a run left behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::launch::{LiveNode, NodeKind};

/// Name of the file in the run's directory.
pub const NODES_FILE: &str = "nodes.json";

/// The value of `schema` in the file.
pub const SCHEMA: &str = "peermark.nodes/1";

/// The nodes of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodesFile {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The run.
    pub run_id: String,
    /// Process id of the controller.
    pub controller: u32,
    /// The nodes, in the order of their numbers.
    pub nodes: Vec<NodeEntry>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeEntry {
    /// Its number.
    pub node: u32,
    /// What it is.
    #[serde(flatten)]
    pub kind: NodeKind,
    /// URL of its API with the base path.
    pub api: String,
    /// Its peer id, where it tells one.
    pub peer_id: Option<String>,
    /// libp2p addresses with peer id.
    pub addresses: Vec<String>,
    /// Its process.
    pub pid: u32,
    /// When the process was started, in the kernel's ticks since boot: tells it from a later one with the same id.
    pub started_ticks: Option<u64>,
    /// Its data directory.
    pub data: PathBuf,
    /// Its log.
    pub log: PathBuf,
}

/// A process that a run left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The run.
    pub run_id: String,
    /// Number of the node.
    pub node: u32,
    /// Its process.
    pub pid: u32,
}

impl NodesFile {
    /// Describes running nodes.
    pub fn new(run_id: &str, nodes: &[LiveNode]) -> Self {
        let entry = |node: &LiveNode| NodeEntry {
            node: node.index,
            kind: node.kind.clone(),
            api: node.api.clone(),
            peer_id: node.peer_id.clone(),
            addresses: node.addresses.clone(),
            pid: node.pid,
            started_ticks: started_ticks(node.pid),
            data: node.data.clone(),
            log: node.log.clone(),
        };
        let nodes = nodes.iter().map(entry).collect();
        Self { schema: SCHEMA.into(), run_id: run_id.into(), controller: std::process::id(), nodes }
    }

    /// Writes the file beside itself and renames it, so that a reader never sees half of it.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let path = run_dir.join(NODES_FILE);
        let partial = path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec_pretty(self)?)?;
        fs::rename(partial, path)
    }

    /// Reads a run's file.
    ///
    /// # Errors
    /// What the system said, or `InvalidData` for a file that is none.
    pub fn read(run_dir: &Path) -> io::Result<Self> {
        let bytes = fs::read(run_dir.join(NODES_FILE))?;
        serde_json::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

/// Processes of runs under `runs` that still run. Those of a controller that still runs are left out unless `all` is set.
///
/// # Errors
/// What the system said when `runs` cannot be read. A directory without a readable file is no run.
pub fn find(runs: &Path, all: bool) -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    if !runs.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(runs)? {
        let Ok(file) = NodesFile::read(&entry?.path()) else { continue };
        if !all && is_controller(file.controller) {
            continue;
        }
        for node in file.nodes {
            if node.started_ticks.is_some() && started_ticks(node.pid) == node.started_ticks {
                found.push(Leftover { run_id: file.run_id.clone(), node: node.node, pid: node.pid });
            }
        }
    }
    Ok(found)
}

/// Kills a process that was left behind, with everything in its group: every node was started in a group of its own.
pub fn kill(leftover: &Leftover) {
    let Some(pid) = rustix::process::Pid::from_raw(leftover.pid as i32) else { return };
    if let Ok(group) = rustix::process::getpgid(Some(pid)) {
        // Gone in the meantime is as good.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Whether a process id is that of a controller: a program of this name that still runs.
fn is_controller(pid: u32) -> bool {
    let Ok(own) = fs::read_to_string("/proc/self/comm") else { return false };
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == own)
}

/// When a process was started: field 22 of `/proc/PID/stat`; `None` when there is no such process or it only waits to be reaped.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold spaces and brackets; the fields after its last bracket are plain.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if *fields.first()? == "Z" {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_and_another_start_is_not() {
        let pid = std::process::id();
        assert!(started_ticks(pid).is_some());
        assert!(is_controller(pid));
        assert_eq!(started_ticks(u32::MAX >> 1), None);
        assert_eq!(find(Path::new("/nonexistent"), true).unwrap(), []);
    }
}
