//! Sparse log-linear histograms, as working reports carry them: eight buckets in every octave, each at most 12.5 % wide.
//!
//! Latency from 1 ms to 65.536 s and throughput from 16 kbit/s to 1.048 Gbit/s take 16 octaves, 128 buckets. Merging adds counters, so
//! that any window is exact and the order does not matter. Source: reference "Recommended record shapes".
//!
//! Bucket `i` of latency holds `edge(i) < value <= edge(i + 1)`, of throughput `edge(i) <= value < edge(i + 1)`, so that the share of
//! values that keep a threshold is exact where the threshold is an edge. A threshold inside a bucket is judged by the edge that is
//! harder to keep ([`Scale::judged_at`]): values of that bucket do not count as kept, and [`Kept::unclear`] says how many those are.

mod scale;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Buckets of a scale.
pub const BUCKETS: u8 = 128;

/// What is counted, and in which unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Microseconds; less is better. What is faster than 1 ms is in the first bucket, what is slower than 65.536 s in the last.
    LatencyUs,
    /// Bits per second; more is better. What is slower than 16 kbit/s is in the first bucket, what is faster in the last.
    ThroughputBps,
}

/// Counted values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct SparseHistogram {
    scale: Scale,
    /// Sorted by bucket, no bucket twice, no counter 0.
    counts: Vec<(u8, u32)>,
}

/// How many values keep a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Values that surely keep it.
    pub kept: u64,
    /// Values in the bucket that the threshold cuts. They are not among the kept.
    pub unclear: u64,
    /// All values.
    pub all: u64,
}

/// The bucket in which a quantile is: the value is within both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Lower end, in the unit of the scale.
    pub low: u64,
    /// Upper end; `u64::MAX` where the value is beyond the scale.
    pub high: u64,
}

/// Why counters are no histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HistogramError {
    /// A bucket that does not exist.
    #[error("bucket {index} of {BUCKETS}")]
    NoSuchBucket {
        /// The bucket.
        index: u8,
    },
    /// Buckets out of order or twice: two ways to say the same.
    #[error("bucket {index} does not follow {previous}")]
    Order {
        /// The bucket before.
        previous: u8,
        /// The bucket.
        index: u8,
    },
    /// A counter of 0, which is left out.
    #[error("bucket {index} counts nothing")]
    Empty {
        /// The bucket.
        index: u8,
    },
    /// A counter beyond what a report may carry.
    #[error("bucket {index} counts {count}, more than {most}")]
    TooMany {
        /// The bucket.
        index: u8,
        /// The counter.
        count: u32,
        /// The most.
        most: u32,
    },
    /// Latency and throughput do not add.
    #[error("histograms of different scales")]
    OtherScale,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    scale: Scale,
    counts: Vec<(u8, u32)>,
}

impl SparseHistogram {
    /// Nothing counted yet.
    pub fn new(scale: Scale) -> Self {
        Self { scale, counts: Vec::new() }
    }

    /// From counters, as a report carries them.
    ///
    /// # Errors
    /// Buckets that do not exist, are out of order or count nothing: there is one way to write a histogram.
    pub fn from_counts(scale: Scale, counts: Vec<(u8, u32)>) -> Result<Self, HistogramError> {
        let mut previous = None;
        for (index, count) in &counts {
            let index = *index;
            if index >= BUCKETS {
                return Err(HistogramError::NoSuchBucket { index });
            }
            if let Some(previous) = previous.filter(|previous| *previous >= index) {
                return Err(HistogramError::Order { previous, index });
            }
            if *count == 0 {
                return Err(HistogramError::Empty { index });
            }
            previous = Some(index);
        }
        Ok(Self { scale, counts })
    }

    /// Refuses what one report may not carry: counters beyond 65 535.
    ///
    /// # Errors
    /// The first counter that is too large.
    pub fn check_report(&self) -> Result<(), HistogramError> {
        let most = u32::from(u16::MAX);
        match self.counts.iter().find(|(_, count)| *count > most) {
            Some((index, count)) => Err(HistogramError::TooMany { index: *index, count: *count, most }),
            None => Ok(()),
        }
    }

    /// What is counted.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// Buckets and their counters, by bucket, without those that are 0.
    pub fn counts(&self) -> &[(u8, u32)] {
        &self.counts
    }

    /// All values.
    pub fn len(&self) -> u64 {
        self.counts.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Counts one value. A full counter stays full.
    pub fn record(&mut self, value: u64) {
        self.add(self.scale.bucket(value), 1);
    }

    /// Adds the counters of another. A full counter stays full.
    ///
    /// # Errors
    /// [`HistogramError::OtherScale`].
    pub fn merge(&mut self, other: &Self) -> Result<(), HistogramError> {
        if self.scale != other.scale {
            return Err(HistogramError::OtherScale);
        }
        for (index, count) in &other.counts {
            self.add(*index, *count);
        }
        Ok(())
    }

    /// How many values keep a threshold: at most so many microseconds, or at least so many bits per second.
    pub fn keeping(&self, threshold: u64) -> Kept {
        let mut kept = Kept::default();
        for (index, count) in &self.counts {
            let count = u64::from(*count);
            kept.all += count;
            let Bounds { low, high } = self.bounds(*index);
            let (surely, possibly) = match self.scale {
                Scale::LatencyUs => (high <= threshold, low < threshold),
                Scale::ThroughputBps => (low >= threshold, high > threshold),
            };
            if surely {
                kept.kept += count;
            } else if possibly {
                kept.unclear += count;
            }
        }
        kept
    }

    /// The bucket that holds the `q`-quantile (parts per million): the value of rank `ceil(q n)`, at least the first. `None` where nothing
    /// is counted.
    pub fn quantile(&self, q_ppm: u32) -> Option<Bounds> {
        let all = u128::from(self.len());
        let rank = (all * u128::from(q_ppm.min(crate::policy::PPM))).div_ceil(u128::from(crate::policy::PPM)).max(1);
        let mut passed = 0;
        for (index, count) in &self.counts {
            passed += u128::from(*count);
            if passed >= rank {
                return Some(self.bounds(*index));
            }
        }
        None
    }

    /// The `q`-quantile (parts per million) with the values of its bucket spread evenly over it. Two lists of which only a bucket is the
    /// same then differ as what they were counted from does. `None` where nothing is counted.
    pub fn interpolated(&self, q_ppm: u32) -> Option<u64> {
        let all = u128::from(self.len());
        let rank = (all * u128::from(q_ppm.min(crate::policy::PPM))).div_ceil(u128::from(crate::policy::PPM)).max(1);
        let mut before = 0;
        for (index, count) in &self.counts {
            let count = u128::from(*count);
            if before + count >= rank {
                let Bounds { low, high } = self.bounds(*index);
                if high == u64::MAX {
                    return Some(low);
                }
                let into = u128::from(high - low) * (2 * (rank - before) - 1) / (2 * count).max(1);
                return u64::try_from(u128::from(low) + into).ok();
            }
            before += count;
        }
        None
    }

    /// The ends of a bucket; the first begins at 0, the last has no end.
    fn bounds(&self, index: u8) -> Bounds {
        let low = if index == 0 { 0 } else { self.scale.edge(index) };
        let high = if index >= BUCKETS - 1 { u64::MAX } else { self.scale.edge(index + 1) };
        Bounds { low, high }
    }

    fn add(&mut self, index: u8, n: u32) {
        match self.counts.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(n),
            Err(at) => self.counts.insert(at, (index, n)),
        }
    }
}

impl Bounds {
    /// The middle, for sorting and printing; the lower end where there is no upper one.
    pub fn middle(self) -> u64 {
        if self.high == u64::MAX { self.low } else { self.low.midpoint(self.high) }
    }
}

impl Kept {
    /// Share that surely keeps the threshold, in parts per million, rounded down; `None` where nothing is counted.
    pub fn share_ppm(self) -> Option<u32> {
        crate::share::ppm(self.kept, self.all)
    }
}

impl TryFrom<Wire> for SparseHistogram {
    type Error = HistogramError;

    fn try_from(Wire { scale, counts }: Wire) -> Result<Self, Self::Error> {
        Self::from_counts(scale, counts)
    }
}

impl From<SparseHistogram> for Wire {
    fn from(SparseHistogram { scale, counts }: SparseHistogram) -> Self {
        Self { scale, counts }
    }
}
