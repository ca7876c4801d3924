//! What is remembered of the last entries: where they are in the log, and what became of them.

use std::collections::{BTreeMap, VecDeque};

use peermark_core::sealed::{Bytes, PublicKey, Sealed};

use crate::outcome::Outcome;
use crate::{Digest, Height};

/// Entries that are remembered. The log has them all; older ones are found by replaying it.
const KEEP: usize = 100_000;

/// The last entries.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Index in the log by hash.
    places: BTreeMap<Digest, u64>,
    /// Hash by signer and number.
    numbers: BTreeMap<(PublicKey, u64), Digest>,
    outcomes: BTreeMap<Digest, (Height, Outcome)>,
    order: VecDeque<(Digest, PublicKey, u64)>,
}

impl Recent {
    /// An entry is on the disk at this index.
    pub(super) fn place(&mut self, entry: &Sealed, index: u64) {
        let hash = Bytes(entry.hash());
        if self.places.insert(hash, index).is_some() {
            return;
        }
        let key = (entry.signer(), entry.sequence());
        self.numbers.insert(key, hash);
        self.order.push_back((hash, key.0, key.1));
        while self.order.len() > KEEP {
            let Some((hash, signer, sequence)) = self.order.pop_front() else { return };
            self.places.remove(&hash);
            self.outcomes.remove(&hash);
            if self.numbers.get(&(signer, sequence)) == Some(&hash) {
                self.numbers.remove(&(signer, sequence));
            }
        }
    }

    /// What became of a block's entries.
    pub(super) fn executed(&mut self, height: Height, outcomes: &[Outcome]) {
        for outcome in outcomes.iter().filter(|outcome| self.places.contains_key(&outcome.entry)) {
            self.outcomes.insert(outcome.entry, (height, outcome.clone()));
        }
    }

    pub(super) fn index(&self, entry: &Digest) -> Option<u64> {
        self.places.get(entry).copied()
    }

    pub(super) fn index_of(&self, signer: PublicKey, sequence: u64) -> Option<u64> {
        self.index(self.numbers.get(&(signer, sequence))?)
    }

    pub(super) fn outcome(&self, entry: &Digest) -> Option<(Height, Outcome)> {
        self.outcomes.get(entry).cloned()
    }
}
