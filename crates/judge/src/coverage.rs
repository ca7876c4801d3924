//! The proof that intervals cover what they promise: the same code on data whose percentiles are known.

use peermark_core::Seed;
use rand_distr::{Distribution, Exp1, StandardNormal};

use crate::quantile::{Latencies, Quantile};
use crate::slices::{Slice, TimeSlices};
use crate::special::normal_quantile;

/// Mean service time, and median of the lognormal, in simulated nanoseconds (10 ms).
const SCALE_NS: f64 = 1e7;
/// Arrivals per simulated second where values are independent.
const INDEPENDENT_RATE: f64 = 100.0;
/// Width of the first slices (250 ms); they double from there as in any run.
const WIDTH_NS: u64 = 250_000_000;
/// Far above every simulated value.
const DEADLINE_NS: u64 = 3_600_000_000_000;
/// Below this share of replications with an interval, their coverage is no statement about the rule: it refuses, `n/a`.
const LEAST_GIVEN: f64 = 0.05;

/// Percentiles that are checked.
pub const PERCENTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// Where simulated latencies come from. Arrivals are Poisson in each case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Process {
    /// Independent exponential values.
    Exponential,
    /// Independent lognormal values, standard deviation 1 of the logarithm.
    Lognormal,
    /// Sojourn times of an M/M/1 queue in its stationary state, by Lindley's recursion. Their true distribution is exponential with
    /// mean service / (1 - load).
    Queue {
        /// Arrival rate times mean service time, above 0 and below 1.
        load: f64,
    },
}

/// Coverage of the true percentiles by 95 % intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct CoverageReport {
    /// What was simulated.
    pub process: Process,
    /// Values per replication.
    pub n: u64,
    /// Independent replications.
    pub replications: u32,
    /// One per entry of [`PERCENTILES`].
    pub percentiles: Vec<Coverage>,
}

/// How the intervals of one percentile did. Counts are replications.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Coverage {
    /// The percentile.
    pub q: f64,
    /// Its true value, nanoseconds.
    pub truth_ns: f64,
    /// Replications.
    pub replications: u32,
    /// With both ends.
    pub given: u32,
    /// With both ends, around the true value.
    pub covered: u32,
    /// With both ends, both below the true value.
    pub too_low: u32,
    /// With a lower end, whether or not with an upper one.
    pub low_given: u32,
    /// With a lower end above the true value.
    pub low_wrong: u32,
    /// Sum of (high - low) / truth over those with both ends.
    pub relative_width_sum: f64,
}

impl Coverage {
    /// Share of replications that had an interval.
    pub fn given_ratio(&self) -> f64 {
        share(self.given, self.replications)
    }

    /// Share of the intervals that held the true value; `None` where fewer than 5 % of the replications had one.
    pub fn coverage(&self) -> Option<f64> {
        (self.given_ratio() >= LEAST_GIVEN).then(|| share(self.covered, self.given))
    }

    /// Share of all replications whose interval was wrong: what somebody who reads every result is misled by.
    pub fn wrong_ratio(&self) -> f64 {
        share(self.given - self.covered, self.replications)
    }

    /// Share of the lower ends that lay below the true value (97.5 % promised); `None` without one.
    pub fn low_coverage(&self) -> Option<f64> {
        (self.low_given > 0).then(|| 1.0 - share(self.low_wrong, self.low_given))
    }

    /// Mean width of the intervals relative to the true value; `None` without one.
    pub fn relative_width(&self) -> Option<f64> {
        (self.given > 0).then(|| self.relative_width_sum / f64::from(self.given))
    }

    fn add(&mut self, found: Quantile) {
        if let Some(low) = found.low {
            self.low_given += 1;
            self.low_wrong += u32::from(low as f64 > self.truth_ns);
        }
        if let (Some(low), Some(high)) = (found.low, found.high) {
            self.given += 1;
            self.too_low += u32::from((high as f64) < self.truth_ns);
            self.covered += u32::from(low as f64 <= self.truth_ns && self.truth_ns <= high as f64);
            self.relative_width_sum += (high - low) as f64 / self.truth_ns;
        }
    }
}

/// Draws `replications` series of `n` values each from `process`, slices them by arrival time as a run would, and counts how often the
/// 95 % intervals hold the true percentiles. The same `seed` gives the same report.
pub fn simulate(process: Process, n: u64, replications: u32, seed: Seed) -> CoverageReport {
    let mut percentiles: Vec<Coverage> = PERCENTILES
        .into_iter()
        .map(|q| Coverage { q, truth_ns: process.true_quantile(q), replications, ..Coverage::default() })
        .collect();
    for replication in 0..replications {
        let latencies = Latencies::new(&process.draw(n, seed, u64::from(replication)), DEADLINE_NS);
        for row in &mut percentiles {
            if let Some(found) = latencies.quantile(row.q, 0.95).quantile {
                row.add(found);
            }
        }
    }
    CoverageReport { process, n, replications, percentiles }
}

impl Process {
    /// The true value of percentile `q`, nanoseconds.
    pub fn true_quantile(self, q: f64) -> f64 {
        match self {
            Self::Exponential => -SCALE_NS * (1.0 - q).ln(),
            Self::Lognormal => SCALE_NS * normal_quantile(q).exp(),
            Self::Queue { load } => -SCALE_NS * (1.0 - q).ln() / (1.0 - load),
        }
    }

    fn draw(self, n: u64, seed: Seed, replication: u64) -> Vec<Slice> {
        let mut rng = seed.stream_at("judge.coverage", replication);
        let mut exponential = move || -> (f64, f64, f64) {
            let normal: f64 = StandardNormal.sample(&mut rng);
            (Exp1.sample(&mut rng), Exp1.sample(&mut rng), normal)
        };
        let gap_ns = match self {
            Self::Exponential | Self::Lognormal => 1e9 / INDEPENDENT_RATE,
            Self::Queue { load } => SCALE_NS / load,
        };
        let (mut at_ns, mut waiting) = (0.0, self.stationary_waiting(exponential()));
        let mut slices = TimeSlices::new(0, WIDTH_NS);
        for _ in 0..n {
            let (gap, service, normal) = exponential();
            let value_ns = match self {
                Self::Exponential => service * SCALE_NS,
                Self::Lognormal => normal.exp() * SCALE_NS,
                Self::Queue { .. } => waiting + service * SCALE_NS,
            };
            slices.record(at_ns as u64, value_ns as u64);
            // Lindley 1952: the next one waits for what is left of this one when it arrives.
            waiting = (value_ns - gap * gap_ns).max(0.0);
            at_ns += gap * gap_ns;
        }
        slices.as_slice().to_vec()
    }

    /// A waiting time of the stationary queue: 0 with chance 1 - load, else exponential with mean service / (1 - load).
    fn stationary_waiting(self, (chance, wait, _): (f64, f64, f64)) -> f64 {
        match self {
            // exp(-Exp1) is uniform.
            Self::Queue { load } if (-chance).exp() < load => wait * SCALE_NS / (1.0 - load),
            _ => 0.0,
        }
    }
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 400 replications: the standard error of a coverage of 95 % is 1.1 %, so 91 % is 3.6 of them below it.
    const REPLICATIONS: u32 = 400;

    #[test]
    fn independent_values_are_covered_as_promised() {
        for process in [Process::Exponential, Process::Lognormal] {
            for row in simulate(process, 3_000, REPLICATIONS, Seed(1)).percentiles {
                assert!(row.given_ratio() > 0.9, "{process:?} {row:?}");
                let coverage = row.coverage().unwrap();
                assert!((0.91..=0.99).contains(&coverage), "{process:?} {row:?}");
            }
        }
    }

    #[test]
    fn queues_are_covered_or_refused() {
        for (load, n) in [(0.5, 1_000), (0.5, 10_000), (0.8, 1_000), (0.8, 10_000)] {
            let report = simulate(Process::Queue { load }, n, REPLICATIONS, Seed(2));
            assert!(report.percentiles[0].given_ratio() > 0.9, "{report:?}");
            for row in report.percentiles {
                assert!(row.coverage().is_none_or(|coverage| coverage >= 0.9), "load {load} n {n} {row:?}");
                assert!(row.low_coverage().is_none_or(|coverage| coverage >= 0.93), "load {load} n {n} {row:?}");
                assert!(row.wrong_ratio() <= 0.1, "load {load} n {n} {row:?}");
            }
        }
    }

    #[test]
    fn the_tail_of_a_busy_queue_has_no_upper_end() {
        let report = simulate(Process::Queue { load: 0.8 }, 3_000, 100, Seed(3));
        let tail = report.percentiles[2];
        assert_eq!((tail.coverage(), tail.low_given), (None, 100), "{tail:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_report() {
        let report = |seed| simulate(Process::Queue { load: 0.5 }, 300, 5, Seed(seed));
        assert_eq!(report(7), report(7));
        assert_ne!(report(7), report(8));
    }
}
