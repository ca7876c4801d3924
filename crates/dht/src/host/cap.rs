//! How often strangers are asked.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peermark_core::Clock;
use tokio::time::Instant;

/// Questions that may be asked at once after a quiet time: those of one lookup.
const BURST: u64 = 64;

/// A bound on the mean rate of questions. The time that it takes away is in front of a question, so a trace shows it as waiting.
pub(super) struct RateCap {
    gap_ns: u64,
    /// The moment up to which the rate is used up.
    used_until_ns: AtomicU64,
}

impl RateCap {
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self { gap_ns: 1_000_000_000 / u64::from(per_second.get()), used_until_ns: AtomicU64::new(0) }
    }

    /// A bound of half the rate.
    pub(super) fn half(per_second: NonZeroU32) -> Self {
        Self { gap_ns: 2_000_000_000 / u64::from(per_second.get()), used_until_ns: AtomicU64::new(0) }
    }

    /// Waits for the right to ask one question. Without it at the deadline the answer is `false`, and the place goes to others.
    pub(super) async fn wait(&self, clock: &dyn Clock, deadline: Instant) -> bool {
        let wait_ns = self.take(clock.now_ns());
        if wait_ns == 0 {
            return true;
        }
        let at = Instant::now() + Duration::from_nanos(wait_ns);
        if at >= deadline {
            self.used_until_ns.fetch_sub(self.gap_ns, Ordering::Relaxed);
            tokio::time::sleep_until(deadline).await;
            return false;
        }
        tokio::time::sleep_until(at).await;
        true
    }

    /// Takes a place at `now_ns`; returns how long it is until then.
    fn take(&self, now_ns: u64) -> u64 {
        let next = |used_until: u64| used_until.max(now_ns) + self.gap_ns;
        let before = self.used_until_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(next(used)));
        let used_until = before.unwrap_or_else(|used| used).max(now_ns);
        used_until.saturating_sub(now_ns).saturating_sub(BURST * self.gap_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_then_the_rate_holds() {
        let cap = RateCap::new(NonZeroU32::new(100).unwrap());
        let waits: Vec<u64> = (0..164).map(|_| cap.take(0)).collect();
        assert!(waits[..64].iter().all(|wait| *wait == 0));
        assert_eq!(waits[163], 990_000_000, "a hundred questions later it is a second later");
        assert_eq!(cap.take(100_000_000_000), 0, "a quiet time gives the burst back");
    }
}
