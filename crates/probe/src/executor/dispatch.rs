//! The deciding task: what is due, what has ended, when to look again.

mod wait;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs};
use tokio::task::{JoinError, JoinSet, unconstrained};
use tokio::time::Instant;

use super::operation::{Ended, Planned};
use super::{ExecuteError, Execution, Executor, Progress, STOP_GRACE_NS, nanoseconds};
use crate::driver::{Driver, Prepared};
use crate::pacer::Pace;
use crate::recorder::Record;
use crate::schedule::{Arrival, Arrivals};

/// Operations that are started before the runtime gets a turn. When many are due at once, those that were started first shall not
/// wait for all the others to be started; bigger batches buy nothing.
const MAX_BATCH: u32 = 32;

/// An arrival whose moment has come.
#[derive(Clone, Copy)]
struct Due {
    /// When the schedule wanted it.
    intended_ns: MonotonicNs,
    /// When that was seen: the operation starts now.
    now_ns: MonotonicNs,
}

pub(super) struct Dispatcher<'a, P, R> {
    engine: Executor<'a, P, R>,
    clock: Arc<dyn Clock>,
    running: JoinSet<Ended>,
    began_ns: MonotonicNs,
    /// The same moment on the runtime's clock: deadlines are moments of ours, the runtime's timers know only its own.
    began: Instant,
    last_deadline_ns: MonotonicNs,
    /// When the latest operation was wanted; `None` before the first.
    last_intended_ns: Option<MonotonicNs>,
    /// When the latest operation ended.
    last_end_ns: MonotonicNs,
    watch_ns: MonotonicNs,
    watches: u64,
    execution: Execution,
}

impl<'a, P: Pace, R: Record> Dispatcher<'a, P, R> {
    pub(super) fn new(engine: Executor<'a, P, R>) -> Self {
        let clock = Arc::clone(engine.pacer.clock());
        let began_ns = engine.window.start_ns.saturating_sub(nanoseconds(engine.limits.warm_up));
        let began = Instant::now() - Duration::from_nanos(clock.now_ns().saturating_sub(began_ns));
        let execution = Execution {
            window: engine.window,
            arrivals: 0,
            refused: 0,
            panicked: 0,
            cut_off: 0,
            stopped: false,
            exhausted: false,
        };
        let watch_ns = began_ns + engine.pacer.watch_ns();
        Self {
            engine,
            clock,
            running: JoinSet::new(),
            began_ns,
            began,
            last_deadline_ns: began_ns,
            last_intended_ns: None,
            last_end_ns: began_ns,
            watch_ns,
            watches: 0,
            execution,
        }
    }

    pub(super) fn execution(self) -> Execution {
        self.execution
    }

    /// Starts operations until the schedule ends.
    pub(super) async fn run<D: Driver>(
        &mut self,
        driver: &mut D,
        arrivals: &mut impl Arrivals,
    ) -> Result<(), ExecuteError> {
        let mut batch = 0;
        loop {
            let arrival = arrivals.next_arrival();
            let number = self.execution.arrivals;
            if arrival == Arrival::End || self.engine.limits.operations.is_some_and(|most| number >= most) {
                break;
            }
            if let Arrival::Later(offset) = arrival {
                let at_ns = self.began_ns.saturating_add(offset);
                if !self.let_pass(at_ns, arrivals).await? {
                    break;
                }
                batch = 0;
                continue;
            }
            if batch >= MAX_BATCH || !self.is_due(arrival) {
                // Lets what was just started begin before the next operation is prepared, which takes time.
                tokio::task::yield_now().await;
                batch = 0;
            }
            let Some(prepared) = driver.prepare(number) else {
                self.execution.exhausted = true;
                break;
            };
            let Some(due) = self.until_due(arrival).await? else { break };
            self.start(driver, prepared, due).await?;
            batch += 1;
        }
        self.execution.window.end_ns = self.execution.window.end_ns.min(self.clock.now_ns());
        Ok(())
    }

    /// Waits until an arrival is due; `None` when the window is over or a stop was asked for.
    async fn until_due(&mut self, arrival: Arrival) -> Result<Option<Due>, ExecuteError> {
        let end_ns = self.execution.window.end_ns;
        let mut now_ns = self.clock.now_ns();
        loop {
            if self.shall_stop(now_ns) {
                return Ok(None);
            }
            let due_ns = match arrival {
                Arrival::At(offset) => self.began_ns.saturating_add(offset),
                Arrival::WhenFewerThan { concurrency } => {
                    self.collect()?;
                    let is_free = self.running.len() < concurrency as usize;
                    if is_free { now_ns } else { u64::MAX }
                }
                Arrival::WhenIdle { every_ns } => {
                    self.collect()?;
                    self.idle_due_ns(every_ns)
                }
                Arrival::Later(_) | Arrival::End => return Ok(None),
            };
            if due_ns < end_ns && due_ns <= now_ns {
                return Ok(Some(Due { intended_ns: due_ns, now_ns }));
            }
            // The window lasts to its end, also when nothing more is wanted in it.
            if now_ns >= end_ns {
                return Ok(None);
            }
            now_ns = self.wait(due_ns.min(end_ns)).await?;
        }
    }

    /// When the next operation of those that come one at a time is due, as far as that is known.
    fn idle_due_ns(&self, every_ns: u64) -> MonotonicNs {
        match self.last_intended_ns {
            _ if !self.running.is_empty() => u64::MAX,
            None => self.began_ns,
            Some(last_ns) => last_ns.saturating_add(every_ns).max(self.last_end_ns),
        }
    }

    /// Waits for what is in flight: to the last deadline, or for a moment after a stop.
    pub(super) async fn drain(&mut self) -> Result<(), ExecuteError> {
        // Deadlines are kept by a timer with a grain of a millisecond; a second is far beyond that.
        let mut give_up_ns = self.last_deadline_ns.saturating_add(1_000_000_000);
        loop {
            self.collect()?;
            let now_ns = self.clock.now_ns();
            if self.shall_stop(now_ns) {
                give_up_ns = give_up_ns.min(now_ns.saturating_add(STOP_GRACE_NS));
            }
            if self.running.is_empty() || now_ns >= give_up_ns {
                break;
            }
            self.wait(give_up_ns).await?;
        }
        self.execution.cut_off = self.running.len() as u64;
        self.running.shutdown().await;
        if self.engine.limits.duration.is_none() {
            self.execution.window.end_ns = self.clock.now_ns();
        }
        Ok(())
    }

    fn is_due(&self, arrival: Arrival) -> bool {
        match arrival {
            Arrival::At(offset) => self.began_ns.saturating_add(offset) <= self.clock.now_ns(),
            Arrival::WhenFewerThan { concurrency } => self.running.len() < concurrency as usize,
            Arrival::WhenIdle { every_ns } => self.idle_due_ns(every_ns) <= self.clock.now_ns(),
            Arrival::Later(_) | Arrival::End => false,
        }
    }

    /// Starts an operation, here and now: its first steps, down to the bytes that go to a socket, are done before anything else has
    /// a turn. What is left of it then is a task of its own.
    async fn start<D: Driver>(
        &mut self,
        driver: &mut D,
        prepared: Prepared<D::Task>,
        Due { intended_ns, now_ns }: Due,
    ) -> Result<(), ExecuteError> {
        let deadline_ns =
            intended_ns.saturating_add(nanoseconds(prepared.timeout.unwrap_or(self.engine.limits.timeout)));
        let deadline = self.began + Duration::from_nanos(deadline_ns.saturating_sub(self.began_ns));
        let planned = Planned { lane: prepared.lane, trace: prepared.trace, intended_ns, deadline_ns, deadline };
        self.execution.arrivals += 1;
        self.last_intended_ns = Some(intended_ns);
        if self.running.len() >= self.engine.limits.max_in_flight {
            self.collect()?;
        }
        if self.running.len() >= self.engine.limits.max_in_flight {
            self.execution.refused += 1;
            return Ok(self.engine.recorder.record(&planned.refused(now_ns))?);
        }
        self.last_deadline_ns = self.last_deadline_ns.max(deadline_ns);
        let work = driver.run(prepared.task, deadline_ns);
        let mut operation = Box::pin(planned.run(now_ns, work, Arc::clone(&self.clock)));
        // Without the runtime's budget per task: it is meant for tasks that starve others, and would put off the later starts of a
        // batch although they count as started.
        let first = poll_fn(|cx| Poll::Ready(pin!(unconstrained(operation.as_mut())).poll(cx))).await;
        match first {
            Poll::Ready(ended) => self.record(ended),
            Poll::Pending => {
                self.running.spawn(operation);
                Ok(())
            }
        }
    }

    fn collect(&mut self) -> Result<(), ExecuteError> {
        while let Some(joined) = self.running.try_join_next() {
            self.record_joined(joined)?;
        }
        Ok(())
    }

    fn record_joined(&mut self, joined: Result<Ended, JoinError>) -> Result<(), ExecuteError> {
        // Panics end inside the operation and nothing aborts a task before the end of the drain, so every task joins with a value.
        joined.map_or(Ok(()), |ended| self.record(ended))
    }

    fn record(&mut self, ended: Ended) -> Result<(), ExecuteError> {
        self.execution.panicked += u64::from(ended.panicked);
        self.last_end_ns = self.last_end_ns.max(ended.finished.ended_ns);
        Ok(self.engine.recorder.record(&ended.finished)?)
    }

    /// Whether a stop was asked for; shows the numbers when it is time.
    fn shall_stop(&mut self, now_ns: MonotonicNs) -> bool {
        if now_ns >= self.watch_ns {
            self.watch_ns = now_ns + self.engine.pacer.watch_ns();
            self.watches += 1;
            if self.watches.is_multiple_of(2) {
                self.show_progress(now_ns);
            }
        }
        self.execution.stopped |= self.engine.stop.is_cancelled();
        self.execution.stopped
    }

    fn show_progress(&mut self, now_ns: MonotonicNs) {
        let elapsed_ns = now_ns.saturating_sub(self.began_ns);
        let by_time = match self.engine.limits.duration {
            Some(_) => elapsed_ns as f64 / self.execution.window.end_ns.saturating_sub(self.began_ns).max(1) as f64,
            None => 0.0,
        };
        let by_count =
            self.engine.limits.operations.map_or(0.0, |most| self.execution.arrivals as f64 / most.max(1) as f64);
        (self.engine.show)(Progress {
            elapsed_ns,
            share: by_time.max(by_count).min(1.0),
            snapshot: self.engine.recorder.snapshot(),
            in_flight: self.running.len(),
        });
    }
}
