//! Finished rounds on their way into the database: the one place that tries again.
//!
//! Rounds wait in a bounded queue and are written by one task. While the database is gone the task comes back with growing pauses, and
//! rounds go on meanwhile; beyond the bound the oldest round is dropped and counted. Each round has a name, so one whose write had
//! arrived although it failed is not written twice. A round that failed goes to the end of the queue: one that the database will
//! never take keeps no other from being written.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::in_words;
use peermark_store::StoreError;
use peermark_store::dht::{DhtStore, NodeId, RoundRows, RoundWritten, SchedulerId};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::evidence::{EvidenceWriter, Observed};
use super::metrics::{SchedulerMetrics, count};
use super::notice::{Notice, Tell};

/// Rounds that may wait: sixteen hours of one a minute.
pub(super) const MAX_WAITING: usize = 1000;

/// First and longest pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Longest time for one try.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);

/// A finished round.
#[derive(Clone, Debug, Default)]
pub(super) struct Parcel {
    /// For parsec's tables.
    pub(super) rows: RoundRows,
    /// For the evidence.
    pub(super) observed: Vec<Observed>,
    /// Whether something of it was refused for good, and said to be.
    pub(super) is_refused: bool,
}

/// Rounds that are not in the database yet.
#[derive(Default)]
struct Held {
    waiting: VecDeque<Parcel>,
    /// Servers that the round which is being written says are offline.
    writing: Vec<NodeId>,
}

/// Takes finished rounds.
pub(super) struct Outbox {
    held: Mutex<Held>,
    came: Notify,
    metrics: Arc<SchedulerMetrics>,
    tell: Tell,
}

impl Outbox {
    pub(super) fn new(metrics: Arc<SchedulerMetrics>, tell: Tell) -> Self {
        Self { held: Mutex::default(), came: Notify::new(), metrics, tell }
    }

    /// Queues a round. Never waits.
    pub(super) fn put(&self, parcel: Parcel) {
        if parcel.is_empty() {
            return;
        }
        let mut held = self.held.lock();
        held.waiting.push_back(parcel);
        let dropped = if held.waiting.len() > MAX_WAITING { held.waiting.pop_front() } else { None };
        self.metrics.queued.store(held.waiting.len() as u64, Ordering::Relaxed);
        drop(held);
        if dropped.is_some() {
            count(&self.metrics.dropped);
            (self.tell)(Notice::RoundDropped { dropped: self.metrics.dropped() });
        }
        self.came.notify_one();
    }

    /// Queues a round again that could not be written, unless the others that wait, which are newer, take all the room.
    fn put_back(&self, parcel: Parcel) -> usize {
        let mut held = self.held.lock();
        held.writing.clear();
        if held.waiting.len() < MAX_WAITING {
            held.waiting.push_back(parcel);
        } else {
            count(&self.metrics.dropped);
        }
        self.metrics.queued.store(held.waiting.len() as u64, Ordering::Relaxed);
        held.waiting.len()
    }

    fn take(&self) -> Option<Parcel> {
        let mut held = self.held.lock();
        let parcel = held.waiting.pop_front()?;
        held.writing = parcel.offline().collect();
        Some(parcel)
    }

    /// The round that was taken last is in the database, or never will be.
    fn settle(&self) {
        let mut held = self.held.lock();
        held.writing.clear();
        self.metrics.queued.store(held.waiting.len() as u64, Ordering::Relaxed);
    }

    fn len(&self) -> usize {
        self.held.lock().waiting.len()
    }

    /// Servers that are offline by a round which the database does not know yet: a list that is read from now on may still have
    /// them.
    pub(super) fn offline(&self) -> HashSet<NodeId> {
        let held = self.held.lock();
        held.waiting.iter().flat_map(Parcel::offline).chain(held.writing.iter().copied()).collect()
    }
}

impl Parcel {
    fn offline(&self) -> impl Iterator<Item = NodeId> {
        self.rows.offline.iter().map(|(node, _)| *node)
    }

    fn is_empty(&self) -> bool {
        let Self { rows: RoundRows { batch: _, provides, retrievals, offline }, observed, is_refused: _ } = self;
        provides.is_empty() && retrievals.is_empty() && offline.is_empty() && observed.is_empty()
    }

    fn has_rows(&self) -> bool {
        let RoundRows { batch: _, provides, retrievals, offline } = &self.rows;
        !(provides.is_empty() && retrievals.is_empty() && offline.is_empty())
    }
}

/// Writes what the outbox holds.
pub(super) struct Writer {
    pub(super) outbox: Arc<Outbox>,
    pub(super) tables: DhtStore,
    pub(super) scheduler: SchedulerId,
    pub(super) evidence: Option<EvidenceWriter>,
    /// Whether the last try failed, which was said then.
    pub(super) is_failing: bool,
}

impl Writer {
    /// Writes rounds as they come. After `stop` it writes what is left, for no longer than `last`, and returns how many rounds could
    /// not be written.
    pub(super) async fn run(mut self, stop: CancellationToken, last: Duration) -> usize {
        let mut pause = FIRST_PAUSE;
        let mut give_up: Option<Instant> = None;
        loop {
            if stop.is_cancelled() && give_up.is_none() {
                // Whatever pause there was belongs to a time when nobody waited.
                (give_up, pause) = (Some(Instant::now() + last), FIRST_PAUSE);
            }
            if give_up.is_some_and(|give_up| Instant::now() >= give_up) {
                return self.outbox.len();
            }
            let Some(parcel) = self.outbox.take() else {
                if give_up.is_some() {
                    return 0;
                }
                tokio::select! {
                    () = self.outbox.came.notified() => {}
                    () = stop.cancelled() => {}
                }
                continue;
            };
            if self.write(parcel).await {
                pause = FIRST_PAUSE;
                continue;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = stop.cancelled(), if give_up.is_none() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tries to write one round; what could not be written of it waits again, unless it never can be.
    async fn write(&mut self, mut parcel: Parcel) -> bool {
        let tried = timeout(WRITE_TIMEOUT, self.try_write(&mut parcel)).await;
        let metrics = Arc::clone(&self.outbox.metrics);
        let words = match tried {
            Ok(Ok(())) => {
                if !parcel.is_refused {
                    count(&metrics.written);
                }
                self.outbox.settle();
                if std::mem::take(&mut self.is_failing) {
                    (self.outbox.tell)(Notice::WrittenAgain);
                }
                return true;
            }
            Ok(Err(error)) if will_never_do(&error) => {
                self.outbox.settle();
                self.refuse(&mut parcel, &error);
                return true;
            }
            Ok(Err(error)) => in_words(&error),
            Err(_elapsed) => format!("no answer within {WRITE_TIMEOUT:?}"),
        };
        count(&metrics.database_errors);
        let waiting = self.outbox.put_back(parcel);
        if !std::mem::replace(&mut self.is_failing, true) {
            (self.outbox.tell)(Notice::NotWritten { words, waiting });
        }
        false
    }

    /// Counts a round of which something is lost for good, once.
    fn refuse(&self, parcel: &mut Parcel, error: &StoreError) {
        if !std::mem::replace(&mut parcel.is_refused, true) {
            count(&self.outbox.metrics.dropped);
        }
        let dropped = self.outbox.metrics.dropped();
        (self.outbox.tell)(Notice::RoundRefused { words: in_words(error), dropped });
    }

    async fn try_write(&mut self, parcel: &mut Parcel) -> Result<(), StoreError> {
        if parcel.has_rows() {
            match self.tables.write_round(self.scheduler, &parcel.rows).await {
                Ok(RoundWritten { now, orphans }) => {
                    tracing::debug!(batch = parcel.rows.batch, now, orphans, "round is in the database");
                    if orphans > 0 {
                        (self.outbox.tell)(Notice::RowsOrphaned { rows: orphans });
                    }
                }
                // The calls took place, whatever becomes of the rows about them.
                Err(error) if will_never_do(&error) => self.refuse(parcel, &error),
                Err(error) => return Err(error),
            }
            // Only the evidence may be left for another try.
            parcel.rows = RoundRows { batch: std::mem::take(&mut parcel.rows.batch), ..RoundRows::default() };
        }
        match &mut self.evidence {
            Some(evidence) => evidence.write(&mut parcel.observed).await,
            None => Ok(()),
        }
    }
}

/// Whether the database would refuse the same round again: it is the round that is wrong.
fn will_never_do(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::DanglingRound { .. }
            | StoreError::NamelessRound
            | StoreError::TooMany { .. }
            | StoreError::TooLong { .. }
            | StoreError::DoesNotFit { .. }
            | StoreError::NoSuchRun { .. }
            | StoreError::NoSuchSeries { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(number: usize) -> Parcel {
        let offline = vec![(NodeId(number as i32), 0)];
        let rows = RoundRows { batch: number.to_string(), offline, ..RoundRows::default() };
        Parcel { rows, ..Parcel::default() }
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_dropped_counted_and_said() {
        let told = Arc::<Mutex<Vec<Notice>>>::default();
        let tell = Arc::clone(&told);
        let outbox = Outbox::new(Arc::default(), Arc::new(move |notice| tell.lock().push(notice)));
        (0..MAX_WAITING + 2).for_each(|number| outbox.put(parcel(number)));
        outbox.put(Parcel::default());
        assert_eq!((outbox.len(), outbox.metrics.dropped()), (MAX_WAITING, 2));
        assert_eq!(*told.lock(), [Notice::RoundDropped { dropped: 1 }, Notice::RoundDropped { dropped: 2 }]);
        assert_eq!(outbox.take().unwrap().rows.batch, "2");
    }

    #[test]
    fn who_is_offline_is_known_until_the_database_knows_it() {
        let outbox = Outbox::new(Arc::default(), Arc::new(|_| {}));
        outbox.put(parcel(7));
        assert!(outbox.offline().contains(&NodeId(7)));
        let taken = outbox.take().unwrap();
        assert!(outbox.offline().contains(&NodeId(7)), "while it is written");
        outbox.put_back(taken);
        assert_eq!((outbox.len(), outbox.offline().len()), (1, 1));
        outbox.take().unwrap();
        outbox.settle();
        assert!(outbox.offline().is_empty());
    }
}
