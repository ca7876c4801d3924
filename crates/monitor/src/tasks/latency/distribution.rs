//! What a handful of probes say. No I/O.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Figures of probes that were answered, ns. Percentiles are by nearest rank: each is a value that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Smallest.
    pub min_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// Largest.
    pub max_ns: u64,
    /// Mean difference between one probe and the next.
    pub jitter_ns: u64,
}

impl Distribution {
    /// Of values in the order in which they were measured; `None` without any.
    pub(in crate::tasks) fn of(values: &[u64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        let (min_ns, max_ns) = (*sorted.first()?, *sorted.last()?);
        let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        let steps = values.windows(2).map(|pair| u128::from(pair[0].abs_diff(pair[1])));
        let between = u128::try_from(values.len() - 1).unwrap_or(0);
        let jitter = steps.sum::<u128>().checked_div(between).unwrap_or(0);
        let jitter_ns = u64::try_from(jitter).unwrap_or(u64::MAX);
        Some(Self { min_ns, p50_ns: rank(50), p90_ns: rank(90), max_ns, jitter_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let values: Vec<u64> = (1..=20).map(|n| n * 10).collect();
        let expected = Distribution { min_ns: 10, p50_ns: 100, p90_ns: 180, max_ns: 200, jitter_ns: 10 };
        assert_eq!(Distribution::of(&values), Some(expected));
        let one = Distribution { min_ns: 7, p50_ns: 7, p90_ns: 7, max_ns: 7, jitter_ns: 0 };
        assert_eq!(Distribution::of(&[7]), Some(one));
        assert_eq!(Distribution::of(&[]), None);
        assert_eq!(Distribution::of(&[5, 1, 9]).unwrap().jitter_ns, 6, "in the order of measuring");
    }
}
