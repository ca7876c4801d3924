//! The system's clock. Nothing else in this crate reads it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use peermark_core::{Clock, MonotonicNs};

/// The system's monotonic clock, counted from the moment at which this value was made.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    epoch: Instant,
}

impl MonotonicClock {
    /// A clock whose epoch is now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn new() -> Self {
        Self { epoch: Instant::now() }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for MonotonicClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn now_ns(&self) -> MonotonicNs {
        let elapsed = Instant::now().saturating_duration_since(self.epoch);
        // 584 years fit.
        elapsed.as_secs() * 1_000_000_000 + u64::from(elapsed.subsec_nanos())
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_near_zero_and_never_goes_back() {
        let clock = MonotonicClock::new();
        let readings: Vec<u64> = (0..1000).map(|_| clock.now_ns()).collect();
        assert!(readings[0] < 1_000_000_000);
        assert!(readings.is_sorted());
    }
}
