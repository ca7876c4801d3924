//! Whether the wall clock can be believed when it says that attempts are old.
//!
//! A clock that leaps ahead (a machine that wakes with a wrong one, a mistyped date) would make everything old at once. So after a
//! leap, either way, nothing goes by age for a day of the monotonic clock: time enough to set it right. Who restarts meanwhile begins anew with
//! what the newest record says.

use peermark_core::MonotonicNs;

use super::days::DAY_NS;
use super::open::DAY_MS;

/// From one record to the next, or to now: what is longer is a leap. Longer than any pause between two attempts of the default tasks.
const LEAP_MS: u64 = 2 * DAY_MS;

/// What is known of the wall clock.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// The last wall time that was believed.
    believed_ms: Option<u64>,
    /// When a leap was first seen, by the monotonic clock.
    leapt_ns: Option<MonotonicNs>,
}

impl Trust {
    /// The newest record ended at this time, where there is one.
    pub(super) fn since(newest_ms: Option<u64>) -> Self {
        Self { believed_ms: newest_ms, leapt_ns: None }
    }

    /// Whether `wall_ms` can be believed at this moment of the monotonic clock.
    pub(super) fn believes(&mut self, wall_ms: u64, now_ns: MonotonicNs) -> bool {
        let leap = self.believed_ms.is_some_and(|believed| wall_ms.abs_diff(believed) > LEAP_MS);
        if !leap {
            self.leapt_ns = None;
            return true;
        }
        let leapt_ns = *self.leapt_ns.get_or_insert(now_ns);
        now_ns.saturating_sub(leapt_ns) >= DAY_NS
    }

    /// An attempt that ended at `wall_ms` was stored.
    pub(super) fn note(&mut self, wall_ms: u64, now_ns: MonotonicNs) {
        if self.believes(wall_ms, now_ns) {
            *self = Self::since(Some(wall_ms));
        }
    }

    /// The last wall time that was believed.
    pub(super) fn believed_ms(&self) -> Option<u64> {
        self.believed_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_believed_after_a_day() {
        let mut trust = Trust::default();
        assert!(trust.believes(u64::MAX, 0), "nothing is known");
        trust.note(DAY_MS, 0);
        assert!(trust.believes(3 * DAY_MS, 5));
        assert!(!trust.believes(3 * DAY_MS + 1, 10));
        trust.note(4 * DAY_MS, 20);
        assert!(!trust.believes(4 * DAY_MS, DAY_NS + 9), "attempts of the leap prove nothing");
        assert_eq!(trust.believed_ms(), Some(DAY_MS));
        assert!(trust.believes(4 * DAY_MS, DAY_NS + 10));
        trust.note(4 * DAY_MS, DAY_NS + 10);
        assert_eq!(trust.believed_ms(), Some(4 * DAY_MS));
    }

    #[test]
    fn a_clock_that_comes_back_is_believed_at_once() {
        let mut trust = Trust::since(Some(DAY_MS));
        trust.note(9 * DAY_MS, 0);
        trust.note(DAY_MS + 5, 1);
        assert!(trust.believes(2 * DAY_MS, 2) && !trust.believes(9 * DAY_MS, 3));
        assert!(!trust.believes(9 * DAY_MS, DAY_NS + 2), "the first leap is over and done with");
    }

    #[test]
    fn one_attempt_of_1970_changes_nothing() {
        let mut trust = Trust::since(Some(9_000 * DAY_MS));
        trust.note(5, 0);
        assert!(trust.believes(9_001 * DAY_MS, 1));
        trust.note(5, 2);
        trust.note(6, DAY_NS + 2);
        assert_eq!(trust.believed_ms(), Some(6), "unless it stays there for a day");
    }
}
