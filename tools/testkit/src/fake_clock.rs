//! A clock that a test turns by hand.
//!
//! It stands still until it is advanced, so that a test of a schedule or a deadline states its moments exactly and never waits.
//! Both readings move together; only the epoch differs, as with a real clock that nobody adjusts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs};

const NS_PER_MS: u64 = 1_000_000;

/// The wall time at which a [`FakeClock`] starts unless told otherwise: 2026-01-01T00:00:00Z, in milliseconds since the Unix
/// epoch. A fixed date, so that what a test writes down is the same on every day.
pub const START_WALL_MS: u64 = 1_767_225_600_000;

/// A [`Clock`] in virtual time. Share it in an `Arc` between the test and what it tests.
#[derive(Debug)]
pub struct FakeClock {
    now_ns: AtomicU64,
    start_wall_ms: u64,
}

impl FakeClock {
    /// A clock at 0 ns, and at [`START_WALL_MS`] on the wall.
    pub fn new() -> Self {
        Self::starting_at(START_WALL_MS)
    }

    /// A clock at 0 ns, and at `wall_ms` milliseconds since the Unix epoch on the wall.
    pub fn starting_at(wall_ms: u64) -> Self {
        Self { now_ns: AtomicU64::new(0), start_wall_ms: wall_ms }
    }

    /// Moves the clock forward and returns the new reading. There is no way back: the contract of [`Clock`] has none.
    ///
    /// # Panics
    ///
    /// When the reading would pass `u64::MAX` nanoseconds, which is 584 years.
    pub fn advance(&self, by: Duration) -> MonotonicNs {
        let by = u64::try_from(by.as_nanos()).expect("a test advances by less than 584 years");
        let before = self.now_ns.fetch_add(by, Ordering::SeqCst);
        before.checked_add(by).expect("a test's clock stays below 584 years")
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now_ns(&self) -> MonotonicNs {
        self.now_ns.load(Ordering::SeqCst)
    }

    fn wall_ms(&self) -> u64 {
        self.start_wall_ms + self.now_ns() / NS_PER_MS
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn it_stands_still_until_it_is_advanced() {
        let clock = FakeClock::new();
        assert_eq!((clock.now_ns(), clock.wall_ms()), (0, START_WALL_MS));
        assert_eq!((clock.now_ns(), clock.wall_ms()), (0, START_WALL_MS));

        assert_eq!(clock.advance(Duration::from_micros(1_500)), 1_500_000);
        assert_eq!((clock.now_ns(), clock.wall_ms()), (1_500_000, START_WALL_MS + 1));
    }

    #[test]
    fn parts_of_a_millisecond_add_up_on_the_wall() {
        let clock = FakeClock::starting_at(7);
        for _ in 0..4 {
            clock.advance(Duration::from_micros(250));
        }
        assert_eq!(clock.wall_ms(), 8);
    }

    #[test]
    fn advances_from_many_threads_all_count() {
        let clock = Arc::new(FakeClock::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|_| _ = clock.advance(Duration::from_nanos(3))));
            }
        });
        let shared: Arc<dyn Clock> = clock;
        assert_eq!(shared.now_ns(), 12_000);
    }

    #[test]
    #[should_panic(expected = "below 584 years")]
    fn running_out_of_nanoseconds_is_a_fault_of_the_test() {
        let clock = FakeClock::new();
        clock.advance(Duration::from_nanos(u64::MAX));
        clock.advance(Duration::from_nanos(1));
    }
}
