//! Tasks that come again and again by the wall clock: cron with a phase, on the one engine.
//!
//! An [`Agenda`] holds plans; [`Agenda::run`] runs them as operations of the [`crate::executor`], one lane per plan, until a stop.
//! What a task *does* is a [`Work`]; whoever wants to ask or steer meanwhile has an [`AgendaHandle`]. The rules:
//!
//! * **Moments.** A plan is wanted at each moment of its cron expression, plus a phase and a random part. The phase is a stable hash
//!   of node and task below half of the jitter; the random part, below the other half, is drawn anew for each run.
//! * **Start.** A plan without a success is wanted at once, without phase or jitter. One whose latest success is older than its period,
//!   and a moment of which has passed since, is caught up with: wanted once, at once.
//! * **No overlap.** A plan runs once at a time. A moment that comes while it runs, or waits to, is dropped and counted.
//! * **Classes.** A run has its classes to itself. A due run stands in line until they are free; those behind it that need none of its
//!   classes pass it. Its latency counts from the moment at which it was wanted, its deadline from its start.
//! * **Retries.** A failure that may pass is tried again after a pause that grows by half each time, give or take half of it. A moment
//!   of the schedule that comes first takes its place.
//! * **The wall clock.** Where it moved by more than 2 s against the monotonic clock between two looks, it was stepped, or the machine
//!   slept: every plan is made anew from the new time. A moment that has passed in between is caught up with as at the start. After a
//!   step back a plan is wanted when it would have been, and by the new time too: it runs at most once more than without, and none
//!   waits longer than one period and its jitter. A step back of up to a minute and a tenth of a period only delays.
//! * **Pause.** Nothing starts but what is asked for. What was due meanwhile is caught up with as at the start, and never more than once.
//! * **Harm.** Deadlines and panics are the executor's: one task's do not touch another's.

mod book;
mod engine;
mod handle;
mod moment;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::future::Future;
use std::ops::BitOr;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs, Seed};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::cron::CronSchedule;
use crate::driver::Done;
use crate::executor::{ExecuteError, Execution};
use crate::recorder::Finished;

use book::Book;
use handle::Shared;
pub use handle::{AgendaHandle, Counts, Hold, RunRefused};

/// Most plans of an agenda.
pub const MAX_PLANS: usize = 256;

/// A task and when it is wanted.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name, unique in the agenda.
    pub name: String,
    /// When it is wanted.
    pub cron: CronSchedule,
    /// By how much less than this a run may be late on purpose.
    pub jitter: Duration,
    /// What it has to itself while it runs.
    pub needs: Classes,
    /// From a run's start to its deadline.
    pub timeout: Duration,
    /// How failures that may pass are tried again.
    pub retry: Retry,
    /// Least time from one request to run it now to the next.
    pub request_gap: Duration,
    /// When its latest success ended, Unix ms; `None` without one.
    pub last_success_ms: Option<u64>,
}

/// Resources of which one run at a time has the use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Classes(u8);

/// How failures that may pass are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts altogether; 1 never tries again.
    pub attempts: u32,
    /// Pause before the second attempt; each later one is half as long again, up to `longest`. Give or take half of it.
    pub first: Duration,
    /// Longest pause, before half of it is given or taken.
    pub longest: Duration,
}

/// What an agenda needs besides its plans.
#[derive(Clone)]
pub struct AgendaOptions {
    /// Who runs them: what phases are derived from.
    pub node_id: String,
    /// Source of the random parts. Another one after each start, or they repeat.
    pub seed: Seed,
    /// The clock. Its wall time is asked at each look.
    pub clock: Arc<dyn Clock>,
    /// Most requests to run something now, of all plans together, in any minute.
    pub requests_per_minute: u32,
    /// How often the wall clock is looked at when nothing is due; this is also how late a step of it is seen.
    pub look_every: Duration,
    /// Whether a run may start: `false` holds back all of them, also those that were asked for. Asked at each look; has to return at
    /// once and not to use the agenda's handle. Call [`AgendaHandle::wake`] when its answer has become `true`.
    pub may_start: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Why plans make no agenda.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AgendaError {
    /// Two plans have one name.
    #[error("two plans are named {name:?}")]
    SameName {
        /// The name.
        name: String,
    },
    /// Too many plans.
    #[error("{found} plans, more than {MAX_PLANS}")]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// What tasks do.
pub trait Work: Send + Sync + 'static {
    /// Does one attempt. The future is dropped at its deadline, and a panic in it is a failure of this attempt alone.
    fn run(&self, job: Job) -> impl Future<Output = Done> + Send + 'static;

    /// Called once for each attempt that was started, when it has ended: returned, at its deadline
    /// ([`peermark_core::FailureClass::Timeout`]), by a panic ([`peermark_core::FailureClass::Panicked`]) or cut off by a stop
    /// ([`peermark_core::FailureClass::Abandoned`]). Says what that means for the plan. Has to return at once.
    fn ended(&self, job: &Job, end: &Finished) -> Ending;
}

/// What the end of an attempt means for its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// There is a fresh result.
    Success,
    /// There is none, and another attempt would change nothing: skipped, or a failure that does not pass by itself.
    Final,
    /// There is none, and it is tried again if the plan has attempts left.
    MayPass,
}

/// One attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// Index of its plan.
    pub plan: usize,
    /// Its number, unique in this agenda, from 0.
    pub trace: u64,
    /// Which attempt at this run it is, from 1.
    pub attempt: u32,
    /// Why it runs.
    pub trigger: Trigger,
    /// When it was wanted.
    pub intended_ns: MonotonicNs,
    /// When it was wanted, Unix ms.
    pub intended_wall_ms: u64,
    /// When it is dropped.
    pub deadline_ns: MonotonicNs,
}

/// Why a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A moment of its schedule.
    Schedule,
    /// The agenda began and it had no success.
    Start,
    /// A moment of its schedule had passed while nobody could run it.
    CatchUp,
    /// Somebody asked.
    Request,
    /// The attempt before failed and might pass.
    Retry,
}

/// Plans, ready to be run.
pub struct Agenda {
    shared: Arc<Shared>,
}

impl Classes {
    /// Nothing to itself.
    pub const NONE: Self = Self(0);
    /// The processor: nothing else that measures it.
    pub const CPU: Self = Self(1);
    /// The network: nothing else that fills it.
    pub const NETWORK: Self = Self(2);
    /// The disk: nothing else that fills it.
    pub const DISK: Self = Self(4);

    /// Whether they have one in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Classes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Retry {
    /// Not tried again.
    pub const NONE: Self = Self { attempts: 1, first: Duration::ZERO, longest: Duration::ZERO };
}

impl AgendaOptions {
    /// The usual: ten requests a minute, a look every second, nothing held back.
    pub fn new(node_id: impl Into<String>, seed: Seed, clock: Arc<dyn Clock>) -> Self {
        Self {
            node_id: node_id.into(),
            seed,
            clock,
            requests_per_minute: 10,
            look_every: Duration::from_secs(1),
            may_start: Arc::new(|| true),
        }
    }
}

impl Agenda {
    /// Plans as of now.
    ///
    /// # Errors
    /// [`AgendaError`] where they cannot be told apart or are too many.
    pub fn new(plans: Vec<Plan>, options: AgendaOptions) -> Result<Self, AgendaError> {
        if plans.len() > MAX_PLANS {
            return Err(AgendaError::TooMany { found: plans.len() });
        }
        let mut names = HashSet::new();
        if let Some(twice) = plans.iter().find(|plan| !names.insert(plan.name.as_str())) {
            return Err(AgendaError::SameName { name: twice.name.clone() });
        }
        Ok(Self { shared: Arc::new(Shared::new(Book::new(plans, &options), options)) })
    }

    /// Asks and steers while it runs; valid from now on, and after its end.
    pub fn handle(&self) -> AgendaHandle {
        AgendaHandle::new(Arc::clone(&self.shared))
    }

    /// Runs the plans until `stop`; run it as a task of its own. Attempts that are under way then have 400 ms to end. The operations
    /// of the execution are attempts.
    ///
    /// # Errors
    /// [`ExecuteError`] from the engine.
    pub async fn run(self, work: impl Work, stop: &CancellationToken) -> Result<Execution, ExecuteError> {
        engine::run(self.shared, Arc::new(work), stop).await
    }
}
