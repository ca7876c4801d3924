//! From genesis: every byte of the log, every signature, every state and score.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::thread;

use peermark_core::sealed::{Bytes, Sealed, SealedError, verify_all};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::genesis::Genesis;
use crate::log::{self, Files, Identity, LogError, Verified};
use crate::replay::{Replay, ReplayError};
use crate::{Digest, Height};

/// Records that are decoded and checked at a time, by all threads together.
const BATCH: usize = 16_384;

/// Signatures that are checked as one. More gain little.
const SIGNATURES: usize = 256;

/// Which signatures of entries are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signatures {
    /// All.
    All,
    /// None: this log's own writer checked them before it took the entries.
    Trusted,
}

/// What a whole ledger comes to.
#[derive(Clone, Debug)]
pub struct Proven {
    /// What the files are.
    pub log: Verified,
    /// The state after the last block.
    pub replay: Replay,
    /// Entries that were executed.
    pub entries: u64,
    /// Of them, entries that were refused.
    pub refused: u64,
    /// Signatures that were checked.
    pub signatures: u64,
}

/// Why a ledger does not hold.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProveError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record does not lead on.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A snapshot holds another state than the one that follows from the log.
    #[error("the snapshot at height {height} is not the state that follows from the log")]
    Snapshot {
        /// Its height.
        height: Height,
    },
}

impl Proven {
    /// Height of the last block.
    pub fn height(&self) -> Height {
        self.replay.end().height
    }

    /// Hash of the state after it.
    pub fn state(&self) -> Digest {
        self.replay.machine().state().hash()
    }
}

/// Reads a log from its first record, checks everything and recomputes every state. `threads` check signatures.
///
/// # Errors
/// [`ProveError`]; damage of files is in [`Proven::log`], and what lies before it is still replayed.
pub fn prove(
    files: &dyn Files,
    identity: &Identity,
    genesis: Genesis,
    signatures: Signatures,
    threads: NonZeroUsize,
) -> Result<Proven, ProveError> {
    let mut walk = Walk::new(genesis, signatures, threads);
    walk.snapshots = log::snapshots_in(files, identity)?;
    let mut failed = None;
    let log = log::verify(files, identity, |_, bytes| {
        if failed.is_none() {
            failed = walk.take(bytes).err();
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    walk.flush()?;
    if let Some(height) = walk.differing.or_else(|| walk.snapshots.keys().next().copied()) {
        return Err(ProveError::Snapshot { height });
    }
    let Walk { replay, entries, refused, checked, .. } = walk;
    Ok(Proven { log, replay, entries, refused, signatures: checked })
}

/// Replays records that are at hand, from the first on.
///
/// # Errors
/// [`ReplayError`].
pub fn replay_records(
    records: &[Vec<u8>],
    genesis: Genesis,
    signatures: Signatures,
    threads: NonZeroUsize,
) -> Result<Replay, ReplayError> {
    let mut walk = Walk::new(genesis, signatures, threads);
    for record in records {
        walk.take(record)?;
    }
    walk.flush()?;
    Ok(walk.replay)
}

struct Walk {
    replay: Replay,
    batch: Vec<Vec<u8>>,
    signatures: Signatures,
    threads: NonZeroUsize,
    entries: u64,
    refused: u64,
    checked: u64,
    /// SHA-256 of the states that snapshots hold, by their heights, as far as they were not compared yet.
    snapshots: BTreeMap<Height, Digest>,
    /// The first snapshot that holds another state.
    differing: Option<Height>,
}

impl Walk {
    fn new(genesis: Genesis, signatures: Signatures, threads: NonZeroUsize) -> Self {
        let replay = Replay::new(genesis);
        Self {
            replay,
            batch: Vec::new(),
            signatures,
            threads,
            entries: 0,
            refused: 0,
            checked: 0,
            snapshots: BTreeMap::new(),
            differing: None,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        self.batch.push(bytes.to_vec());
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ReplayError> {
        let batch = std::mem::take(&mut self.batch);
        let first = self.replay.next();
        let records = self.read(&batch).map_err(|(at, source)| ReplayError::Record { index: first + at, source })?;
        if self.signatures == Signatures::All {
            self.checked += records.len() as u64;
        }
        for record in records {
            if let Some(executed) = self.replay.push(record)? {
                self.entries += executed.result.outcomes.len() as u64;
                self.refused +=
                    executed.result.outcomes.iter().filter(|outcome| outcome.result.is_err()).count() as u64;
                self.compare(executed.height);
            }
        }
        Ok(())
    }

    /// A snapshot is as good as the log: the same bytes follow from it.
    fn compare(&mut self, height: Height) {
        let Some(expected) = self.snapshots.remove(&height) else { return };
        let found = Bytes(Sha256::digest(self.replay.machine().snapshot()).into());
        if found != expected {
            self.differing.get_or_insert(height);
        }
    }

    /// Decodes a batch and checks its signatures on all threads; the first fault by place.
    fn read(&self, batch: &[Vec<u8>]) -> Result<Vec<Sealed>, (u64, SealedError)> {
        let share = batch.len().div_ceil(self.threads.get()).max(1);
        let signatures = self.signatures;
        let parts: Vec<_> = thread::scope(|scope| {
            let parts: Vec<_> =
                batch.chunks(share).map(|part| scope.spawn(move || read_part(part, signatures))).collect();
            parts.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut records = Vec::with_capacity(batch.len());
        for (part, base) in parts.into_iter().zip((0..).step_by(share)) {
            match part {
                Ok(Ok(mut part)) => records.append(&mut part),
                Ok(Err((at, error))) => return Err((base + at, error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(records)
    }
}

fn read_part(part: &[Vec<u8>], signatures: Signatures) -> Result<Vec<Sealed>, (u64, SealedError)> {
    let decode = |(at, bytes): (usize, &Vec<u8>)| Sealed::decode(bytes).map_err(|error| (at as u64, error));
    let records: Vec<Sealed> = part.iter().enumerate().map(decode).collect::<Result<_, _>>()?;
    if signatures == Signatures::All {
        for (number, group) in records.chunks(SIGNATURES).enumerate() {
            check(group).map_err(|(at, error)| ((number * SIGNATURES + at) as u64, error))?;
        }
    }
    Ok(records)
}

/// Checks a group as one, and one by one only to name the culprit.
fn check(group: &[Sealed]) -> Result<(), (usize, SealedError)> {
    let signed: Vec<_> = group
        .iter()
        .enumerate()
        .map(|(at, record)| record.signed().map_err(|error| (at, error)))
        .collect::<Result<_, _>>()?;
    if verify_all(signed.iter().map(|(signer, message, signature)| (*signer, message.as_slice(), *signature))) {
        return Ok(());
    }
    let culprit = group.iter().enumerate().find_map(|(at, record)| record.verify().err().map(|error| (at, error)));
    culprit.map_or(Ok(()), Err)
}
