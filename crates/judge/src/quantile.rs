//! Percentiles with intervals that respect autocorrelation.
//!
//! Latencies of a system with queues come in bursts, so the order statistics of independent values promise far too narrow
//! intervals. Here the share of values beyond the percentile is followed over slices of time; how much that share varies says how
//! many independent values the sample is worth, and the binomial interval for that many values is read off the merged histogram.
//!
//! The upper end is given with more care than the lower one, because a calm run errs twice in the same direction: its tail is too
//! low and its bursts too short. Therefore the excess variance counts at its upper 70 % confidence limit, and a tail is never taken
//! to be burstier by less than queues make it, judged from the better known body of the distribution. [`crate::coverage`] holds the
//! proof by simulation.

use crate::absent::Absent;
use crate::dispersion::{Dispersion, dispersion};
use crate::ranked::{Place, Ranked};
use crate::slices::Slice;
use crate::special::{binomial_quantile, chi_squared_quantile, normal_cdf, student_quantile};

/// Fewest values for any percentile.
const LEAST_VALUES: u64 = 6;
/// Levels of the body that a tail's burstiness is judged from.
const BODY: [f64; 3] = [0.5, 0.75, 0.9];
/// One-sided error with which the excess variance is bounded for the upper end.
const EXCESS_TAIL: f64 = 0.3;
/// Confidence with which the body must be bursty before the tail inherits it.
const BODY_CONFIDENCE: f64 = 0.99;
/// Growth of the excess variance per factor e in the share of values beyond the percentile.
const BURST_GROWTH: f64 = 1.5;

/// A percentile with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantile {
    /// The estimate, nanoseconds: upper edge of the histogram's bucket, at most the deadline.
    pub value: u64,
    /// Lower end of the interval, nanoseconds.
    pub low: Option<u64>,
    /// Upper end of the interval, nanoseconds. Always absent where it would lie among failures.
    pub high: Option<u64>,
    /// The percentile falls among failures: the true value is at least `value`, the deadline.
    pub censored: bool,
}

/// What the evidence allows to be said about one percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Values behind it, failures included.
    pub n: u64,
    /// The percentile, where the sample supports it.
    pub quantile: Option<Quantile>,
    /// Why the percentile, or an end of its interval, is missing.
    pub absent: Option<Absent>,
}

/// Slices of one series, prepared for several percentiles.
#[derive(Clone, Debug)]
pub struct Latencies {
    ranked: Ranked,
    deadline_ns: u64,
}

/// One percentile of the values in `slices` (contiguous, in the order of time) with its interval at the given `confidence`.
///
/// `q` is 0.5 for the median, 0.99 for p99; failures rank above every success, as values at or above `deadline_ns`. See
/// [`Latencies::quantile`] for the method.
pub fn estimate(slices: &[Slice], q: f64, deadline_ns: u64, confidence: f64) -> Estimate {
    Latencies::new(slices, deadline_ns).quantile(q, confidence)
}

/// Values that a sample needs so that its largest bounds percentile `q` from above: the smallest n with `q^n <= 1 - confidence`, at
/// least 6. At 95 %: 59 for p95, 299 for p99, 2,995 for p99.9 (Wilks 1941).
pub fn needed_samples(q: f64, confidence: f64) -> u64 {
    // Rounded first, so that a value that is whole but for the last bit stays so.
    let needed = ((1.0 - confidence).ln() / q.ln() - 1e-9).ceil();
    LEAST_VALUES.max(needed as u64)
}

impl Latencies {
    /// Prepares `slices` (contiguous, in the order of time, any number of them).
    pub fn new(slices: &[Slice], deadline_ns: u64) -> Self {
        Self { ranked: Ranked::new(slices), deadline_ns }
    }

    /// Percentile `q` from 0.5 up to below 1, with its interval.
    ///
    /// The estimate is the value of rank `ceil(q n)` over everything, given from [`needed_samples`] values on. The interval is the
    /// binomial one for the order statistics (David & Nagaraja, Order Statistics, 7.1) at the effective sample size
    /// `n / inflation`, with the tail probability of Student's t for the degrees of freedom of the inflation. The inflation comes
    /// from batch means of the indicator "beyond the percentile" over slices.
    pub fn quantile(&self, q: f64, confidence: f64) -> Estimate {
        let n = self.ranked.n();
        if !(0.5..1.0).contains(&q) || !(0.5..1.0).contains(&confidence) {
            return Estimate { n, quantile: None, absent: Some(Absent::Unsupported) };
        }
        let needed = needed_samples(q, confidence);
        if n < needed {
            return Estimate { n, quantile: None, absent: Some(Absent::TooFewValues { n, needed }) };
        }
        let (value, censored) = match self.place(q) {
            Place::Bucket(highest) => (highest.min(self.deadline_ns), false),
            Place::Failures => (self.deadline_ns, true),
        };
        let (low, high, absent) = match self.dispersion_at(q) {
            Err(absent) => (None, None, Some(absent)),
            Ok(own) => {
                let tail = normal_cdf(-student_quantile(f64::midpoint(1.0, confidence), own.degrees));
                let low = self.low_end(q, own.inflation, tail).map(|low| low.min(value));
                match self.high_end(q, own, tail) {
                    Ok(high) => (low, Some(high.max(value)), None),
                    Err(absent) => (low, None, Some(absent)),
                }
            }
        };
        Estimate { n, quantile: Some(Quantile { value, low, high, censored }), absent }
    }

    fn place(&self, q: f64) -> Place {
        let n = self.ranked.n() as f64;
        self.ranked.place_of((q * n - 1e-9).ceil().max(1.0) as u64)
    }

    fn dispersion_at(&self, q: f64) -> Result<Dispersion, Absent> {
        dispersion(&self.ranked.beyond(self.place(q)), self.ranked.counts())
    }

    fn low_end(&self, q: f64, inflation: f64, tail: f64) -> Option<u64> {
        let n = self.ranked.n() as f64;
        let below = binomial_quantile(n / inflation, q, tail)?;
        let position = (below + 0.5) * inflation;
        let wide = q * n - position;
        Some(self.ranked.value_at(position, wide, false).unwrap_or(self.deadline_ns).min(self.deadline_ns))
    }

    fn high_end(&self, q: f64, own: Dispersion, tail: f64) -> Result<u64, Absent> {
        let n = self.ranked.n() as f64;
        let inflation = self.upper_inflation(q, own)?;
        let beyond = binomial_quantile(n / inflation, 1.0 - q, tail)
            .ok_or(Absent::TailTooThin { beyond: n / inflation * (1.0 - q) })?;
        let position = n - (beyond + 0.5) * inflation;
        let wide = position - q * n;
        let high = self.ranked.value_at(position, wide, true).ok_or(Absent::AmongFailures)?;
        Ok(high.min(self.deadline_ns))
    }

    /// The inflation that the upper end is computed with: upper limit of its own, and at least what the body implies.
    fn upper_inflation(&self, q: f64, own: Dispersion) -> Result<f64, Absent> {
        let mut inflation = upper_limit(own);
        for level in BODY.into_iter().filter(|level| *level < q - 1e-9) {
            let body = self.dispersion_at(level)?;
            let is_bursty = body.inflation * body.degrees > chi_squared_quantile(BODY_CONFIDENCE, body.degrees);
            if is_bursty {
                let growth = burstiness(q) / burstiness(level);
                inflation = inflation.max(1.0 + (upper_limit(body) - 1.0) * growth);
            }
        }
        Ok(inflation)
    }
}

/// Upper confidence limit of an inflation. Only its excess over independent values is uncertain in a way that calm runs hide.
fn upper_limit(of: Dispersion) -> f64 {
    if of.inflation <= 1.0 {
        return of.inflation;
    }
    1.0 + (of.inflation - 1.0) * of.degrees / chi_squared_quantile(EXCESS_TAIL, of.degrees)
}

/// How the excess variance grows into the tail, relative to the median: logarithmic in the share of values beyond. At p90 it gives
/// 3.4 and at p99 6.9, where M/M/1 queues at loads of 0.5 to 0.9 show 2.0 to 2.4 and 2.9 to 3.3 (simulated): the margin is what the
/// estimate from a calm run lacks.
fn burstiness(q: f64) -> f64 {
    1.0 + BURST_GROWTH * (0.5 / (1.0 - q)).ln()
}

#[cfg(test)]
mod tests;
