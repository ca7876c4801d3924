//! Two arms of repeated runs: is B better than A, worse, no different, or is that not known?
//!
//! The unit is the run. Requests within a run share its luck (placement, caches, neighbours), so counting them as independent calls
//! identical systems different; runs are what repeats.

use crate::special::{student_quantile, student_two_sided};

mod false_alarm;

pub use false_alarm::{FalseAlarms, RunNoise, false_alarm_rate};

/// Fewest runs per arm for a verdict.
pub const MIN_RUNS: usize = 3;
/// Smallest change of interest, as a ratio, unless a metric names its own.
pub const DEFAULT_MIN_EFFECT: f64 = 0.05;
/// Two-sided error of the intervals, and false discovery rate over the metrics of one comparison.
const ALPHA: f64 = 0.05;

/// Which direction of a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Latencies, error ratios, memory.
    LowerIsBetter,
    /// Rates, throughput.
    HigherIsBetter,
}

/// One metric of both arms, one value per run. A value that is not finite stands for a run that has none.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRuns {
    /// What is compared, such as `fetch.p99`.
    pub name: String,
    /// Which direction is good.
    pub direction: Direction,
    /// Values of arm A (the baseline), one per run.
    pub a: Vec<f64>,
    /// Values of arm B, one per run, in the same unit.
    pub b: Vec<f64>,
    /// Smallest change of interest as a ratio, such as 0.05; see [`DEFAULT_MIN_EFFECT`].
    pub min_effect: f64,
}

/// Relative change of B against A with its 95 % interval: +0.12 means that B is 12 % higher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// Ratio of the geometric means minus 1.
    pub change: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What may be said about B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Better by at least the smallest change of interest, and not by chance.
    Better,
    /// Worse by at least the smallest change of interest, and not by chance.
    Worse,
    /// Whatever change there is, it is smaller than the smallest change of interest.
    NoDifference,
    /// None of the others can be said.
    NotEnoughData,
}

/// The statement about one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was compared.
    pub name: String,
    /// The change, where it could be computed.
    pub effect: Option<Effect>,
    /// Two-sided p value of "no change", before correction for the number of metrics.
    pub p_value: Option<f64>,
    /// What may be said.
    pub verdict: Verdict,
    /// Why the verdict is [`Verdict::NotEnoughData`], in plain words; `None` for the others.
    pub reason: Option<String>,
}

struct Tested {
    effect: Effect,
    p_value: f64,
}

/// Compares arm B with arm A on every metric of one comparison; one finding per metric, in the same order.
///
/// Interval and p value: Welch's t test on the logarithms of the runs' values (Welch 1947), so the effect is a ratio of geometric
/// means. Better and worse need an interval that excludes no change, a change of at least `min_effect`, and survival of the
/// Benjamini-Hochberg procedure at 5 % over the metrics of this call (1995). No difference needs the whole interval within
/// `min_effect` of no change (two one-sided tests, Schuirmann 1987).
pub fn compare(metrics: &[MetricRuns]) -> Vec<Finding> {
    let tested: Vec<Result<Tested, String>> = metrics.iter().map(test).collect();
    let p_values: Vec<f64> = tested.iter().flatten().map(|tested| tested.p_value).collect();
    let threshold = benjamini_hochberg(&p_values, ALPHA);
    metrics.iter().zip(tested).map(|(metric, tested)| judge(metric, tested, threshold)).collect()
}

fn judge(metric: &MetricRuns, tested: Result<Tested, String>, threshold: f64) -> Finding {
    let name = metric.name.clone();
    let Tested { effect, p_value } = match tested {
        Ok(tested) => tested,
        Err(reason) => {
            let verdict = Verdict::NotEnoughData;
            return Finding { name, effect: None, p_value: None, verdict, reason: Some(reason) };
        }
    };
    let Effect { change, low, high } = effect;
    let excludes_no_change = low > 0.0 || high < 0.0;
    let matters = change.abs() >= metric.min_effect;
    let (verdict, reason) = if excludes_no_change && matters && p_value <= threshold {
        let is_better = (change < 0.0) == (metric.direction == Direction::LowerIsBetter);
        (if is_better { Verdict::Better } else { Verdict::Worse }, None)
    } else if low > -metric.min_effect && high < metric.min_effect {
        (Verdict::NoDifference, None)
    } else {
        (Verdict::NotEnoughData, Some(shortfall(excludes_no_change, matters, metric.min_effect)))
    };
    Finding { name, effect: Some(effect), p_value: Some(p_value), verdict, reason }
}

fn shortfall(excludes_no_change: bool, matters: bool, min_effect: f64) -> String {
    let percent = min_effect * 100.0;
    match (excludes_no_change, matters) {
        (false, _) => {
            format!("the interval holds both no change and changes of {percent:.3} % and more; repeat more runs")
        }
        (true, false) => format!("there is a change, but whether it reaches {percent:.3} % is open; repeat more runs"),
        (true, true) => "the change may be chance among this many metrics; repeat more runs".to_owned(),
    }
}

fn test(metric: &MetricRuns) -> Result<Tested, String> {
    if !(metric.min_effect >= 0.0 && metric.min_effect.is_finite()) {
        return Err(format!("smallest change of interest is no ratio: {}", metric.min_effect));
    }
    Ok(welch(logarithms("A", &metric.a)?, logarithms("B", &metric.b)?))
}

/// Mean, variance of the mean and degrees of freedom of an arm's logarithms.
struct Arm {
    mean: f64,
    variance_of_mean: f64,
    degrees: f64,
}

fn logarithms(arm: &str, values: &[f64]) -> Result<Arm, String> {
    let missing = values.iter().filter(|value| !value.is_finite()).count();
    if missing > 0 {
        return Err(format!("arm {arm}: {missing} of {} runs have no value", values.len()));
    }
    if values.len() < MIN_RUNS {
        return Err(format!("arm {arm}: {} runs, at least {MIN_RUNS} needed", values.len()));
    }
    if let Some(value) = values.iter().find(|value| **value <= 0.0) {
        return Err(format!("arm {arm}: a run has the value {value}, and ratios need values above 0"));
    }
    let n = values.len() as f64;
    let mean = values.iter().map(|value| value.ln()).sum::<f64>() / n;
    let squares = values.iter().map(|value| (value.ln() - mean).powi(2)).sum::<f64>();
    Ok(Arm { mean, variance_of_mean: squares / (n - 1.0) / n, degrees: n - 1.0 })
}

fn welch(a: Arm, b: Arm) -> Tested {
    let difference = b.mean - a.mean;
    let variance = a.variance_of_mean + b.variance_of_mean;
    if variance <= f64::EPSILON * f64::EPSILON {
        // Runs that repeat exactly (counts, sizes): any difference is real.
        let change = difference.exp_m1();
        let p_value = if difference == 0.0 { 1.0 } else { 0.0 };
        return Tested { effect: Effect { change, low: change, high: change }, p_value };
    }
    let degrees = variance.powi(2) / (a.variance_of_mean.powi(2) / a.degrees + b.variance_of_mean.powi(2) / b.degrees);
    let half = student_quantile(1.0 - ALPHA / 2.0, degrees) * variance.sqrt();
    let effect =
        Effect { change: difference.exp_m1(), low: (difference - half).exp_m1(), high: (difference + half).exp_m1() };
    Tested { effect, p_value: student_two_sided(difference / variance.sqrt(), degrees) }
}

/// Largest p value that counts as a discovery, 0 if none does: the largest p(k) with p(k) <= k / m * `rate`.
fn benjamini_hochberg(p_values: &[f64], rate: f64) -> f64 {
    let mut sorted = p_values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let m = sorted.len() as f64;
    sorted.iter().enumerate().rev().find(|(k, p)| **p <= (*k + 1) as f64 / m * rate).map_or(0.0, |(_, p)| *p)
}

#[cfg(test)]
mod tests;
