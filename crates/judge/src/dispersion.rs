//! How much more a share of values varies from run to run than it would if the values were independent.

use crate::absent::Absent;

/// Fewest batches that a variance is estimated from.
pub(crate) const MIN_BATCHES: usize = 8;
/// Batches are merged while their lag-1 autocorrelation is above this many standard errors.
const MERGE_ABOVE: f64 = 1.5;
/// Autocorrelation that remains is corrected for when it is above this many standard errors.
const CORRECT_ABOVE: f64 = 0.5;
/// Independent arrivals sometimes look more even than chance. No more than a third is ever added to the sample for it.
const LEAST_INFLATION: f64 = 0.75;

/// Variance of a share over slices of time, relative to independent values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dispersion {
    /// Variance of the share divided by p(1-p)/n. The sample is worth n divided by this many independent values.
    pub(crate) inflation: f64,
    /// Degrees of freedom of that estimate.
    pub(crate) degrees: f64,
}

/// Estimates the variance of `sum(hits) / sum(counts)` by batch means over neighbouring slices of unequal count.
///
/// 1. Residuals of the ratio estimator, `hits - share * counts`, per slice (Cochran, Sampling Techniques, 6.3).
/// 2. Neighbours are merged into batches until the lag-1 autocorrelation of the batches (equivalent to von Neumann's ratio) is
///    small; never below [`MIN_BATCHES`] batches (Fishman & Yarberry, LBATCH, 1997).
/// 3. What autocorrelation is left inflates the variance by (1+r)/(1-r), as for an autoregressive process (Tafazzoli, Steiger &
///    Wilson, Skart, 2011).
/// 4. Degrees of freedom by matching the variance of the squared residuals (Satterthwaite 1946), so that few bursts count as few,
///    at most batches - 1.
///
/// # Errors
/// [`Absent::TooFewSlices`] or [`Absent::TooAutocorrelated`].
pub(crate) fn dispersion(hits: &[u64], counts: &[u64]) -> Result<Dispersion, Absent> {
    let filled = counts.iter().filter(|count| **count > 0).count();
    if filled < MIN_BATCHES {
        return Err(Absent::TooFewSlices { slices: filled, needed: MIN_BATCHES });
    }
    let residuals = ratio_residuals(hits, counts);
    let n = counts.iter().sum::<u64>() as f64;
    let share = hits.iter().sum::<u64>() as f64 / n;
    let (batches, autocorrelation) = uncorrelated_batches(&residuals)?;

    let b = batches.len() as f64;
    let squares = batches.iter().map(|r| r * r).sum::<f64>();
    let binomial_variance = n * share * (1.0 - share);
    if squares <= 0.0 || binomial_variance <= 0.0 {
        return Ok(Dispersion { inflation: 1.0, degrees: b - 1.0 });
    }
    let correction = if autocorrelation > CORRECT_ABOVE / b.sqrt() {
        (1.0 + autocorrelation) / (1.0 - autocorrelation)
    } else {
        1.0
    };
    let inflation = squares * b / (b - 1.0) * correction / binomial_variance;
    let fourth = batches.iter().map(|r| r.powi(4)).sum::<f64>();
    // Relative variance of one squared residual; 2 for normal ones.
    let relative_variance = (fourth * b / (squares * squares) - 1.0).max(0.5);
    let degrees = (2.0 * b / relative_variance).min(b - 1.0).max(1.0);
    Ok(Dispersion { inflation: inflation.max(LEAST_INFLATION), degrees })
}

/// `hits - share * counts` per slice. The difference is taken in integers: where slices are exactly alike, rounding would leave noise
/// that looks autocorrelated.
fn ratio_residuals(hits: &[u64], counts: &[u64]) -> Vec<f64> {
    let total = |values: &[u64]| values.iter().map(|value| i128::from(*value)).sum::<i128>();
    let (all_hits, n) = (total(hits), total(counts));
    let residual =
        |(hit, count): (&u64, &u64)| (i128::from(*hit) * n - all_hits * i128::from(*count)) as f64 / n as f64;
    hits.iter().zip(counts).map(residual).collect()
}

/// The finest merging of neighbours that is no longer clearly autocorrelated, with the autocorrelation that it still has.
fn uncorrelated_batches(residuals: &[f64]) -> Result<(Vec<f64>, f64), Absent> {
    let mut tried = residuals.len();
    for size in 1..=residuals.len() {
        let batches = merge_neighbours(residuals, size);
        if batches.len() < MIN_BATCHES {
            break;
        }
        tried = batches.len();
        let b = tried as f64;
        // The estimate from deviations around an estimated mean is low by about 1/b.
        let autocorrelation = lag_one(&batches) + 1.0 / b;
        if autocorrelation < MERGE_ABOVE / b.sqrt() {
            return Ok((batches, autocorrelation));
        }
    }
    Err(Absent::TooAutocorrelated { batches: tried })
}

/// Sums of `size` neighbours. A remainder of less than half a batch joins the last one.
fn merge_neighbours(residuals: &[f64], size: usize) -> Vec<f64> {
    let mut batches: Vec<f64> = residuals.chunks(size).map(|chunk| chunk.iter().sum()).collect();
    let remainder = residuals.len() % size;
    if remainder > 0 && remainder * 2 < size {
        let rest = batches.pop().unwrap_or(0.0);
        if let Some(last) = batches.last_mut() {
            *last += rest;
        }
    }
    batches
}

/// Autocorrelation at lag 1 of residuals that sum to zero.
fn lag_one(residuals: &[f64]) -> f64 {
    let squares: f64 = residuals.iter().map(|r| r * r).sum();
    if squares <= 0.0 {
        return 0.0;
    }
    residuals.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / squares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_worth_fewer_values_than_spread_hits() {
        let counts = vec![100; 64];
        let spread: Vec<u64> = (0..64).map(|i| 10 + [3, 0, 2, 1, 4, 0][i % 6]).collect();
        let bursts: Vec<u64> = (0..64).map(|i| if i % 16 < 2 { 96 } else { 0 }).collect();
        assert!(dispersion(&spread, &counts).unwrap().inflation <= 1.0);
        assert!(dispersion(&bursts, &counts).unwrap().inflation > 30.0);
    }

    #[test]
    fn a_trend_is_refused_and_so_are_few_slices() {
        let counts = vec![100; 48];
        let trend: Vec<u64> = (0..48).collect();
        assert!(matches!(dispersion(&trend, &counts), Err(Absent::TooAutocorrelated { .. })));
        assert_eq!(dispersion(&[1; 7], &[10; 7]).err(), Some(Absent::TooFewSlices { slices: 7, needed: MIN_BATCHES }));
        assert!(dispersion(&[], &[]).is_err());
    }

    #[test]
    fn slices_that_are_exactly_alike_are_no_burst() {
        let found = dispersion(&[30; 48], &[130; 48]).unwrap();
        assert_eq!((found.inflation, found.degrees), (1.0, 47.0));
    }

    #[test]
    fn merging_keeps_the_sum() {
        let residuals: Vec<f64> = (0..37).map(f64::from).collect();
        for size in 1..=37 {
            let batches = merge_neighbours(&residuals, size);
            assert_eq!(batches.iter().sum::<f64>(), 666.0, "size {size}");
        }
    }
}
