//! What the tests may use up a day. A run is charged with what its task declares before it starts and with what it used when it ends,
//! so that runs at the same time cannot overdraw together.

use std::time::Duration;

use parking_lot::Mutex;

use crate::config::BudgetConfig;

const DAY_MS: u64 = 86_400_000;

/// What is left of today (UTC, by the wall clock).
pub(crate) struct Budget {
    limits: Limits,
    used: Mutex<Used>,
}

struct Limits {
    bytes: u64,
    cpu: Duration,
}

#[derive(Default)]
struct Used {
    day: u64,
    bytes: u64,
    cpu: Duration,
}

/// What a run is charged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) bytes: u64,
    pub(crate) cpu: Duration,
}

impl Budget {
    pub(crate) fn new(config: BudgetConfig) -> Self {
        let limits = Limits { bytes: config.bytes_per_day.0, cpu: Duration::from_secs(config.cpu_seconds_per_day) };
        Self { limits, used: Mutex::default() }
    }

    /// Charges a run with what it is expected to use, or says why it does not fit. What it needs nothing of is not asked after.
    pub(crate) fn take(&self, expected: Cost, now_ms: u64) -> Result<(), String> {
        let mut used = self.used.lock();
        used.turn_to(now_ms);
        if expected.bytes > 0 && used.bytes.saturating_add(expected.bytes) > self.limits.bytes {
            return Err(refusal(expected.bytes > self.limits.bytes, &format!("{} bytes", self.limits.bytes)));
        }
        if !expected.cpu.is_zero() && used.cpu.saturating_add(expected.cpu) > self.limits.cpu {
            let limit = format!("{} s of CPU time", self.limits.cpu.as_secs());
            return Err(refusal(expected.cpu > self.limits.cpu, &limit));
        }
        used.bytes += expected.bytes;
        used.cpu += expected.cpu;
        Ok(())
    }

    /// Replaces what a run was expected to use by what it used.
    pub(crate) fn settle(&self, expected: Cost, actual: Cost, now_ms: u64) {
        let mut used = self.used.lock();
        if used.turn_to(now_ms) {
            // It began yesterday: what it was charged with went with the day.
            return;
        }
        used.bytes = used.bytes.saturating_sub(expected.bytes).saturating_add(actual.bytes);
        used.cpu = used.cpu.saturating_sub(expected.cpu).saturating_add(actual.cpu);
    }
}

/// Why a run does not fit: today or never.
fn refusal(never: bool, limit: &str) -> String {
    match never {
        true => format!("one run needs more than the daily budget of {limit}: raise monitor.budget"),
        false => format!("the daily budget of {limit} is used up"),
    }
}

impl Used {
    /// Begins another day where it is another one; whether it is. A clock that is set back by hours does not give a day anew; one that
    /// was days ahead and is put right does.
    fn turn_to(&mut self, now_ms: u64) -> bool {
        let day = now_ms / DAY_MS;
        let another = day > self.day || day + 1 < self.day;
        if another {
            *self = Self { day, ..Self::default() };
        }
        another
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::ByteSize;

    use super::*;

    const NOON: u64 = 20_000 * DAY_MS + DAY_MS / 2;

    fn budget() -> Budget {
        Budget::new(BudgetConfig { bytes_per_day: ByteSize(100), cpu_seconds_per_day: 10 })
    }

    fn cost(bytes: u64, cpu_s: u64) -> Cost {
        Cost { bytes, cpu: Duration::from_secs(cpu_s) }
    }

    #[test]
    fn runs_fit_until_it_is_used_up_and_again_the_next_day() {
        let budget = budget();
        assert_eq!(budget.take(cost(60, 1), NOON), Ok(()));
        assert!(budget.take(cost(60, 1), NOON).unwrap_err().contains("100 bytes"));
        assert!(budget.take(cost(1, 10), NOON).unwrap_err().contains("10 s of CPU"));
        assert_eq!(budget.take(cost(60, 1), NOON + DAY_MS), Ok(()));
        // Back to yesterday: nothing is given anew. A clock that was far ahead is another matter.
        assert!(budget.take(cost(60, 1), NOON).is_err());
        assert_eq!(budget.take(cost(60, 1), NOON - 300 * DAY_MS), Ok(()));
    }

    #[test]
    fn who_needs_nothing_of_what_is_used_up_still_runs() {
        let budget = budget();
        budget.take(cost(90, 1), NOON).unwrap();
        budget.settle(cost(90, 1), cost(5_000, 1), NOON);
        assert!(budget.take(cost(1, 1), NOON).is_err());
        assert_eq!(budget.take(cost(0, 1), NOON), Ok(()));
    }

    #[test]
    fn what_was_not_used_is_given_back() {
        let budget = budget();
        budget.take(cost(90, 9), NOON).unwrap();
        budget.settle(cost(90, 9), cost(10, 2), NOON + 1);
        assert_eq!(budget.take(cost(90, 8), NOON + 2), Ok(()));
        assert!(budget.take(cost(1, 0), NOON + 3).is_err());
    }

    #[test]
    fn a_run_over_midnight_does_not_credit_the_new_day() {
        let budget = budget();
        budget.take(cost(90, 0), NOON).unwrap();
        budget.settle(cost(90, 0), cost(0, 0), NOON + DAY_MS);
        assert_eq!(budget.take(cost(100, 0), NOON + DAY_MS), Ok(()));
        assert!(budget.take(cost(1, 0), NOON + DAY_MS).is_err());
    }
}
