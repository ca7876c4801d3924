//! Intervals for shares, such as the share of operations that failed.

use crate::absent::Absent;
use crate::dispersion::dispersion;
use crate::slices::Slice;
use crate::special::{normal_quantile, student_quantile};

/// An interval of a share, both ends within 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A share with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proportion {
    /// The share, 0 to 1.
    pub ratio: f64,
    /// Its interval, where autocorrelation allows one.
    pub interval: Option<Interval>,
    /// Why there is no interval.
    pub absent: Option<Absent>,
}

/// Wilson's score interval for `hits` of `n` independent trials; `None` without trials or with more hits than trials.
///
/// Source: Wilson 1927; recommended over the normal interval by Brown, Cai & DasGupta 2001.
pub fn wilson(hits: u64, n: u64, confidence: f64) -> Option<Interval> {
    if n == 0 || hits > n || !(confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    Some(score_interval(hits as f64 / n as f64, n as f64, normal_quantile(f64::midpoint(1.0, confidence))))
}

/// Share of failures in `slices` (contiguous, in the order of time); `None` without values.
///
/// Failures come in bursts, so Wilson's interval is taken at the effective sample size that batch means over slices give, never
/// above the real one.
pub fn error_ratio(slices: &[Slice], confidence: f64) -> Option<Proportion> {
    let failures: Vec<u64> = slices.iter().map(|slice| slice.censored).collect();
    let counts: Vec<u64> = slices.iter().map(Slice::count).collect();
    let n = counts.iter().sum::<u64>();
    if n == 0 || !(confidence > 0.0 && confidence < 1.0) {
        return None;
    }
    let ratio = failures.iter().sum::<u64>() as f64 / n as f64;
    Some(match dispersion(&failures, &counts) {
        Ok(found) => {
            let t = student_quantile(f64::midpoint(1.0, confidence), found.degrees);
            let interval = score_interval(ratio, n as f64 / found.inflation.max(1.0), t);
            Proportion { ratio, interval: Some(interval), absent: None }
        }
        Err(absent) => Proportion { ratio, interval: None, absent: Some(absent) },
    })
}

fn score_interval(ratio: f64, n: f64, z: f64) -> Interval {
    let z2 = z * z;
    let centre = (ratio + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = z / (1.0 + z2 / n) * (ratio * (1.0 - ratio) / n + z2 / (4.0 * n * n)).sqrt();
    // With no hit, or nothing but hits, one end is exact; rounding must not move it.
    let low = if ratio == 0.0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if ratio == 1.0 { 1.0 } else { (centre + half).min(1.0) };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(ok: u64, failed: u64) -> Slice {
        let mut slice = Slice::starting_at(0);
        slice.histogram.record_n(1_000, ok);
        slice.censored = failed;
        slice
    }

    #[test]
    fn wilson_agrees_with_published_values() {
        // Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (hits, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let found = wilson(hits, n, 0.95).unwrap();
            assert!((found.low - low).abs() < 1e-4 && (found.high - high).abs() < 1e-4, "{hits}/{n}: {found:?}");
        }
        assert_eq!(wilson(0, 0, 0.95), None);
        assert_eq!(wilson(3, 2, 0.95), None);
        assert_eq!(wilson(1, 2, 1.0), None);
    }

    #[test]
    fn failures_in_bursts_give_a_wider_interval() {
        let steady: Vec<Slice> = (0..48).map(|i| slice(98, 1 + i % 3)).collect();
        let bursts: Vec<Slice> = (0..48).map(|i| if i % 12 == 5 { slice(75, 24) } else { slice(99, 0) }).collect();
        let width = |slices: &[Slice]| {
            let interval = error_ratio(slices, 0.95).unwrap().interval.unwrap();
            interval.high - interval.low
        };
        assert!(width(&bursts) > 2.0 * width(&steady));
    }

    #[test]
    fn without_enough_slices_there_is_a_ratio_but_no_interval() {
        let found = error_ratio(&[slice(9, 1)], 0.95).unwrap();
        assert_eq!(found.ratio, 0.1);
        assert_eq!(found.interval, None);
        assert!(matches!(found.absent, Some(Absent::TooFewSlices { .. })));
        assert_eq!(error_ratio(&[], 0.95), None);
    }
}
