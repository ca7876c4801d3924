//! Entries that are on their way to the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use peermark_core::sealed::PublicKey;

use crate::Digest;
use crate::log::Receipt;

/// Which entries are being written, and what became of those that were.
#[derive(Debug, Default)]
pub(super) struct Flight {
    state: Mutex<InFlight>,
    landed: Condvar,
}

#[derive(Debug, Default)]
struct InFlight {
    /// By signer: nobody has two entries under way, so none can be written whose predecessor was not.
    under_way: BTreeSet<PublicKey>,
    landed: BTreeMap<Digest, Option<Receipt>>,
}

impl Flight {
    /// An entry of a signer is about to be written.
    pub(super) fn start(&self, signer: PublicKey) {
        self.state.lock().under_way.insert(signer);
    }

    /// It was not handed over after all.
    pub(super) fn abandon(&self, signer: PublicKey) {
        self.land(signer, |_| ());
    }

    /// It is on the disk, or is not.
    pub(super) fn finish(&self, signer: PublicKey, entry: Digest, receipt: Option<Receipt>) {
        self.land(signer, |landed| {
            landed.insert(entry, receipt);
        });
    }

    /// Whether an entry of this signer is under way.
    pub(super) fn holds(&self, signer: PublicKey) -> bool {
        self.state.lock().under_way.contains(&signer)
    }

    /// What became of entries since the last call.
    pub(super) fn landed(&self) -> BTreeMap<Digest, Option<Receipt>> {
        std::mem::take(&mut self.state.lock().landed)
    }

    /// Waits until none is under way; `false` where some still are at the deadline.
    pub(super) fn settle(&self, deadline: Duration) -> bool {
        let mut state = self.state.lock();
        self.landed.wait_while_for(&mut state, |state| !state.under_way.is_empty(), deadline);
        state.under_way.is_empty()
    }

    fn land(&self, signer: PublicKey, change: impl FnOnce(&mut BTreeMap<Digest, Option<Receipt>>)) {
        let mut state = self.state.lock();
        change(&mut state.landed);
        state.under_way.remove(&signer);
        if state.under_way.is_empty() {
            self.landed.notify_all();
        }
    }
}
