//! What happens while it happens: state changes and aggregate ticks, numbered, broadcast and lossy.
//!
//! Operations never travel as events, and the store never follows the broadcast: losing an event loses no evidence.

use serde::{Deserialize, Serialize};

use crate::clock::MonotonicNs;

/// One numbered event of a run. A reader that sees a gap in `seq` knows that it missed something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Number of the event within its run, from 0.
    pub seq: u64,
    /// When it happened, since the run's epoch.
    pub at_ns: MonotonicNs,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The run began.
    RunStarted {
        /// The run's id.
        run: String,
        /// How many nodes it wants.
        nodes: u32,
    },
    /// A node changed its state.
    NodeState {
        /// Number of the node.
        node: u32,
        /// `started`, `ready`, `failed`, `killed`, `restarted` or `exited`.
        state: String,
        /// Why, where there is more to say.
        detail: Option<String>,
    },
    /// A phase of the workload began.
    PhaseStarted {
        /// Name of the phase.
        phase: String,
        /// How long it will last, where that is known.
        duration_ms: Option<u64>,
    },
    /// Every 500 ms: the running phase in numbers.
    Tick(Tick),
    /// A phase of the workload ended.
    PhaseEnded {
        /// Name of the phase.
        phase: String,
        /// Operations that were complete.
        ok: u64,
        /// Operations that failed.
        failed: u64,
    },
    /// Something that limits what the figures may be used for.
    Warning {
        /// In plain words.
        text: String,
    },
    /// The run ended; its results are written.
    RunEnded {
        /// The run's id.
        run: String,
        /// `VALID` or `SUSPECT`.
        validity: String,
    },
}

/// The running phase in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Name of the phase.
    pub phase: String,
    /// Share of the phase that is over, 0 to 1.
    pub progress: f64,
    /// Operations completed per second during the last tick.
    pub ops_per_second: f64,
    /// Payload bytes per second during the last tick.
    pub bytes_per_second: f64,
    /// Median latency since the phase began, where there is one.
    pub p50_ns: Option<u64>,
    /// 90th percentile of latency since the phase began.
    pub p90_ns: Option<u64>,
    /// 99th percentile of latency since the phase began.
    pub p99_ns: Option<u64>,
    /// Failures since the phase began.
    pub failed: u64,
    /// Operations in flight.
    pub in_flight: u64,
    /// Nodes that are up.
    pub nodes_up: u32,
    /// Share of the host's CPU time that was busy during the last tick, 0 to 1.
    pub host_busy: f64,
}
