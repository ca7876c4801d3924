//! What can go wrong with a log.

use std::io;

use peermark_core::sealed::Digest32;
use thiserror::Error;

use super::MAX_RECORD_BYTES;
use super::checkpoint::CheckpointError;

/// Why the log did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogError {
    /// A record that the log does not take. Nothing was written.
    #[error("record of {bytes} bytes: 1 to {MAX_RECORD_BYTES} are taken")]
    RecordSize {
        /// Its length.
        bytes: usize,
    },
    /// The disk is full. Nothing was written, what is there can be read, and appending works again once there is space.
    #[error("no space left to write {file}")]
    NoSpace {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Writing or syncing failed. What the disk holds now is known only after the log is opened anew, so the process that writes
    /// must end: a second `fsync` may succeed without the bytes of the first.
    #[error("cannot {action} {file}: the log must be opened anew")]
    Fatal {
        /// What was done.
        action: &'static str,
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// An earlier failure ended the writing.
    #[error("writing ended with an earlier failure: the log must be opened anew")]
    Stopped,
    /// Reading failed, or preparing to.
    #[error("cannot {action} {file}")]
    Io {
        /// What was done.
        action: &'static str,
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes on disk are not what was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Another process writes this log.
    #[error("another process writes this log: {file} is locked")]
    Locked {
        /// The lock's file.
        file: String,
    },
    /// The checkpoint is none of this log's.
    #[error("checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// There is no such record.
    #[error("no record {index}: the log has {size}")]
    NoRecord {
        /// The index asked for.
        index: u64,
        /// Records in the log.
        size: u64,
    },
    /// A proof between sizes that the log has not, or not in this order.
    #[error("no proof from {from} to {to}: the log has {size}")]
    NoProof {
        /// The record, or the smaller size.
        from: u64,
        /// The larger size.
        to: u64,
        /// Records in the log.
        size: u64,
    },
    /// A snapshot that the log does not take, or has not.
    #[error("snapshot at height {height}: {reason}")]
    Snapshot {
        /// Its height.
        height: u64,
        /// Why.
        reason: &'static str,
    },
}

/// Bytes on disk that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file} is damaged at byte {offset}: expected {expected}, found {found}")]
pub struct Damage {
    /// The file.
    pub file: String,
    /// Where in it, bytes from its start.
    pub offset: u64,
    /// What belongs there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl LogError {
    /// Whether the process that writes must end: see [`Self::Fatal`].
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Fatal { .. } | Self::Stopped)
    }

    /// For what is done to a file: `.map_err(LogError::io("read", file))`.
    pub(crate) fn io(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { action, file, source }
    }

    /// A failure after which the state of the disk is unknown.
    pub(crate) fn fatal(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Fatal { action, file, source }
    }

    /// A write that may have failed for want of space alone.
    pub(crate) fn writing(file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        if is_full(&source) { Self::NoSpace { file, source } } else { Self::Fatal { action: "write", file, source } }
    }
}

impl Damage {
    pub(crate) fn new(file: &str, offset: u64, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { file: file.to_owned(), offset, expected: expected.into(), found: found.into() }
    }
}

/// Whether the disk, or what this user may use of it, is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// The digest as people compare it.
pub(crate) fn hex(digest: &Digest32) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
