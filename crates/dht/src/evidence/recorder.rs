//! From measured operations to rows, in batches, without making an operation wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use peermark_core::{Clock, Environment, EvidenceClass, Seed, Series, Unit};
use peermark_store::dht::DhtStore;
use peermark_store::{RunRecord, SeriesId, Store, StoreError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::writer::{ATTEMPT, Writer};
use crate::operation::{Operation, OperationKind};

/// Kind of the runs that servers open.
const RUN_KIND: &str = "dht";

/// Limits of a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceOptions {
    /// Operations that may wait while the database does not answer: about 4 KiB each with twenty hops.
    pub queue: usize,
    /// Operations of one batch.
    pub batch: usize,
    /// Longest time that an operation waits for others to share a transaction with.
    pub flush_after: Duration,
    /// Longest time that [`RecorderEnd::finish`] waits for the database.
    pub finish_within: Duration,
}

impl Default for EvidenceOptions {
    fn default() -> Self {
        Self {
            queue: 8192,
            batch: 256,
            flush_after: Duration::from_millis(250),
            finish_within: Duration::from_secs(10),
        }
    }
}

/// Who measures, where, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    /// Id of the run; see [`RunRecord::id`].
    pub run: String,
    /// Own peer id in base58.
    pub observer: String,
    /// Fleet of the node; also the name of the run.
    pub fleet: String,
    /// Region of the node as its operator names it. It goes into traces; a series takes geohashes only and stays without one.
    pub region: String,
    /// Machine and build.
    pub environment: Environment,
}

/// Where evidence goes: observations, traces, or both.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Gets a run and its observations.
    pub observations: Option<Store>,
    /// Gets traces.
    pub traces: Option<DhtStore>,
    /// Whether both are one database, so that a trace can name its observation.
    pub linked: bool,
}

/// What became of the operations of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Operations that are in the database.
    pub written: u64,
    /// Operations that the database did not take in time.
    pub dropped: u64,
}

/// Takes operations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::Sender<Recorded>,
    counters: Arc<Counters>,
}

/// The end of a recorder: whoever holds it ends the run.
#[derive(Debug)]
pub struct RecorderEnd {
    stop: CancellationToken,
    writer: JoinHandle<Finished>,
    within: Duration,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) queued: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed_attempts: AtomicU64,
    dropping: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) operation: Arc<Operation>,
    pub(super) started_wall_ms: u64,
}

impl Evidence {
    /// Opens a run and starts the task that writes it.
    ///
    /// # Errors
    /// [`StoreError`] of the database that is to hold the observations.
    pub async fn begin(
        self,
        facts: RunFacts,
        options: EvidenceOptions,
        clock: &dyn Clock,
    ) -> Result<(Recorder, RecorderEnd), StoreError> {
        let epoch_ns = clock.now_ns();
        let series = match &self.observations {
            Some(store) => Some(begin_run(store, &facts, clock.wall_ms()).await?),
            None => None,
        };
        let (sender, receiver) = mpsc::channel(options.queue.max(1));
        let counters = Arc::new(Counters::default());
        let stop = CancellationToken::new();
        let writer = Writer {
            evidence: self,
            facts,
            options,
            series,
            epoch_ns,
            last_ns: epoch_ns,
            next: [0; 2],
            counters: counters.clone(),
            stop: stop.clone(),
        };
        let writer = tokio::spawn(writer.run(receiver));
        let end = RecorderEnd { stop, writer, within: options.finish_within, counters: counters.clone() };
        Ok((Recorder { sender, counters }, end))
    }
}

async fn begin_run(store: &Store, facts: &RunFacts, started_wall_ms: u64) -> Result<[SeriesId; 2], StoreError> {
    let environment = store.put_environment(&facts.environment).await?;
    let record = RunRecord {
        id: facts.run.clone(),
        kind: RUN_KIND.to_owned(),
        name: facts.fleet.clone(),
        scenario_fingerprint: String::new(),
        // Nothing that a server measures is drawn by it.
        seed: Seed(0),
        version: facts.environment.version.clone(),
        commit: facts.environment.commit.clone(),
        environment: environment.clone(),
        started_wall_ms,
    };
    store.begin_run(&record).await?;
    let series = |kind: OperationKind| Series {
        schema: Series::SCHEMA,
        run: facts.run.clone(),
        kind: kind.as_str().to_owned(),
        class: EvidenceClass::Raw,
        observer: facts.observer.clone(),
        subject: "network".to_owned(),
        observer_region: String::new(),
        subject_region: String::new(),
        unit: Unit::Nanoseconds,
        environment: environment.clone(),
    };
    let provides = store.add_series(&series(OperationKind::Provide)).await?;
    let retrieves = store.add_series(&series(OperationKind::Retrieve)).await?;
    Ok([provides, retrieves])
}

impl Counters {
    /// What became of all operations when nobody writes any more: what waits is lost.
    fn finished(&self) -> Finished {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Finished { written: count(&self.written), dropped: count(&self.dropped) + count(&self.queued) }
    }
}

impl Recorder {
    /// Takes an operation; never waits. Where the queue is full because the database does not answer, the operation is dropped and
    /// counted.
    pub fn record(&self, operation: Arc<Operation>, clock: &dyn Clock) {
        let ago_ms = clock.now_ns().saturating_sub(operation.started_ns) / 1_000_000;
        let started_wall_ms = clock.wall_ms().saturating_sub(ago_ms);
        // Counted first: the writer must not take it off before it is on.
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        match self.sender.try_send(Recorded { operation, started_wall_ms }) {
            Ok(()) => {
                if self.counters.dropping.swap(false, Ordering::Relaxed) {
                    tracing::warn!(dropped = self.dropped(), "the database takes operations again");
                }
            }
            Err(_) => {
                self.counters.queued.fetch_sub(1, Ordering::Relaxed);
                self.counters.dropped.fetch_add(1, Ordering::Relaxed);
                if !self.counters.dropping.swap(true, Ordering::Relaxed) {
                    tracing::warn!("the database does not answer and the queue is full: operations are dropped");
                }
            }
        }
    }

    /// Operations that wait to be written.
    pub fn queued(&self) -> u64 {
        self.counters.queued.load(Ordering::Relaxed)
    }

    /// Operations that were written.
    pub fn written(&self) -> u64 {
        self.counters.written.load(Ordering::Relaxed)
    }

    /// Operations that were dropped.
    pub fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }

    /// Attempts to write a batch that failed and were repeated.
    pub fn failed_attempts(&self) -> u64 {
        self.counters.failed_attempts.load(Ordering::Relaxed)
    }
}

impl RecorderEnd {
    /// Writes what waits and ends the run. What the database has not taken by the deadline of the options counts as dropped.
    pub async fn finish(self) -> Finished {
        self.stop.cancel();
        let abort = self.writer.abort_handle();
        // The writer keeps the deadline itself; the second one is for a database that does not even let a call be given up.
        match timeout(self.within + ATTEMPT, self.writer).await {
            Ok(Ok(finished)) => finished,
            Ok(Err(error)) => {
                tracing::error!(%error, "the writer of operations has ended early");
                self.counters.finished()
            }
            Err(_elapsed) => {
                abort.abort();
                tracing::error!("the writer of operations does not end");
                self.counters.finished()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_ends_badly_has_lost_what_waits() {
        for panics in [true, false] {
            let counters = Arc::new(Counters::default());
            for (counter, count) in [(&counters.written, 5), (&counters.dropped, 1), (&counters.queued, 3)] {
                counter.store(count, Ordering::Relaxed);
            }
            let writer = tokio::spawn(async move {
                assert!(!panics, "as a writer may");
                std::future::pending().await
            });
            let end = RecorderEnd { stop: CancellationToken::new(), writer, within: Duration::from_secs(1), counters };
            assert_eq!(end.finish().await, Finished { written: 5, dropped: 4 }, "panics: {panics}");
        }
    }
}
