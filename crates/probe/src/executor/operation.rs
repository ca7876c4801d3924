//! One operation, from its start to its end.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use peermark_core::{Clock, Culprit, FailureClass, MonotonicNs, Outcome};
use tokio::time::{Instant, timeout_at};

use crate::driver::Done;
use crate::recorder::Finished;

/// What is fixed before an operation starts.
#[derive(Clone, Copy)]
pub(super) struct Planned {
    pub(super) lane: usize,
    pub(super) trace: u64,
    pub(super) intended_ns: MonotonicNs,
    pub(super) deadline_ns: MonotonicNs,
    /// The same moment on the runtime's clock, which has a grain of a millisecond.
    pub(super) deadline: Instant,
}

/// An operation that ended, and whether by a panic.
pub(super) struct Ended {
    pub(super) finished: Finished,
    pub(super) panicked: bool,
}

impl Planned {
    /// Does the operation, which starts at `started_ns`: the caller polls this future at once.
    pub(super) async fn run(
        self,
        started_ns: MonotonicNs,
        work: impl Future<Output = Done>,
        clock: Arc<dyn Clock>,
    ) -> Ended {
        let done = timeout_at(self.deadline, unpanicked(work)).await;
        let ended_ns = clock.now_ns();
        let panicked = matches!(done, Ok(None));
        let done = match done {
            // Complete, but not by the deadline: the runtime's timer is coarser than the clock.
            Ok(Some(done)) if done.outcome.is_ok() && ended_ns > self.deadline_ns => timed_out(),
            Ok(Some(done)) => done,
            Ok(None) => Done::failed(FailureClass::Panicked, Culprit::Observer),
            Err(_elapsed) => timed_out(),
        };
        let ended_ns = match done.outcome.class() {
            Some(FailureClass::Timeout) => self.deadline_ns.max(started_ns),
            _ => ended_ns,
        };
        Ended { finished: self.finished(started_ns, ended_ns, done), panicked }
    }

    /// The operation as turned away at `now_ns`.
    pub(super) fn refused(self, now_ns: MonotonicNs) -> Finished {
        self.finished(now_ns, now_ns, Done::failed(FailureClass::NotSent, Culprit::Observer))
    }

    fn finished(self, started_ns: MonotonicNs, ended_ns: MonotonicNs, done: Done) -> Finished {
        Finished {
            lane: self.lane,
            trace: self.trace,
            intended_ns: self.intended_ns,
            started_ns,
            ended_ns,
            first_byte_ns: done.first_byte_ns,
            bytes: if done.outcome == Outcome::Ok { done.bytes } else { 0 },
            outcome: done.outcome,
        }
    }
}

fn timed_out() -> Done {
    Done::failed(FailureClass::Timeout, Culprit::Peer)
}

/// The output of `work`, or `None` if it panicked. The driver's shared state is behind locks that survive poisoning, so going on
/// is safe; the panic was printed by the process's hook.
async fn unpanicked<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(_panic) => Poll::Ready(None),
    })
    .await
}
