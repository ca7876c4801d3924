//! Adding attempts to the chain.
//!
//! What was stored and what memory knows can part: an error at the very end of a transaction may come after it was written, and a
//! caller may give up waiting. So the head is taken out of the writer while it writes, and who finds none there reads it from the
//! store, and sees whether the batch before is in it.

use std::collections::HashMap;
use std::sync::Arc;

use peermark_core::sealed::{Digest32, Draft, Sealed};
use peermark_core::{EvidenceClass, Series, Unit};
use peermark_store::{NewRecord, Observed, RecordMeta, SeriesId};

use super::days::{BELOW_ZERO, FAILED};
use super::open::readable_head;
use super::trust::Trust;
use super::{DOMAIN, History, HistoryError, MAX_BATCH, NewAttempt, Shared, kind_of, payload};
use crate::attempt::Attempt;

/// What one at a time appends with.
#[derive(Default)]
pub(super) struct Writer {
    /// Number and hash of the newest record; `None` where that is not known for sure.
    pub(super) head: Option<(u64, Digest32)>,
    /// The batch that was being written when the head was lost.
    unsure: Option<Unsure>,
    /// The batch that turned out to be stored though its caller was not told so.
    landed: Option<Unsure>,
    /// Series that the store knows.
    series: HashMap<(String, Unit), TaskSeries>,
    /// Whether the wall clock can be believed.
    pub(super) trust: Trust,
}

/// The series of one task and unit on this machine.
#[derive(Clone, Copy)]
pub(super) struct TaskSeries {
    /// Its attempts; rollups of values from 0 on.
    pub(super) attempts: SeriesId,
    /// Rollups of values below 0.
    pub(super) below_zero: SeriesId,
    /// Rollups of failures.
    pub(super) failed: SeriesId,
}

/// A batch of which nobody knows whether it is stored.
struct Unsure {
    head: (u64, Digest32),
    news: Vec<NewAttempt>,
    attempts: Vec<Arc<Attempt>>,
}

/// An attempt on its way into the store.
struct Ready {
    attempt: Arc<Attempt>,
    observed: Option<Observed>,
    sealed: Sealed,
}

impl Writer {
    pub(super) fn at(head: (u64, Digest32), trust: Trust) -> Self {
        Self { head: Some(head), trust, ..Self::default() }
    }
}

impl History {
    /// Adds an attempt to the history. It is on disk, signed, when this returns, and what is returned is what will be read later.
    ///
    /// After an error the same attempt may be given again: where it was stored after all, it is found and not stored twice.
    ///
    /// # Errors
    /// [`HistoryError`]; [`HistoryError::may_pass`] says whether the caller should keep the attempt and try again.
    pub async fn append(&self, attempt: NewAttempt) -> Result<Arc<Attempt>, HistoryError> {
        let mut attempts = self.append_all(vec![attempt]).await?;
        Ok(attempts.remove(0))
    }

    /// Adds attempts in one transaction, all or none, in their order.
    ///
    /// # Errors
    /// As [`Self::append`], and [`HistoryError::TooMany`] above [`MAX_BATCH`].
    pub async fn append_all(&self, news: Vec<NewAttempt>) -> Result<Vec<Arc<Attempt>>, HistoryError> {
        if news.len() > MAX_BATCH {
            return Err(HistoryError::TooMany { found: news.len() });
        }
        let shared = &self.shared;
        let mut writer = shared.writer.lock().await;
        let head = shared.settle(&mut writer).await?;
        // Somebody who did not hear of success comes again with the same.
        let again = writer.landed.take().filter(|landed| news.starts_with(&landed.news));
        let mut attempts = again.map_or_else(Vec::new, |landed| landed.attempts);
        let rest = &news[attempts.len()..];
        if !rest.is_empty() {
            attempts.append(&mut shared.write(&mut writer, head, rest).await?);
        }
        Ok(attempts)
    }
}

impl Shared {
    /// The head for sure, and in the writer what turned out to be stored.
    pub(super) async fn settle(&self, writer: &mut Writer) -> Result<(u64, Digest32), HistoryError> {
        if let Some(head) = writer.head {
            return Ok(head);
        }
        let head = self.store.settled_head(self.chain).await;
        let head = readable_head(&self.store, self.chain, head).await?.0;
        writer.head = Some(head);
        writer.landed = writer.unsure.take().filter(|unsure| unsure.head == head);
        let landed: &[_] = writer.landed.as_ref().map_or(&[], |landed| &landed.attempts);
        self.remember(head, landed);
        if let Some(last) = landed.last() {
            writer.trust.note(last.ended_ms, self.clock.now_ns());
        }
        Ok(head)
    }

    async fn write(
        &self,
        writer: &mut Writer,
        head: (u64, Digest32),
        news: &[NewAttempt],
    ) -> Result<Vec<Arc<Attempt>>, HistoryError> {
        let mut ready = Vec::with_capacity(news.len());
        let mut after = head;
        for new in news {
            let one = self.prepare(writer, after, new).await?;
            after = (one.attempt.seq, one.sealed.hash());
            ready.push(one);
        }
        let records: Vec<NewRecord<'_>> = ready.iter().map(Ready::record).collect();
        let attempts: Vec<Arc<Attempt>> = ready.iter().map(|one| Arc::clone(&one.attempt)).collect();
        // From here on until the store has answered nobody knows.
        writer.head = None;
        writer.unsure = Some(Unsure { head: after, news: news.to_vec(), attempts: attempts.clone() });
        self.store.put_records(self.chain, &records).await?;
        writer.head = Some(after);
        writer.unsure = None;
        self.remember(after, &attempts);
        let now_ns = self.clock.now_ns();
        attempts.iter().for_each(|attempt| writer.trust.note(attempt.ended_ms, now_ns));
        Ok(attempts)
    }

    async fn prepare(
        &self,
        writer: &mut Writer,
        (last, previous): (u64, Digest32),
        new: &NewAttempt,
    ) -> Result<Ready, HistoryError> {
        let sequence = last + 1;
        let payload = payload::encode(new)?;
        // What is returned is what will be read: floats of a result may differ in their last digit before and after.
        let (attempt, _) = payload::decode(sequence, &payload)?;
        let sealed = self
            .seal(sequence, previous, payload)
            .map_err(|source| HistoryError::Seal { task: new.task.clone(), source })?;
        let observed = match payload::sample(&attempt, self.epoch_ms) {
            None => None,
            Some(sample) => Some(Observed { series: self.series(writer, &new.task, new.unit).await?.attempts, sample }),
        };
        Ok(Ready { attempt: Arc::new(attempt), observed, sealed })
    }

    /// Signs the next record.
    pub(super) fn seal(
        &self,
        sequence: u64,
        previous: Digest32,
        payload: peermark_core::sealed::Value,
    ) -> Result<Sealed, peermark_core::sealed::SealedError> {
        let draft = Draft { domain: DOMAIN.into(), network: self.network.clone(), sequence, previous, payload };
        Sealed::seal(&self.key, draft)
    }

    /// The series of this task and unit, of this node on this machine. Those of its rollups are made with it, at a time when there is
    /// room: where there is none, pruning must not need any.
    pub(super) async fn series(&self, writer: &mut Writer, task: &str, unit: Unit) -> Result<TaskSeries, HistoryError> {
        let key = (task.to_owned(), unit);
        if let Some(series) = writer.series.get(&key) {
            return Ok(*series);
        }
        let kind = kind_of(task);
        let series = [
            self.describe(kind.clone(), unit),
            self.describe(format!("{kind}{BELOW_ZERO}"), unit),
            self.describe(format!("{kind}{FAILED}"), Unit::Nanoseconds),
        ];
        let ids = self.store.add_several_series(&series).await?;
        let series = TaskSeries { attempts: ids[0], below_zero: ids[1], failed: ids[2] };
        writer.series.insert(key, series);
        Ok(series)
    }

    fn describe(&self, kind: String, unit: Unit) -> Series {
        Series {
            schema: Series::SCHEMA,
            run: self.run.clone(),
            kind,
            class: EvidenceClass::SelfReport,
            observer: self.node.clone(),
            subject: self.node.clone(),
            observer_region: String::new(),
            subject_region: String::new(),
            unit,
            environment: self.environment.clone(),
        }
    }

    /// What is stored becomes visible.
    pub(super) fn remember(&self, head: (u64, Digest32), attempts: &[Arc<Attempt>]) {
        let mut memory = self.memory.write();
        memory.head = head;
        attempts.iter().for_each(|attempt| memory.note(attempt));
        drop(memory);
        self.newest.send_if_modified(|newest| std::mem::replace(newest, head.0) != head.0);
    }
}

impl Ready {
    fn record(&self) -> NewRecord<'_> {
        let meta = RecordMeta {
            seq: self.attempt.seq,
            kind: payload::ATTEMPT,
            topic: &self.attempt.task,
            status: self.attempt.status.as_str(),
            // The database's range; the record itself keeps what was said.
            ended_ms: self.attempt.ended_ms.min(i64::MAX.unsigned_abs()),
        };
        NewRecord { meta, sealed: self.sealed.bytes(), observed: self.observed }
    }
}
