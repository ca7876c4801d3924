//! What can be asked of a monitor, whoever asks: REST, the Redis bus, the terminal. One place answers all of them.

use std::future::Future;
use std::pin::Pin;

use peermark_core::{Culprit, FailureClass, Unit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::watch;

use crate::attempt::{Attempt, Said, Status, Trigger};
use crate::task::Better;

/// An answer that may have to wait for the store.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeskError>> + Send + 'a>>;

/// Most attempts that one question about history gets.
pub const MAX_HISTORY: u32 = 10_000;

/// Answers questions about self-tests, and takes orders.
pub trait Desk: Send + Sync + 'static {
    /// The latest success of a task, in zos's shape. From memory: never waits.
    ///
    /// # Errors
    /// [`DeskError::ResultNotFound`] for a task that is unknown or has no success yet.
    fn get(&self, name: &str) -> Result<TaskResult, DeskError>;

    /// The latest success of every task that has one, by name.
    fn get_all(&self) -> Vec<TaskResult>;

    /// Attempts of a task that ended at or after `since_ms` (Unix), oldest first, at most `limit` of the newest, and the daily
    /// rollups of the time before the oldest attempt that is kept.
    fn history<'a>(&'a self, name: &'a str, since_ms: u64, limit: u32) -> Answer<'a, HistoryDocument>;

    /// Runs a task soon, outside of its schedule.
    ///
    /// # Errors
    /// [`DeskError`] when the task is unknown or not configured, runs already, or was asked for too often.
    fn run_now(&self, name: &str) -> Result<RunTicket, DeskError>;

    /// When tasks run.
    fn schedule(&self) -> ScheduleDocument;

    /// How every task is doing.
    fn status(&self) -> StatusDocument;

    /// No scheduled run starts for so many seconds; what runs goes on. Runs that are asked for still start.
    ///
    /// # Errors
    /// [`DeskError::Refused`] for longer than 30 days, or an empty reason.
    fn pause(&self, for_s: u64, reason: &str) -> Result<Pause, DeskError>;

    /// Ends a pause.
    fn resume(&self);

    /// The number of the newest attempt in the history; changes with each that is stored.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum DeskError {
    /// The words that clients of zos look for.
    #[error("result not found")]
    ResultNotFound,
    /// No task has this name.
    #[error("unknown task {name:?}{}", nearest.as_ref().map_or_else(String::new, |near| format!(", did you mean {near:?}?")))]
    UnknownTask {
        /// What was asked for, cut to 100 characters.
        name: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// The task cannot run with this configuration.
    #[error("{name} is not configured: {reason}")]
    NotConfigured {
        /// The task.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// It runs or is about to.
    #[error("{name} runs already")]
    AlreadyRunning {
        /// The task.
        name: String,
    },
    /// It was asked for too often.
    #[error("{name} was asked for a moment ago: ask again in {wait_s} s")]
    TooOften {
        /// The task.
        name: String,
        /// Seconds until the next request is taken.
        wait_s: u64,
    },
    /// The request itself cannot be met.
    #[error("{0}")]
    Refused(String),
    /// The history cannot be read.
    #[error("the history cannot be read")]
    History(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The latest success of a task, member for member as zos stores and answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskResult {
    /// Name of the task.
    pub name: String,
    /// What it does.
    pub description: String,
    /// When it ended, Unix seconds.
    pub timestamp: u64,
    /// Its result.
    pub result: Value,
}

/// What tasks there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TasksDocument {
    /// `peermark.monitor-tasks/1`.
    pub schema: String,
    /// Every task, configured or not.
    pub tasks: Vec<TaskDescription>,
}

/// What a task is, and every way in which it can fail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskDescription {
    /// The task.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The unit of values.
    pub unit: Unit,
    /// What the value is.
    pub value: String,
    /// Which way is better.
    pub better: Better,
    /// Whether a node under load can afford it.
    pub light: bool,
    /// Six fields, as configured.
    pub cron: String,
    /// Seconds, as configured.
    pub jitter_s: u32,
    /// Seconds from a run's start to its deadline.
    pub timeout_s: u64,
    /// Most bytes that one run moves over the network.
    pub bytes: u64,
    /// About how much CPU time one run takes, ms.
    pub cpu_ms: u64,
    /// Every failure and finding that it can name.
    pub failures: Vec<FailureDescription>,
}

/// A way in which a task fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureDescription {
    /// Its name.
    pub code: String,
    /// Why, in the words that all jobs share.
    pub class: FailureClass,
    /// Who has to mend it.
    pub culprit: Culprit,
    /// What to do about it.
    pub advice: String,
}

/// Attempts of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryDocument {
    /// `peermark.monitor-history/1`.
    pub schema: String,
    /// The task.
    pub name: String,
    /// The unit of values.
    pub unit: Unit,
    /// Attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether older attempts in the asked time were left out because of the limit.
    pub truncated: bool,
    /// Days before the oldest attempt that is kept, oldest first.
    pub days: Vec<DayRollup>,
}

/// One day of a task whose attempts are no longer kept one by one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DayRollup {
    /// Beginning of the day (UTC), Unix ms.
    pub day_ms: u64,
    /// Attempts that succeeded.
    pub ok: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Smallest, median and largest value of the successes; `None` without any.
    pub values: Option<[i64; 3]>,
}

/// A run that was taken on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunTicket {
    /// `peermark.monitor-run/1`.
    pub schema: String,
    /// The task.
    pub name: String,
    /// Its attempt will have a number above this one.
    pub after_seq: u64,
}

/// When tasks run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduleDocument {
    /// `peermark.monitor-schedule/1`.
    pub schema: String,
    /// The time zone of the expressions.
    pub zone: String,
    /// Every task that is scheduled.
    pub tasks: Vec<ScheduledTask>,
}

/// When one task runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScheduledTask {
    /// The task.
    pub name: String,
    /// Six fields.
    pub cron: String,
    /// Bound of phase and random part, seconds.
    pub jitter_s: u32,
    /// This node's phase, ms: stable.
    pub phase_ms: u64,
    /// From a run's start to its deadline, seconds.
    pub timeout_s: u64,
    /// When it is wanted next, Unix ms, phase and random part included.
    pub next_ms: Option<u64>,
}

/// How every task is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusDocument {
    /// `peermark.monitor-status/1`.
    pub schema: String,
    /// The node's peer id.
    pub node: String,
    /// Version of peermark.
    pub version: String,
    /// When this monitor started, Unix ms.
    pub started_ms: u64,
    /// When this was written, Unix ms.
    pub now_ms: u64,
    /// Whether scheduled runs are held back.
    pub paused: Option<Pause>,
    /// Newest number in the chain of sealed records and its hash in hex.
    pub chain: ChainHead,
    /// Every task, configured or not.
    pub tasks: Vec<TaskStatus>,
}

/// The end of the chain of sealed records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChainHead {
    /// Number of the newest record; 0 before the first.
    pub seq: u64,
    /// Its hash, hex; empty before the first.
    pub hash: String,
    /// Who signs: the public key, hex.
    pub signer: String,
}

/// Scheduled runs are held back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Until when, Unix ms.
    pub until_ms: u64,
    /// Why.
    pub reason: String,
}

/// How one task is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskStatus {
    /// The task.
    pub name: String,
    /// What it does.
    pub description: String,
    /// In one word.
    pub state: TaskState,
    /// Why it does not run; `None` where it is configured.
    pub not_configured: Option<String>,
    /// The unit of values.
    pub unit: Unit,
    /// What the value is.
    pub value: String,
    /// Which way is better.
    pub better: Better,
    /// Since when it runs, Unix ms.
    pub running_since_ms: Option<u64>,
    /// When it is wanted next, Unix ms.
    pub next_ms: Option<u64>,
    /// The latest success.
    pub success: Option<Brief>,
    /// The latest attempt, whatever came of it.
    pub attempt: Option<Brief>,
    /// What has to be mended, worst first: findings of the latest success, or why the latest attempt failed.
    pub problems: Vec<Problem>,
    /// Values of the last successes, oldest first, at most 24.
    pub trend: Vec<i64>,
}

/// A task in one word. The order is from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Its latest attempt failed.
    Failed,
    /// It ran and found something wrong with the node.
    Findings,
    /// Its latest success is older than it should be.
    Stale,
    /// It did not run yet.
    Waiting,
    /// Its latest attempt was skipped.
    Skipped,
    /// All is well.
    Ok,
    /// It does not run with this configuration.
    NotConfigured,
}

/// An attempt in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Brief {
    /// Number in the chain.
    pub seq: u64,
    /// Why it ran.
    pub trigger: Trigger,
    /// How it ended.
    pub status: Status,
    /// When it ended, Unix ms.
    pub ended_ms: u64,
    /// How long ago that is, s.
    pub age_s: u64,
    /// Whether a newer one should be there by now.
    pub stale: bool,
    /// How long it took, ns.
    pub duration_ns: u64,
    /// Its value.
    pub value: Option<i64>,
    /// Why it was skipped.
    pub skipped: Option<String>,
}

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// What it is.
    #[serde(flatten)]
    pub said: Said,
    /// What to do about it.
    pub advice: String,
}
