//! Why a run gave no result.

use peermark_dht::scheduler::SchedulerError;
use peermark_probe::calibrate::CalibrateError;
use peermark_store::StoreError;
use thiserror::Error;

use super::plan::PlanError;
use crate::launch::LaunchError;
use crate::run::RecordError;

/// Why a run gave no result.
#[derive(Debug, Error)]
pub enum DhtError {
    /// What was asked for cannot be run.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A node did not start.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A node that measures found nobody to ask, or never said in the store that it is there.
    #[error("node {node} is not ready after {seconds} s: {reason}; see {log}")]
    NotReady {
        /// Its number.
        node: u32,
        /// How long was waited.
        seconds: u64,
        /// What it lacks.
        reason: String,
        /// Its log.
        log: std::path::PathBuf,
    },
    /// The checks before the measurement could not be made.
    #[error("the preflight gave no answer ({reason}); the end of its log:\n{tail}")]
    Preflight {
        /// What came instead.
        reason: String,
        /// The last lines of its log.
        tail: String,
    },
    /// Servers of another run answer under the names of the fleets.
    #[error(
        "{count} servers of these fleets answer already, such as {address}: another run uses this store; name another one"
    )]
    Busy {
        /// How many.
        count: usize,
        /// One of them.
        address: String,
    },
    /// The machine could not be calibrated.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// A scheduler did not start or could not go on.
    #[error("scheduler {name}: {source}")]
    Scheduler {
        /// Which.
        name: &'static str,
        /// Why.
        source: Box<SchedulerError>,
    },
    /// The store does not take or give what was measured.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// Results could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Stopped before there was anything to report.
    #[error("stopped before the measurement began")]
    Stopped,
    /// A part of the run ended by a fault of this program.
    #[error("a part of the run failed: {0}")]
    Fault(String),
}
