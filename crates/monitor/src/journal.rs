//! From an attempt that ended to the history. Attempts wait here while the store cannot take them (a full disk); none is thrown away
//! for that. One that has no place in a record leaves a failed one of the same task. Who starts runs asks [`Journal::has_room`] first, so that the line stays short.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Said, Status};
use crate::history::{History, HistoryError, NewAttempt};
use crate::task::NOT_STORABLE;

/// Attempts that may wait before no run is started any more. What runs then still finds room: there is one place per plan beyond it.
const MAX_WAITING: usize = 64;

/// Pause before the store is asked again, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long the last attempts may take to be written at the end.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// From one look for old attempts to the next, which comes with the first attempt after it.
const HOUR_MS: u64 = 3_600_000;

/// Attempts on their way into the history.
#[derive(Default)]
pub(crate) struct Journal {
    waiting: Mutex<VecDeque<NewAttempt>>,
    arrived: Notify,
    failures: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    /// Whether it was said that the store is broken, since something was stored last.
    said_broken: AtomicBool,
}

impl Journal {
    /// Takes an attempt.
    pub(crate) fn push(&self, attempt: NewAttempt) {
        self.waiting.lock().push_back(attempt);
        self.arrived.notify_one();
    }

    /// Whether more attempts may be made.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.lock().len() < MAX_WAITING
    }

    /// Attempts that wait.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.lock().len() as u64
    }

    /// Writes that failed and were tried again.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Attempts that had no place in a record and left a failed one instead, which is a bug.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Attempts of which there is no record, for the store is damaged or closed.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Gives up what is old, then writes what arrives until `stop`, then what is left. `written` is called after each attempt.
    pub(crate) async fn write(
        self: Arc<Self>,
        history: History,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
        written: impl Fn() + Send,
    ) {
        let mut pruned_hour = self.prune(&history, &*clock).await;
        loop {
            tokio::select! {
                () = self.arrived.notified() => {}
                () = stop.cancelled() => break,
            }
            self.drain(&history, &*clock, &stop, &written).await;
            if pruned_hour != Some(clock.wall_ms() / HOUR_MS) {
                pruned_hour = self.prune(&history, &*clock).await;
            }
        }
        let last = CancellationToken::new();
        if tokio::time::timeout(LAST_WRITES, self.drain(&history, &*clock, &last, &written)).await.is_err() {
            tracing::error!(lost = self.waiting(), "attempts could not be written before the end");
        }
    }

    /// The hour in which it succeeded; `None` where it has to be tried again.
    async fn prune(&self, history: &History, clock: &dyn Clock) -> Option<u64> {
        let now_ms = clock.wall_ms();
        match history.prune(now_ms).await {
            Ok(_) => Some(now_ms / HOUR_MS),
            Err(error) => {
                self.say(&error, "old attempts are kept longer than configured");
                None
            }
        }
    }

    /// Writes what waits, in order.
    async fn drain(&self, history: &History, clock: &dyn Clock, stop: &CancellationToken, written: &impl Fn()) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(next) = self.waiting.lock().front().cloned() else { return };
            match history.append(next.clone()).await {
                Ok(_) => {
                    pause = FIRST_PAUSE;
                    self.said_broken.store(false, Ordering::Relaxed);
                }
                Err(error) if error.may_pass() => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(%error, "an attempt cannot be stored; it waits");
                    if error.is_full() {
                        self.prune(history, clock).await;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => return,
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
                Err(error) => {
                    if let Some(instead) = instead_of(&next, &error) {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(task = %next.task, %error, "the history refused an attempt");
                        if let Some(front) = self.waiting.lock().front_mut() {
                            *front = instead;
                        }
                        continue;
                    }
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    self.say(&error, "an attempt is lost");
                }
            }
            self.waiting.lock().pop_front();
            written();
        }
    }

    /// Damage is said once until something can be stored again.
    fn say(&self, error: &HistoryError, what: &'static str) {
        if error.may_pass() || !self.said_broken.swap(true, Ordering::Relaxed) {
            tracing::error!(error = error as &dyn std::error::Error, "{what}");
        }
    }
}

/// Longest part of what the history said.
const MAX_REASON_BYTES: usize = 500;

/// What is kept in place of an attempt that has no place in a record; `None` where the fault is the store's, or this is it already.
fn instead_of(attempt: &NewAttempt, error: &HistoryError) -> Option<NewAttempt> {
    let is_it = attempt.failure.as_ref().is_some_and(|failure| failure.code == NOT_STORABLE.code);
    if error.is_damage() || is_it {
        return None;
    }
    let mut detail = error.to_string();
    detail.truncate(detail.floor_char_boundary(MAX_REASON_BYTES));
    Some(NewAttempt {
        status: Status::Failed,
        failure: Some(Said {
            code: NOT_STORABLE.code.into(),
            class: NOT_STORABLE.class,
            culprit: NOT_STORABLE.culprit,
            detail,
        }),
        skipped: None,
        findings: Vec::new(),
        value: None,
        result: None,
        ..attempt.clone()
    })
}

#[cfg(test)]
mod tests;
