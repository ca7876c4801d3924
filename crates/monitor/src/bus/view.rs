//! The keys `perf.<task>`, as readers of zos expect them, and the answers that had to wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::Clock;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::connection::Connection;
use super::counters::{BusCounters, add};
use super::resp::Reply;
use super::service::Push;
use super::{BusError, Patience, Use};
use crate::desk::Desk;

/// All keys are written again so often, for a Redis that was emptied by somebody.
const REWRITE: Duration = Duration::from_secs(300);

/// What Redis did not take is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What a key held when it was written, in short.
type Written = HashMap<String, [u8; 32]>;

/// Keeps the keys.
pub(super) struct View {
    desk: Arc<dyn Desk>,
    clock: Arc<dyn Clock>,
    counters: Arc<BusCounters>,
    answers: mpsc::Receiver<Push>,
    stop: CancellationToken,
}

impl Use for View {
    async fn attend(&mut self, connection: &mut Connection, patience: &mut Patience) -> Result<(), BusError> {
        // A fresh connection is to a Redis that may know nothing.
        let mut written = Written::new();
        let mut changes = self.desk.changes();
        let mut watched = true;
        loop {
            changes.borrow_and_update();
            let complete = self.write(connection, &mut written).await?;
            if complete {
                patience.useful();
            }
            let again = sleep(if complete { REWRITE } else { RETRY });
            tokio::pin!(again);
            loop {
                tokio::select! {
                    changed = changes.changed(), if watched => {
                        watched = changed.is_ok();
                        break;
                    }
                    Some(push) = self.answers.recv() => self.deliver(connection, &push).await?,
                    () = &mut again => {
                        if complete {
                            written.clear();
                        }
                        break;
                    }
                    error = connection.broken() => return Err(error),
                    () = self.stop.cancelled() => return Ok(()),
                }
            }
        }
    }
}

impl View {
    pub(super) fn new(
        desk: Arc<dyn Desk>,
        clock: Arc<dyn Clock>,
        counters: Arc<BusCounters>,
        answers: mpsc::Receiver<Push>,
        stop: CancellationToken,
    ) -> Self {
        Self { desk, clock, counters, answers, stop }
    }

    /// Writes what changed. `false` where Redis did not take all of it.
    async fn write(&self, connection: &mut Connection, written: &mut Written) -> Result<bool, BusError> {
        let mut complete = true;
        for result in self.desk.get_all() {
            let Ok(value) = serde_json::to_vec(&result) else { continue };
            let digest: [u8; 32] = Sha256::digest(&value).into();
            if written.get(&result.name) == Some(&digest) {
                continue;
            }
            let key = format!("perf.{}", result.name);
            if let Reply::Error(text) = connection.ask(&[b"SET", key.as_bytes(), &value]).await? {
                // Out of memory, a replica, no right to: it may pass.
                if complete {
                    warn!(key, text, "Redis does not take a result");
                }
                add(&self.counters.unwritten, 1);
                complete = false;
            } else {
                add(&self.counters.written, 1);
                written.insert(result.name, digest);
            }
        }
        Ok(complete)
    }

    async fn deliver(&self, connection: &mut Connection, push: &Push) -> Result<(), BusError> {
        // Redis may have been gone for a while.
        let taken = push.until_s > self.clock.wall_ms() / 1_000 && {
            let mut out = Vec::new();
            push.write(&mut out);
            connection.send(&out).await?;
            Push::confirmed(connection).await?
        };
        add(if taken { &self.counters.answered } else { &self.counters.undelivered }, 1);
        Ok(())
    }
}
