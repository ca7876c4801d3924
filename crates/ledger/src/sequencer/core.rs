//! What the sequencer's lock guards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;
use peermark_core::sealed::{Bytes, PublicKey, Sealed};

use super::SequencerError;
use super::closing::Unwritten;
use super::flight::Flight;
use super::recent::Recent;
use crate::block::BlockEnd;
use crate::directory::Directory;
use crate::log::{Log, Writer};
use crate::machine::Machine;
use crate::replay::Replay;
use crate::state::ChainEnd;

/// What is taken and not yet in a block.
pub(super) struct Core {
    pub(super) replay: Replay,
    /// `None` after the end.
    pub(super) writer: Option<Writer>,
    /// Ends of the chains of those whose entries wait.
    pub(super) ends: Arc<RwLock<BTreeMap<PublicKey, ChainEnd>>>,
    pub(super) recent: Arc<RwLock<Recent>>,
    /// Bytes of the entries that wait.
    pub(super) waiting_bytes: usize,
    /// Numbers for which evidence is written already, since the last block.
    pub(super) accused: BTreeSet<(PublicKey, u64)>,
    /// The second of two entries of one signer and one number, of which the first was shown in this block.
    pub(super) other_half: Option<Vec<u8>>,
    /// A block is being closed: what comes waits.
    pub(super) is_closing: bool,
    /// A block that was executed and whose record is not written yet.
    pub(super) unwritten: Option<Unwritten>,
    /// Records at the last snapshot.
    pub(super) snapshot_at: u64,
}

impl Core {
    pub(super) fn new(replay: Replay, writer: Writer, recent: Recent, snapshot_at: u64) -> Self {
        let mut core = Self {
            replay,
            writer: Some(writer),
            ends: Arc::default(),
            recent: Arc::new(RwLock::new(recent)),
            waiting_bytes: 0,
            accused: BTreeSet::new(),
            other_half: None,
            is_closing: false,
            unwritten: None,
            snapshot_at,
        };
        core.count();
        core
    }

    /// The last entry of a signer that was taken.
    pub(super) fn end_of(&self, signer: PublicKey) -> Option<ChainEnd> {
        let waiting = self.ends.read().get(&signer).cloned();
        waiting.or_else(|| self.replay.machine().state().chain_end(signer).cloned())
    }

    /// An entry that was handed over to be written.
    pub(super) fn follow(&mut self, entry: Sealed) {
        let suspended = self.end_of(entry.signer()).and_then(|end| end.suspended);
        let end = ChainEnd { sequence: entry.sequence(), last: Bytes(entry.hash()), suspended };
        self.ends.write().insert(entry.signer(), end);
        self.waiting_bytes += entry.bytes().len();
        // It cannot be one too many: that was looked at before, and it is no block record.
        drop(self.replay.push(entry));
    }

    /// Takes note of what is on the disk by now. What the log refused for want of space is in no block, and may come again.
    pub(super) fn land(&mut self, flight: &Flight) {
        let landed = flight.landed();
        for entry in self.replay.waiting() {
            if let Some(Some(receipt)) = landed.get(&Bytes(entry.hash())) {
                self.recent.write().place(entry, receipt.index);
            }
        }
        if landed.values().any(Option::is_none) {
            self.replay.forget(|entry| !matches!(landed.get(&Bytes(entry.hash())), Some(None)));
            self.count();
        }
    }

    /// Ends of chains and bytes of what waits.
    pub(super) fn count(&mut self) {
        let waiting = self.replay.waiting();
        let end = |entry: &Sealed| ChainEnd { sequence: entry.sequence(), last: Bytes(entry.hash()), suspended: None };
        *self.ends.write() = waiting.iter().map(|entry| (entry.signer(), end(entry))).collect();
        self.waiting_bytes = waiting.iter().map(|entry| entry.bytes().len()).sum();
    }
}

/// The newest state that a snapshot has, or the one before the first record; and where that snapshot was.
pub(super) fn restore(directory: &Directory, log: &Log) -> Result<(Replay, u64), SequencerError> {
    let (reader, snapshots) = (log.reader(), log.snapshots());
    for height in snapshots.heights()?.into_iter().rev() {
        let replay = snapshots.read(height).map_err(|error| error.to_string()).and_then(|snapshot| {
            let machine = Machine::restore(directory.genesis(), &snapshot.bytes).map_err(|error| error.to_string())?;
            if machine.state().hash().0 != snapshot.state_hash || machine.state().height() != height {
                return Err("it holds another state than it says".to_owned());
            }
            let last = snapshot.size.checked_sub(1).ok_or("it follows from no record")?;
            let record = reader.read(last).map_err(|error| error.to_string())?;
            let record = Sealed::decode(&record).map_err(|error| error.to_string())?;
            let end = BlockEnd { height, hash: Bytes(record.hash()) };
            Ok((Replay::at(machine, end, snapshot.size), snapshot.size))
        });
        match replay {
            Ok(restored) => return Ok(restored),
            Err(error) => tracing::warn!(height, error, "snapshot is not used"),
        }
    }
    Ok((Replay::new(directory.genesis().clone()), 0))
}
