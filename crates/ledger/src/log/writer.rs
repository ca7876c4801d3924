//! One thread that writes for many callers: what arrives while a group is synced is the next group.

mod thread;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::Duration;

use peermark_core::Clock;
use thiserror::Error;

use super::error::LogError;
use super::reader::Reader;
use super::snapshot::Snapshots;
use super::{Log, MAX_RECORD_BYTES, Receipt};
use thread::{Job, Loop, Signing};

/// What is done with the answer to a record: called once, in the writing thread, so it must not wait. Dropped without a call where
/// writing ended before the record's turn.
pub type Done = Box<dyn FnOnce(Result<Receipt, AppendError>) + Send>;

/// What is done when writing failed in a way after which the process must end, before anybody gets an answer. A program ends here.
pub type OnFatal = Box<dyn FnOnce(&LogError) + Send>;

/// How a [`Writer`] gathers records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Most records that wait. One more is refused.
    pub queue_records: usize,
    /// Most bytes that wait. What goes beyond is refused.
    pub queue_bytes: usize,
    /// Most records of a group.
    pub group_records: usize,
    /// Most bytes of a group, which may pass it by one record.
    pub group_bytes: usize,
    /// How long a group that is not full waits for more. Zero takes what is there: while one group is synced the next gathers.
    pub linger: Duration,
    /// From a record's sync to the checkpoint over it, at most, while the disk keeps up.
    pub checkpoint_after: Duration,
}

/// Why a record was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A record that the log does not take.
    #[error("record of {bytes} bytes: 1 to {MAX_RECORD_BYTES} are taken")]
    RecordSize {
        /// Its length.
        bytes: usize,
    },
    /// Too much waits already. It was not taken; later it may be.
    #[error("too many records wait to be written")]
    Busy,
    /// The disk is full. It was not written; later it may be.
    #[error("no space left")]
    NoSpace,
    /// Writing ended, by a failure or because the log was closed. Whether the record is there shows when the log is opened anew.
    #[error("the log is not written any more")]
    Stopped,
    /// No answer in time. The record may have been written, or be.
    #[error("no acknowledgement in time")]
    Timeout,
}

/// Writes a log for many callers.
pub struct Writer {
    sender: Option<SyncSender<Job>>,
    waiting_bytes: Arc<AtomicUsize>,
    queue_bytes: usize,
    reader: Reader,
    snapshots: Snapshots,
    thread: Option<JoinHandle<Result<(), LogError>>>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            queue_records: 4_096,
            queue_bytes: 64 << 20,
            group_records: 256,
            group_bytes: 4 << 20,
            linger: Duration::ZERO,
            checkpoint_after: Duration::from_millis(500),
        }
    }
}

impl Writer {
    /// Starts the thread that writes `log`.
    ///
    /// # Errors
    /// [`LogError::Io`] where the system has no thread.
    pub fn start(log: Log, options: WriterOptions, clock: Arc<dyn Clock>, on_fatal: OnFatal) -> Result<Self, LogError> {
        let (reader, snapshots) = (log.reader(), log.snapshots());
        let (sender, jobs) = mpsc::sync_channel(options.queue_records.max(1));
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let signing = Signing::start(log.checkpoints())?;
        let due_ns = (reader.checkpoint().size < log.size()).then(|| clock.now_ns());
        let body = Loop {
            log,
            jobs,
            waiting_bytes: Arc::clone(&waiting_bytes),
            options,
            clock,
            on_fatal: Some(on_fatal),
            signing,
            due_ns,
        };
        let thread = std::thread::Builder::new().name("ledger-log".to_owned()).spawn(move || body.run());
        let thread = thread.map_err(LogError::io("start the thread of", "the log"))?;
        Ok(Self {
            sender: Some(sender),
            waiting_bytes,
            queue_bytes: options.queue_bytes,
            reader,
            snapshots,
            thread: Some(thread),
        })
    }

    /// Hands a record over. `done` hears what became of it, when it is on the disk.
    ///
    /// # Errors
    /// [`AppendError`] where it was not taken; `done` is not called then.
    pub fn submit(&self, bytes: Vec<u8>, done: Done) -> Result<(), AppendError> {
        let length = bytes.len();
        if length == 0 || length > MAX_RECORD_BYTES {
            return Err(AppendError::RecordSize { bytes: length });
        }
        let Some(sender) = &self.sender else { return Err(AppendError::Stopped) };
        if self.waiting_bytes.fetch_add(length, Ordering::Relaxed) + length > self.queue_bytes {
            self.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
            return Err(AppendError::Busy);
        }
        sender.try_send(Job { bytes, done }).map_err(|refused| {
            self.waiting_bytes.fetch_sub(length, Ordering::Relaxed);
            match refused {
                TrySendError::Full(_) => AppendError::Busy,
                TrySendError::Disconnected(_) => AppendError::Stopped,
            }
        })
    }

    /// Appends a record and waits for the acknowledgement.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn append(&self, bytes: Vec<u8>, deadline: Duration) -> Result<Receipt, AppendError> {
        let (sender, answer) = mpsc::sync_channel(1);
        // Whoever waits no more hears nothing.
        self.submit(bytes, Box::new(move |answer| drop(sender.try_send(answer))))?;
        match answer.recv_timeout(deadline) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(AppendError::Timeout),
            Err(RecvTimeoutError::Disconnected) => Err(AppendError::Stopped),
        }
    }

    /// Reads and proves what has been synced.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The snapshots beside the log.
    pub fn snapshots(&self) -> &Snapshots {
        &self.snapshots
    }

    /// Writes what waits, signs a checkpoint over everything and ends.
    ///
    /// # Errors
    /// What ended the writing.
    pub fn close(mut self) -> Result<(), LogError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LogError> {
        self.sender = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            None | Some(Err(_)) => Err(LogError::Stopped),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever wants to know how it ended closes it.
        drop(self.end());
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("reader", &self.reader).finish_non_exhaustive()
    }
}
