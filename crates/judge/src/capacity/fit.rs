//! A linear model of costs: `used = base + sum of count * cost`, no cost below zero.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Most kinds of jobs in one fit.
const MAX_KINDS: usize = 32;
/// Most samples in one fit.
const MAX_SAMPLES: usize = 100_000;
/// Largest count and largest amount, so that no sum leaves 128 bits.
const MAX_COUNT: u64 = 1 << 20;
const MAX_USED: u64 = 1 << 48;
/// Bits behind the point of a cost.
const FRACTION_BITS: u32 = 16;
/// Sweeps over all costs after which the search ends, converged or not.
const MAX_SWEEPS: u32 = 20_000;

/// What a host was doing, and what it used of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Jobs of each kind, in one order for all samples.
    pub counts: Vec<u64>,
    /// What was used.
    pub used: u64,
}

/// The costs that fit best.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// What is used without any job, rounded to the nearest.
    pub base: u64,
    /// What one job of each kind uses, rounded to the nearest.
    pub costs: Vec<u64>,
    /// Share of the variance that the model explains, in parts per million; 0 where it explains nothing, absent where nothing varies.
    pub explained_ppm: Option<u32>,
}

/// Why no model was fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FitError {
    /// Fewer samples than unknowns.
    #[error("{samples} samples for {unknowns} unknowns")]
    TooFew {
        /// Samples.
        samples: usize,
        /// Unknowns.
        unknowns: usize,
    },
    /// More than can be fitted.
    #[error("more than {MAX_KINDS} kinds or {MAX_SAMPLES} samples")]
    TooMany,
    /// Samples with different numbers of kinds.
    #[error("sample {sample} has {kinds} kinds, the first has {expected}")]
    Shape {
        /// Its number, from 0.
        sample: usize,
        /// Its kinds.
        kinds: usize,
        /// Those of the first.
        expected: usize,
    },
    /// Numbers beyond what a host does.
    #[error("sample {sample} has a count above {MAX_COUNT} or uses more than {MAX_USED}")]
    TooLarge {
        /// Its number, from 0.
        sample: usize,
    },
}

/// Fits costs by non-negative least squares: coordinate descent on the normal equations in fixed point (Franc, Hlaváč & Navara, CAIP
/// 2005), in a fixed order from zero, so that everybody finds the same.
///
/// # Errors
/// Too few samples, too many, or samples that do not fit together.
pub fn fit(samples: &[Sample]) -> Result<Fit, FitError> {
    let kinds = samples.first().map_or(0, |sample| sample.counts.len());
    check(samples, kinds)?;
    let columns = kinds + 1;
    let entry = |sample: &Sample, column: usize| match column {
        0 => 1,
        column => i128::from(sample.counts[column - 1]),
    };
    let mut gram = vec![vec![0_i128; columns]; columns];
    let mut target = vec![0_i128; columns];
    for sample in samples {
        for (a, (row, target)) in gram.iter_mut().zip(&mut target).enumerate() {
            for (b, sum) in row.iter_mut().enumerate() {
                *sum += entry(sample, a) * entry(sample, b);
            }
            *target += entry(sample, a) * i128::from(sample.used);
        }
    }
    let found = descend(&gram, &target);
    let rounded = |value: &i128| u64::try_from((value + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS).unwrap_or(0);
    Ok(Fit {
        base: rounded(&found[0]),
        costs: found[1..].iter().map(rounded).collect(),
        explained_ppm: explained(samples, &found),
    })
}

fn check(samples: &[Sample], kinds: usize) -> Result<(), FitError> {
    if samples.len() < kinds + 1 {
        return Err(FitError::TooFew { samples: samples.len(), unknowns: kinds + 1 });
    }
    if kinds > MAX_KINDS || samples.len() > MAX_SAMPLES {
        return Err(FitError::TooMany);
    }
    for (number, sample) in samples.iter().enumerate() {
        if sample.counts.len() != kinds {
            return Err(FitError::Shape { sample: number, kinds: sample.counts.len(), expected: kinds });
        }
        if sample.used > MAX_USED || sample.counts.iter().any(|count| *count > MAX_COUNT) {
            return Err(FitError::TooLarge { sample: number });
        }
    }
    Ok(())
}

/// Each unknown in turn takes its best value given the others, never below zero, until none moves.
fn descend(gram: &[Vec<i128>], target: &[i128]) -> Vec<i128> {
    let mut found = vec![0_i128; target.len()];
    for _ in 0..MAX_SWEEPS {
        let mut moved = false;
        for at in 0..found.len() {
            let others: i128 =
                (0..found.len()).filter(|other| *other != at).map(|other| gram[at][other] * found[other]).sum();
            let best = ((target[at] << FRACTION_BITS) - others).checked_div(gram[at][at]).unwrap_or(0).max(0);
            moved |= best != found[at];
            found[at] = best;
        }
        if !moved {
            break;
        }
    }
    found
}

fn explained(samples: &[Sample], found: &[i128]) -> Option<u32> {
    let count = i128::try_from(samples.len()).ok()?;
    let mean = samples.iter().map(|sample| i128::from(sample.used)).sum::<i128>() / count;
    let (mut around_mean, mut around_model) = (0_u128, 0_u128);
    for sample in samples {
        let jobs: i128 = sample.counts.iter().zip(&found[1..]).map(|(count, cost)| i128::from(*count) * cost).sum();
        let model = (found[0] + jobs + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
        let square = |difference: i128| difference.unsigned_abs().saturating_mul(difference.unsigned_abs());
        around_mean = around_mean.saturating_add(square(i128::from(sample.used) - mean));
        around_model = around_model.saturating_add(square(i128::from(sample.used) - model));
    }
    if around_mean == 0 {
        return None;
    }
    let explained = around_mean.saturating_sub(around_model);
    // Both are halved until a million times the larger fits.
    let shift = (128 - around_mean.leading_zeros()).saturating_sub(100);
    u32::try_from((explained >> shift) * 1_000_000 / (around_mean >> shift).max(1)).ok()
}
