//! Content that nobody can compress, share or guess, and that can be checked without keeping it.
//!
//! A payload is defined by seed, id and size alone: the bytes of a ChaCha8 stream keyed by the first two. It is generated while it is
//! sent and generated again while it is verified, [`CHUNK_BYTES`] at a time. Payloads of different ids share no block, so no store
//! deduplicates them and no cache answers for another.

use bytes::{Bytes, BytesMut};
use peermark_core::Seed;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

/// Bytes that are generated at a time.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that are compared at a time while verifying: they stay in the nearest cache.
const COMPARE_BYTES: usize = 4096;

/// One payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    /// Seed of the run.
    pub seed: Seed,
    /// Number of the payload within the run; also the trace of its samples.
    pub id: u64,
    /// Length in bytes.
    pub size: u64,
}

/// How received bytes differ from the payload that was asked for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Mismatch {
    /// A byte is another one.
    #[error("wrong byte at offset {offset}")]
    WrongByte {
        /// Offset of the first one.
        offset: u64,
    },
    /// More bytes came than the payload has.
    #[error("longer than its {size} bytes")]
    TooLong {
        /// Length of the payload.
        size: u64,
    },
    /// Fewer bytes came than the payload has.
    #[error("truncated: expected={size} got={got} bytes")]
    TooShort {
        /// Length of the payload.
        size: u64,
        /// Bytes that came.
        got: u64,
    },
}

impl Payload {
    /// The bytes, in chunks of [`CHUNK_BYTES`] and a rest.
    pub fn chunks(self) -> Chunks {
        Chunks { stream: self.stream(), left: self.size }
    }

    /// A verifier for a stream of bytes that claims to be this payload.
    pub fn verifier(self) -> Verifier {
        Verifier { stream: self.stream(), size: self.size, got: 0, expected: [0; COMPARE_BYTES], used: COMPARE_BYTES }
    }

    fn stream(self) -> ChaCha8Rng {
        self.seed.stream_at("payload", self.id)
    }
}

/// Generates the bytes of a payload.
#[derive(Clone, Debug)]
pub struct Chunks {
    stream: ChaCha8Rng,
    left: u64,
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let length = self.left.min(CHUNK_BYTES as u64);
        let mut chunk = BytesMut::zeroed(length as usize);
        self.stream.fill_bytes(&mut chunk);
        self.left -= length;
        Some(chunk.freeze())
    }
}

/// Compares a stream with a payload, in pieces of any size, holding a few kilobytes.
#[derive(Clone)]
pub struct Verifier {
    stream: ChaCha8Rng,
    size: u64,
    got: u64,
    /// The piece of the payload that comes next; the first `used` bytes of it were compared.
    expected: [u8; COMPARE_BYTES],
    used: usize,
}

impl Verifier {
    /// Compares the next bytes. After a mismatch the verifier is of no further use.
    ///
    /// # Errors
    /// [`Mismatch::WrongByte`] with the first wrong offset, or [`Mismatch::TooLong`].
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Mismatch> {
        if bytes.len() as u64 > self.size - self.got {
            return Err(Mismatch::TooLong { size: self.size });
        }
        while !bytes.is_empty() {
            if self.used == COMPARE_BYTES {
                self.stream.fill_bytes(&mut self.expected);
                self.used = 0;
            }
            let length = bytes.len().min(COMPARE_BYTES - self.used);
            let (now, later) = bytes.split_at(length);
            let expected = &self.expected[self.used..self.used + length];
            if now != expected {
                let wrong = now.iter().zip(expected).position(|(got, expected)| got != expected).unwrap_or(0);
                return Err(Mismatch::WrongByte { offset: self.got + wrong as u64 });
            }
            self.got += length as u64;
            self.used += length;
            bytes = later;
        }
        Ok(())
    }

    /// Whether everything came.
    ///
    /// # Errors
    /// [`Mismatch::TooShort`].
    pub fn finish(&self) -> Result<(), Mismatch> {
        if self.got == self.size { Ok(()) } else { Err(Mismatch::TooShort { size: self.size, got: self.got }) }
    }

    /// Bytes that came and were right.
    pub fn verified(&self) -> u64 {
        self.got
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(payload: Payload) -> Vec<u8> {
        payload.chunks().flatten().collect()
    }

    fn verified(payload: Payload, bytes: &[u8], piece: usize) -> Result<(), Mismatch> {
        let mut verifier = payload.verifier();
        bytes.chunks(piece).try_for_each(|piece| verifier.push(piece))?;
        verifier.finish()
    }

    #[test]
    fn payloads_are_unique_and_not_compressible() {
        let payload = Payload { seed: Seed(1), id: 0, size: 1 << 20 };
        let first = bytes(payload);
        let other = bytes(Payload { id: 1, ..payload });
        assert_eq!(first.len(), 1 << 20);
        assert!(first.chunks(64).zip(other.chunks(64)).all(|(a, b)| a != b));
        let mut counts = [0u32; 256];
        first.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        let entropy: f64 = counts.iter().map(|n| f64::from(*n) / first.len() as f64).map(|p| -p * p.log2()).sum();
        assert!(entropy > 7.999, "{entropy} bits per byte");
    }

    proptest! {
        #[test]
        fn a_payload_verifies_in_pieces_of_any_size(id in any::<u64>(), size in 1u64..200_000, piece in 1usize..70_000) {
            let payload = Payload { seed: Seed(9), id, size };
            prop_assert_eq!(verified(payload, &bytes(payload), piece), Ok(()));
        }

        #[test]
        fn the_first_wrong_byte_is_named(size in 1u64..50_000, at in any::<prop::sample::Index>(), piece in 1usize..9_000) {
            let payload = Payload { seed: Seed(9), id: 3, size };
            let mut bytes = bytes(payload);
            let offset = at.index(bytes.len());
            bytes[offset] ^= 1;
            if let Some(later) = bytes.get_mut(offset + 1) {
                *later ^= 1;
            }
            prop_assert_eq!(verified(payload, &bytes, piece), Err(Mismatch::WrongByte { offset: offset as u64 }));
        }

        #[test]
        fn wrong_lengths_are_told_apart(size in 1u64..50_000, cut in any::<prop::sample::Index>(), extra in 1usize..9_000) {
            let payload = Payload { seed: Seed(9), id: 3, size };
            let mut bytes = bytes(payload);
            let got = cut.index(bytes.len());
            prop_assert_eq!(verified(payload, &bytes[..got], 4096), Err(Mismatch::TooShort { size, got: got as u64 }));
            bytes.extend(std::iter::repeat_n(0, extra));
            prop_assert_eq!(verified(payload, &bytes, 60_000), Err(Mismatch::TooLong { size }));
        }
    }
}
