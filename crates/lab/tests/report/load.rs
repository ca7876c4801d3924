//! The load of an invented run: latencies are drawn, and everything that a run reports is counted from them.

use std::collections::BTreeMap;

use peermark_core::Histogram;
use peermark_lab::result::{Arrivals, Distribution, OperationResult, Percentile, TimeSlice};

pub(crate) const SECOND: u64 = 1_000_000_000;
const DEADLINE: u64 = 10 * SECOND;

/// An operation in a phase, and the latencies that it will have.
pub(crate) struct Plan {
    pub(crate) phase: &'static str,
    pub(crate) op: &'static str,
    pub(crate) rate: f64,
    pub(crate) start_s: u64,
    pub(crate) length_s: u64,
    pub(crate) median_ns: f64,
    pub(crate) spread: f64,
}

impl Plan {
    /// Latencies around the median, with a tail; operations that begin while `broken` fail or crawl.
    pub(crate) fn measure(&self, broken: impl Fn(f64) -> bool) -> OperationResult {
        let mut draw = Draw(self.start_s + 7);
        let count = (self.rate * self.length_s as f64).round() as u64;
        let samples: Vec<(f64, u64, bool)> = (0..count)
            .map(|index| {
                let at_s = index as f64 / self.rate;
                let hit = broken(at_s) && draw.uniform() < 0.2;
                let latency =
                    self.median_ns * (self.spread * draw.normal()).exp() * if broken(at_s) { 2.5 } else { 1.0 };
                if hit { (at_s, DEADLINE, true) } else { (at_s, latency as u64, false) }
            })
            .collect();
        let failed = samples.iter().filter(|(.., failed)| *failed).count() as u64;
        let latencies: Vec<u64> = samples.iter().map(|(_, ns, _)| *ns).collect();
        let failures = [("timeout", failed - failed / 4), ("node_down", failed / 4)];
        OperationResult {
            phase: self.phase.to_owned(),
            op: self.op.to_owned(),
            arrivals: Arrivals::Poisson,
            count,
            ok: count - failed,
            failed: failures.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n)).collect(),
            culprits: if failed > 0 { BTreeMap::from([("peer".to_owned(), failed)]) } else { BTreeMap::new() },
            target_rate: Some(self.rate),
            knee_rate: None,
            achieved_rate: (count - failed) as f64 / self.length_s as f64,
            started_ns: self.start_s * SECOND,
            duration_ns: self.length_s * SECOND,
            latency_ns: distribution(&latencies, failed),
            service_ns: distribution(&latencies.iter().map(|ns| ns - ns / 20).collect::<Vec<_>>(), failed),
            slip_ns: distribution(&latencies.iter().map(|ns| 40_000 + ns % 90_000).collect::<Vec<_>>(), 0),
            bytes: (count - failed) * 262_144,
            deadline_ns: DEADLINE,
            cdf: cdf(&latencies, failed),
            timeline: self.timeline(&samples),
            notes: notes(&distribution(&latencies, failed)),
        }
    }

    fn timeline(&self, samples: &[(f64, u64, bool)]) -> Vec<TimeSlice> {
        let slice = |second: u64| {
            let within = |at_s: f64| (second as f64..(second + 1) as f64).contains(&at_s);
            let here = || samples.iter().filter(|(at_s, ..)| within(*at_s));
            let mut latencies: Vec<u64> = here().map(|(_, ns, _)| *ns).collect();
            latencies.sort_unstable();
            let failed = here().filter(|(.., failed)| *failed).count();
            TimeSlice {
                at_s: second as f64,
                ops_per_second: (latencies.len() - failed) as f64,
                failed: failed as u64,
                p50_ns: latencies.get(latencies.len() / 2).copied(),
                p99_ns: latencies.last().copied(),
            }
        };
        (0..self.length_s).map(slice).collect()
    }
}

/// Percentiles by rank, with intervals by normal approximation of the rank; `None` where the interval does not fit the sample.
fn distribution(values: &[u64], failed: u64) -> Distribution {
    let mut histogram = Histogram::new();
    values.iter().for_each(|value| histogram.record(*value));
    let n = histogram.len();
    let percentile = |share: f64| {
        let half = 1.96 * (n as f64 * share * (1.0 - share)).sqrt();
        let rank = (n as f64 * share).ceil();
        if rank + half + 1.0 > n as f64 {
            return None;
        }
        let value = |rank: f64| histogram.value_at_rank(rank.max(1.0) as u64);
        let censored = rank > (n - failed) as f64;
        Some(Percentile {
            value: if censored { DEADLINE } else { value(rank)? },
            low: value(rank - half).map(|low| low.min(DEADLINE)),
            high: value(rank + half).map(|high| high.min(DEADLINE)),
            censored,
        })
    };
    Distribution { n, p50: percentile(0.5), p90: percentile(0.9), p99: percentile(0.99), max: Some(histogram.max()) }
}

fn notes(latency: &Distribution) -> Vec<String> {
    let percentiles = [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99)];
    let absent = percentiles.into_iter().filter(|(_, percentile)| percentile.is_none());
    absent.map(|(name, _)| format!("{name}: {} values are too few for its 95 % interval", latency.n)).collect()
}

fn cdf(values: &[u64], failed: u64) -> Vec<(u64, f64)> {
    let mut histogram = Histogram::new();
    values.iter().for_each(|value| histogram.record(*value));
    let (n, ok) = (histogram.len(), histogram.len() - failed);
    let mut seen = 0;
    histogram
        .buckets()
        .map(|(value, count)| {
            seen += count;
            (value, seen)
        })
        .take_while(|(_, seen)| *seen <= ok)
        .map(|(value, seen)| (value, seen as f64 / n as f64))
        .collect()
}

/// A small generator (SplitMix64): the fixture is the same on every machine.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The sum of twelve uniform values is normal enough.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}
