//! The agenda as arrivals, driver and record of the engine.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use peermark_core::{Culprit, FailureClass, MonotonicNs, Outcome};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::handle::Shared;
use super::{Ending, Job, Work};
use crate::driver::{Done, Driver, Prepared};
use crate::executor::{ExecuteError, Execution, Executor, Limits, window_from};
use crate::pacer::RelaxedPacer;
use crate::recorder::{Finished, Record, SinkFailure, Snapshot};
use crate::schedule::{Arrival, Arrivals};

/// Runs what the agenda wants until `stop`.
pub(super) async fn run<W: Work>(
    shared: Arc<Shared>,
    work: Arc<W>,
    stop: &CancellationToken,
) -> Result<Execution, ExecuteError> {
    let names = shared.book.lock().names();
    let limits = Limits {
        warm_up: Duration::ZERO,
        duration: None,
        operations: None,
        // Every job brings its own.
        timeout: Duration::ZERO,
        max_in_flight: names.len().max(1),
    };
    let mut pacer = RelaxedPacer::new(Arc::clone(&shared.options.clock));
    let window = window_from(shared.options.clock.as_ref(), &limits);
    shared.book.lock().set_began(window.start_ns);
    let stopped = Box::pin(stop.clone().cancelled_owned());
    let mut moments = Moments { shared: Arc::clone(&shared), began_ns: window.start_ns, stopped };
    let mut driver = Jobs { shared: Arc::clone(&shared), work: Arc::clone(&work), names };
    let mut record = Ends { shared: Arc::clone(&shared), work };
    let show = &mut |_| {};
    let engine = Executor { limits, window, pacer: &mut pacer, recorder: &mut record, stop, show };
    let execution = Box::pin(engine.execute(&mut driver, &mut moments)).await;
    record.cut_off(driver.names.len());
    execution
}

/// When jobs are wanted.
struct Moments {
    shared: Arc<Shared>,
    began_ns: MonotonicNs,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Arrivals for Moments {
    fn next_arrival(&mut self) -> Arrival {
        let options = &self.shared.options;
        let may_start = (options.may_start)();
        let now = self.shared.now();
        let mut book = self.shared.book.lock();
        book.look(now);
        match may_start.then(|| book.choose(now)).flatten() {
            Some(job) => Arrival::At(job.intended_ns.saturating_sub(self.began_ns)),
            None => Arrival::Later(book.look_again_ns(now, options.look_every).saturating_sub(self.began_ns)),
        }
    }

    fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.has_changed(cx.waker()) {
            return Poll::Ready(());
        }
        self.stopped.as_mut().poll(cx)
    }
}

/// What jobs do.
struct Jobs<W> {
    shared: Arc<Shared>,
    work: Arc<W>,
    names: Vec<String>,
}

impl<W: Work> Driver for Jobs<W> {
    type Task = Job;

    fn lanes(&self) -> Vec<String> {
        self.names.clone()
    }

    fn prepare(&mut self, _number: u64) -> Option<Prepared<Job>> {
        let (job, timeout) = self.shared.book.lock().take_chosen()?;
        Some(Prepared { lane: job.plan, trace: job.trace, timeout: Some(timeout), task: job })
    }

    fn run(&self, job: Job, deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        self.shared.book.lock().begin(job.plan);
        let work = Arc::clone(&self.work);
        // Called inside of the future, where a panic is the job's.
        async move { work.run(Job { deadline_ns, ..job }).await }
    }
}

/// What becomes of jobs.
struct Ends<W> {
    shared: Arc<Shared>,
    work: Arc<W>,
}

impl<W: Work> Ends<W> {
    fn end(&self, job: &Job, finished: &Finished) {
        let ending = catch_unwind(AssertUnwindSafe(|| self.work.ended(job, finished)));
        let now = self.shared.now();
        self.shared.book.lock().ended(job.plan, ending.unwrap_or(Ending::Final), now);
    }

    /// Ends what a stop left under way.
    fn cut_off(&self, plans: usize) {
        for plan in 0..plans {
            let Some((job, started_ns)) = self.shared.book.lock().begun(plan) else { continue };
            let now_ns = self.shared.now().ns;
            let finished = Finished {
                lane: plan,
                trace: job.trace,
                intended_ns: job.intended_ns,
                started_ns,
                ended_ns: now_ns,
                first_byte_ns: None,
                bytes: 0,
                outcome: Outcome::failed(FailureClass::Abandoned, Culprit::Observer),
            };
            self.end(&job, &finished);
        }
    }
}

impl<W: Work> Record for Ends<W> {
    fn record(&mut self, finished: &Finished) -> Result<(), SinkFailure> {
        let job = self.shared.book.lock().begun(finished.lane);
        if let Some((job, _)) = job {
            self.end(&job, finished);
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::default()
    }
}
