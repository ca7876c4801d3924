//! The writing side: a thread of its own behind a bounded channel.
//!
//! Nothing is dropped below the cap: when the disk is slower than the senders, senders wait. Encoding and compressing happen on
//! the thread, so a sender pays for handing over a `Vec`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use peermark_core::Series;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::frames::FrameFile;
use super::{Header, Labels, MAX_LABEL_BYTES, Observation};

/// Most rows of one batch.
const MAX_BATCH_ROWS: usize = 100_000;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Size of the file that is never exceeded. Default 256 MiB; at least the header must fit (a few KiB).
    pub cap_bytes: u64,
    /// Batches that may wait before senders do. Default 64.
    pub queue_batches: usize,
    /// How long a row may wait in an open frame. Default 1 s: this much is lost at most when the process is killed.
    pub flush_after: Duration,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { cap_bytes: 256 << 20, queue_batches: 64, flush_after: Duration::from_secs(1) }
    }
}

/// What a completed file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows in the file.
    pub rows: u64,
    /// Rows that were left out because the cap was reached; the file's last line says so too.
    pub left_out: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Why observations could not be written. Frames that were written before stay readable in the `.partial`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file or its `.partial` is already there; neither is ever overwritten.
    #[error("already there: {}", path.display())]
    Exists {
        /// Which of both.
        path: PathBuf,
    },
    /// The cap leaves no room for the header.
    #[error("size cap too small: {cap_bytes} bytes do not hold the header")]
    CapTooSmall {
        /// The cap.
        cap_bytes: u64,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The `.partial`.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A row or header has no JSON.
    #[error("cannot encode a row")]
    Encode {
        /// What the encoder said.
        source: serde_json::Error,
    },
    /// A row belongs to another run than the file, or to another version of series.
    #[error("row of another run: expected={expected:?} schema {}, found={found:?} schema {schema}", Series::SCHEMA)]
    OtherRun {
        /// The file's run.
        expected: String,
        /// The row's run.
        found: String,
        /// The row's version of series.
        schema: u32,
    },
    /// A label that could make a line longer than readers take.
    #[error("{what} too long: {bytes} bytes, at most {MAX_LABEL_BYTES}")]
    LabelTooLong {
        /// Which label.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// More rows than one batch takes.
    #[error("too many rows in one batch: {rows}, at most {MAX_BATCH_ROWS}")]
    BatchTooLarge {
        /// How many there are.
        rows: usize,
    },
    /// The thread has stopped early; finishing says why.
    #[error("the writer has stopped")]
    Stopped,
}

enum Message {
    Rows(Vec<Observation>),
    Finish,
}

/// Writes the observations of one run. Dropped without being finished it leaves the `.partial` with every row that was sent.
#[derive(Debug)]
pub struct ObservationWriter {
    run: String,
    /// `None` only while dropping.
    sender: Option<mpsc::Sender<Message>>,
    outcome: oneshot::Receiver<Result<Written, WriteError>>,
    thread: Option<JoinHandle<()>>,
}

impl ObservationWriter {
    /// Creates the `.partial` of `path` with its header and starts the thread. The directory must exist.
    ///
    /// # Errors
    /// [`WriteError::Exists`], [`WriteError::CapTooSmall`], [`WriteError::LabelTooLong`] for the run's name, or that the file cannot
    /// be created.
    pub fn create(path: &Path, run: &str, options: WriterOptions) -> Result<Self, WriteError> {
        check_length("run", run)?;
        let frames = FrameFile::create(path, &Header::new(run), options.cap_bytes)?;
        let (sender, receiver) = mpsc::channel(options.queue_batches.max(1));
        let (done, outcome) = oneshot::channel();
        let failed = |source| WriteError::Io { action: "start the writer of", path: path.to_owned(), source };
        let flush_after = options.flush_after.max(Duration::from_millis(1));
        let thread = std::thread::Builder::new()
            .name("observations".to_owned())
            .spawn(move || {
                let result = run_thread(frames, receiver, flush_after);
                // Nobody listens when the writer was dropped instead of finished.
                let _ = done.send(result);
            })
            .map_err(failed)?;
        Ok(Self { run: run.to_owned(), sender: Some(sender), outcome, thread: Some(thread) })
    }

    /// Hands rows over and waits while the queue is full. `Ok` says that they are queued, not that they are on disk.
    ///
    /// # Errors
    /// [`WriteError::OtherRun`], [`WriteError::LabelTooLong`], [`WriteError::BatchTooLarge`]: nothing of the batch was queued.
    /// [`WriteError::Stopped`] when the thread has met an error.
    pub async fn send(&self, batch: Vec<Observation>) -> Result<(), WriteError> {
        self.check(&batch)?;
        let sender = self.sender.as_ref().ok_or(WriteError::Stopped)?;
        sender.send(Message::Rows(batch)).await.map_err(|_| WriteError::Stopped)
    }

    /// [`Self::send`] for threads outside an asynchronous runtime; inside one it panics.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn blocking_send(&self, batch: Vec<Observation>) -> Result<(), WriteError> {
        self.check(&batch)?;
        let sender = self.sender.as_ref().ok_or(WriteError::Stopped)?;
        sender.blocking_send(Message::Rows(batch)).map_err(|_| WriteError::Stopped)
    }

    /// Writes what is queued, completes the file and gives it its name. When this returns, the file is on disk.
    ///
    /// # Errors
    /// What the thread met, at whatever time: the file then stays a `.partial`.
    pub async fn finish(mut self) -> Result<Written, WriteError> {
        if let Some(sender) = &self.sender {
            // A thread that has stopped says why below.
            let _ = sender.send(Message::Finish).await;
        }
        (&mut self.outcome).await.unwrap_or(Err(WriteError::Stopped))
    }

    /// [`Self::finish`] for threads outside an asynchronous runtime; inside one it panics.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn blocking_finish(mut self) -> Result<Written, WriteError> {
        if let Some(sender) = &self.sender {
            let _ = sender.blocking_send(Message::Finish);
        }
        let (_, closed) = oneshot::channel();
        let outcome = std::mem::replace(&mut self.outcome, closed);
        outcome.blocking_recv().unwrap_or(Err(WriteError::Stopped))
    }

    fn check(&self, batch: &[Observation]) -> Result<(), WriteError> {
        if batch.len() > MAX_BATCH_ROWS {
            return Err(WriteError::BatchTooLarge { rows: batch.len() });
        }
        // Rows of a series come together and share their labels, so this looks at few of them.
        let mut checked: Option<&Arc<Labels>> = None;
        for Observation { labels, .. } in batch {
            if !checked.is_some_and(|last| Arc::ptr_eq(last, labels)) {
                self.check_labels(labels)?;
                checked = Some(labels);
            }
        }
        Ok(())
    }

    fn check_labels(&self, labels: &Labels) -> Result<(), WriteError> {
        let Labels { series, op, phase } = labels;
        if series.run != self.run || series.schema != Series::SCHEMA {
            let (expected, found) = (self.run.clone(), series.run.clone());
            return Err(WriteError::OtherRun { expected, found, schema: series.schema });
        }
        let texts = [
            ("kind", &series.kind),
            ("observer", &series.observer),
            ("subject", &series.subject),
            ("observer region", &series.observer_region),
            ("subject region", &series.subject_region),
            ("environment", &series.environment),
            ("op", op),
            ("phase", phase),
        ];
        texts.into_iter().try_for_each(|(what, text)| check_length(what, text))
    }
}

impl Drop for ObservationWriter {
    /// Waits for the thread, so that no file grows after its writer is gone. The thread ends when the queue is empty.
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported as `Stopped`.
            let _ = thread.join();
        }
    }
}

fn check_length(what: &'static str, text: &str) -> Result<(), WriteError> {
    let bytes = text.len();
    if bytes > MAX_LABEL_BYTES { Err(WriteError::LabelTooLong { what, bytes }) } else { Ok(()) }
}

/// A runtime of its own lets the thread wait for rows and for the time to flush at once. It is made and dropped here, since an
/// asynchronous caller may do neither.
fn run_thread(
    frames: FrameFile,
    receiver: mpsc::Receiver<Message>,
    flush_after: Duration,
) -> Result<Written, WriteError> {
    match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime.block_on(write(frames, receiver, flush_after)),
        Err(source) => Err(frames.failed("start the writer of", source)),
    }
}

/// Rows until somebody finishes or everybody is gone.
async fn write(
    mut frames: FrameFile,
    mut receiver: mpsc::Receiver<Message>,
    flush_after: Duration,
) -> Result<Written, WriteError> {
    let mut flush = interval(flush_after);
    flush.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            message = receiver.recv() => match message {
                Some(Message::Rows(batch)) => frames.append(&batch)?,
                Some(Message::Finish) => return frames.complete(),
                None => {
                    frames.end_frame()?;
                    return Err(WriteError::Stopped);
                }
            },
            _ = flush.tick() => frames.end_frame()?,
        }
    }
}
