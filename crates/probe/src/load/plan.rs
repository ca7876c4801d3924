//! What is to be done to a network.

use std::time::Duration;

use peermark_core::{ByteSize, Seed};
use thiserror::Error;

use crate::schedule::Schedule;
use crate::workload::{Network, Op, SizeMix};

/// Phases, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPlan {
    /// Seed of arrivals, choices and payloads.
    pub seed: Seed,
    /// The phases.
    pub phases: Vec<Phase>,
    /// Operations in flight at any moment; one more is turned away and counted. Also bounded by the process's open files.
    pub max_in_flight: usize,
    /// Content that may be uploaded before a phase so that there is something to fetch and read.
    pub max_stock: ByteSize,
}

/// One phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// What is done.
    pub work: Work,
    /// When.
    pub arrivals: ArrivalPlan,
    /// Time at the beginning that does not count.
    pub warm_up: Duration,
    /// Time that counts.
    pub duration: Duration,
    /// Operations after which the phase ends before that.
    pub operations: Option<u64>,
    /// From an operation's intended start to its absolute deadline.
    pub timeout: Duration,
    /// Sizes of uploaded content.
    pub sizes: SizeMix,
}

/// What a phase does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Operations drawn by weight; one alone, or several in parallel (stress).
    Mix(Vec<(Op, u32)>),
    /// Datasets on `seeders` nodes each, which all other nodes fetch at once. The phase's arrivals and duration do not apply: a round
    /// begins `every` so often and ends with its last node or deadline.
    Disseminate {
        /// Nodes that hold a dataset beforehand.
        seeders: u32,
        /// Datasets, one round each.
        rounds: u32,
        /// From one round to the next.
        every: Duration,
    },
}

/// When operations are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArrivalPlan {
    /// By a schedule.
    Fixed(Schedule),
    /// In an open loop at half the highest rate that the network keeps up with, which is searched for first.
    HalfTheKnee(Shape),
}

/// How open-loop arrivals are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Exponential gaps.
    Poisson,
    /// Equal gaps.
    Uniform,
}

/// Why a plan cannot be run.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// Nothing to do.
    #[error("no phase")]
    NoPhase,
    /// A phase whose figures could not be told from another's.
    #[error("two phases are called {name:?}")]
    SameName {
        /// The name.
        name: String,
    },
    /// A phase that does nothing.
    #[error("phase {phase:?} has no operation with a weight above 0")]
    NoOperation {
        /// The phase.
        phase: String,
    },
    /// A phase that would never end, or end before it began.
    #[error("phase {phase:?}: {what} has to be above 0")]
    Zero {
        /// The phase.
        phase: String,
        /// What is 0.
        what: &'static str,
    },
    /// An operation that this network has too few nodes for.
    #[error("phase {phase:?} wants {op} over at least {wanted} nodes, there are {nodes}")]
    TooFewNodes {
        /// The phase.
        phase: String,
        /// The operation.
        op: Op,
        /// Nodes that it needs.
        wanted: u64,
        /// Nodes that there are.
        nodes: u64,
    },
}

impl LoadPlan {
    /// Defaults for everything but the phases: 4,096 operations in flight, 1 GiB of stock.
    pub fn new(seed: Seed, phases: Vec<Phase>) -> Self {
        Self { seed, phases, max_in_flight: 4096, max_stock: ByteSize(1 << 30) }
    }

    /// Whether the plan can be run against `network`.
    ///
    /// # Errors
    /// [`PlanError`], naming the phase.
    pub fn validate(&self, network: &Network) -> Result<(), PlanError> {
        if self.phases.is_empty() {
            return Err(PlanError::NoPhase);
        }
        for (number, phase) in self.phases.iter().enumerate() {
            if self.phases[..number].iter().any(|earlier| earlier.name == phase.name) {
                return Err(PlanError::SameName { name: phase.name.clone() });
            }
            phase.validate(network.len() as u64)?;
            if self.max_in_flight == 0 {
                return Err(phase.zero("the bound on operations in flight"));
            }
        }
        Ok(())
    }

    pub(super) fn longest_timeout(&self) -> Duration {
        self.phases.iter().map(|phase| phase.timeout).max().unwrap_or_default()
    }
}

impl Phase {
    fn validate(&self, nodes: u64) -> Result<(), PlanError> {
        if self.timeout.is_zero() {
            return Err(self.zero("the timeout"));
        }
        let too_few = |op, wanted| PlanError::TooFewNodes { phase: self.name.clone(), op, wanted, nodes };
        match &self.work {
            Work::Mix(mix) => {
                // Dissemination is a work of its own: there is nothing to draw it from.
                let is_drawn = |(op, weight): &&(Op, u32)| *weight > 0 && *op != Op::Disseminate;
                if mix.iter().find(is_drawn).is_none() || mix.iter().any(|(op, _)| *op == Op::Disseminate) {
                    return Err(PlanError::NoOperation { phase: self.name.clone() });
                }
                if self.duration.is_zero() {
                    return Err(self.zero("the duration"));
                }
                if nodes < 2 && mix.iter().any(|(op, weight)| *op == Op::Fetch && *weight > 0) {
                    return Err(too_few(Op::Fetch, 2));
                }
                Ok(())
            }
            Work::Disseminate { seeders: 0, .. } => Err(self.zero("the number of seeders")),
            Work::Disseminate { rounds: 0, .. } => Err(self.zero("the number of rounds")),
            Work::Disseminate { seeders, .. } if u64::from(*seeders) >= nodes => {
                Err(too_few(Op::Disseminate, u64::from(*seeders) + 1))
            }
            Work::Disseminate { .. } => Ok(()),
        }
    }

    fn zero(&self, what: &'static str) -> PlanError {
        PlanError::Zero { phase: self.name.clone(), what }
    }
}
