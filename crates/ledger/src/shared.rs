//! What the handlers of the API share.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::sequencer::{BlockSummary, Sequencer};

/// Entries that are checked at a time; the others wait their turn, and are refused when the wait is too long.
const CHECKING: usize = 64;

/// What the handlers share.
pub(crate) struct Shared {
    pub(crate) sequencer: Sequencer,
    pub(crate) events: broadcast::Sender<Arc<BlockSummary>>,
    pub(crate) stop: CancellationToken,
    pub(crate) metrics: Metrics,
    pub(crate) checking: Semaphore,
}

impl Shared {
    pub(crate) fn new(
        sequencer: Sequencer,
        events: broadcast::Sender<Arc<BlockSummary>>,
        stop: CancellationToken,
    ) -> Self {
        Self { sequencer, events, stop, metrics: Metrics::default(), checking: Semaphore::new(CHECKING) }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
