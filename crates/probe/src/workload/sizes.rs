//! How large content is.

use peermark_core::ByteSize;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

/// Sizes with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeMix {
    entries: Vec<(ByteSize, u32)>,
    total: u64,
}

/// Why sizes are no mix.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SizeMixError {
    /// No size has a weight.
    #[error("no size with a weight above 0")]
    Empty,
    /// Nodes refuse empty content.
    #[error("a size of 0 bytes")]
    ZeroBytes,
}

impl SizeMix {
    /// Sizes, each drawn with the probability of its weight over the sum of weights.
    ///
    /// # Errors
    /// [`SizeMixError`].
    pub fn try_new(entries: Vec<(ByteSize, u32)>) -> Result<Self, SizeMixError> {
        let total = entries.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if total == 0 {
            return Err(SizeMixError::Empty);
        }
        if entries.iter().any(|(size, _)| size.0 == 0) {
            return Err(SizeMixError::ZeroBytes);
        }
        Ok(Self { entries, total })
    }

    /// One size only.
    ///
    /// # Errors
    /// [`SizeMixError::ZeroBytes`].
    pub fn only(size: ByteSize) -> Result<Self, SizeMixError> {
        Self::try_new(vec![(size, 1)])
    }

    /// The sizes and their weights.
    pub fn entries(&self) -> &[(ByteSize, u32)] {
        &self.entries
    }

    /// Mean size in bytes.
    pub fn mean_bytes(&self) -> f64 {
        let sum: f64 = self.entries.iter().map(|(size, weight)| size.0 as f64 * f64::from(*weight)).sum();
        sum / self.total as f64
    }

    /// The next size.
    pub(crate) fn draw(&self, stream: &mut ChaCha8Rng) -> u64 {
        let mut at = stream.next_u64() % self.total;
        for (size, weight) in &self.entries {
            match at.checked_sub(u64::from(*weight)) {
                Some(rest) => at = rest,
                None => return size.0,
            }
        }
        unreachable!("a number below the sum of weights falls on one of them")
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::Seed;

    use super::*;

    #[test]
    fn sizes_are_drawn_by_weight() {
        let mix = SizeMix::try_new(vec![(ByteSize(1), 3), (ByteSize(2), 0), (ByteSize(100), 1)]).unwrap();
        let mut stream = Seed(1).stream("sizes");
        let drawn: Vec<u64> = (0..10_000).map(|_| mix.draw(&mut stream)).collect();
        let small = drawn.iter().filter(|size| **size == 1).count();
        assert!((7_300..7_700).contains(&small), "{small}");
        assert!(!drawn.contains(&2));
        assert_eq!(mix.mean_bytes(), 25.75);
    }

    #[test]
    fn nothing_to_draw_is_refused() {
        assert_eq!(SizeMix::try_new(vec![]), Err(SizeMixError::Empty));
        assert_eq!(SizeMix::try_new(vec![(ByteSize(1), 0)]), Err(SizeMixError::Empty));
        assert_eq!(SizeMix::only(ByteSize(0)), Err(SizeMixError::ZeroBytes));
    }
}
