//! The plain estimates that the robust one stands beside. They take the reports of one epoch as they come, remember nothing and flag
//! nobody.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::{Estimator, Findings, Round, Statement, Verdict};

/// Share dropped at each end by [`TrimmedMean`].
const TRIM: f64 = 0.2;
/// Of the standard normal distribution: 97.5 %.
const Z: f64 = 1.96;

/// Arithmetic mean.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean;

/// Mean of the logarithms without the lowest and the highest fifth.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrimmedMean;

/// Median, the lower one of two; its interval is of order statistics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Median;

/// More than half of the attesters say that the promise is kept. It has no rate: hosters are ranked by the share that says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Majority;

impl Estimator for Mean {
    fn round(&mut self, round: &Round<'_>) -> Findings {
        each(round, |rates| {
            let n = rates.len() as f64;
            let mean = rates.iter().sum::<f64>() / n;
            let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
            let half = Z * (variance / n).sqrt();
            point(mean, (rates.len() > 1).then_some((mean - half, mean + half)), round)
        })
    }
}

impl Estimator for TrimmedMean {
    fn round(&mut self, round: &Round<'_>) -> Findings {
        each(round, |rates| {
            let drop = (rates.len() as f64 * TRIM) as usize;
            let kept = &rates[drop..rates.len() - drop];
            point((kept.iter().map(|rate| rate.ln()).sum::<f64>() / kept.len() as f64).exp(), None, round)
        })
    }
}

impl Estimator for Median {
    fn round(&mut self, round: &Round<'_>) -> Findings {
        each(round, |rates| point(rates[(rates.len() - 1) / 2], order_interval(rates), round))
    }
}

impl Estimator for Majority {
    fn round(&mut self, round: &Round<'_>) -> Findings {
        each(round, |rates| {
            let kept = rates.iter().filter(|&&rate| rate >= round.threshold_mbit).count();
            let score = kept as f64 / rates.len() as f64;
            let verdict = if 2 * kept > rates.len() { Verdict::Meets } else { Verdict::Fails };
            Statement { score, rate_mbit: None, interval_mbit: None, verdict }
        })
    }
}

/// Applies `state` to the ascending rates of each hoster that has any.
fn each(round: &Round<'_>, state: impl Fn(&[f64]) -> Statement) -> Findings {
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); round.hosters as usize];
    for observation in round.observations {
        if let Some(of_hoster) = rates.get_mut(observation.hoster as usize) {
            of_hoster.push(observation.rate_mbit);
        }
    }
    rates.iter_mut().for_each(|rates| rates.sort_by(f64::total_cmp));
    let hosters = rates.iter().map(|rates| (!rates.is_empty()).then(|| state(rates))).collect();
    Findings { hosters, flagged: Vec::new(), disputed: false }
}

/// A rate, and the verdict that it is at or above what was promised.
fn point(rate: f64, interval_mbit: Option<(f64, f64)>, round: &Round<'_>) -> Statement {
    let verdict = if rate >= round.threshold_mbit { Verdict::Meets } else { Verdict::Fails };
    Statement { score: rate, rate_mbit: Some(rate), interval_mbit, verdict }
}

/// 95 % interval of the median of ascending values (reliability reference §2.5); `None` below 6.
fn order_interval(ascending: &[f64]) -> Option<(f64, f64)> {
    let m = ascending.len() as u64;
    let coin = Binomial::new(0.5, m).ok()?;
    let outside = (0..m / 2).take_while(|&j| 2.0 * coin.cdf(j) <= 0.05).count();
    (outside > 0).then(|| (ascending[outside - 1], ascending[ascending.len() - outside]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adversary::Observation;

    fn state(estimator: &mut impl Estimator, rates: &[f64]) -> Statement {
        let observations: Vec<Observation> = (0..)
            .zip(rates)
            .map(|(attester, &rate_mbit)| Observation {
                hoster: 0,
                attester,
                group: attester,
                rate_mbit,
                probes: 30,
                met: 30,
                luck: 0.5,
                second: 0.1,
            })
            .collect();
        let round = Round {
            epoch: 0,
            observations: &observations,
            hosters: 2,
            attesters: 9,
            groups: &[],
            threshold_mbit: 100.0,
        };
        let findings = estimator.round(&round);
        assert_eq!(findings.hosters[1], None);
        findings.hosters[0].unwrap()
    }

    #[test]
    fn each_baseline_is_what_its_name_says() {
        let rates = [50.0, 400.0, 110.0, 90.0, 110.0];
        assert_eq!(state(&mut Mean, &rates).rate_mbit, Some(152.0));
        assert_eq!(state(&mut Median, &rates).rate_mbit, Some(110.0));
        let trimmed = state(&mut TrimmedMean, &rates).rate_mbit.unwrap();
        assert!((trimmed - (110.0_f64 * 90.0 * 110.0).cbrt()).abs() < 1e-9, "{trimmed}");
        let majority = state(&mut Majority, &rates);
        assert_eq!((majority.score, majority.verdict, majority.rate_mbit), (0.6, Verdict::Meets, None));
        assert_eq!(state(&mut Median, &[90.0, 110.0]).verdict, Verdict::Fails);
    }

    #[test]
    fn order_statistics_are_those_of_the_reference() {
        let ranks = |m: u32| {
            let ascending: Vec<f64> = (1..=m).map(f64::from).collect();
            order_interval(&ascending)
        };
        assert_eq!(ranks(5), None);
        for (m, low, high) in
            [(7, 1.0, 7.0), (9, 2.0, 8.0), (15, 4.0, 12.0), (21, 6.0, 16.0), (31, 10.0, 22.0), (61, 23.0, 39.0)]
        {
            assert_eq!(ranks(m), Some((low, high)), "m {m}");
        }
    }
}
