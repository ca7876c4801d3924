//! Giving up the oldest attempts.
//!
//! A prefix of the chain goes, its attempts become rollups, and a record `monitor.pruned` says so: the number and hash of the last one
//! that went, and the digest of all rollups that are there now. The latest success of each task stays, however old it is: it is what
//! the monitor answers with.

use peermark_core::sealed::{Digest32, Sealed, Value};
use peermark_store::{OldRecord, Prune, Pruned, RecordFilter, RecordMeta, StoredRecord};

use super::append::Writer;
use super::days::{DAY_NS, rollups};
use super::open::DAY_MS;
use super::verify::LastPruned;
use super::{History, HistoryError, Shared, payload};

/// Records that one transaction gives up.
const BATCH: u32 = 2_000;

/// Pruning by size begins at this share of the bound, percent: the file must not reach it, for then nothing can be appended.
const FULL_PERCENT: u64 = 90;

/// And ends at this one.
const ROOM_PERCENT: u64 = 80;

/// A record that says to be this far in the future was stamped by a clock that was wrong.
const FUTURE_MS: u64 = DAY_MS;

/// Records about pruning that are looked at for one that can be read.
const PRUNED_LOOKED_AT: u32 = 8;

/// What pruning came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Records that were given up.
    pub records: u64,
    /// The last of them; 0 where there is none.
    pub upto: u64,
    /// Whether size, and not only age, was the reason.
    pub by_size: bool,
}

impl History {
    /// Turns attempts into rollups that are older than the configuration keeps, or more than it has room for; the oldest first. Rollups
    /// that are too old themselves go with them. Meant for once an hour; where nothing is old, nothing is written.
    ///
    /// `now_ms` is the wall clock. Where it is more than two days after the newest attempt, or that was after the one before, it may
    /// have leapt: nothing goes by age then until a day has gone by on the monotonic clock. Never goes what is not older than others.
    ///
    /// # Errors
    /// That the store fails. What was done until then stays done.
    pub async fn prune(&self, now_ms: u64) -> Result<PruneReport, HistoryError> {
        let shared = &self.shared;
        let mut writer = shared.writer.lock().await;
        let mut report = PruneReport::default();
        let believed = writer.trust.believes(now_ms, shared.clock.now_ns());
        let now_ms = if believed { now_ms } else { writer.trust.believed_ms().unwrap_or(now_ms) };
        let cutoff_ms = now_ms.saturating_sub(u64::from(shared.config.attempts_days) * DAY_MS);
        let by_age = if believed {
            shared.store.records_before(shared.chain, cutoff_ms, now_ms.saturating_add(FUTURE_MS)).await?
        } else {
            tracing::warn!(believed_ms = now_ms, "the clock leapt ahead: nothing goes by age for a day");
            None
        };
        while let Some(upto) = by_age.filter(|upto| *upto > report.upto) {
            if !shared.give_up(&mut writer, upto, now_ms, &mut report).await? {
                break;
            }
        }
        let percent = |share: u64| shared.config.max_size.0 / 100 * share;
        if shared.store.size().await?.used_bytes > percent(FULL_PERCENT) {
            while shared.store.size().await?.used_bytes > percent(ROOM_PERCENT) {
                // All but the newest may go.
                let upto = shared.settle(&mut writer).await?.0.saturating_sub(1);
                if !shared.give_up(&mut writer, upto, now_ms, &mut report).await? {
                    break;
                }
                report.by_size = true;
            }
        }
        Ok(report)
    }
}

impl Shared {
    /// Gives up one batch of records up to a number; false where there is nothing to give up.
    async fn give_up(
        &self,
        writer: &mut Writer,
        upto: u64,
        now_ms: u64,
        report: &mut PruneReport,
    ) -> Result<bool, HistoryError> {
        let keep = self.kept();
        let most = BATCH + u32::try_from(keep.len()).unwrap_or(0);
        let old = self.store.old_records(self.chain, upto, most).await?;
        let goes: Vec<&OldRecord> = old.iter().filter(|record| !keep.contains(&record.seq)).collect();
        let Some(last) = goes.last().map(|record| record.seq) else { return Ok(false) };
        // A record about pruning alone is not worth another one.
        if goes.iter().all(|record| record.topic == payload::PRUNED) && goes.len() < 2 {
            return Ok(false);
        }
        // What went before may lie behind: a latest success of then that goes only now.
        let (ever, ever_hash) = match self.pruned_before().await?.filter(|(upto, _)| *upto >= last) {
            Some(before) => before,
            None => (last, self.hash_of(last).await?),
        };
        let rollups = rollups(self, writer, &goes).await?;
        let (head, previous) = self.settle(writer).await?;
        let meta = RecordMeta {
            seq: head + 1,
            kind: payload::PRUNED,
            topic: payload::PRUNED,
            status: "",
            ended_ms: now_ms.min(i64::MAX.unsigned_abs()),
        };
        let retire_ms = now_ms.saturating_sub(u64::from(self.config.rollups_days) * DAY_MS);
        let retire_before_ns = retire_ms.saturating_sub(self.epoch_ms).saturating_mul(1_000_000) / DAY_NS * DAY_NS;
        let prune = Prune {
            chain: self.chain,
            upto: last,
            ever_upto: ever,
            keep: &keep,
            run: &self.run,
            rollups: &rollups,
            retire_before_ns,
            meta,
        };
        let mut hash = previous;
        writer.head = None;
        let pruned = self
            .store
            .prune(&prune, |pruned| {
                let payload = payload(ever, ever_hash, now_ms, pruned);
                let sealed = self
                    .seal(head + 1, previous, payload)
                    .map_err(|source| HistoryError::Seal { task: payload::PRUNED.into(), source })?;
                hash = sealed.hash();
                Ok::<_, HistoryError>(sealed.bytes().to_vec())
            })
            .await?;
        writer.head = Some((head + 1, hash));
        self.remember((head + 1, hash), &[]);
        report.records += pruned.records;
        report.upto = last;
        Ok(true)
    }

    /// Numbers of the latest success of each task.
    fn kept(&self) -> Vec<u64> {
        let memory = self.memory.read();
        memory.tasks.values().filter_map(|task| task.success.as_ref()).map(|attempt| attempt.seq).collect()
    }

    /// The last number that went before, and its hash, as the newest readable record about pruning says.
    async fn pruned_before(&self) -> Result<Option<(u64, Digest32)>, HistoryError> {
        let filter = RecordFilter::Newest { topic: payload::PRUNED, status: "" };
        let page = self.store.readable_records(self.chain, filter, PRUNED_LOOKED_AT).await?;
        let read = |record: &StoredRecord| {
            let sealed = Sealed::decode(&record.sealed).ok()?;
            let pruned = LastPruned::read(sealed.payload())?;
            (sealed.signer() == self.key.public() && sealed.verify().is_ok()).then_some((pruned.upto, pruned.hash))
        };
        Ok(page.records.iter().find_map(read))
    }

    /// The hash of a record; of one that cannot be read, the next one knows it.
    async fn hash_of(&self, seq: u64) -> Result<Digest32, HistoryError> {
        let page = self.store.readable_records(self.chain, RecordFilter::From(seq), 2).await?;
        let decoded: Vec<Sealed> =
            page.records.iter().filter_map(|record| Sealed::decode(&record.sealed).ok()).collect();
        let own = decoded.iter().find(|sealed| sealed.sequence() == seq).map(Sealed::hash);
        let next = || decoded.iter().find(|sealed| sealed.sequence() == seq + 1).map(Sealed::previous);
        own.or_else(next).ok_or_else(|| HistoryError::Record { seq, reason: "neither it nor the next one".into() })
    }
}

fn payload(last: u64, last_hash: Digest32, now_ms: u64, pruned: &Pruned) -> Value {
    Value::map([
        ("kind", Value::text(payload::PRUNED)),
        ("ended_ms", Value::Unsigned(now_ms)),
        ("last_sequence", Value::Unsigned(last)),
        ("last_hash", Value::Bytes(last_hash.to_vec())),
        ("records", Value::Unsigned(pruned.records)),
        ("kept", Value::Array(pruned.kept.iter().map(|seq| Value::Unsigned(*seq)).collect())),
        ("rollups", Value::Unsigned(pruned.rollups)),
        ("rollups_digest", Value::Bytes(pruned.digest.to_vec())),
    ])
}
