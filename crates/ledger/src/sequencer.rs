//! Who orders the entries: takes them, has them written, cuts blocks and signs their records.
//!
//! An entry is acknowledged when it is on the disk; what becomes of it shows when its block is executed. One lock orders
//! everything: the order in which entries are taken is that of the log.

mod closing;
mod core;
mod flight;
mod recent;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, RwLock};
use peermark_core::Clock;
use peermark_core::sealed::{Bytes, Draft, NO_PREVIOUS, PublicKey, Sealed, SealedError, SigningKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::core::Core;
use crate::beacon::BeaconError;
use crate::block::BlockEnd;
use crate::directory::{Directory, DirectoryError};
use crate::log::tree::leaf_hash;
use crate::log::{AppendError, Log, LogError, LogOptions, OnFatal, Reader, Receipt, Writer, WriterOptions};
use crate::machine::{DOMAIN, Machine};
use crate::outcome::{Event, Outcome, Refusal};
use crate::replay::{MAX_BLOCK_ENTRIES, ReplayError};
use crate::state::ChainEnd;
use crate::transaction::{Evidence, Transaction, Witness};
use crate::{Digest, Height};
use flight::Flight;
use recent::Recent;

/// How long a block waits for entries that are being written, and its record for the disk.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// How long an entry waits for the block that is being closed.
const CLOSING_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of entries that a block gathers before it takes no more.
const MAX_BLOCK_BYTES: usize = 64 << 20;

/// What is told about a block when it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSummary {
    /// Its height.
    pub height: Height,
    /// Index of its record in the log.
    pub index: u64,
    /// Hash of the state after it.
    pub state: Digest,
    /// What became of its entries.
    pub outcomes: Vec<Outcome>,
    /// What happened.
    pub events: Vec<Event>,
}

/// What is done with the answer to an entry: called once, in the writing thread, so it must not wait.
pub type Answer = Box<dyn FnOnce(Result<Receipt, SubmitError>) + Send>;

/// Why an entry was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// No entry.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// It is refused before it is written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It cannot be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The block that is being gathered is full.
    #[error("the block is full: at most {MAX_BLOCK_ENTRIES} entries or {MAX_BLOCK_BYTES} bytes")]
    Full,
}

/// Why a sequencer cannot start, or a block cannot be closed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SequencerError {
    /// The directory holds no usable ledger.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The log cannot be opened or written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log does not lead to the states that it says.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// There is no randomness for the block.
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// The record of a block cannot be made.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// The record of a block cannot be written now. The block is done as soon as it can.
    #[error("block {height} waits for its record to be written: {source}")]
    Write {
        /// Its height.
        height: Height,
        /// Why.
        source: AppendError,
    },
}

/// The last block that is on the disk, and the state after it.
struct Published {
    machine: Machine,
    end: BlockEnd,
}

/// A running sequencer. Callers share it.
pub struct Sequencer {
    core: Mutex<Core>,
    /// Told when a block is closed.
    closed: Condvar,
    /// One closes a block at a time.
    closing: Mutex<()>,
    /// What readers see: a copy of the state, so that nobody waits for a block that is being executed.
    published: RwLock<Published>,
    /// As in the core, which changes them.
    ends: Arc<RwLock<BTreeMap<PublicKey, ChainEnd>>>,
    recent: Arc<RwLock<Recent>>,
    reader: Reader,
    flight: Arc<Flight>,
    key: SigningKey,
    network: String,
    clock: Arc<dyn Clock>,
}

impl Sequencer {
    /// Opens a ledger and goes on where it ended: from the newest sound snapshot, then block by block.
    ///
    /// # Errors
    /// [`SequencerError`].
    pub fn open(directory: &Directory, clock: Arc<dyn Clock>, on_fatal: OnFatal) -> Result<Self, SequencerError> {
        Self::open_with(directory, directory.log_options()?, clock, on_fatal)
    }

    /// As [`Self::open`], with a log of other sizes, or on other files.
    ///
    /// # Errors
    /// [`SequencerError`].
    pub fn open_with(
        directory: &Directory,
        log: LogOptions,
        clock: Arc<dyn Clock>,
        on_fatal: OnFatal,
    ) -> Result<Self, SequencerError> {
        let log = Log::open(log)?;
        let mut recent = Recent::default();
        let (mut replay, snapshot_at) = core::restore(directory, &log)?;
        for record in log.reader().iter(replay.next()) {
            let (index, bytes) = record?;
            let record = Sealed::decode(&bytes).map_err(|source| ReplayError::Record { index, source })?;
            if record.domain() == DOMAIN {
                recent.place(&record, index);
            }
            if let Some(executed) = replay.push(record)? {
                recent.executed(executed.height, &executed.result.outcomes);
            }
        }
        let writer = Writer::start(log, WriterOptions::default(), Arc::clone(&clock), on_fatal)?;
        let reader = writer.reader().clone();
        let published = Published { machine: replay.machine().clone(), end: replay.end() };
        let core = Core::new(replay, writer, recent, snapshot_at);
        Ok(Self {
            network: directory.genesis().network(),
            published: RwLock::new(published),
            ends: Arc::clone(&core.ends),
            recent: Arc::clone(&core.recent),
            core: Mutex::new(core),
            closed: Condvar::new(),
            closing: Mutex::new(()),
            reader,
            flight: Arc::default(),
            key: directory.key()?,
            clock,
        })
    }

    /// The network that entries name.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Reads and proves what is written.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Reads the state after the last block that is on the disk. It waits for no block that is being executed or written.
    pub fn read<T>(&self, read: impl FnOnce(&Machine) -> T) -> T {
        read(&self.published.read().machine)
    }

    /// Where the signer's next entry goes: after the last one that was taken.
    pub fn chain_end(&self, signer: PublicKey) -> ChainEnd {
        // What waits becomes part of the state before it waits no more: it is in one of them at any time.
        let waiting = self.ends.read().get(&signer).cloned();
        let end = waiting.or_else(|| self.read(|machine| machine.state().chain_end(signer).cloned()));
        end.unwrap_or(ChainEnd { sequence: 0, last: Bytes(NO_PREVIOUS), suspended: None })
    }

    /// The last block.
    pub fn block_end(&self) -> BlockEnd {
        self.published.read().end
    }

    /// What became of an entry of the last blocks.
    pub fn outcome(&self, entry: &Digest) -> Option<(Height, Outcome)> {
        self.recent.read().outcome(entry)
    }

    /// Takes an entry. `answer` hears when it is on the disk. The same entry again gets the same answer. A signer has one entry under
    /// way at a time: none is written whose predecessor was not.
    ///
    /// # Errors
    /// [`SubmitError`]: it was not taken and `answer` is not called.
    pub fn submit(&self, bytes: &[u8], answer: Answer) -> Result<(), SubmitError> {
        let entry = Sealed::decode(bytes)?;
        // Before the lock: it is what takes time, and who can be blamed comes before for what.
        entry.verify().map_err(|_| Refusal::Signature)?;
        let mut core = self.core.lock();
        self.closed.wait_while_for(&mut core, |core| core.is_closing, CLOSING_DEADLINE);
        core.land(&self.flight);
        let known = core.recent.read().index(&Bytes(entry.hash()));
        if let Some(index) = known {
            drop(core);
            answer(Ok(Receipt { index, leaf: leaf_hash(bytes) }));
            return Ok(());
        }
        if core.is_closing || self.flight.holds(entry.signer()) {
            return Err(AppendError::Busy.into());
        }
        if core.unwritten.is_some() {
            return Err(AppendError::NoSpace.into());
        }
        let checked = core.replay.machine().check_unsigned(&entry, core.end_of(entry.signer()).as_ref());
        if let Err(refusal) = checked {
            self.accuse(&mut core, &entry, &refusal);
            return Err(refusal.into());
        }
        self.take(&mut core, entry, Some(answer))
    }

    /// Writes what waits and a last checkpoint, and ends.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn close(&self) -> Result<(), LogError> {
        let writer = self.core.lock().writer.take();
        writer.map_or(Ok(()), Writer::close)
    }

    fn take(&self, core: &mut Core, entry: Sealed, answer: Option<Answer>) -> Result<(), SubmitError> {
        let bytes = core.waiting_bytes + entry.bytes().len();
        if core.replay.waiting().len() >= MAX_BLOCK_ENTRIES || bytes > MAX_BLOCK_BYTES {
            return Err(SubmitError::Full);
        }
        let (signer, hash) = (entry.signer(), Bytes(entry.hash()));
        self.flight.start(signer);
        let flight = Arc::clone(&self.flight);
        let done = Box::new(move |written: Result<Receipt, AppendError>| {
            flight.finish(signer, hash, written.as_ref().ok().copied());
            if let Some(answer) = answer {
                answer(written.map_err(SubmitError::from));
            }
        });
        let submitted = core.writer.as_ref().map(|writer| writer.submit(entry.bytes().to_vec(), done));
        if let Err(error) = submitted.unwrap_or(Err(AppendError::Stopped)) {
            self.flight.abandon(signer);
            return Err(error.into());
        }
        core.follow(entry);
        Ok(())
    }

    /// Two entries of one signer with one number: both go into the log as evidence, in an entry of the sequencer's own, once.
    fn accuse(&self, core: &mut Core, second: &Sealed, refusal: &Refusal) {
        let Refusal::Sequence { .. } = refusal else { return };
        let offence = (second.signer(), second.sequence());
        let known = core.recent.read().index_of(offence.0, offence.1);
        let Some(index) = known else { return };
        let Ok(first) = self.reader.read(index) else { return };
        let waits = self.flight.holds(self.key.public()) || core.other_half.is_some();
        if first == second.bytes() || waits || !core.accused.insert(offence) {
            return;
        }
        let both = Evidence { first: first.clone(), second: second.bytes().to_vec() };
        // Two entries may be too long together for one: then one is shown now, the other in the next block.
        let said = self.say(core, &Transaction::Evidence(both)).unwrap_or_else(|| {
            let said = self.say(core, &Transaction::Witness(Witness { entry: first }));
            core.other_half = said.is_some().then(|| second.bytes().to_vec());
            said.unwrap_or(Ok(()))
        });
        if let Err(error) = said {
            core.other_half = None;
            core.accused.remove(&offence);
            tracing::warn!(%error, signer = %second.signer(), "evidence of two histories was not written");
        }
    }

    /// The second of two entries that were too long together for one.
    fn show_other_half(&self, core: &mut Core) {
        let Some(entry) = core.other_half.take() else { return };
        if let Some(Err(error)) = self.say(core, &Transaction::Witness(Witness { entry: entry.clone() })) {
            // The next block is soon.
            core.other_half = Some(entry);
            tracing::warn!(%error, "evidence of two histories waits");
        }
    }

    /// Takes an entry of the sequencer's own; `None` where it is too long for one.
    fn say(&self, core: &mut Core, what: &Transaction) -> Option<Result<(), SubmitError>> {
        let end = core.end_of(self.key.public());
        let (sequence, previous) = end.map_or((1, NO_PREVIOUS), |end| (end.sequence.saturating_add(1), end.last.0));
        let payload = what.payload().ok()?;
        let draft = Draft { domain: DOMAIN.into(), network: self.network.clone(), sequence, previous, payload };
        let sealed = Sealed::seal(&self.key, draft).ok()?;
        Some(self.take(core, sealed, None))
    }
}
