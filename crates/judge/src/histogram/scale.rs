//! Where buckets begin and end.

use super::{BUCKETS, Scale};

impl Scale {
    /// Lower end of the first bucket.
    fn unit(self) -> u64 {
        match self {
            Self::LatencyUs => 1_000,
            Self::ThroughputBps => 16_000,
        }
    }

    /// The lower end of bucket `index`; of [`BUCKETS`] the end of the scale.
    pub fn edge(self, index: u8) -> u64 {
        let (octave, part) = (u32::from(index / 8), u64::from(index % 8));
        // Both units are multiples of eight: every edge is a whole number.
        (self.unit() / 8 * (8 + part)) << octave.min(16)
    }

    /// The bucket of a value.
    pub fn bucket(self, value: u64) -> u8 {
        // A latency on an edge belongs below it, a throughput above it.
        let value = match self {
            Self::LatencyUs => value.saturating_sub(1),
            Self::ThroughputBps => value,
        };
        let ratio = value / (self.unit() / 8);
        if ratio < 8 {
            return 0;
        }
        let octave = ratio.ilog2() - 3;
        if octave >= 16 {
            return BUCKETS - 1;
        }
        // Between 8 and 15 by the octave: the cast cannot lose anything.
        let part = (ratio >> octave) as u8 - 8;
        octave as u8 * 8 + part
    }

    /// The edge by which a threshold is judged: the nearest one that is no easier to keep. `None` where no edge is: a latency below
    /// the second edge can be kept for sure by no bucket, and a throughput beyond the last edge by none either.
    pub fn judged_at(self, threshold: u64) -> Option<u64> {
        match self {
            Self::LatencyUs => (1..BUCKETS).rev().map(|index| self.edge(index)).find(|edge| *edge <= threshold),
            Self::ThroughputBps => (1..BUCKETS).map(|index| self.edge(index)).find(|edge| *edge >= threshold),
        }
    }
}
