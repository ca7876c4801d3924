//! Medians of integers, weighted and not. Ties go to the lower value, as in Tor's consensus ("All ties in computing medians are broken
//! in favor of the smaller", dir-spec).

use crate::fixed::Fixed;

/// A weight of one: a fully trusted voice.
pub(super) const FULL_WEIGHT: u32 = 1_000_000;

/// What makes a median distance from the median a standard deviation of normal noise: 1 / 0.6745.
const NORMAL_MAD: Fixed = Fixed::from_ppm(1_482_602);

/// A value and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weighted {
    pub(super) value: Fixed,
    pub(super) weight: u32,
}

/// The lower median; `None` without values. Reorders `values`.
pub(super) fn low_median(values: &mut [Fixed]) -> Option<Fixed> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable(middle).1)
}

/// The lowest value at which half of the weight is reached; `None` without weight. Sorts `values`.
pub(super) fn weighted_median(values: &mut [Weighted]) -> Option<Fixed> {
    values.sort_unstable();
    let total = total_weight(values);
    reached(values.iter(), total.div_ceil(2))
}

/// Sum of the weights.
pub(super) fn total_weight(values: &[Weighted]) -> u64 {
    values.iter().map(|voice| u64::from(voice.weight)).sum()
}

/// The first value in the order given at which the weight `goal` is reached; `None` where the goal is 0 or never reached.
pub(super) fn reached<'a>(values: impl Iterator<Item = &'a Weighted>, goal: u64) -> Option<Fixed> {
    if goal == 0 {
        return None;
    }
    let mut sum = 0_u64;
    values
        .into_iter()
        .find(|voice| {
            sum += u64::from(voice.weight);
            sum >= goal
        })
        .map(|voice| voice.value)
}

/// No voice counts more than twice an average one of its row, silent ones included: many who lost trust do not leave the decision to
/// one who did not. Voices of weight 0 are dropped.
pub(super) fn cap_weights(values: &mut Vec<Weighted>) {
    let cap = u32::try_from(2 * total_weight(values) / (values.len() as u64).max(1)).unwrap_or(u32::MAX);
    for voice in values.iter_mut() {
        voice.weight = voice.weight.min(cap);
    }
    values.retain(|voice| voice.weight > 0);
}

/// Robust standard deviation around `centre`: 1.4826 times the weighted median distance. Overwrites `values` by the distances.
pub(super) fn weighted_deviation(values: &mut [Weighted], centre: Fixed) -> Option<Fixed> {
    for voice in values.iter_mut() {
        voice.value = (voice.value - centre).abs();
    }
    weighted_median(values).map(|median| median * NORMAL_MAD)
}

/// Robust standard deviation around `centre` of values that count the same. Overwrites `values` by the distances.
pub(super) fn deviation(values: &mut [Fixed], centre: Fixed) -> Option<Fixed> {
    for value in values.iter_mut() {
        *value = (*value - centre).abs();
    }
    low_median(values).map(|median| median * NORMAL_MAD)
}
