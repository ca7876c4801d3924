//! Shares as whole numbers: parts per million that say what they round, and parts that sum to the whole.

use crate::policy::PPM;

/// `part / whole` in parts per million, rounded down, at most one million; `None` where the whole is 0.
pub(crate) fn ppm(part: u64, whole: u64) -> Option<u32> {
    let share = u128::from(part.min(whole)) * u128::from(PPM);
    let share = share.checked_div(u128::from(whole))?;
    u32::try_from(share).ok()
}

/// `value * factor / 1_000_000`, rounded down. Stays at the largest number.
pub(crate) fn scaled(value: u64, factor_ppm: u64) -> u64 {
    let product = u128::from(value) * u128::from(factor_ppm) / u128::from(PPM);
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// Divides `whole` in the ratio of `weights` so that the parts sum to it: each gets its quotient rounded down, what is left goes one
/// each to the largest remainders (Hamilton's method), among equal ones to the first. Without any weight all parts are 0.
pub(crate) fn apportion(whole: u32, weights: &[u64]) -> Vec<u32> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let product = |weight: &u64| u128::from(*weight) * u128::from(whole);
    let mut parts: Vec<u32> =
        weights.iter().map(|weight| u32::try_from(product(weight) / sum).unwrap_or(whole)).collect();
    let given: u64 = parts.iter().map(|part| u64::from(*part)).sum();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(product(&weights[*index]) % sum), *index));
    // Fewer are left than there are parts: every quotient lost less than one.
    let left = usize::try_from(u64::from(whole).saturating_sub(given)).unwrap_or(usize::MAX);
    for index in order.into_iter().take(left) {
        parts[index] += 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shares_round_down_and_stay_within_one() {
        assert_eq!(ppm(1, 3), Some(333_333));
        assert_eq!(ppm(5, 3), Some(1_000_000));
        assert_eq!(ppm(0, 0), None);
        assert_eq!(ppm(u64::MAX, u64::MAX), Some(1_000_000));
        assert_eq!(scaled(u64::MAX, 2_000_000), u64::MAX);
    }

    #[test]
    fn equal_weights_differ_by_at_most_one_and_the_first_get_more() {
        assert_eq!(apportion(1_000_000, &[1, 1, 1]), [333_334, 333_333, 333_333]);
        assert_eq!(apportion(100, &[25, 25, 50]), [25, 25, 50]);
        assert_eq!(apportion(7, &[0, 0]), [0, 0]);
    }

    proptest! {
        /// R76: parts sum to the whole, and each is its quotient rounded down or up.
        #[test]
        fn parts_sum_to_the_whole(whole in 0u32..2_000_000, weights in prop::collection::vec(0u64..u64::MAX, 1..20)) {
            let parts = apportion(whole, &weights);
            let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            let given: u64 = parts.iter().map(|part| u64::from(*part)).sum();
            prop_assert_eq!(given, if sum == 0 { 0 } else { u64::from(whole) });
            for (part, weight) in parts.iter().zip(&weights) {
                let low = (u128::from(*weight) * u128::from(whole)).checked_div(sum).unwrap_or(0);
                prop_assert!((low..=low + 1).contains(&u128::from(*part)));
            }
        }
    }
}
