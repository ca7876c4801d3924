//! How often identical arms are called different.

use peermark_core::Seed;
use rand_distr::{Distribution, StandardNormal, StudentT};

use super::{DEFAULT_MIN_EFFECT, Direction, MetricRuns, Verdict, compare};

/// How the value of a metric varies from run to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RunNoise {
    /// Lognormal.
    Lognormal {
        /// Standard deviation of the logarithm: 0.1 is 10 % from run to run.
        sigma: f64,
    },
    /// Logarithm with Student's t distribution of 3 degrees of freedom: now and then a run is far off.
    HeavyTailed {
        /// Scale of the logarithm.
        sigma: f64,
    },
}

/// Verdicts on arms that do not differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FalseAlarms {
    /// Metrics judged.
    pub judged: u64,
    /// Called better or worse.
    pub alarms: u64,
    /// Called no different.
    pub no_difference: u64,
}

impl FalseAlarms {
    /// Share of the metrics that were called better or worse though nothing differed.
    pub fn rate(self) -> f64 {
        self.alarms as f64 / self.judged.max(1) as f64
    }
}

/// Compares two identical arms of `runs` runs each, `replications` times over, with `metrics` independent metrics per comparison and
/// the default smallest change of interest. The same `seed` gives the same counts.
pub fn false_alarm_rate(noise: RunNoise, runs: usize, metrics: usize, replications: u32, seed: Seed) -> FalseAlarms {
    let mut found = FalseAlarms { judged: 0, alarms: 0, no_difference: 0 };
    for replication in 0..replications {
        let mut rng = seed.stream_at("judge.false_alarm", u64::from(replication));
        let mut arm = || (0..runs).map(|_| noise.draw(&mut rng)).collect::<Vec<f64>>();
        let drawn: Vec<MetricRuns> = (0..metrics)
            .map(|index| MetricRuns {
                name: index.to_string(),
                direction: Direction::LowerIsBetter,
                a: arm(),
                b: arm(),
                min_effect: DEFAULT_MIN_EFFECT,
            })
            .collect();
        for finding in compare(&drawn) {
            found.judged += 1;
            match finding.verdict {
                Verdict::Better | Verdict::Worse => found.alarms += 1,
                Verdict::NoDifference => found.no_difference += 1,
                Verdict::NotEnoughData => {}
            }
        }
    }
    found
}

impl RunNoise {
    fn draw<R: rand::Rng>(self, rng: &mut R) -> f64 {
        match self {
            Self::Lognormal { sigma } => {
                let normal: f64 = StandardNormal.sample(rng);
                (sigma * normal).exp()
            }
            Self::HeavyTailed { sigma } => {
                let t: f64 = StudentT::new(3.0).expect("3 degrees of freedom are valid").sample(rng);
                // Keeps the value finite and above 0 whatever the draw.
                (sigma * t).clamp(-500.0, 500.0).exp()
            }
        }
    }
}
