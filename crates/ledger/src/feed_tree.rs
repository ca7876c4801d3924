//! The tree over the chunks of a feed, and proofs that a chunk is in it.
//!
//! Nodes have flat-tree numbers: chunk i is node 2 i, a parent lies between its children (hypercore's numbering, Design Document 0002:
//! <https://datprotocol.github.io/deps/0002-hypercore/>). A node's hash covers the bytes below it, so every proof also proves sizes,
//! and two prefixes of known size give the size of any range (S27, S28, S30):
//!
//! - leaf: SHA-256(0x00 | bytes u64 big-endian | SHA-256 of the chunk);
//! - parent: SHA-256(0x01 | bytes of both u64 big-endian | left hash | right hash);
//! - root of a length: SHA-256(0x02 | for each peak from the left: hash | number u64 | bytes u64, big-endian).
//!
//! The peaks of a length are the roots of the full trees that its binary digits name, the largest first.

mod build;
mod proof;
mod sizes;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;

pub use build::Tree;
pub use sizes::{prefix_bytes, range_bytes};

/// Longest feed, chunks: so that every number of a node fits, and proofs of several chunks fit into one report.
pub const MAX_LENGTH: u64 = 1 << 32;

/// The number of a chunk's own node.
pub fn leaf_number(chunk: u64) -> u64 {
    chunk.saturating_mul(2)
}

/// Numbers of the peaks of a length, from the left.
pub fn peaks(length: u64) -> Vec<u64> {
    build::peaks_of(length).into_iter().map(|(depth, offset)| build::number(depth, offset)).collect()
}

/// A node of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its flat-tree number.
    pub index: u64,
    /// Its hash.
    pub hash: Digest,
    /// Bytes of all chunks below it.
    pub bytes: u64,
}

/// A node of a proof. Its size may be left out where the verifier knows it from an earlier proof (S30).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofNode {
    /// Its hash.
    pub hash: Digest,
    /// Bytes below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// That a chunk is in a feed of a length with a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// SHA-256 of the chunk.
    pub digest: Digest,
    /// Bytes of the chunk.
    pub bytes: u64,
    /// Siblings from the chunk up to its peak.
    pub siblings: Vec<ProofNode>,
    /// All other peaks, from the left.
    pub peaks: Vec<ProofNode>,
}

/// Why a proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "proof")]
pub enum ProofError {
    /// The chunk is not below the length, or the length above the bound.
    #[error("chunk {chunk} is not in a feed of {length} chunks")]
    Outside {
        /// The chunk.
        chunk: u64,
        /// The length.
        length: u64,
    },
    /// More or fewer nodes than the tree has on the way.
    #[error("{found} nodes in the proof, the tree has {expected}")]
    Shape {
        /// Nodes needed.
        expected: u64,
        /// Nodes given.
        found: u64,
    },
    /// A size is left out that nobody told before.
    #[error("the size of node {index} is not known")]
    UnknownSize {
        /// The node.
        index: u64,
    },
    /// Sizes add up to more than a number holds.
    #[error("sizes overflow")]
    Overflow,
    /// It leads to another root.
    #[error("the proof leads to another root")]
    Root,
}

#[cfg(test)]
mod tests;
