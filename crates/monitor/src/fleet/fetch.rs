//! Fetches the attempts that the store does not have yet.

use std::time::Duration;

use super::keep::{KeepError, Keeper, Of};
use super::poll::{Shared, count};
use crate::client::ServiceError;
use crate::desk::{HistoryDocument, StatusDocument, TaskStatus};
use peermark_core::in_words;
use thiserror::Error;
use tokio::time::Instant;

/// Longest time for the histories of one node at one turn; what is left then is fetched at the next one.
pub(super) const FETCH: Duration = Duration::from_secs(30);

/// Attempts that one question about a task gets. A monitor that cuts its page keeps the newest: older ones of a long silence stay with
/// the node, and the log says so.
const MAX_ATTEMPTS: u32 = 1000;

/// Questions about one task at one turn.
const MAX_PAGES: usize = 16;

/// How far before the newest attempt that is there a question begins: a node's clock may have been set back by an hour.
const STEP_BACK_MS: u64 = 70 * 60 * 1000;

/// Why attempts are not in the store.
#[derive(Debug, Error)]
enum FetchError {
    #[error(transparent)]
    Ask(#[from] ServiceError),
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error("no complete history within {} s", FETCH.as_secs())]
    Late,
}

impl Shared {
    /// Fetches what is new of every task. A node whose history cannot be had did answer: that is told apart from silence.
    pub(super) async fn fetch(&self, keeper: &Keeper, node: usize, status: &StatusDocument) {
        let until = Instant::now() + FETCH;
        let mut failure = None;
        for task in &status.tasks {
            if let Err(error) = self.fetch_task(keeper, node, status, task, until).await {
                count(&self.counts.not_kept, 1);
                let (name, words) = (&self.config.node[node].name, in_words(&error));
                tracing::warn!(node = name, task = task.name, error = words, "attempts were not kept");
                failure.get_or_insert_with(|| format!("{}: {words}", task.name));
                if matches!(error, FetchError::Late) {
                    break;
                }
            }
        }
        self.state.lock().kept(node, failure.as_deref());
    }

    async fn fetch_task(
        &self,
        keeper: &Keeper,
        node: usize,
        status: &StatusDocument,
        task: &TaskStatus,
        until: Instant,
    ) -> Result<(), FetchError> {
        let target = &self.config.node[node];
        let (name, region) = (target.name.as_str(), target.region.as_str());
        let of = Of { node: &status.node, name, region, task: &task.name, unit: task.unit };
        let Some(newest) = &task.attempt else { return Ok(()) };
        let mut kept = keeper.kept(of).await?;
        if kept.seq > Some(newest.seq) {
            let lost = kept.seq.unwrap_or(0);
            let said = format!("its records went back from {lost} to {}: its history was lost or replaced", newest.seq);
            self.state.lock().warn(node, said, self.clock.now_ns());
            kept = keeper.begin_anew(of).await?;
        }
        // Never later than the node's own clock, which may have been set back.
        let mut since_ms = kept.ended_ms.min(status.now_ms).saturating_sub(STEP_BACK_MS);
        for _ in 0..MAX_PAGES {
            if kept.seq >= Some(newest.seq) {
                break;
            }
            // Only the question has a deadline: what is being stored is not left in the middle.
            let asked = self.clients[node].history(&task.name, since_ms, MAX_ATTEMPTS);
            let HistoryDocument { attempts, truncated, .. } =
                tokio::time::timeout_at(until, asked).await.map_err(|_elapsed| FetchError::Late)??;
            if let Some(first) = attempts.first().filter(|first| truncated && Some(first.seq) > kept.seq) {
                tracing::warn!(
                    node = name,
                    task = task.name,
                    before_ms = first.ended_ms,
                    "older attempts stay with the node"
                );
            }
            count(&self.counts.kept, keeper.keep(of, &attempts).await? as u64);
            kept = keeper.kept(of).await?;
            // Others may have ended in the same millisecond as the last of the page; a page that holds nothing else is the last.
            match attempts.last() {
                Some(last) if truncated && last.ended_ms > since_ms => since_ms = last.ended_ms,
                _ => break,
            }
        }
        Ok(())
    }
}
