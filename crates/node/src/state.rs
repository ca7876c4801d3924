//! What the handlers of the REST API work with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::bitswap::Exchange;
use crate::config::NodeConfig;
use crate::metrics::{Exposition, Metrics};
use crate::network::Network;

/// Downloads that run without a reader at once; more are refused.
const MAX_BACKGROUND: usize = 64;

/// A node's parts, shared by its handlers.
#[derive(Clone)]
pub(crate) struct NodeState {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: NodeConfig,
    pub(crate) exchange: Exchange,
    pub(crate) network: Network,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) exposition: Exposition,
    /// `spr:…`, signed once at start.
    pub(crate) record: String,
    pub(crate) background: Arc<Semaphore>,
    started: Instant,
}

impl NodeState {
    pub(crate) fn new(
        config: NodeConfig,
        exchange: Exchange,
        network: Network,
        metrics: Arc<Metrics>,
        exposition: Exposition,
        record: String,
    ) -> Self {
        let background = Arc::new(Semaphore::new(MAX_BACKGROUND));
        let inner =
            Inner { config, exchange, network, metrics, exposition, record, background, started: Instant::now() };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.inner.started.elapsed()
    }
}

impl std::ops::Deref for NodeState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}
