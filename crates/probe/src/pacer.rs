//! Waiting for a moment, exactly, while I/O goes on.
//!
//! Runtime timers have a grain of a millisecond and overshoot it; a thread that only spins starves the sockets that it shares a core
//! with. [`PrecisePacer`] therefore waits in three stages: asleep on a `timerfd` while the moment is far, spinning *through the
//! runtime* (which polls the sockets on every turn) when it is near, and spinning on the clock alone for the last microseconds,
//! where one more look at the sockets would itself make the start late.

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long before a moment the thread stops sleeping: above what waking up takes on a virtual machine (50 to 90 us measured), so
/// that a sleep does not make a start late.
const WAKE_BEFORE_NS: u64 = 100_000;

/// How long before a moment only the clock is looked at while operations are in flight: above what the runtime takes to read and
/// record one answer (11 us measured), which would otherwise make the next start late. What arrives within it is seen that much
/// later, which bounds the error that this adds to a latency.
const LAST_NS: u64 = 20_000;

/// Share of the time between two moments that this may take at most, as a divisor: the sockets come first at high rates.
const LAST_SHARE: u64 = 5;

/// The longest single sleep of a [`RelaxedPacer`].
const FAR: Duration = Duration::from_secs(60);

/// Whether anything else on the thread waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Nothing: looking at the clock alone costs nobody anything.
    None,
    /// Operations, which wait for their sockets.
    InFlight,
}

/// How often an execution looks whether it shall stop, unless its pacer says otherwise.
pub const WATCH_NS: u64 = 250_000_000;

/// Waits for moments of one clock.
pub trait Pace: Send {
    /// The clock.
    fn clock(&self) -> &Arc<dyn Clock>;

    /// Ready once the clock has reached `at_ns`, with the reading that showed it. Else the task will be woken to ask again; it may ask for another moment then.
    ///
    /// # Errors
    /// What the system said about the timer.
    fn poll_until(&mut self, at_ns: MonotonicNs, others: Others, cx: &mut Context<'_>)
    -> Poll<io::Result<MonotonicNs>>;

    /// How often an execution looks whether it shall stop, though nothing is due; it shows its numbers every second time.
    fn watch_ns(&self) -> u64 {
        WATCH_NS
    }
}

/// Waits within a microsecond, on a runtime with I/O enabled. Meant for a thread of its own.
pub struct PrecisePacer {
    clock: Arc<dyn Clock>,
    timer: AsyncFd<OwnedFd>,
    armed_ns: Option<MonotonicNs>,
    /// The last moment that came.
    reached_ns: MonotonicNs,
}

impl PrecisePacer {
    /// A pacer on `clock`, which has to run at the speed of the system's.
    ///
    /// # Errors
    /// What the system said about creating or watching the timer.
    #[expect(
        deprecated,
        reason = "its replacement is an unsafe fn for the caller to vouch that the descriptor is owned and stays; an OwnedFd that \
                  is never handed out mutably is and does"
    )]
    pub fn new(clock: Arc<dyn Clock>) -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { clock, timer: AsyncFd::new(timer)?, armed_ns: None, reached_ns: 0 })
    }

    /// Sleeps on the timer until about `wake_at_ns`.
    fn poll_timer(&mut self, now_ns: u64, wake_at_ns: MonotonicNs, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.armed_ns != Some(wake_at_ns) {
            let after = Timespec::try_from(Duration::from_nanos(wake_at_ns - now_ns)).map_err(io::Error::other)?;
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: after };
            timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &once)?;
            self.armed_ns = Some(wake_at_ns);
        }
        let mut expired = ready!(self.timer.poll_read_ready(cx))?;
        let mut count = [0; 8];
        match rustix::io::read(expired.get_inner(), &mut count) {
            Ok(_) => self.armed_ns = None,
            // Left over from a moment that was given up.
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => return Poll::Ready(Err(error.into())),
        }
        expired.clear_ready();
        Poll::Ready(Ok(()))
    }
}

impl Pace for PrecisePacer {
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn poll_until(
        &mut self,
        at_ns: MonotonicNs,
        others: Others,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<MonotonicNs>> {
        let last_ns = match others {
            Others::None => WAKE_BEFORE_NS,
            Others::InFlight => LAST_NS.min(at_ns.saturating_sub(self.reached_ns) / LAST_SHARE),
        };
        loop {
            let mut now_ns = self.clock.now_ns();
            match at_ns.saturating_sub(now_ns) {
                left if left <= last_ns => {
                    while now_ns < at_ns {
                        std::hint::spin_loop();
                        now_ns = self.clock.now_ns();
                    }
                    self.reached_ns = at_ns;
                    return Poll::Ready(Ok(now_ns));
                }
                // Wakes this task again after everything else had its turn and the sockets were looked at.
                left if left <= WAKE_BEFORE_NS => {
                    ready!(pin!(tokio::task::yield_now()).poll(cx));
                }
                _ => ready!(self.poll_timer(now_ns, at_ns - WAKE_BEFORE_NS, cx))?,
            }
        }
    }
}

/// Waits on the runtime's timer, a millisecond or two too long, and never spins: for schedules that do not mind, in a process that
/// does something else.
pub struct RelaxedPacer {
    clock: Arc<dyn Clock>,
    sleep: Option<(MonotonicNs, Pin<Box<Sleep>>)>,
}

impl RelaxedPacer {
    /// A pacer on `clock`, which has to run at the speed of the runtime's.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, sleep: None }
    }
}

impl Pace for RelaxedPacer {
    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn poll_until(&mut self, at_ns: MonotonicNs, _: Others, cx: &mut Context<'_>) -> Poll<io::Result<MonotonicNs>> {
        loop {
            let now_ns = self.clock.now_ns();
            if now_ns >= at_ns {
                return Poll::Ready(Ok(now_ns));
            }
            let due = || Instant::now() + Duration::from_nanos(at_ns - now_ns).min(FAR);
            let (until_ns, sleep) = self.sleep.get_or_insert_with(|| (at_ns, Box::pin(sleep_until(due()))));
            if *until_ns != at_ns {
                *until_ns = at_ns;
                sleep.as_mut().reset(due());
            }
            ready!(sleep.as_mut().poll(cx));
            // The two clocks may disagree by a little: then it sleeps once more.
            self.sleep = None;
        }
    }

    /// Whoever waits at leisure has other means to hear of a stop: every wake-up costs.
    fn watch_ns(&self) -> u64 {
        FAR.as_secs() * 1_000_000_000
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::clock::MonotonicClock;

    /// The clock of a paused runtime.
    struct VirtualClock(Instant);

    impl Clock for VirtualClock {
        fn now_ns(&self) -> MonotonicNs {
            self.0.elapsed().as_nanos() as u64
        }
        fn wall_ms(&self) -> u64 {
            0
        }
    }

    /// Waits in the virtual time of a paused runtime, with its grain of a millisecond.
    pub(crate) struct VirtualPacer {
        clock: Arc<dyn Clock>,
        epoch: Instant,
        sleep: Option<(MonotonicNs, Pin<Box<Sleep>>)>,
    }

    impl VirtualPacer {
        pub(crate) fn new() -> Self {
            let epoch = Instant::now();
            Self { clock: Arc::new(VirtualClock(epoch)), epoch, sleep: None }
        }
    }

    impl Pace for VirtualPacer {
        fn clock(&self) -> &Arc<dyn Clock> {
            &self.clock
        }
        fn poll_until(&mut self, at_ns: MonotonicNs, _: Others, cx: &mut Context<'_>) -> Poll<io::Result<MonotonicNs>> {
            if self.clock.now_ns() >= at_ns {
                return Poll::Ready(Ok(self.clock.now_ns()));
            }
            if self.sleep.as_ref().is_none_or(|(until, _)| *until != at_ns) {
                let sleep = sleep_until(self.epoch + Duration::from_nanos(at_ns));
                self.sleep = Some((at_ns, Box::pin(sleep)));
            }
            let (_, sleep) = self.sleep.as_mut().unwrap();
            sleep.as_mut().poll(cx).map(|()| Ok(self.clock.now_ns()))
        }
    }

    #[tokio::test]
    async fn relaxed_moments_are_never_early_and_may_change() {
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let mut pacer = RelaxedPacer::new(Arc::clone(&clock));
        let far = poll_fn(|cx| Poll::Ready(pacer.poll_until(u64::MAX / 2, Others::None, cx).is_pending())).await;
        assert!(far);
        for gap_ns in [0, 1_000, 300_000, 2_000_000, 20_000_000] {
            let due = clock.now_ns() + gap_ns;
            let read_ns = poll_fn(|cx| pacer.poll_until(due, Others::InFlight, cx)).await.unwrap();
            assert!(read_ns >= due && clock.now_ns() >= due);
        }
    }

    #[tokio::test]
    async fn moments_are_never_early_and_may_change() {
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let mut pacer = PrecisePacer::new(Arc::clone(&clock)).unwrap();
        // One poll for a far moment arms the timer; the near ones after it have to come all the same.
        let far = poll_fn(|cx| Poll::Ready(pacer.poll_until(u64::MAX / 2, Others::InFlight, cx).is_pending())).await;
        assert!(far);
        for others in [Others::None, Others::InFlight] {
            for gap_ns in [0, 1_000, 50_000, 300_000, 2_000_000] {
                let due = clock.now_ns() + gap_ns;
                poll_fn(|cx| pacer.poll_until(due, others, cx)).await.unwrap();
                assert!(clock.now_ns() >= due);
            }
        }
    }
}
