//! What came of a load, before anybody judges it.

use std::fmt;

use peermark_core::MonotonicNs;

use crate::executor::Execution;
use crate::knee::{Knee, KneeError};
use crate::lateness::LatenessCheck;
use crate::recorder::LaneRecord;
use crate::schedule::Schedule;
use crate::workload::Op;

/// What came of all phases.
#[derive(Clone, Debug)]
pub struct LoadOutcome {
    /// One entry per operation and phase, in the order of the phases.
    pub operations: Vec<OperationOutcome>,
    /// From the start of the first phase, preparation included.
    pub started_ns: MonotonicNs,
    /// To the end of the last.
    pub ended_ns: MonotonicNs,
    /// CPU time of the generator's thread.
    pub generator_cpu_ns: u64,
    /// Whether a stop ended it.
    pub stopped: bool,
}

/// What came of one operation in one phase.
#[derive(Clone, Debug)]
pub struct OperationOutcome {
    /// Name of the phase.
    pub phase: String,
    /// The operation.
    pub op: Op,
    /// The schedule that was run.
    pub schedule: Schedule,
    /// Arrivals per second that the schedule called for, for this operation alone; `None` in a closed loop and in bursts.
    pub target_rate: Option<f64>,
    /// The knee of the phase, all its operations together, where it was searched for.
    pub knee: Option<Knee>,
    /// Counts, histograms and slices.
    pub record: LaneRecord,
    /// How the phase went, all its operations together.
    pub execution: Execution,
    /// What limits the use of these figures.
    pub notes: Vec<Note>,
}

/// Something that limits what figures may be used for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// A stop ended the phase early.
    Stopped {
        /// Operations that it cut off; they are in no figure.
        cut_off: u64,
    },
    /// There was nothing left to do before the phase was over.
    Exhausted,
    /// The generator's bound on operations in flight was reached.
    Refused {
        /// Operations of the phase that were turned away.
        count: u64,
    },
    /// Operations ended by a fault of the generator.
    Panicked {
        /// How many.
        count: u64,
    },
    /// No knee was found; the phase ran at a guessed rate.
    NoKnee {
        /// Why.
        error: KneeError,
    },
    /// The content that the phase needs could not be uploaded beforehand.
    NoStock {
        /// Uploads that failed.
        failed: u64,
    },
}

impl OperationOutcome {
    /// How long the phase counted.
    pub fn duration_ns(&self) -> u64 {
        self.execution.window.end_ns.saturating_sub(self.execution.window.start_ns)
    }

    /// Completed operations per second of the phase. Operations that became complete in it count, whenever they arrived.
    pub fn achieved_rate(&self) -> f64 {
        self.record.completed_in_window as f64 * 1e9 / self.duration_ns().max(1) as f64
    }

    /// A percentile held against the generator's lateness: to be withheld where that explains more than a fifth of it. `None`
    /// without operations.
    pub fn lateness(&self, quantile: f64) -> Option<LatenessCheck> {
        LatenessCheck::of(&self.record, quantile)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped { cut_off } => write!(f, "stopped early; {cut_off} operations in flight were cut off"),
            Self::Exhausted => {
                f.write_str("ended early: nothing was left to do that earlier operations had not touched")
            }
            Self::Refused { count } => write!(f, "{count} operations were not sent: too many were in flight"),
            Self::Panicked { count } => write!(f, "{count} operations ended by a fault of the generator"),
            Self::NoKnee { error } => write!(f, "no knee was found ({error}); the rate is a guess"),
            Self::NoStock { failed } => write!(f, "content could not be uploaded beforehand: {failed} uploads failed"),
        }
    }
}
