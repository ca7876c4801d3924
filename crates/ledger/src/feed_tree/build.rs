//! Building a tree, and proofs out of it.

use peermark_core::sealed::Bytes;
use sha2::{Digest as _, Sha256};

use super::{MAX_LENGTH, Node, Proof, ProofNode};
use crate::Digest;

/// The whole tree of a feed, for whoever has all its chunks.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Full nodes by depth, from the left. Depth 0 are the chunks.
    levels: Vec<Vec<Node>>,
    /// SHA-256 of each chunk.
    digests: Vec<Digest>,
}

impl Tree {
    /// The tree of these chunks.
    pub fn of_chunks<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> Self {
        let mut tree = Self::default();
        for chunk in chunks {
            let chunk = chunk.as_ref();
            tree.push(Bytes(Sha256::digest(chunk).into()), chunk.len() as u64);
        }
        tree
    }

    /// Adds a chunk by its SHA-256 and its bytes.
    pub fn push(&mut self, digest: Digest, bytes: u64) {
        self.digests.push(digest);
        let mut node = leaf(self.len() - 1, digest, bytes);
        let mut depth = 0;
        loop {
            if self.levels.len() == depth {
                self.levels.push(Vec::new());
            }
            let level = &mut self.levels[depth];
            level.push(node);
            if level.len() % 2 == 1 {
                return;
            }
            let left = level[level.len() - 2];
            node = parent(&left, &node);
            depth += 1;
        }
    }

    /// Chunks.
    pub fn len(&self) -> u64 {
        self.digests.len() as u64
    }

    /// Whether there is no chunk.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        self.peaks(self.len()).iter().map(|peak| peak.bytes).fold(0, u64::saturating_add)
    }

    /// The root of the first `length` chunks; that of nothing where there are fewer.
    pub fn root(&self, length: u64) -> Digest {
        root(&self.peaks(length))
    }

    /// The proof of a chunk in the first `length`; `None` where it is not among them.
    pub fn proof(&self, chunk: u64, length: u64) -> Option<Proof> {
        let digest = *self.digests.get(usize::try_from(chunk).ok()?)?;
        let (mut siblings, mut others, mut bytes) = (Vec::new(), Vec::new(), None);
        for (depth, offset) in peaks_of(length) {
            if chunk >> depth != offset {
                others.push(proof_node(self.node(depth, offset)?));
                continue;
            }
            bytes = Some(self.node(0, chunk)?.bytes);
            for level in 0..depth {
                siblings.push(proof_node(self.node(level, (chunk >> level) ^ 1)?));
            }
        }
        Some(Proof { digest, bytes: bytes?, siblings, peaks: others })
    }

    fn peaks(&self, length: u64) -> Vec<Node> {
        peaks_of(length).into_iter().filter_map(|(depth, offset)| self.node(depth, offset)).collect()
    }

    fn node(&self, depth: u32, offset: u64) -> Option<Node> {
        self.levels.get(depth as usize)?.get(usize::try_from(offset).ok()?).copied()
    }
}

fn proof_node(node: Node) -> ProofNode {
    ProofNode { hash: node.hash, bytes: Some(node.bytes) }
}

/// The full trees of a length, the largest first: depth and place among those of its depth.
pub(super) fn peaks_of(length: u64) -> Vec<(u32, u64)> {
    let mut start = 0;
    let mut peaks = Vec::new();
    for depth in (0..MAX_LENGTH.ilog2() + 1).rev() {
        if length >> depth & 1 == 1 {
            peaks.push((depth, start >> depth));
            start += 1 << depth;
        }
    }
    peaks
}

/// The flat-tree number of a node.
pub(super) fn number(depth: u32, offset: u64) -> u64 {
    ((2 * offset + 1) << depth) - 1
}

pub(super) fn leaf(chunk: u64, digest: Digest, bytes: u64) -> Node {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(bytes.to_be_bytes());
    hash.update(digest.0);
    Node { index: number(0, chunk), hash: Bytes(hash.finalize().into()), bytes }
}

/// The parent of two nodes of one depth. Its size saturates: where it does, no proof of it holds.
pub(super) fn parent(left: &Node, right: &Node) -> Node {
    let bytes = left.bytes.saturating_add(right.bytes);
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(bytes.to_be_bytes());
    hash.update(left.hash.0);
    hash.update(right.hash.0);
    Node { index: left.index.midpoint(right.index), hash: Bytes(hash.finalize().into()), bytes }
}

pub(super) fn root(peaks: &[Node]) -> Digest {
    let mut hash = Sha256::new();
    hash.update([2]);
    for peak in peaks {
        hash.update(peak.hash.0);
        hash.update(peak.index.to_be_bytes());
        hash.update(peak.bytes.to_be_bytes());
    }
    Bytes(hash.finalize().into())
}
