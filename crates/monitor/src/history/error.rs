//! Why the history refuses or fails.

use std::io;
use std::path::PathBuf;

use peermark_core::sealed::SealedError;
use peermark_store::{OpenError, StoreError};
use thiserror::Error;

/// Why a call on the history failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// Another monitor has it open.
    #[error("another monitor uses {}", path.display())]
    InUse {
        /// Its file.
        path: PathBuf,
    },
    /// The data directory cannot be used.
    #[error("cannot use {}", path.display())]
    Data {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed. Whether something of it was stored is found out by the next call.
    #[error("the history cannot be read or written")]
    Store(#[from] StoreError),
    /// The result is too long to be kept.
    #[error("result too long: {bytes} bytes of JSON, at most {}", super::MAX_RESULT_BYTES)]
    ResultTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The attempt cannot be sealed: its texts are too long together.
    #[error("attempt of {task} cannot be sealed")]
    Seal {
        /// The task.
        task: String,
        /// Why not.
        source: SealedError,
    },
    /// More than one call takes.
    #[error("too many attempts: {found}, at most {} in one call", super::MAX_BATCH)]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// An attempt whose parts contradict each other: a success without a value, a failure without a reason.
    #[error("attempt of {task} contradicts itself: {reason}")]
    Contradiction {
        /// The task.
        task: String,
        /// How.
        reason: &'static str,
    },
    /// A stored record that is none of an attempt.
    #[error("record {seq} is unreadable: {reason}")]
    Record {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        reason: String,
    },
}

impl HistoryError {
    /// Whether trying the same again later makes sense: [`StoreError::may_pass`]. Otherwise the attempt itself cannot be kept, or the
    /// store is broken.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(error) if error.may_pass())
    }

    /// Whether the store is damaged: [`StoreError::is_damage`].
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_damage())
    }

    /// Whether the disk, or what the history may use of it, is full.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_full())
    }
}
