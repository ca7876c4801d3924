//! The log: opaque records in one order, on disk before they are acknowledged, provable by the Merkle tree of RFC 6962.
//!
//! [`Log`] appends groups of records, one `fdatasync` each, and is owned by one thread; [`Writer`] is that thread for many callers and
//! makes the groups. [`Reader`]s, as many as wanted, read and prove what has been synced. [`Checkpoint`]s sign the tree,
//! [`Snapshots`] keep the state that follows from a beginning of the log, and [`verify`] walks all that is on disk.
//!
//! What is kept in one directory: segments of records (`NNNNNNNNNNNNNNNNNNNN.seg` by the first record's index), the tree's hashes
//! (`nodes`, which can be made anew from the segments), the last `checkpoint`, snapshots and a `lock`.
//!
//! After a crash, [`Log::open`] cuts off what the last group left half done, and nothing else: damage below the checkpoint's size, or
//! before a group that was written later, is an error that names the place.

pub mod checkpoint;
mod checkpoints;
mod engine;
mod error;
pub mod files;
mod nodes;
mod open;
pub mod proof;
mod reader;
pub(crate) mod scan;
pub mod segment;
mod snapshot;
pub mod tree;
mod verify;
mod writer;

use std::sync::Arc;

use peermark_core::sealed::{Digest32, SigningKey};

pub use checkpoint::{Checkpoint, CheckpointError, Signer};
pub use checkpoints::Checkpoints;
pub use engine::Log;
pub use error::{Damage, LogError};
pub use files::{Disk, File, Files, Lock};
pub use proof::{Consistency, Inclusion};
pub use reader::{Iter, Reader};
pub use snapshot::{KEEP, MAX_STATE_BYTES, Snapshot, Snapshots, snapshots_in};
pub use verify::{Verified, verify};
pub use writer::{AppendError, Done, OnFatal, Writer, WriterOptions};

/// Longest record, bytes: what the length prefix of C2SP's entry bundles (<https://c2sp.org/tlog-tiles>) can say.
pub const MAX_RECORD_BYTES: usize = 65_535;

/// The acknowledgement of a record: it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its index in the log, from 0, which is its leaf's index in the tree.
    pub index: u64,
    /// Its leaf hash.
    pub leaf: Digest32,
}

/// Which log it is, for whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Hash of the genesis, where the hash chain begins.
    pub genesis: Digest32,
    /// Who signs its checkpoints.
    pub signer: Signer,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// Where.
    pub files: Arc<dyn Files>,
    /// Hash of the genesis.
    pub genesis: Digest32,
    /// Name of the log in its checkpoints; see [`Signer::new`].
    pub origin: String,
    /// Signs its checkpoints.
    pub key: SigningKey,
    /// Bytes after which a new segment is begun. A group stays in one segment, which may become longer for it.
    pub segment_bytes: u64,
    /// Bytes that a segment is extended by ahead of need: where the length does not change, a sync writes the data alone.
    pub reserve_bytes: u64,
}

impl LogOptions {
    /// Options with the usual sizes: segments of 64 MiB, 1 MiB ahead.
    pub fn new(files: Arc<dyn Files>, genesis: Digest32, origin: &str, key: SigningKey) -> Self {
        Self { files, genesis, origin: origin.to_owned(), key, segment_bytes: 64 << 20, reserve_bytes: 1 << 20 }
    }

    /// Which log it is.
    ///
    /// # Errors
    /// [`CheckpointError::Name`].
    pub fn identity(&self) -> Result<Identity, CheckpointError> {
        Ok(Identity { genesis: self.genesis, signer: Signer::new(&self.origin, self.key.public())? })
    }
}

pub(crate) use error::hex;

/// Name of the file of the last checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// Name of the file that a writer locks.
pub(crate) const LOCK: &str = "lock";
