//! The record that closes a block: what the sequencer says about it, in the log after the block's entries.

use peermark_core::sealed::{Draft, NO_PREVIOUS, PublicKey, Sealed, SealedError, SigningKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Digest, Height, Signature};

/// The domain of block records.
pub const DOMAIN: &str = "ledger.block";

/// What a sequencer says about a block. The number of the sealed record is the block's height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRecord {
    /// Place of the block's first entry in the log; its entries reach up to this record.
    pub first: u64,
    /// How many entries it has.
    pub entries: u64,
    /// Proof of its randomness, where the beacon gives one.
    pub beacon: Option<Signature>,
    /// Hash of the state after it.
    pub state: Digest,
    /// Wall clock of the sequencer, milliseconds since 1970: for people; nothing follows from it, not the randomness either.
    pub wall_ms: u64,
}

/// Why something is no record of the next block.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Not a sealed record, or its signature does not hold.
    #[error("block record: {0}")]
    Sealed(#[from] SealedError),
    /// Of another domain, network or signer, or its payload is none of a block.
    #[error("not a block record of this ledger: {what}")]
    Foreign {
        /// What is wrong.
        what: &'static str,
    },
    /// Of another height, or it follows another block.
    #[error("block {found} does not follow block {last}")]
    Order {
        /// The last block.
        last: Height,
        /// This one.
        found: Height,
    },
}

/// The end of the chain of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockEnd {
    /// Height of the last block; 0 before the first.
    pub height: Height,
    /// Hash of its record; zeros before the first.
    pub hash: Digest,
}

impl Default for BlockEnd {
    fn default() -> Self {
        Self { height: 0, hash: peermark_core::sealed::Bytes(NO_PREVIOUS) }
    }
}

impl BlockRecord {
    /// Signs it as the block after `end`.
    ///
    /// # Errors
    /// [`SealedError`] where the network is no name.
    pub fn seal(&self, key: &SigningKey, network: &str, end: BlockEnd) -> Result<Sealed, SealedError> {
        let payload = peermark_core::sealed::Value::of(self)?;
        let draft = Draft {
            domain: DOMAIN.into(),
            network: network.into(),
            sequence: end.height.saturating_add(1),
            previous: end.hash.0,
            payload,
        };
        Sealed::seal(key, draft)
    }

    /// Reads the record of the block after `end`. The signature is checked where `check` asks for it.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn read(
        record: &Sealed,
        network: &str,
        sequencer: PublicKey,
        end: BlockEnd,
        check: bool,
    ) -> Result<Self, BlockError> {
        let foreign = |what| Err(BlockError::Foreign { what });
        if record.domain() != DOMAIN {
            return foreign("domain");
        }
        if record.network() != network {
            return foreign("network");
        }
        if record.signer() != sequencer {
            return foreign("signer");
        }
        if record.sequence() != end.height.saturating_add(1) || record.previous() != end.hash.0 {
            return Err(BlockError::Order { last: end.height, found: record.sequence() });
        }
        if check {
            record.verify()?;
        }
        record.payload().to().map_err(|_| BlockError::Foreign { what: "payload" })
    }
}
