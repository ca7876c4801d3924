//! What the handlers share.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::metrics::{Levels, Metrics, render};
use crate::evidence::Recorder;
use crate::measure::Measure;
use crate::operation::Variant;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct ServerState {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) measure: Arc<dyn Measure>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) variant: Variant,
    pub(super) metrics: Metrics,
    pub(super) recorder: Option<Recorder>,
    pub(super) limits: Limits,
    pub(super) permits: Arc<Semaphore>,
    /// Every operation that runs, also those whose caller has gone.
    pub(super) operations: TaskTracker,
    /// Ends operations that still run when the server stops.
    pub(super) give_up: CancellationToken,
}

/// Bounds of one operation and of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) provide: Duration,
    pub(super) retrieve: Duration,
    pub(super) operations: usize,
    pub(super) body_bytes: usize,
}

impl ServerState {
    pub(super) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// The page of metrics.
    pub(super) fn page(&self) -> String {
        let levels = Levels {
            now_ns: self.clock.now_ns(),
            table_len: self.measure.table_len(),
            running: self.operations.len(),
            recorder: self.recorder.as_ref(),
        };
        render(&self.metrics, levels)
    }
}

impl std::ops::Deref for ServerState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}
