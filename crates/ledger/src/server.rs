//! A ledger that others reach: the sequencer, a clock for its blocks, and its API.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::sealed::SigningKey;
use peermark_http::{Bound, Server};
use thiserror::Error;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::beacon;
use crate::http::router;
use crate::log::LogError;
use crate::sequencer::{BlockSummary, Sequencer};
use crate::shared::Shared;

/// Blocks that a slow reader of events may lag behind before it misses some.
const EVENTS: usize = 256;

/// A running ledger. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct LedgerServer {
    shared: Arc<Shared>,
    server: Server,
    blocks: JoinHandle<()>,
    _stop: DropGuard,
}

/// Why a ledger did not end as it should.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The log did not end well.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The thread that closes it ended with a panic.
    #[error("the ledger was not closed")]
    Panicked,
}

impl LedgerServer {
    /// Serves a sequencer and closes a block every `block`. `beacon` signs the randomness where the network's rule wants it so: a beacon
    /// that this process holds, for networks that trust it with both.
    pub fn start(sequencer: Sequencer, bound: Bound, block: Duration, beacon: Option<SigningKey>) -> Self {
        let (events, _) = broadcast::channel(EVENTS);
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::new(sequencer, events, stop.clone()));
        let server = bound.serve(router(Arc::clone(&shared)));
        let blocks = tokio::spawn(close_blocks(Arc::clone(&shared), block, beacon, stop.clone()));
        Self { shared, server, blocks, _stop: stop.drop_guard() }
    }

    /// Where its API is.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Blocks from now on; a reader that falls behind misses some.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<BlockSummary>> {
        self.shared.events.subscribe()
    }

    /// Takes no more entries, writes what waits and a last checkpoint, and ends.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn shutdown(self) -> Result<(), ServerError> {
        let Self { shared, server, blocks, _stop: stop } = self;
        drop(stop);
        drop(blocks.await);
        server.shutdown().await;
        let closed = tokio::task::spawn_blocking(move || shared.sequencer.close());
        Ok(closed.await.map_err(|_| ServerError::Panicked)??)
    }
}

async fn close_blocks(shared: Arc<Shared>, block: Duration, beacon: Option<SigningKey>, stop: CancellationToken) {
    let mut ticks = interval(block.max(Duration::from_millis(10)));
    // Height is time: a block that took long is followed at the usual distance, not by a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (closing, beacon) = (Arc::clone(&shared), beacon.clone());
        let closed = tokio::task::spawn_blocking(move || {
            let sequencer = &closing.sequencer;
            let height = sequencer.block_end().height.saturating_add(1);
            sequencer.close_block(beacon.map(|key| beacon::sign(&key, sequencer.network(), height)))
        });
        let closed = closed.await;
        match closed {
            Ok(Ok(summary)) => {
                shared.metrics.closed(&summary);
                // Nobody may be listening.
                drop(shared.events.send(Arc::new(summary)));
            }
            Ok(Err(error)) => {
                shared.metrics.failed_blocks.inc();
                tracing::error!(%error, "block was not closed");
            }
            Err(error) => tracing::error!(%error, "block was not closed"),
        }
    }
}
