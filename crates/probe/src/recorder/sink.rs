//! Where samples go: a thread of its own behind a bounded channel.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use peermark_core::Sample;
use thiserror::Error;

/// Samples per batch: about 90 KiB, some tens of milliseconds at full rate.
pub(super) const BATCH_SAMPLES: usize = 1024;

/// Batches that may wait for the sink: some 6 MiB, a second or two at full rate. A sink that is slower than that makes the
/// generator late, and the record says so.
const WAITING_BATCHES: usize = 64;

/// Samples of one operation of one phase, in the order in which they ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleBatch {
    /// Name of the phase.
    pub phase: Arc<str>,
    /// Name of the operation.
    pub op: Arc<str>,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// What a sink says when it cannot write.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// Takes samples for good.
pub trait SampleSink: Send + 'static {
    /// Writes a batch. Called from one thread, in order; an error ends the run.
    ///
    /// # Errors
    /// Whatever kept the samples from being written.
    fn write(&mut self, batch: SampleBatch) -> Result<(), SinkError>;
}

/// Keeps them in memory, for tests and short probes.
impl SampleSink for Vec<SampleBatch> {
    fn write(&mut self, batch: SampleBatch) -> Result<(), SinkError> {
        self.push(batch);
        Ok(())
    }
}

/// The sink took no more samples. Its own error comes from [`SinkThread::finish`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the sink of the samples failed")]
pub struct SinkFailure;

/// Hands batches to the sink's thread.
#[derive(Clone)]
pub struct SampleSender {
    channel: SyncSender<SampleBatch>,
}

impl SampleSender {
    /// Hands on a batch. Blocks while the channel is full: losing samples is not an option, and being late is recorded.
    pub(super) fn send(&mut self, batch: SampleBatch) -> Result<(), SinkFailure> {
        self.channel.send(batch).map_err(|_| SinkFailure)
    }
}

/// The thread that a sink runs on.
pub struct SinkThread<S> {
    thread: JoinHandle<(S, Result<(), SinkError>)>,
}

impl<S: SampleSink> SinkThread<S> {
    /// Starts the sink's thread. It ends when every clone of the sender is gone, or with the sink's first error.
    ///
    /// # Errors
    /// What the system said about starting a thread.
    pub fn start(sink: S) -> std::io::Result<(SampleSender, Self)> {
        let (channel, batches) = sync_channel(WAITING_BATCHES);
        let thread = std::thread::Builder::new().name("peermark-samples".into()).spawn(|| consume(sink, batches))?;
        Ok((SampleSender { channel }, Self { thread }))
    }

    /// Waits until everything is written and returns the sink, with the error that ended it if one did.
    ///
    /// # Panics
    /// Where the sink itself panicked.
    pub fn finish(self) -> (S, Result<(), SinkError>) {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn consume<S: SampleSink>(mut sink: S, batches: Receiver<SampleBatch>) -> (S, Result<(), SinkError>) {
    for batch in batches {
        if let Err(error) = sink.write(batch) {
            return (sink, Err(error));
        }
    }
    (sink, Ok(()))
}
