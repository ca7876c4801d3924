//! Numbers that nobody chose.

use peermark_core::sealed::Bytes;
use sha2::{Digest as _, Sha256};

use crate::Digest;

/// A stream of numbers from one seed: block i of it is SHA-256(tag | seed | i u64 big-endian), cut into four big-endian u64. Whoever
/// knows the seed draws the same.
#[derive(Clone, Debug)]
pub struct Draws {
    seed: Digest,
    next: u64,
    left: Vec<u64>,
}

impl Draws {
    /// The stream of a seed.
    pub fn new(seed: Digest) -> Self {
        Self { seed, next: 0, left: Vec::new() }
    }

    /// The next number of the stream.
    pub fn next_u64(&mut self) -> u64 {
        if let Some(number) = self.left.pop() {
            return number;
        }
        let mut hash = Sha256::new();
        hash.update("peermark/ledger/draws/v1\0");
        hash.update(self.seed.0);
        hash.update(self.next.to_be_bytes());
        self.next = self.next.wrapping_add(1);
        let Bytes(block) = Bytes::<32>(hash.finalize().into());
        let mut word = [0; 8];
        self.left = block
            .chunks_exact(8)
            .rev()
            .map(|bytes| {
                word.copy_from_slice(bytes);
                u64::from_be_bytes(word)
            })
            .collect();
        self.left.pop().unwrap_or_default()
    }

    /// One of `0..bound`, each as likely as the others; 0 where the bound is 0. Numbers beyond the largest multiple of the bound
    /// are drawn again.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound < 2 {
            return 0;
        }
        let excess = (u64::MAX % bound).wrapping_add(1) % bound;
        loop {
            let number = self.next_u64();
            if number <= u64::MAX - excess {
                return number % bound;
            }
        }
    }
}
