//! Mergeable histograms of non-negative integers (nanoseconds, bytes): HdrHistogram with 2 significant digits.
//!
//! Two digits bound the relative error of any recorded value by 1 % at ~1 KiB per power of two. The encoding is HdrHistogram's
//! V2 without compression; [`Histogram::decode`] refuses bytes that it would not itself have written.

use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use thiserror::Error;

/// Significant decimal digits. Part of the format: histograms of different precision do not merge without loss.
pub const SIGNIFICANT_DIGITS: u8 = 2;

/// Largest encoded histogram that is decoded. A full-range (u64) histogram of 2 digits encodes to less than this.
pub const MAX_ENCODED_BYTES: usize = 128 * 1024;

/// Bytes before the counts.
const HEADER_BYTES: usize = 40;

/// A mergeable histogram of non-negative integers.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    inner: hdrhistogram::Histogram<u64>,
}

/// Why encoded bytes are no histogram.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DecodeError {
    /// More bytes than any histogram needs.
    #[error("encoded histogram too large: {bytes} bytes, at most {MAX_ENCODED_BYTES}")]
    TooLarge {
        /// How many bytes came.
        bytes: usize,
    },
    /// Not in HdrHistogram's V2 format.
    #[error("malformed histogram: {reason}")]
    Malformed {
        /// What the decoder said.
        reason: String,
    },
    /// A histogram of another precision.
    #[error("histogram precision: expected={SIGNIFICANT_DIGITS} digits, found={found}")]
    Precision {
        /// Digits found.
        found: u8,
    },
    /// Readable, but not the bytes that this code would write for the same histogram.
    #[error("histogram encoding is not canonical")]
    NotCanonical,
}

impl Histogram {
    /// An empty histogram that grows with its largest value.
    pub fn new() -> Self {
        let inner = hdrhistogram::Histogram::new(SIGNIFICANT_DIGITS).expect("2 digits are within the library's 0..=5");
        Self { inner }
    }

    /// Counts one value. Values above the library's range count as its largest value, none is dropped.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        // The only error of an auto-resizing histogram is a value near u64::MAX, which saturates.
        if self.inner.record_n(value, count).is_err() {
            self.inner.saturating_record_n(value, count);
        }
    }

    /// Adds every count of `other`. The result equals the histogram of all values recorded in one.
    pub fn merge(&mut self, other: &Self) {
        if self.inner.add(&other.inner).is_err() {
            for bucket in other.inner.iter_recorded() {
                self.record_n(bucket.value_iterated_to(), bucket.count_at_value());
            }
        }
    }

    /// How many values were recorded.
    pub fn len(&self) -> u64 {
        self.inner.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }

    /// Smallest recorded value (lower edge of its bucket); 0 when empty.
    pub fn min(&self) -> u64 {
        self.inner.min()
    }

    /// Largest recorded value (upper edge of its bucket); 0 when empty.
    pub fn max(&self) -> u64 {
        self.inner.max()
    }

    /// Smallest bucket value with at least `rank` recorded values at or below it (`rank` counts from 1). `None` beyond the count.
    pub fn value_at_rank(&self, rank: u64) -> Option<u64> {
        if rank == 0 || rank > self.len() {
            return None;
        }
        let mut seen = 0;
        for bucket in self.inner.iter_recorded() {
            seen += bucket.count_at_value();
            if seen >= rank {
                return Some(bucket.value_iterated_to());
            }
        }
        None
    }

    /// How many recorded values lie in the bucket of `value` or below.
    pub fn count_at_or_below(&self, value: u64) -> u64 {
        let edge = self.inner.highest_equivalent(value);
        self.inner
            .iter_recorded()
            .take_while(|bucket| bucket.value_iterated_to() <= edge)
            .map(|bucket| bucket.count_at_value())
            .sum()
    }

    /// The recorded buckets as (highest value of the bucket, count), ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.inner.iter_recorded().map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
    }

    /// The canonical bytes: HdrHistogram V2, uncompressed, after shrinking to the recorded range.
    pub fn encode(&self) -> Vec<u8> {
        let mut canonical =
            hdrhistogram::Histogram::<u64>::new(SIGNIFICANT_DIGITS).expect("2 digits are within the library's 0..=5");
        for (value, count) in self.buckets() {
            if canonical.record_n(value, count).is_err() {
                canonical.saturating_record_n(value, count);
            }
        }
        let mut bytes = Vec::new();
        V2Serializer::new()
            .serialize(&canonical, &mut bytes)
            .expect("a Vec takes every byte and counts fit the V2 format");
        bytes
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are too many, malformed, of another precision, or not what [`Self::encode`] would write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_ENCODED_BYTES {
            return Err(DecodeError::TooLarge { bytes: bytes.len() });
        }
        refuse_huge_range(bytes)?;
        let mut cursor = bytes;
        let inner: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut cursor)
            .map_err(|error| DecodeError::Malformed { reason: error.to_string() })?;
        if inner.sigfig() != SIGNIFICANT_DIGITS {
            return Err(DecodeError::Precision { found: inner.sigfig() });
        }
        let histogram = Self { inner };
        if histogram.encode() != bytes {
            return Err(DecodeError::NotCanonical);
        }
        Ok(histogram)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// The V2 header announces precision, range and the length of the counts; all decide how much memory the decoder takes, so they
/// are checked first. Layout: cookie u32, payload length u32, normalising offset u32, significant digits u32, lowest u64, highest u64,
/// ratio f64, all big-endian.
fn refuse_huge_range(bytes: &[u8]) -> Result<(), DecodeError> {
    let short = || DecodeError::Malformed { reason: "shorter than its header".into() };
    let number = |at: usize| -> Option<u32> { Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)) };
    let payload = number(4).ok_or_else(short)?;
    let digits = number(12).ok_or_else(short)?;
    if digits != u32::from(SIGNIFICANT_DIGITS) {
        return Err(DecodeError::Precision { found: u8::try_from(digits).unwrap_or(u8::MAX) });
    }
    let follows = bytes.len().checked_sub(HEADER_BYTES).ok_or_else(short)?;
    if payload as usize != follows {
        return Err(DecodeError::Malformed {
            reason: format!("announces {payload} bytes of counts, {follows} follow"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn merged_equals_histogram_of_merged_data(a in prop::collection::vec(0u64..1 << 40, 0..200), b in prop::collection::vec(any::<u64>(), 0..200)) {
            let (mut left, mut right, mut all) = (Histogram::new(), Histogram::new(), Histogram::new());
            a.iter().for_each(|v| { left.record(*v); all.record(*v); });
            b.iter().for_each(|v| { right.record(*v); all.record(*v); });
            left.merge(&right);
            prop_assert_eq!(left.encode(), all.encode());
            prop_assert_eq!(left.len(), (a.len() + b.len()) as u64);
        }

        #[test]
        fn encoding_round_trips(values in prop::collection::vec(any::<u64>(), 0..300)) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|v| histogram.record(*v));
            let bytes = histogram.encode();
            let back = Histogram::decode(&bytes).unwrap();
            prop_assert_eq!(back.encode(), bytes);
            prop_assert_eq!(back.len(), histogram.len());
        }

        #[test]
        fn decoding_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Histogram::decode(&bytes);
        }

        #[test]
        fn a_flipped_byte_is_refused_or_changes_the_histogram(values in prop::collection::vec(1u64..1 << 30, 1..50), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|v| histogram.record(*v));
            let mut bytes = histogram.encode();
            let index = at.index(bytes.len());
            bytes[index] ^= 1 << bit;
            if let Ok(back) = Histogram::decode(&bytes) {
                prop_assert_ne!(back.encode(), histogram.encode());
            }
        }

        #[test]
        fn relative_error_is_at_most_one_percent(value in 1u64..1 << 50) {
            let mut histogram = Histogram::new();
            histogram.record(value);
            let read = histogram.value_at_rank(1).unwrap();
            prop_assert!(read >= value && (read - value) as f64 <= 0.01 * value as f64);
        }
    }

    #[test]
    fn ranks_walk_the_recorded_values() {
        let mut histogram = Histogram::new();
        (1..=100).for_each(|v| histogram.record(v));
        assert_eq!(histogram.value_at_rank(0), None);
        assert_eq!(histogram.value_at_rank(1), Some(1));
        assert_eq!(histogram.value_at_rank(50), Some(50));
        assert_eq!(histogram.value_at_rank(100), Some(100));
        assert_eq!(histogram.value_at_rank(101), None);
        assert_eq!(histogram.count_at_or_below(30), 30);
    }
}
