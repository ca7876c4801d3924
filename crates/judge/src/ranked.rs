//! Values in order, failures on top: ranks to values over the merged slices, and how many values of each slice lie beyond one.

use crate::slices::Slice;

/// Sub-buckets per power of two of `peermark_core`'s histograms are 128, so values below 256 have buckets of their own.
const EXACT_BELOW: u64 = 256;
/// Log2 of the sub-buckets per power of two.
const SUB_BUCKET_BITS: u32 = 7;

/// Recorded buckets as (highest value of the bucket, values up to it), ascending.
type Cumulative = Vec<(u64, u64)>;

/// Where a rank falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the bucket with this highest value.
    Bucket(u64),
    /// Among the failures.
    Failures,
}

/// Slices prepared for questions about ranks.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    merged: Cumulative,
    slices: Vec<Cumulative>,
    counts: Vec<u64>,
    n: u64,
}

impl Ranked {
    pub(crate) fn new(slices: &[Slice]) -> Self {
        let mut whole = Slice::starting_at(0);
        slices.iter().for_each(|slice| whole.absorb(slice));
        Self {
            merged: cumulative(&whole),
            slices: slices.iter().map(cumulative).collect(),
            counts: slices.iter().map(Slice::count).collect(),
            n: whole.count(),
        }
    }

    /// Values, failures included.
    pub(crate) fn n(&self) -> u64 {
        self.n
    }

    /// Values per slice, failures included.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Where the value of this rank (from 1) lies.
    pub(crate) fn place_of(&self, rank: u64) -> Place {
        let index = self.merged.partition_point(|(_, up_to)| *up_to < rank);
        self.merged.get(index).map_or(Place::Failures, |(highest, _)| Place::Bucket(*highest))
    }

    /// Values per slice that lie beyond a place. Beyond the largest success are the failures.
    pub(crate) fn beyond(&self, place: Place) -> Vec<u64> {
        let up_to = |slice: &Cumulative| match place {
            Place::Bucket(highest) => {
                let index = slice.partition_point(|(edge, _)| *edge <= highest);
                index.checked_sub(1).map_or(0, |last| slice[last].1)
            }
            Place::Failures => slice.last().map_or(0, |(_, successes)| *successes),
        };
        self.slices.iter().zip(&self.counts).map(|(slice, count)| count - up_to(slice)).collect()
    }

    /// The value below which `position` values lie (a real number of values, 0 to n), or `None` among the failures.
    ///
    /// Within a bucket the values are taken as evenly spread. Where the one bucket holds more than `wide` values that is not
    /// known well enough to matter, and the bucket's outer edge is the honest answer: `upper` says which.
    pub(crate) fn value_at(&self, position: f64, wide: f64, upper: bool) -> Option<u64> {
        let index = self.merged.partition_point(|(_, up_to)| (*up_to as f64) < position);
        let (highest, up_to) = *self.merged.get(index)?;
        let before = index.checked_sub(1).map_or(0, |earlier| self.merged[earlier].1);
        let held = (up_to - before) as f64;
        let lowest = lowest_of_bucket(highest);
        if held > wide {
            return Some(if upper { highest } else { lowest });
        }
        let width = (highest - lowest) as f64 + 1.0;
        let inside = ((position - before as f64) / held).clamp(0.0, 1.0);
        Some(lowest + (inside * width).min(width - 1.0) as u64)
    }
}

fn cumulative(slice: &Slice) -> Cumulative {
    let mut up_to = 0;
    slice
        .histogram
        .buckets()
        .map(|(highest, count)| {
            up_to += count;
            (highest, up_to)
        })
        .collect()
}

/// Lowest value of the bucket whose highest is given: each power of two from 256 is divided into 128 buckets.
fn lowest_of_bucket(highest: u64) -> u64 {
    if highest < EXACT_BELOW {
        return highest;
    }
    let width = 1u64 << (highest.ilog2() - SUB_BUCKET_BITS);
    highest & !(width - 1)
}

#[cfg(test)]
mod tests {
    use peermark_core::Histogram;
    use proptest::prelude::*;

    use super::*;

    fn bucket_of(value: u64) -> u64 {
        let mut histogram = Histogram::new();
        histogram.record(value);
        histogram.value_at_rank(1).unwrap()
    }

    proptest! {
        #[test]
        fn bucket_edges_are_those_of_the_histogram(value in 1u64..1 << 60) {
            let highest = bucket_of(value);
            let lowest = lowest_of_bucket(highest);
            prop_assert!(lowest <= value && value <= highest);
            prop_assert_eq!(bucket_of(lowest), highest);
            prop_assert!(bucket_of(lowest - 1) < lowest);
        }
    }

    #[test]
    fn failures_rank_on_top() {
        let mut slice = Slice::starting_at(0);
        (1..=10).for_each(|value| slice.histogram.record(value));
        slice.censored = 5;
        let ranked = Ranked::new(&[slice, Slice::starting_at(1)]);
        assert_eq!(ranked.n(), 15);
        assert_eq!(ranked.place_of(10), Place::Bucket(10));
        assert_eq!(ranked.place_of(11), Place::Failures);
        assert_eq!(ranked.beyond(Place::Bucket(8)), [7, 0]);
        assert_eq!(ranked.beyond(Place::Failures), [5, 0]);
        assert_eq!(ranked.value_at(9.5, 4.0, true), Some(10));
        assert_eq!(ranked.value_at(10.5, 4.0, true), None);
    }

    #[test]
    fn a_crowded_bucket_answers_with_its_edge() {
        let mut slice = Slice::starting_at(0);
        slice.histogram.record_n(1_000_000, 100);
        let ranked = Ranked::new(&[slice]);
        let highest = bucket_of(1_000_000);
        assert_eq!(ranked.value_at(50.0, 10.0, true), Some(highest));
        assert_eq!(ranked.value_at(50.0, 10.0, false), Some(lowest_of_bucket(highest)));
        let spread = ranked.value_at(50.0, 1_000.0, true).unwrap();
        assert!(spread > lowest_of_bucket(highest) && spread < highest);
    }
}
