//! A statement with everything that it follows from, in one file: whoever has it recomputes the statement without a network and without
//! trust in who made it.
//!
//! It holds the genesis, every record of the log up to a block, the signed checkpoint over them, and the statement. A state follows
//! from all that was said before, so that is what a bundle carries; it grows with the ledger.
//!
//! Form: magic, then `len u32 (big-endian) | bytes` each: header (CBOR), document, records. Compressed by zstd as a whole.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use peermark_core::sealed::{Bytes, MAX_BYTES, PublicKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::genesis::{Genesis, GenesisError};
use crate::log::tree::{Frontier, leaf_hash};
use crate::log::{Checkpoint, CheckpointError, Signer};
use crate::replay::{Replay, ReplayError};
use crate::verify::{Signatures, replay_records};
use crate::{Digest, Height, Id};

const MAGIC: &[u8; 8] = b"pmbundle";

/// Version of the form.
const VERSION: u32 = 1;

/// Longest header and document, bytes.
const MAX_PART_BYTES: u32 = 16 << 20;

/// Most records of a bundle.
const MAX_RECORDS: u64 = 50_000_000;

/// Most bytes of the records of a ledger that are read at once: all of them are held until they are checked.
pub const MAX_RECORDS_BYTES: u64 = 4 << 30;

/// Window that a reader accepts, as a power of two: what the default level of zstd writes.
const MAX_WINDOW_LOG: u32 = 27;

/// A ledger up to a checkpoint: all that is needed to check everything and to read the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What the network agreed on, in its one form.
    pub genesis: Vec<u8>,
    /// The checkpoint, a signed note.
    pub note: String,
    /// Every record that the checkpoint signs. Entries behind the last block wait, and nothing follows from them yet.
    pub records: Vec<Vec<u8>>,
}

/// A statement with its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What it follows from.
    pub evidence: Evidence,
    /// Whom the statement is about.
    pub subject: Id,
    /// The statement, as its maker wrote it.
    pub document: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    #[serde(with = "peermark_core::sealed::bytes::long")]
    genesis: Vec<u8>,
    note: String,
    subject: Id,
    records: u64,
}

/// Why a bundle proves nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It cannot be read or written.
    #[error("cannot {action} the bundle")]
    Io {
        /// What was done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Not a bundle.
    #[error("malformed bundle: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The genesis is none.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The checkpoint is none of this ledger's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The records are not those that the checkpoint signs.
    #[error("the records are not those that the checkpoint signs: size={size}, root={root}")]
    Tree {
        /// Records.
        size: u64,
        /// Their root.
        root: Digest,
    },
    /// The records do not lead to the states that they say.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// What a bundle proves.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The state after its last block.
    pub replay: Replay,
    /// The checkpoint that signs its records.
    pub checkpoint: Checkpoint,
    /// Who signed it.
    pub signer: PublicKey,
}

impl Checked {
    /// Height of its last block.
    pub fn height(&self) -> Height {
        self.replay.end().height
    }
}

impl Bundle {
    /// Writes it.
    ///
    /// # Errors
    /// [`BundleError::Io`].
    pub fn write(&self, to: impl Write) -> Result<(), BundleError> {
        let failed = |source| BundleError::Io { action: "write", source };
        let header = Header {
            version: VERSION,
            genesis: self.evidence.genesis.clone(),
            note: self.evidence.note.clone(),
            subject: self.subject,
            records: self.evidence.records.len() as u64,
        };
        let mut bytes = Vec::new();
        ciborium::into_writer(&header, &mut bytes).map_err(|error| failed(io::Error::other(error.to_string())))?;
        let mut to = zstd::Encoder::new(to, 0).map_err(failed)?;
        to.write_all(MAGIC).map_err(failed)?;
        for part in [&bytes, &self.document].into_iter().chain(&self.evidence.records) {
            let length = u32::try_from(part.len()).map_err(|error| failed(io::Error::other(error)))?;
            to.write_all(&length.to_be_bytes()).and_then(|()| to.write_all(part)).map_err(failed)?;
        }
        to.finish().and_then(|mut to| to.flush()).map_err(failed)
    }

    /// Reads one. Nothing is proven yet.
    ///
    /// # Errors
    /// [`BundleError::Io`] and [`BundleError::Malformed`].
    pub fn read(from: impl Read) -> Result<Self, BundleError> {
        let malformed = |what| BundleError::Malformed { what };
        let mut from = zstd::Decoder::new(from).map_err(|source| BundleError::Io { action: "read", source })?;
        from.window_log_max(MAX_WINDOW_LOG).map_err(|source| BundleError::Io { action: "read", source })?;
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic).map_err(|source| broken(source, "it has no magic"))?;
        if magic != *MAGIC {
            return Err(malformed("it has another magic"));
        }
        let header = part(&mut from, MAX_PART_BYTES)?;
        let header: Header = ciborium::from_reader(&*header).map_err(|_| malformed("its header cannot be read"))?;
        if header.version != VERSION {
            return Err(malformed("it has another version"));
        }
        if header.records > MAX_RECORDS {
            return Err(malformed("it has too many records"));
        }
        let document = part(&mut from, MAX_PART_BYTES)?;
        let longest = u32::try_from(MAX_BYTES).unwrap_or(u32::MAX);
        let (mut records, mut bytes) = (Vec::new(), 0_u64);
        for _ in 0..header.records {
            let record = part(&mut from, longest)?;
            bytes = bytes.saturating_add(record.len() as u64);
            if bytes > MAX_RECORDS_BYTES {
                return Err(malformed("its records are too large"));
            }
            records.push(record);
        }
        if from.read(&mut [0]).map_err(|source| broken(source, "it is no zstd"))? != 0 {
            return Err(malformed("more follows its records"));
        }
        let Header { genesis, note, subject, .. } = header;
        Ok(Self { evidence: Evidence { genesis, note, records }, subject, document })
    }
}

impl Evidence {
    /// Checks everything: the checkpoint's signature, that it signs these records, every signature of an entry, every state. What a
    /// statement must be is then read from the state.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn check(&self, threads: NonZeroUsize) -> Result<Checked, BundleError> {
        let genesis = Genesis::decode(&self.genesis)?;
        let signer = Signer::new(&genesis.network(), genesis.sequencer)?;
        let checkpoint = signer.open(self.note.as_bytes())?;
        let mut frontier = Frontier::default();
        self.records.iter().for_each(|record| frontier.push(leaf_hash(record), &mut Vec::new()));
        let (size, root) = (frontier.size(), frontier.root());
        if (size, root) != (checkpoint.size, checkpoint.root) {
            return Err(BundleError::Tree { size, root: Bytes(root) });
        }
        let signer = genesis.sequencer;
        let replay = replay_records(&self.records, genesis, Signatures::All, threads)?;
        Ok(Checked { replay, checkpoint, signer })
    }
}

fn part(from: &mut impl Read, longest: u32) -> Result<Vec<u8>, BundleError> {
    let mut length = [0; 4];
    from.read_exact(&mut length).map_err(|source| broken(source, "it ends early"))?;
    let length = u32::from_be_bytes(length);
    if length > longest {
        return Err(BundleError::Malformed { what: "a part is too long" });
    }
    let mut bytes = Vec::new();
    let read = from.take(u64::from(length)).read_to_end(&mut bytes);
    match read {
        Ok(read) if read == length as usize => Ok(bytes),
        Ok(_) => Err(BundleError::Malformed { what: "it ends early" }),
        Err(source) => Err(broken(source, "it is no zstd")),
    }
}

/// What the system says is a failure to read; what the decompressor says is about the bytes.
fn broken(source: io::Error, what: &'static str) -> BundleError {
    match source.raw_os_error() {
        Some(_) => BundleError::Io { action: "read", source },
        None => BundleError::Malformed { what },
    }
}
