//! The highest rate that a network keeps up with, found within seconds.
//!
//! A search without I/O: it says which schedule to run next ([`KneeSearch::next_step`]), is told what came of it
//! ([`KneeSearch::report`]) and knows the knee in the end. First one operation at a time, for the latency without queueing; then
//! open loops at rates that double from half the rate of that, until one is not kept up with; then at most two rates in between,
//! the first of them what the overloaded network completed.
//!
//! A rate is not kept up with when less than 95 % of it is completed (less the square root of the count, by which a queue in steady
//! state may have grown by chance), when more than 1 % of the operations fail, or when the 90th percentile of latency exceeds both
//! eight times the one without queueing (at least 20 ms, at most a quarter of the deadline).

mod search;

use std::time::Duration;

use thiserror::Error;

use crate::schedule::{Rate, Schedule};

pub use search::KneeSearch;

/// One schedule to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The arrivals.
    pub schedule: Schedule,
    /// Time before the window.
    pub warm_up: Duration,
    /// The window.
    pub window: Duration,
    /// From an operation's intended start to its deadline.
    pub timeout: Duration,
}

/// What came of a step, over all its operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepFigures {
    /// Operations that the schedule called for in the window.
    pub offered: u64,
    /// Operations that became complete in the window, whenever they arrived.
    pub completed: u64,
    /// Operations of the window that failed.
    pub failed: u64,
    /// 90th percentile of latency, ns.
    pub p90_ns: u64,
    /// 90th percentile of the generator's own lateness, ns.
    pub slip_p90_ns: u64,
}

/// Why a rate was not kept up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Too little of it was completed.
    Throughput,
    /// It was completed too slowly.
    Latency,
    /// Operations failed.
    Failures,
    /// The generator was late itself: the network may be able to do more.
    Generator,
    /// Nothing limited it up to the highest rate that is tried.
    Nothing,
}

/// A rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TriedRate {
    /// The rate.
    pub rate: Rate,
    /// What came of it.
    pub figures: StepFigures,
    /// Why it was not kept up with; `None` if it was.
    pub limit: Option<Limit>,
}

/// The highest rate that was kept up with.
#[derive(Clone, Debug, PartialEq)]
pub struct Knee {
    /// The rate.
    pub rate: Rate,
    /// What kept the next higher one from being it.
    pub limit: Limit,
    /// 90th percentile of latency with one operation at a time, ns.
    pub baseline_p90_ns: u64,
    /// The open-loop rates that were tried, in order.
    pub tried: Vec<TriedRate>,
}

/// Why there is no knee.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum KneeError {
    /// One operation at a time does not work either.
    #[error("one operation at a time already fails: {failed} of {offered}")]
    Broken {
        /// Operations that failed.
        failed: u64,
        /// Operations tried.
        offered: u64,
    },
    /// No operation was completed in the time of a step.
    #[error("no operation was completed within {window:?}")]
    TooSlow {
        /// The time.
        window: Duration,
    },
    /// Every rate was too high.
    #[error("not even {lowest} operations per second are kept up with")]
    Unstable {
        /// The lowest rate tried, per second.
        lowest: f64,
    },
    /// The search was given up before its end.
    #[error("search for the knee was not finished")]
    Unfinished,
}

impl KneeError {
    /// A rate per second at which what is wrong can be watched without making it worse.
    pub fn guessed_rate(&self) -> f64 {
        match self {
            Self::Broken { .. } => 10.0,
            Self::TooSlow { .. } | Self::Unfinished => 1.0,
            Self::Unstable { lowest } => lowest / 2.0,
        }
    }
}

#[cfg(test)]
mod tests;
