//! Quantiles over a sliding day.
//!
//! One histogram an hour, 25 of them: a value is seen for 24 to 25 hours. Hours that are over are kept encoded, a few hundred bytes
//! each. A quantile is the smallest value with at least that share of the day's values at or below it, within 1 % (the histogram's
//! precision). Prometheus's own client keeps a decaying sketch whose error is per rank; what is shown here is the rank itself.

use std::collections::VecDeque;

use peermark_core::{Histogram, MonotonicNs};

/// Length of a slice.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Hours that are over and still count.
const PAST_HOURS: u64 = 24;

/// The quantiles of parsec's summary.
pub(super) const QUANTILES: [(f64, &str); 4] = [(0.5, "0.5"), (0.9, "0.9"), (0.95, "0.95"), (0.99, "0.99")];

/// One summary.
#[derive(Debug, Default)]
pub(super) struct Summary {
    hour: u64,
    current: Histogram,
    past: VecDeque<(u64, Vec<u8>)>,
    count: u64,
    sum_ns: u128,
}

impl Summary {
    pub(super) fn record(&mut self, ns: u64, now_ns: MonotonicNs) {
        self.turn(now_ns);
        self.current.record(ns);
        self.count += 1;
        self.sum_ns += u128::from(ns);
    }

    /// The values of [`QUANTILES`] in seconds; not a number where the day has no value, as Prometheus writes it.
    pub(super) fn quantiles(&mut self, now_ns: MonotonicNs) -> [f64; QUANTILES.len()] {
        self.turn(now_ns);
        let mut day = self.current.clone();
        for (_, bytes) in &self.past {
            day.merge(&Histogram::decode(bytes).expect("what a histogram encodes it decodes"));
        }
        QUANTILES.map(|(share, _)| {
            let rank = (share * day.len() as f64).ceil() as u64;
            day.value_at_rank(rank.max(1)).map_or(f64::NAN, |ns| ns as f64 / 1e9)
        })
    }

    /// Values since the start.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, in seconds.
    pub(super) fn sum_seconds(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    fn turn(&mut self, now_ns: MonotonicNs) {
        let hour = now_ns / HOUR_NS;
        if hour > self.hour {
            if !self.current.is_empty() {
                self.past.push_back((self.hour, self.current.encode()));
                self.current = Histogram::new();
            }
            self.hour = hour;
        }
        while self.past.front().is_some_and(|(past, _)| past + PAST_HOURS < hour) {
            self.past.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() <= 0.01 * expected
    }

    #[test]
    fn quantiles_are_ranks_of_the_last_day() {
        let mut summary = Summary::default();
        // A hundred values over ten hours, 1 to 100 s.
        for n in 1..=100 {
            summary.record(n * SECOND, n * HOUR_NS / 10);
        }
        let found = summary.quantiles(10 * HOUR_NS);
        for (found, expected) in found.into_iter().zip([50.0, 90.0, 95.0, 99.0]) {
            assert!(near(found, expected), "{found} for {expected}");
        }
        assert_eq!((summary.count(), summary.sum_seconds()), (100, 5050.0));
    }

    #[test]
    fn what_is_older_than_a_day_no_longer_counts_but_stays_in_the_totals() {
        let mut summary = Summary::default();
        summary.record(100 * SECOND, 0);
        summary.record(SECOND, 12 * HOUR_NS);
        assert!(near(summary.quantiles(24 * HOUR_NS)[3], 100.0), "a full day is seen");
        assert!(near(summary.quantiles(25 * HOUR_NS)[3], 1.0));
        assert!(summary.quantiles(100 * HOUR_NS).iter().all(|value| value.is_nan()));
        assert_eq!((summary.count(), summary.sum_seconds()), (2, 101.0));
        assert!(summary.past.is_empty());
    }

    #[test]
    fn a_year_of_values_takes_a_bounded_number_of_slices() {
        let mut summary = Summary::default();
        for hour in 0..24 * 365 {
            summary.record(SECOND, hour * HOUR_NS);
            assert!(summary.past.len() as u64 <= PAST_HOURS);
        }
    }
}
