//! Checking a proof.

use std::collections::BTreeMap;

use super::build::{leaf, number, parent, peaks_of, root};
use super::{MAX_LENGTH, Node, Proof, ProofError, ProofNode};
use crate::Digest;

impl Proof {
    /// Checks that the chunk is number `chunk` of the first `length` of the feed with this root. `known` gives sizes of
    /// nodes from earlier proofs of the same feed: they stand in for what the proof leaves out.
    ///
    /// Gives every node whose size it proves, number and bytes, in the order of the numbers.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(
        &self,
        chunk: u64,
        length: u64,
        root_of_length: &Digest,
        known: impl Fn(u64) -> Option<u64>,
    ) -> Result<BTreeMap<u64, u64>, ProofError> {
        if chunk >= length || length > MAX_LENGTH {
            return Err(ProofError::Outside { chunk, length });
        }
        let peaks = peaks_of(length);
        let own = peaks.iter().position(|(depth, offset)| chunk >> depth == *offset);
        let Some((at, &(height, _))) = own.and_then(|at| Some((at, peaks.get(at)?))) else {
            return Err(ProofError::Outside { chunk, length });
        };
        let expected = u64::from(height) + peaks.len() as u64 - 1;
        let found = self.siblings.len() as u64 + self.peaks.len() as u64;
        if self.siblings.len() as u64 != u64::from(height) || found != expected {
            return Err(ProofError::Shape { expected, found });
        }
        let mut sizes = BTreeMap::new();
        let mut learn = |node: &Node| sizes.insert(node.index, node.bytes);
        let mut node = leaf(chunk, self.digest, self.bytes);
        learn(&node);
        for (depth, sibling) in (0..height).zip(&self.siblings) {
            let offset = chunk >> depth;
            let sibling = filled(sibling, number(depth, offset ^ 1), &known)?;
            learn(&sibling);
            node.bytes.checked_add(sibling.bytes).ok_or(ProofError::Overflow)?;
            node = if offset & 1 == 0 { parent(&node, &sibling) } else { parent(&sibling, &node) };
            learn(&node);
        }
        let mut all = Vec::with_capacity(peaks.len());
        let mut others = self.peaks.iter();
        for (place, &(depth, offset)) in peaks.iter().enumerate() {
            if place == at {
                all.push(node);
            } else if let Some(other) = others.next() {
                let peak = filled(other, number(depth, offset), &known)?;
                learn(&peak);
                all.push(peak);
            }
        }
        all.iter().try_fold(0_u64, |sum, peak| sum.checked_add(peak.bytes)).ok_or(ProofError::Overflow)?;
        if root(&all) == *root_of_length { Ok(sizes) } else { Err(ProofError::Root) }
    }
}

fn filled(node: &ProofNode, index: u64, known: impl Fn(u64) -> Option<u64>) -> Result<Node, ProofError> {
    let bytes = node.bytes.or_else(|| known(index)).ok_or(ProofError::UnknownSize { index })?;
    Ok(Node { index, hash: node.hash, bytes })
}
