//! What is known of the sizes of feeds.

use std::collections::BTreeMap;

use crate::Id;
use crate::feed_tree::{Proof, ProofError, range_bytes};
use crate::item::Feed;
use crate::outcome::Refusal;
use crate::state::State;

impl State {
    /// Bytes of a range of a feed, both ends within it, from its versions and the nodes that proofs told (S27, S28); `None` where they
    /// do not tell.
    pub fn range_bytes(&self, feed: Id, first: u64, last: u64) -> Option<u64> {
        let versions = &self.item::<Feed>(feed).ok()?.versions;
        let prefix = |length| if length == 0 { Some(0) } else { versions.get(&length).map(|version| version.bytes) };
        range_bytes(|node| self.node_size(feed, node), prefix, first, last)
    }

    /// Checks the proof of a chunk against a version of its feed, with the sizes that are known. Gives the sizes that it proves, for
    /// `learn_sizes`.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where there is no such feed or version; within, [`ProofError`].
    pub fn verify_chunk(
        &self,
        feed: Id,
        length: u64,
        chunk: u64,
        proof: &Proof,
    ) -> Result<Result<BTreeMap<u64, u64>, ProofError>, Refusal> {
        let version = self.item::<Feed>(feed)?.versions.get(&length);
        let version = version.ok_or_else(|| Refusal::unknown("version of the feed", length))?;
        Ok(proof.verify(chunk, length, &version.root, |node| self.node_size(feed, node)))
    }

    /// Keeps sizes that a proof told.
    pub(crate) fn learn_sizes(&mut self, feed: Id, sizes: &BTreeMap<u64, u64>) {
        for (node, bytes) in sizes {
            if self.node_size(feed, *node) != Some(*bytes) {
                self.node_sizes.put((feed, *node), *bytes);
            }
        }
    }

    /// Bytes under a node of a feed's tree, where a proof told them.
    pub(crate) fn node_size(&self, feed: Id, node: u64) -> Option<u64> {
        self.node_sizes.get(&(feed, node)).copied()
    }
}
