//! The task that writes what a recorder took: in batches, again and again while the database does not answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peermark_core::{MonotonicNs, Sample};
use peermark_store::dht::{MAX_BATCH_HOPS, MAX_HOPS, MAX_TRACES, Trace};
use peermark_store::{Ending, RunEnd, SeriesId, StoreError, Validity};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::recorder::{Counters, Evidence, EvidenceOptions, Finished, Recorded, RunFacts};
use super::{sample_of, trace_of};
use crate::operation::OperationKind;

/// Longest time for one attempt to write a batch.
pub(super) const ATTEMPT: Duration = Duration::from_secs(10);

/// Pause after the first failed attempt; doubles up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between attempts: the database is back for at most this long before it is noticed.
const MAX_PAUSE: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    pub(super) evidence: Evidence,
    pub(super) facts: RunFacts,
    pub(super) options: EvidenceOptions,
    pub(super) series: Option<[SeriesId; 2]>,
    pub(super) epoch_ns: MonotonicNs,
    pub(super) last_ns: MonotonicNs,
    /// Number of the next provide and of the next retrieve.
    pub(super) next: [u64; 2],
    pub(super) counters: Arc<Counters>,
    pub(super) stop: CancellationToken,
}

/// Rows of one transaction of each database. Numbers are given once, so that a repeated attempt writes the same rows or none.
struct Batch {
    samples: [Vec<Sample>; 2],
    observed: [bool; 2],
    traces: Vec<Trace>,
    len: u64,
}

impl Writer {
    pub(super) async fn run(mut self, mut receiver: mpsc::Receiver<Recorded>) -> Finished {
        let mut taken = Vec::with_capacity(self.options.batch);
        let mut deadline = None;
        loop {
            if self.stop.is_cancelled() && deadline.is_none() {
                // Before the last look into the queue, so that nothing comes after it.
                receiver.close();
                deadline = Some(Instant::now() + self.options.finish_within);
            }
            let open = self.collect(&mut receiver, &mut taken).await;
            if taken.is_empty() {
                if deadline.is_some() || !open {
                    break;
                }
                continue;
            }
            while !taken.is_empty() {
                let batch = self.batch(&mut taken);
                let len = batch.len;
                let written = self.write(batch, &mut deadline).await;
                self.counters.queued.fetch_sub(len, Ordering::Relaxed);
                let counter = if written { &self.counters.written } else { &self.counters.dropped };
                counter.fetch_add(len, Ordering::Relaxed);
            }
        }
        self.end(deadline).await
    }

    /// Fills `taken` up to a batch, for at most the time that operations may wait; at once when it is to stop. Returns whether more
    /// may come.
    async fn collect(&self, receiver: &mut mpsc::Receiver<Recorded>, taken: &mut Vec<Recorded>) -> bool {
        let room = self.options.batch.max(1);
        if self.stop.is_cancelled() {
            while taken.len() < room
                && let Ok(recorded) = receiver.try_recv()
            {
                taken.push(recorded);
            }
            return true;
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return true,
            count = receiver.recv_many(taken, room) => if count == 0 { return false },
        }
        let until = Instant::now() + self.options.flush_after;
        while taken.len() < room {
            let left = room - taken.len();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return true,
                () = tokio::time::sleep_until(until) => return true,
                count = receiver.recv_many(taken, left) => if count == 0 { return false },
            }
        }
        true
    }

    /// Takes what the store takes in one call.
    fn batch(&mut self, taken: &mut Vec<Recorded>) -> Batch {
        let fit = fitting(taken.iter().map(|recorded| recorded.operation.hops.len()));
        let mut batch = Batch { samples: [Vec::new(), Vec::new()], observed: [false; 2], traces: Vec::new(), len: 0 };
        for Recorded { operation, started_wall_ms } in taken.drain(..fit) {
            let which = match operation.kind {
                OperationKind::Provide => 0,
                OperationKind::Retrieve => 1,
            };
            let seq = self.next[which];
            self.next[which] += 1;
            self.last_ns = self.last_ns.max(operation.returned_ns);
            let observation = self.series.filter(|_| self.evidence.linked).map(|series| (series[which].0, seq));
            if self.series.is_some() {
                batch.samples[which].push(sample_of(&operation, seq, self.epoch_ns));
            }
            if self.evidence.traces.is_some() {
                batch.traces.push(trace_of(&operation, &self.facts, started_wall_ms, observation));
            }
            batch.len += 1;
        }
        batch
    }

    /// Tries until the batch is written. Gives up when the database refuses the rows themselves, or by the deadline of the end.
    async fn write(&self, mut batch: Batch, deadline: &mut Option<Instant>) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            let now = Instant::now();
            let until = deadline.map_or(now + ATTEMPT, |deadline| deadline.min(now + ATTEMPT));
            if until <= now {
                return false;
            }
            let error = match timeout_at(until, self.attempt(&mut batch)).await {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => Some(error),
                Err(_elapsed) => None,
            };
            self.counters.failed_attempts.fetch_add(1, Ordering::Relaxed);
            match &error {
                Some(error) if !may_pass(error) => {
                    tracing::error!(%error, source = ?std::error::Error::source(error), rows = batch.len, "the store refuses operations");
                    return false;
                }
                Some(error) => tracing::warn!(%error, "cannot store operations, trying again"),
                None => tracing::warn!("storing operations takes too long, trying again"),
            }
            if deadline.is_none() {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.stop.cancelled() => *deadline = Some(Instant::now() + self.options.finish_within),
                }
            } else {
                tokio::time::sleep(pause).await;
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    async fn attempt(&self, batch: &mut Batch) -> Result<(), StoreError> {
        if let (Some(store), Some(series)) = (&self.evidence.observations, self.series) {
            for (which, series) in series.into_iter().enumerate() {
                if batch.observed[which] || batch.samples[which].is_empty() {
                    continue;
                }
                match store.put_observations(series, &batch.samples[which]).await {
                    // An attempt that seemed to fail has arrived after all: these numbers are given to these operations only.
                    Ok(()) | Err(StoreError::AlreadyStored { .. }) => batch.observed[which] = true,
                    Err(error) => return Err(error),
                }
            }
        }
        match &self.evidence.traces {
            Some(store) => store.put_traces(&batch.traces).await,
            None => Ok(()),
        }
    }

    async fn end(self, deadline: Option<Instant>) -> Finished {
        let written = self.counters.written.load(Ordering::Relaxed);
        let dropped = self.counters.dropped.load(Ordering::Relaxed);
        let finished = Finished { written, dropped };
        let Some(store) = &self.evidence.observations else { return finished };
        let end = RunEnd {
            ending: Ending::Succeeded,
            validity: Some(if dropped == 0 { Validity::Valid } else { Validity::Suspect }),
            duration_ns: self.last_ns.saturating_sub(self.epoch_ns),
            result_json: Some(format!(
                r#"{{"schema":"peermark.dht.server/1","operations":{written},"dropped":{dropped}}}"#
            )),
        };
        let until = deadline.unwrap_or_else(|| Instant::now() + ATTEMPT).max(Instant::now() + FIRST_PAUSE);
        match timeout_at(until, store.finish_run(&self.facts.run, &end)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot end the run in the store"),
            Err(_elapsed) => tracing::error!("cannot end the run in the store in time"),
        }
        finished
    }
}

/// How many of the first operations, of so many hops each, the store takes in one call: one at least.
fn fitting(hops: impl Iterator<Item = usize>) -> usize {
    let mut total = 0;
    let fitting = hops.take(MAX_TRACES).take_while(|hops| {
        // Of more than these, the others are not stored.
        total += (*hops).min(MAX_HOPS);
        total <= MAX_BATCH_HOPS
    });
    fitting.count().max(1)
}

/// Whether the same rows may be taken later: everything but a failing database is about the rows.
fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Database { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_before_the_store_refuses_it() {
        let fitting = |hops: &[usize]| fitting(hops.iter().copied());
        assert_eq!(fitting(&[20; 256]), 256);
        assert_eq!(fitting(&[MAX_HOPS; 256]), MAX_BATCH_HOPS / MAX_HOPS);
        assert_eq!(fitting(&[usize::MAX; 256]), MAX_BATCH_HOPS / MAX_HOPS, "cut to so many");
        assert_eq!(fitting(&[0; 2 * MAX_TRACES]), MAX_TRACES);
        assert_eq!((fitting(&[MAX_BATCH_HOPS + 1]), fitting(&[5])), (1, 1));
    }
}
