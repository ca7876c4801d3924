//! Starts operations when their schedule wants them, whatever became of the others, and sees that each ends.
//!
//! One task decides (`dispatch`), one task per operation works (`operation`). The deciding task never waits for an operation in
//! an open loop: due operations are started in one go, a bound on operations in flight turns further ones away as counted
//! failures, and each has its absolute deadline. A panic in an operation is that operation's failure. At the end it waits for what
//! is in flight, and no longer than the last deadline.
//!
//! Run it as a spawned task of a current-thread runtime: the task that the runtime itself blocks on is woken through a system call
//! each time, which doubles the cost of an operation.

mod dispatch;
mod operation;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use peermark_core::Clock;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::driver::Driver;
use crate::pacer::Pace;
use crate::recorder::{Record, SinkFailure, Snapshot, Window};
use crate::schedule::Arrivals;

use dispatch::Dispatcher;

/// How long operations in flight may go on after a stop: with [`crate::pacer::WATCH_NS`], a stop is honoured within a second.
const STOP_GRACE_NS: u64 = 400_000_000;

/// Bounds of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time before the window: operations are done and not counted.
    pub warm_up: Duration,
    /// Length of the window; `None` where `operations` ends it.
    pub duration: Option<Duration>,
    /// Operations after which the schedule ends.
    pub operations: Option<u64>,
    /// From an operation's intended start to its absolute deadline, unless the driver prepared it with another one.
    pub timeout: Duration,
    /// Operations in flight. One more is turned away and counted as a failure of the observer.
    pub max_in_flight: usize,
}

/// How an execution went. The operations themselves are in the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The window that was counted. Its end is where the schedule ended, if it ended early.
    pub window: Window,
    /// Operations that were started or turned away, warm-up included.
    pub arrivals: u64,
    /// Turned away at the bound on operations in flight, warm-up included.
    pub refused: u64,
    /// Operations whose driver panicked, warm-up included.
    pub panicked: u64,
    /// Operations that a stop cut off; they are in no statistic.
    pub cut_off: u64,
    /// Whether a stop ended it.
    pub stopped: bool,
    /// Whether the driver ran out of operations before the schedule did.
    pub exhausted: bool,
}

/// Why an execution could not go on.
#[derive(Debug, Error)]
pub enum ExecuteError {
    /// The timer failed.
    #[error("pace operations")]
    Pace {
        /// What the system said.
        #[from]
        source: io::Error,
    },
    /// The samples could not be kept.
    #[error("keep samples")]
    Sink {
        /// Which sink.
        #[from]
        source: SinkFailure,
    },
}

/// The phase so far, shown at every second look of the pacer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Since the execution began.
    pub elapsed_ns: u64,
    /// Share of the schedule that is over, 0 to 1, as far as it is known.
    pub share: f64,
    /// Counts and latencies since the window began.
    pub snapshot: Snapshot,
    /// Operations in flight.
    pub in_flight: usize,
}

/// The window of an execution that begins now.
pub fn window_from(clock: &dyn Clock, limits: &Limits) -> Window {
    let start_ns = clock.now_ns().saturating_add(nanoseconds(limits.warm_up));
    let end_ns = limits.duration.map_or(u64::MAX, |duration| start_ns.saturating_add(nanoseconds(duration)));
    Window { start_ns, end_ns }
}

/// Runs schedules. Everything that one execution needs besides its driver and its arrivals.
pub struct Executor<'a, P, R> {
    /// Bounds.
    pub limits: Limits,
    /// What counts; from [`window_from`] with the same limits, immediately before.
    pub window: Window,
    /// Waits for moments.
    pub pacer: &'a mut P,
    /// Takes every operation; made for the same window.
    pub recorder: &'a mut R,
    /// Ends the execution early, within a second.
    pub stop: &'a CancellationToken,
    /// Called at every second look of the pacer, twice a second for load; has to return at once.
    pub show: &'a mut (dyn FnMut(Progress) + Send),
}

impl<P: Pace, R: Record> Executor<'_, P, R> {
    /// Runs to the end of the window, of the operations, of the driver's or by a stop, and waits for what is in flight then.
    ///
    /// # Errors
    /// [`ExecuteError`]; what was recorded until then stays in the recorder.
    pub async fn execute<D: Driver>(
        self,
        driver: &mut D,
        arrivals: &mut impl Arrivals,
    ) -> Result<Execution, ExecuteError> {
        let mut dispatcher = Dispatcher::new(self);
        dispatcher.run(driver, arrivals).await?;
        dispatcher.drain().await?;
        Ok(dispatcher.execution())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
