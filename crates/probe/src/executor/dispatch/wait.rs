//! Waiting: for a moment, for the end of an operation, for a change of mind.

use std::future::poll_fn;
use std::task::{Context, Poll};

use peermark_core::MonotonicNs;

use super::Dispatcher;
use crate::executor::ExecuteError;
use crate::pacer::{Others, Pace};
use crate::recorder::Record;
use crate::schedule::Arrivals;

impl<P: Pace, R: Record> Dispatcher<'_, P, R> {
    /// Waits while nothing is wanted: until a moment, the end of an operation or a change of the arrivals. `false` when the window is
    /// over or a stop was asked for.
    pub(super) async fn let_pass(
        &mut self,
        at_ns: MonotonicNs,
        arrivals: &mut impl Arrivals,
    ) -> Result<bool, ExecuteError> {
        let end_ns = self.execution.window.end_ns;
        let at_ns = at_ns.min(end_ns).min(self.watch_ns);
        let now_ns = poll_fn(|cx| match arrivals.poll_changed(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(self.clock.now_ns())),
            Poll::Pending => self.poll_wait(at_ns, cx),
        })
        .await?;
        Ok(!self.shall_stop(now_ns) && now_ns < end_ns)
    }

    /// Waits for a moment, but no longer than until an operation ends or it is time to watch. Returns what the clock shows then.
    pub(super) async fn wait(&mut self, at_ns: MonotonicNs) -> Result<MonotonicNs, ExecuteError> {
        let at_ns = at_ns.min(self.watch_ns);
        poll_fn(|cx| self.poll_wait(at_ns, cx)).await
    }

    fn poll_wait(&mut self, at_ns: MonotonicNs, cx: &mut Context<'_>) -> Poll<Result<MonotonicNs, ExecuteError>> {
        let mut ended = false;
        while let Poll::Ready(Some(joined)) = self.running.poll_join_next(cx) {
            self.record_joined(joined)?;
            ended = true;
        }
        let others = if self.running.is_empty() { Others::None } else { Others::InFlight };
        match self.engine.pacer.poll_until(at_ns, others, cx)? {
            Poll::Ready(now_ns) => Poll::Ready(Ok(now_ns)),
            Poll::Pending if ended => Poll::Ready(Ok(self.clock.now_ns())),
            Poll::Pending => Poll::Pending,
        }
    }
}
