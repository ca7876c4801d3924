//! How a percentile changed from one stretch of time to another, where one system is watched and nothing is repeated.
//!
//! Runs that can be repeated are compared by [`compare`](crate::compare()). Here there is one sample before and one after, both
//! autocorrelated; what is known about each is the interval of its percentile, and the ratio's interval follows from both.

use crate::compare::Verdict;
use crate::quantile::{Latencies, Quantile};

/// A ratio of two percentiles with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The later percentile divided by the earlier one.
    pub ratio: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Percentile `q` of `now` relative to `before`; `None` where either has no percentile with a closed interval: too few values, too few
/// slices of time, or among failures.
///
/// The interval is MOVER's (Zou & Donner, Statistics in Medicine 27, 2008) on logarithms: the distance from each percentile to its
/// own limit stands for its standard error, and the two are added in squares. Both samples are taken as independent of each other.
pub fn change(now: &Latencies, before: &Latencies, q: f64, confidence: f64) -> Option<Change> {
    let now = Closed::of(now.quantile(q, confidence).quantile?)?;
    let before = Closed::of(before.quantile(q, confidence).quantile?)?;
    let ratio = now.value - before.value;
    let down = (now.value - now.low).hypot(before.high - before.value);
    let up = (now.high - now.value).hypot(before.value - before.low);
    Some(Change { ratio: ratio.exp(), low: (ratio - down).exp(), high: (ratio + up).exp() })
}

impl Change {
    /// What may be said where less is better: better or worse where the interval excludes no change and the change is at least
    /// `min_effect` (0.05 for 5 %); no difference where the whole interval is within it; otherwise that the data do not tell.
    pub fn verdict(&self, min_effect: f64) -> Verdict {
        let (least, most) = (1.0 / (1.0 + min_effect), 1.0 + min_effect);
        if self.low > 1.0 && self.ratio >= most {
            Verdict::Worse
        } else if self.high < 1.0 && self.ratio <= least {
            Verdict::Better
        } else if self.low > least && self.high < most {
            Verdict::NoDifference
        } else {
            Verdict::NotEnoughData
        }
    }
}

/// Logarithms of a percentile and both of its limits.
struct Closed {
    value: f64,
    low: f64,
    high: f64,
}

impl Closed {
    fn of(quantile: Quantile) -> Option<Self> {
        let Quantile { value, low: Some(low), high: Some(high), censored: false } = quantile else { return None };
        let logarithm = |ns: u64| (ns.max(1) as f64).ln();
        Some(Self { value: logarithm(value), low: logarithm(low), high: logarithm(high) })
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::Seed;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::slices::TimeSlices;

    /// `n` latencies around `median_ms` with a factor of about two between quartiles, evenly over 64 seconds.
    fn sample(seed: u64, n: u64, median_ms: f64) -> Latencies {
        let mut random = Seed(seed).stream("sample");
        let mut slices = TimeSlices::new(0, 1_000_000_000);
        for index in 0..n {
            let normal: f64 = StandardNormal.sample(&mut random);
            slices.record(index * 64_000_000_000 / n, (median_ms * 1e6 * (0.5 * normal).exp()) as u64);
        }
        Latencies::new(slices.as_slice(), 10_000_000_000)
    }

    #[test]
    fn the_interval_holds_the_true_ratio_about_as_often_as_it_says() {
        for (q, truth) in [(0.5, 1.0), (0.9, 1.2)] {
            let rounds = 300;
            let holds = (0..rounds).filter(|round| {
                let now = sample(2 * round, 800, 20.0 * truth);
                let found = change(&now, &sample(2 * round + 1, 800, 20.0), q, 0.95).unwrap();
                (found.low..=found.high).contains(&truth)
            });
            let share = holds.count() as f64 / rounds as f64;
            assert!(share >= 0.93, "q {q}: {share}");
        }
    }

    #[test]
    fn a_large_change_is_said_and_none_is_rarely_called_one() {
        let verdict = |seed: u64, factor: f64| {
            let now = sample(2 * seed, 1_000, 20.0 * factor);
            change(&now, &sample(2 * seed + 1, 1_000, 20.0), 0.5, 0.95).unwrap().verdict(0.05)
        };
        let rounds = 200;
        let said = |factor: f64, word: Verdict| (0..rounds).filter(|seed| verdict(*seed, factor) == word).count();
        assert_eq!(said(1.5, Verdict::Worse), rounds as usize);
        assert_eq!(said(0.6, Verdict::Better), rounds as usize);
        assert!(
            said(1.0, Verdict::Worse) + said(1.0, Verdict::Better) <= 14,
            "one in twenty, and three standard errors"
        );
    }

    #[test]
    fn a_verdict_needs_the_interval_and_the_size() {
        assert_eq!(Change { ratio: 1.01, low: 0.99, high: 1.03 }.verdict(0.05), Verdict::NoDifference);
        assert_eq!(Change { ratio: 1.2, low: 0.9, high: 1.6 }.verdict(0.05), Verdict::NotEnoughData);
        assert_eq!(Change { ratio: 1.04, low: 1.01, high: 1.07 }.verdict(0.05), Verdict::NotEnoughData);
        assert_eq!(Change { ratio: 1.1, low: 1.02, high: 1.19 }.verdict(0.05), Verdict::Worse);
        assert_eq!(Change { ratio: 0.9, low: 0.8, high: 0.99 }.verdict(0.05), Verdict::Better);
    }

    #[test]
    fn no_ratio_without_both_percentiles() {
        let (few, enough) = (sample(1, 20, 20.0), sample(2, 800, 20.0));
        assert_eq!(change(&enough, &few, 0.9, 0.95), None);
        assert_eq!(change(&few, &enough, 0.9, 0.95), None);
    }
}
