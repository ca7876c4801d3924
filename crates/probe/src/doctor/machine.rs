//! What is wrong with this machine, or with the node on it, and what to do about it: light checks, some seconds in all.
//!
//! Facts are collected first and judged afterwards by a pure function, so that every judgement is tested without the machine that it
//! is about. What cannot be told is said to be so, never taken for good.

mod collect;
mod judge;
mod node;

use std::path::PathBuf;

pub use collect::collect;
pub use judge::judge;
pub use node::{NodeFacts, ask_node};

/// Most fixes that are worth reading at once.
pub const MAX_FIXES: usize = 3;

/// What was seen. `None`: the system does not tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Directory whose disk was looked at.
    pub directory: PathBuf,
    /// Whether a time service keeps the clock.
    pub clock_synchronised: Option<bool>,
    /// Free bytes of the disk, for users.
    pub disk_free_bytes: Option<u64>,
    /// All bytes of the disk.
    pub disk_bytes: Option<u64>,
    /// Median time to make 4 KiB durable, ns; the error in words where nothing could be written.
    pub fsync_ns: Option<Result<u64, String>>,
    /// Memory that programs could still get, bytes.
    pub memory_available_bytes: Option<u64>,
    /// All memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Share of the last 10 s in which some task waited for memory, 0 to 1.
    pub memory_pressure: Option<f64>,
    /// Files that this process may open.
    pub open_files: Option<u64>,
    /// Share of CPU time that was busy while looked at, 0 to 1.
    pub cpu_busy: f64,
    /// Share of CPU time that the hypervisor gave to others, 0 to 1.
    pub cpu_steal: f64,
    /// Times that a CPU was throttled for heat while looked at.
    pub throttled: Option<u64>,
    /// Frequency governor of the first CPU.
    pub governor: Option<String>,
    /// Connections that may wait to be accepted.
    pub somaxconn: Option<u64>,
    /// Largest receive buffer of a socket, bytes.
    pub rmem_max: Option<u64>,
    /// Largest send buffer of a socket, bytes.
    pub wmem_max: Option<u64>,
    /// The node; `None` where none was named.
    pub node: Option<NodeFacts>,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found, in words.
    pub found: String,
    /// How it is.
    pub standing: CheckStanding,
}

/// How something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckStanding {
    /// In order.
    Good,
    /// Cannot be told.
    Unknown,
    /// To be mended.
    Bad(Fix),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// How bad it is; higher is worse. Above 80 data or the node itself are at stake, above 50 measurements are wrong.
    pub severity: u8,
    /// Why it matters.
    pub why: &'static str,
    /// What to type.
    pub command: String,
}

/// The fixes, worst first, at most [`MAX_FIXES`].
pub fn fixes(checks: &[Check]) -> Vec<(&Check, &Fix)> {
    let mut fixes: Vec<(&Check, &Fix)> = checks
        .iter()
        .filter_map(|check| match &check.standing {
            CheckStanding::Bad(fix) => Some((check, fix)),
            _ => None,
        })
        .collect();
    fixes.sort_by_key(|(_, fix)| std::cmp::Reverse(fix.severity));
    fixes.truncate(MAX_FIXES);
    fixes
}

#[cfg(test)]
mod tests;
