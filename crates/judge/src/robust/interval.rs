//! Intervals of a weighted median by order statistics.

use crate::fixed::Fixed;

use super::select::{FULL_WEIGHT, Weighted, reached, total_weight};
use super::{Bounds, Settings};

/// Highest number of trials whose binomial distribution is summed up exactly: all sums fit 128 bits.
const EXACT_TRIALS: u32 = 127;

/// 1.96 times 1.2533: what makes a standard deviation of single values the half width of the 95 % interval of their median.
const MEDIAN_HALF_WIDTH: Fixed = Fixed::from_ppm(2_456_468);

/// The largest j with 2 P(Bin(m, 1/2) <= j - 1) <= 5 %: the j-th value from either end bounds the median (David & Nagaraja, Order
/// Statistics, 7.1). `None` below six values, where no such j exists. Above 127 values by the normal approximation, rounded down.
pub(super) fn order_rank(m: u64) -> Option<u64> {
    if m > u64::from(EXACT_TRIALS) {
        // (m - 1.96 sqrt(m)) / 2 in hundredths.
        return Some((100 * m).saturating_sub(196 * (m.isqrt() + 1)) / 200);
    }
    // All outcomes are 2^m; both tails together are at most one in twenty.
    let limit = (1_u128 << m) / 40;
    let (mut term, mut sum, mut rank) = (1_u128, 0_u128, 0);
    while sum + term <= limit {
        sum += term;
        term = next_binomial(term, m, rank);
        rank += 1;
    }
    (rank > 0).then_some(rank)
}

/// C(m, k + 1) from C(m, k), without exceeding 128 bits for m up to 127.
pub(crate) fn next_binomial(term: u128, m: u64, k: u64) -> u128 {
    let (whole, rest) = (term / u128::from(k + 1), term % u128::from(k + 1));
    let factor = u128::from(m - k);
    whole * factor + rest * factor / u128::from(k + 1)
}

/// The interval of the median of `sorted` voices, widened by `gauge` on either side. Unequal weights count as fewer voices, by Kish's
/// effective size (sum of weights)^2 / (sum of squared weights), rounded to the nearest. `recent` is what all voices together are worth
/// in voices of this epoch, in millionths: that size does not see that all of them are old.
pub(super) fn of_median(sorted: &[Weighted], recent: u64, gauge: Fixed, settings: &Settings) -> Option<Bounds> {
    let squares: u128 = sorted.iter().map(|voice| u128::from(voice.weight).pow(2)).sum();
    let total = total_weight(sorted);
    let kish = (u128::from(total).pow(2) + squares / 2).checked_div(squares)? as u64;
    let full = u64::from(FULL_WEIGHT);
    let size = kish.min(recent.saturating_add(full / 2) / full);
    if size < u64::from(settings.minimum_groups) {
        return None;
    }
    let goal = (u128::from(total) * u128::from(order_rank(size)?) / u128::from(size)) as u64;
    let low = reached(sorted.iter(), goal)?;
    let high = reached(sorted.iter().rev(), goal)?;
    Some(Bounds { low: low - gauge, high: high + gauge })
}

/// Values that hold at least one honest one on either side while fewer than a third of the voices lie, however they lie: the
/// (f+1)-th from either end, f being the most liars among n > 3f.
pub(super) fn bracket(sorted: &[Weighted]) -> Option<Bounds> {
    let faults = faults(sorted.len());
    (faults > 0).then(|| Bounds { low: sorted[faults].value, high: sorted[sorted.len() - 1 - faults].value })
}

/// The most liars among `voices` with voices > 3 faults.
pub(crate) fn faults(voices: usize) -> usize {
    voices.saturating_sub(1) / 3
}

/// Half width of what is unknown about the common level of `groups` groups: no evidence tells whether the median group measures too
/// high or too low, only how far groups lie apart.
pub(super) fn gauge((spread, groups): (Fixed, u64)) -> Fixed {
    let root = Fixed::from_int(i32::try_from(groups).unwrap_or(i32::MAX)).sqrt();
    if root == Fixed::ZERO { Fixed::ZERO } else { (spread * MEDIAN_HALF_WIDTH).over(root) }
}
