//! The latest of each task, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use peermark_core::sealed::{Digest32, NO_PREVIOUS};

use super::{History, TREND};
use crate::attempt::{Attempt, Status};
use crate::desk::ChainHead;

/// What is remembered of one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskMemory {
    /// The latest success.
    pub success: Option<Arc<Attempt>>,
    /// The latest attempt, whatever came of it.
    pub attempt: Option<Arc<Attempt>>,
    /// Values of the last successes, oldest first, at most [`TREND`].
    pub trend: VecDeque<i64>,
}

/// What is remembered of all.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) tasks: BTreeMap<String, TaskMemory>,
    /// The newest record.
    pub(super) head: (u64, Digest32),
}

impl Default for Memory {
    fn default() -> Self {
        Self { tasks: BTreeMap::new(), head: (0, NO_PREVIOUS) }
    }
}

impl Memory {
    /// The attempt is the newest one of its task.
    pub(super) fn note(&mut self, attempt: &Arc<Attempt>) {
        let task = self.tasks.entry(attempt.task.clone()).or_default();
        task.attempt = Some(Arc::clone(attempt));
        if attempt.status == Status::Ok {
            task.success = Some(Arc::clone(attempt));
            if task.trend.len() >= TREND {
                task.trend.pop_front();
            }
            task.trend.extend(attempt.value);
        }
    }
}

impl History {
    /// What is remembered of a task; nothing of one that never ran. Never waits for the disk.
    pub fn latest(&self, task: &str) -> TaskMemory {
        self.shared.memory.read().tasks.get(task).cloned().unwrap_or_default()
    }

    /// The latest success of a task. Never waits for the disk.
    pub fn latest_success(&self, task: &str) -> Option<Arc<Attempt>> {
        self.shared.memory.read().tasks.get(task)?.success.clone()
    }

    /// The latest success of every task that has one, by name. Never waits for the disk.
    pub fn latest_successes(&self) -> Vec<Arc<Attempt>> {
        self.shared.memory.read().tasks.values().filter_map(|task| task.success.clone()).collect()
    }

    /// Names of the tasks that ever ran, in alphabetical order.
    pub fn tasks(&self) -> Vec<String> {
        self.shared.memory.read().tasks.keys().cloned().collect()
    }

    /// The end of the chain.
    pub fn head(&self) -> ChainHead {
        let (seq, hash) = self.shared.memory.read().head;
        let hash = if seq == 0 { String::new() } else { hex(&hash) };
        ChainHead { seq, hash, signer: self.shared.key.public().to_string() }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
