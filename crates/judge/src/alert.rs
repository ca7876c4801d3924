//! Thresholds that make tasks: a rule, its memory, and the task that one (rule, subject, window) makes exactly once.

mod rule;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::windows::Window;

/// What a rule looks at. Shares and factors are in parts per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of probes that were served.
    AvailabilityPpm,
    /// Share of storage proofs that were valid.
    IntegrityPpm,
    /// 95th percentile of latency, microseconds.
    LatencyP95Us,
    /// Median of throughput, bits per second.
    ThroughputP50Bps,
    /// How fast the error budget is used up.
    BurnPpm,
    /// Measured value relative to the benchmark at registration.
    BaselineRatioPpm,
    /// Better paid hosters that rank below worse paid ones.
    PayInversions,
    /// Predicted utilisation of the busiest resource.
    UtilisationPpm,
    /// Missing self-reports.
    MissingReports,
}

/// Which of the values of a window is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The mean, rounded down.
    Average,
}

/// How a value must compare with the threshold for the rule to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Below it.
    Below,
    /// Above it.
    Above,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known.
    Notice,
    /// To be looked at.
    Warning,
    /// To be mended now.
    Critical,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Somebody is told.
    Notify,
    /// The benchmark at registration is run again.
    RawBenchmark,
    /// One more challenge.
    ExtraChallenge,
    /// The hoster is paused.
    Pause,
    /// The hoster is replaced in its contracts.
    Replacement,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in a policy: letters, digits, `-` and `_`, at most 64.
    pub name: String,
    /// What it looks at.
    pub metric: Metric,
    /// Which of the window's values.
    pub aggregate: Aggregate,
    /// Over how long.
    pub window: Window,
    /// How the value must compare with the threshold.
    pub op: Op,
    /// The threshold.
    pub threshold: i64,
    /// Consecutive rounds before it raises the alert.
    pub for_rounds: u32,
    /// The value at which the alert ends: on the good side of the threshold, so that a value on the edge raises one alert.
    pub clear_threshold: i64,
    /// How bad it is.
    pub severity: Severity,
    /// What is done.
    pub action: Action,
    /// It is evaluated and printed, and makes no task. What a new rule begins with.
    #[serde(default)]
    pub observe_only: bool,
}

/// What is remembered of one rule about one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Consecutive rounds in which the rule held.
    pub rounds: u32,
    /// Whether the alert is on.
    pub raised: bool,
    /// The last round that was looked at.
    pub last_round: Option<u64>,
    /// The window (its number) for which the last task was made.
    pub last_window: Option<u64>,
}

/// The name of a task: who asks for it twice gets one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskKey {
    /// The rule's name.
    pub rule: String,
    /// Whom it is about (the ledger's id).
    pub subject: u64,
    /// The window's length.
    pub window: Window,
    /// The window's number since the evidence's epoch.
    pub number: u64,
}

/// What a round made of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum AlertEvent {
    /// The alert is on, and there is something to do.
    Raised {
        /// The task's name.
        key: TaskKey,
        /// What to do.
        action: Action,
        /// How bad it is.
        severity: Severity,
        /// The value that raised it.
        value: i64,
        /// It only would have been: the rule is observed.
        observe_only: bool,
    },
    /// The alert is over.
    Cleared {
        /// The rule's name.
        rule: String,
        /// Whom it is about.
        subject: u64,
        /// The value that ended it.
        value: i64,
    },
}

/// Why a rule was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleError {
    /// A name that is empty, too long or has other characters.
    #[error("not a name: {name:?} (letters, digits, '-' and '_', at most 64)")]
    BadName {
        /// The name.
        name: String,
    },
    /// It would clear on the bad side of its threshold.
    #[error("rule {name}: clears at {clear}, which is not on the good side of {threshold}")]
    NeverClears {
        /// The rule.
        name: String,
        /// Where it clears.
        clear: i64,
        /// Its threshold.
        threshold: i64,
    },
    /// It would raise an alert after no round at all.
    #[error("rule {name}: for_rounds is 0")]
    NoRounds {
        /// The rule.
        name: String,
    },
}

/// What a rule is asked in one round.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// Its number; a number that was already looked at changes nothing.
    pub number: u64,
    /// When it ended, in seconds since the evidence's epoch: decides which window the task belongs to.
    pub at_s: u64,
    /// Whom it is about.
    pub subject: u64,
    /// The values of the rule's window; without any the rule neither holds nor clears.
    pub values: &'a [i64],
}
