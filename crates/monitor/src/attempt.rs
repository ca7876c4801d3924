//! One attempt at a task, as it is kept, sealed and shown.

use peermark_core::{Culprit, FailureClass};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One attempt. Wall times are Unix milliseconds by this node's clock; durations are by its monotonic clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Number in the node's chain of sealed records.
    pub seq: u64,
    /// Name of the task.
    pub task: String,
    /// Why it ran.
    pub trigger: Trigger,
    /// Which attempt at this run, from 1.
    pub attempt: u32,
    /// When the schedule wanted it.
    pub intended_ms: u64,
    /// When it began.
    pub started_ms: u64,
    /// When it ended.
    pub ended_ms: u64,
    /// How long it took, ns.
    pub duration_ns: u64,
    /// How it ended.
    pub status: Status,
    /// Why it failed; `None` unless it did.
    pub failure: Option<Said>,
    /// Why it was skipped; `None` unless it was.
    pub skipped: Option<String>,
    /// What it found wrong with the node.
    pub findings: Vec<Said>,
    /// The main figure in the unit of the task; `None` unless it succeeded.
    pub value: Option<i64>,
    /// Payload bytes moved over the network.
    pub bytes: u64,
    /// The typed result; `None` unless it succeeded.
    pub result: Option<Value>,
}

/// Why a task ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its schedule.
    Schedule,
    /// The monitor started and the task had no success yet.
    Start,
    /// A moment of its schedule had passed while nobody ran it.
    CatchUp,
    /// Somebody asked.
    Request,
    /// The attempt before had failed and might pass.
    Retry,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It ran to its end, whatever it found.
    Ok,
    /// It did not.
    Failed,
    /// It did not try.
    Skipped,
}

/// A failure or finding in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Said {
    /// Which of the task's failures: `server_busy`.
    pub code: String,
    /// Why, in the words that all jobs share.
    pub class: FailureClass,
    /// Who has to mend it.
    pub culprit: Culprit,
    /// The particulars.
    pub detail: String,
}

impl Trigger {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Start => "start",
            Self::CatchUp => "catch_up",
            Self::Request => "request",
            Self::Retry => "retry",
        }
    }
}

impl Status {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}
