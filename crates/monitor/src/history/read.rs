//! Reading attempts and records back.

use peermark_core::sealed::Sealed;
use peermark_store::{RecordFilter, StoredRecord};

use super::{History, HistoryError, payload};
use crate::attempt::{Attempt, Status};
use crate::desk::MAX_HISTORY;
use crate::task::{Past, Successes};

/// Attempts of a time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Oldest first.
    pub attempts: Vec<Attempt>,
    /// Whether older ones of the asked time were left out because of the limit or their length.
    pub truncated: bool,
}

impl History {
    /// Attempts of a task that ended at `since_ms` (Unix) or later, the latest `limit` of them (never more than [`MAX_HISTORY`], or
    /// than [`peermark_store::MAX_RECORD_PAGE_BYTES`] of records hold), oldest first.
    ///
    /// # Errors
    /// That the store or a record cannot be read.
    pub async fn since(&self, task: &str, since_ms: u64, limit: u32) -> Result<Page, HistoryError> {
        let limit = limit.min(MAX_HISTORY);
        let filter = RecordFilter::Since { topic: task, ended_ms: since_ms };
        let shared = &self.shared;
        let page = shared.store.record_page(shared.chain, filter, limit).await?;
        // Asked for apart, so that the largest page is no larger than the store gives.
        let full = page.records.len() >= limit as usize;
        let truncated = page.cut || (full && shared.more_than(task, since_ms, limit).await?);
        let mut attempts = attempts(page.records, |attempt| attempt.map(Some)).await?;
        attempts.reverse();
        Ok(Page { attempts, truncated })
    }

    /// Sealed records from number `from` on, ascending, at most `limit` and never more than [`peermark_store::MAX_RECORDS`] or
    /// [`peermark_store::MAX_RECORD_PAGE_BYTES`], each as the bytes that were signed. There is none only after the newest.
    ///
    /// # Errors
    /// That the store or a record cannot be read.
    pub async fn records(&self, from: u64, limit: u32) -> Result<Vec<StoredRecord>, HistoryError> {
        let shared = &self.shared;
        Ok(shared.store.records(shared.chain, RecordFilter::From(from), limit).await?)
    }
}

impl super::Shared {
    /// Whether a task has more attempts since then than `limit`.
    async fn more_than(&self, task: &str, since_ms: u64, limit: u32) -> Result<bool, HistoryError> {
        Ok(self.store.count_records(self.chain, task, since_ms).await? > u64::from(limit))
    }
}

impl Past for History {
    fn successes(&self, task: &str, most: usize) -> Successes<'_> {
        let task = task.to_owned();
        let most = u32::try_from(most).unwrap_or(u32::MAX).min(MAX_HISTORY);
        Box::pin(async move {
            let newest = self.shared.newest(&task, Status::Ok, most).await;
            let (newest, _) = newest.unwrap_or_else(|error| {
                tracing::warn!(%task, %error, "cannot read earlier results");
                Default::default()
            });
            newest.into_iter().rev().filter_map(|attempt| Some((attempt.ended_ms, attempt.result?))).collect()
        })
    }
}

/// How many records are turned into attempts before others get their turn.
const AT_A_TIME: usize = 64;

/// The attempts of records, of which `keep` says what becomes of them. Each record goes as its attempt comes: a large page is not there
/// twice.
pub(super) async fn attempts(
    records: Vec<StoredRecord>,
    keep: impl Fn(Result<Attempt, HistoryError>) -> Result<Option<Attempt>, HistoryError>,
) -> Result<Vec<Attempt>, HistoryError> {
    let mut attempts = Vec::with_capacity(records.len());
    for (at, record) in records.into_iter().enumerate() {
        if at % AT_A_TIME == AT_A_TIME - 1 {
            tokio::task::yield_now().await;
        }
        attempts.extend(keep(attempt_of(&record))?);
    }
    Ok(attempts)
}

/// The attempt of a record. Its signature is not checked: that is what `verify` does.
fn attempt_of(record: &StoredRecord) -> Result<Attempt, HistoryError> {
    let sealed = Sealed::decode(&record.sealed)
        .map_err(|error| HistoryError::Record { seq: record.seq, reason: error.to_string() })?;
    Ok(payload::decode(record.seq, sealed.payload())?.0)
}
