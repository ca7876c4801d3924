//! From the log back to the state: records one by one, each block executed when its record comes.

use peermark_core::sealed::{Bytes, Sealed, SealedError};
use thiserror::Error;

use crate::beacon::{Beacon, BeaconError};
use crate::block::{self, BlockEnd, BlockError, BlockRecord};
use crate::genesis::Genesis;
use crate::machine::{Block, BlockResult, Machine};
use crate::{Digest, Height};

/// Most entries of a block: what waits longer is in the next.
pub const MAX_BLOCK_ENTRIES: usize = 100_000;

/// The state machine at a place in the log.
#[derive(Clone, Debug)]
pub struct Replay {
    machine: Machine,
    end: BlockEnd,
    /// Entries since the last block record.
    waiting: Vec<Sealed>,
    /// Index of the first of them, or of the next record.
    first: u64,
}

/// A block that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its height.
    pub height: Height,
    /// Hash of its record.
    pub record: Digest,
    /// What it did.
    pub result: BlockResult,
}

/// Why a log does not lead to the state that it says.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// No sealed record.
    #[error("record {index}")]
    Record {
        /// Its index in the log.
        index: u64,
        /// What is wrong with it.
        source: SealedError,
    },
    /// A block record that does not belong there.
    #[error("record {index}")]
    Block {
        /// Its index in the log.
        index: u64,
        /// What is wrong with it.
        source: BlockError,
    },
    /// The beacon of a block does not hold.
    #[error("record {index}")]
    Beacon {
        /// Index of the block record.
        index: u64,
        /// What is wrong with it.
        source: BeaconError,
    },
    /// A block record names other entries than those before it.
    #[error(
        "record {index}: block {height} says that it has {expected} entries from index {first}, the log has {found} from {from}"
    )]
    Entries {
        /// Index of the block record.
        index: u64,
        /// Its height.
        height: Height,
        /// Where it says that its entries begin.
        first: u64,
        /// How many it says.
        expected: u64,
        /// Where they begin.
        from: u64,
        /// How many there are.
        found: u64,
    },
    /// More entries than a block may have.
    #[error("record {index}: more than {MAX_BLOCK_ENTRIES} entries without a block record")]
    TooMany {
        /// Index of the entry.
        index: u64,
    },
    /// Executing the block leads to another state.
    #[error("record {index}: state after block {height}: expected={expected}, found={found}")]
    State {
        /// Index of the block record.
        index: u64,
        /// Its height.
        height: Height,
        /// What the record says.
        expected: Digest,
        /// What follows from the entries.
        found: Digest,
    },
}

impl Replay {
    /// Before the first record.
    pub fn new(genesis: Genesis) -> Self {
        Self { machine: Machine::new(genesis), end: BlockEnd::default(), waiting: Vec::new(), first: 0 }
    }

    /// After the block record before index `next`, whose block was `end`.
    pub fn at(machine: Machine, end: BlockEnd, next: u64) -> Self {
        Self { machine, end, waiting: Vec::new(), first: next }
    }

    /// The state machine after the last block.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The last block.
    pub fn end(&self) -> BlockEnd {
        self.end
    }

    /// Entries since the last block record.
    pub fn waiting(&self) -> &[Sealed] {
        &self.waiting
    }

    /// Index of the next record.
    pub fn next(&self) -> u64 {
        self.first + self.waiting.len() as u64
    }

    /// Takes the next record. Signatures of entries are the caller's to check; those of block records are checked here.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn push(&mut self, record: Sealed) -> Result<Option<Executed>, ReplayError> {
        if record.domain() == block::DOMAIN {
            return self.close(&record).map(Some);
        }
        if self.waiting.len() >= MAX_BLOCK_ENTRIES {
            return Err(ReplayError::TooMany { index: self.next() });
        }
        self.waiting.push(record);
        Ok(None)
    }

    /// Executes what waits as the next block, without a record: what the sequencer does before it signs one.
    ///
    /// # Errors
    /// [`BeaconError`].
    pub(crate) fn execute(&mut self, beacon: Option<&crate::Signature>) -> Result<BlockResult, BeaconError> {
        let height = self.end.height.saturating_add(1);
        let rule = &self.machine.state().genesis().beacon;
        let state = self.machine.state().hash();
        let beacon = rule.value(self.machine.network(), height, state, beacon)?;
        Ok(self.machine.finalize(&Block { height, beacon, entries: &self.waiting }))
    }

    /// Goes on after a block record that was made for what [`Self::execute`] did.
    pub(crate) fn follow(&mut self, record: &Sealed) {
        self.first = self.next() + 1;
        self.waiting.clear();
        self.end = BlockEnd { height: record.sequence(), hash: Bytes(record.hash()) };
    }

    /// Entries that the log did not take after all.
    pub(crate) fn forget(&mut self, keep: impl FnMut(&Sealed) -> bool) {
        self.waiting.retain(keep);
    }

    fn close(&mut self, record: &Sealed) -> Result<Executed, ReplayError> {
        let index = self.next();
        let genesis = self.machine.state().genesis();
        let said = BlockRecord::read(record, self.machine.network(), genesis.sequencer, self.end, true)
            .map_err(|source| ReplayError::Block { index, source })?;
        let (found, height) = (self.waiting.len() as u64, record.sequence());
        if (said.first, said.entries) != (self.first, found) {
            let (first, expected, from) = (said.first, said.entries, self.first);
            return Err(ReplayError::Entries { index, height, first, expected, from, found });
        }
        let result = self.execute(said.beacon.as_ref()).map_err(|source| ReplayError::Beacon { index, source })?;
        if result.state != said.state {
            let (expected, found) = (said.state, result.state);
            return Err(ReplayError::State { index, height, expected, found });
        }
        self.follow(record);
        Ok(Executed { height, record: self.end.hash, result })
    }
}

#[cfg(test)]
mod tests {
    use peermark_core::sealed::SigningKey;

    use super::*;
    use crate::genesis::Policy;
    use crate::town::{genesis, key};

    /// The sequencer's clock is nothing that follows: blocks that differ in it alone lead to the same randomness and state.
    #[test]
    fn the_clock_of_a_record_is_no_part_of_the_randomness() {
        let sequencer: SigningKey = key(999);
        let run = |wall_ms: u64| {
            let mut replay = Replay::new(genesis(Policy::default()));
            let mut states = Vec::new();
            for height in 1..4 {
                let result = replay.clone().execute(None).unwrap();
                states.push(result.state);
                let (first, state) = (replay.next(), result.state);
                let record = BlockRecord { first, entries: 0, beacon: None, state, wall_ms: wall_ms * height };
                let network = replay.machine().network().to_owned();
                let record = record.seal(&sequencer, &network, replay.end()).unwrap();
                replay.push(record).unwrap();
            }
            (states, replay.end().hash)
        };
        let (one, other) = (run(1), run(77));
        assert_eq!(one.0, other.0);
        assert_ne!(one.1, other.1);
        assert_ne!(one.0[0], one.0[1]);
    }
}
