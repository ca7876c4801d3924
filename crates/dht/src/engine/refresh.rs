//! Keeping the routing table filled: joining, and looking towards oneself and into every bucket.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use libp2p::Multiaddr;
use tokio::time::Instant;

use super::preimage::{MAX_BITS, key_at};
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::key::Point;
use crate::operation::Variant;

/// Longest time for one lookup of a refresh.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Lookups of a refresh at once.
const AT_ONCE: usize = 2;

/// How long identify may take after a connection, and how often it is looked for.
const IDENTIFY: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(10);

/// Longest time for reaching the bootstrap peers.
const JOIN_TIMEOUT: Duration = Duration::from_secs(20);

/// After which time a new table is refreshed: a network that is being started has others now.
const YOUNG: Duration = Duration::from_secs(4);

/// How often it is looked whether there is something to do: to join again, to refresh, to crawl.
const REJOIN: Duration = Duration::from_secs(2);

impl Engine {
    pub(super) async fn connect(&self, bootstrap: &[Multiaddr]) -> Result<(), EngineError> {
        if bootstrap.is_empty() {
            return Err(EngineError::NoBootstrap);
        }
        let dials = bootstrap.iter().map(|address| async {
            let dial = tokio::time::timeout(JOIN_TIMEOUT, self.host.connect(address)).await;
            dial.unwrap_or_else(|_| Err("no answer in time".into()))
        });
        let dialled: Vec<Result<(), String>> = futures::future::join_all(dials).await;
        if dialled.iter().all(Result::is_err) {
            let reason = dialled.into_iter().filter_map(Result::err).next_back().unwrap_or_default();
            return Err(EngineError::Unreachable { count: bootstrap.len(), reason });
        }
        // Who serves the protocol says so by identify, which follows the connection.
        let until = Instant::now() + IDENTIFY;
        while self.host.table().read().len() == 0 && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Looks towards this node and into every bucket down to the deepest that has a peer.
    pub async fn refresh(&self) {
        let local = self.host.peer_id();
        self.look_towards(local.to_bytes(), Point::of_peer(&local)).await;
        let depth = self.host.table().read().depth().unwrap_or(0).min(MAX_BITS - 1);
        let point = Point::of_peer(&local);
        let lookups = (0..=depth).map(|bits| {
            let (key, at) = key_at(&point, bits);
            self.look_towards(key.to_vec(), at)
        });
        stream::iter(lookups).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }

    async fn look_towards(&self, key: Vec<u8>, target: Point) {
        let seeds = self.host.table().read().closest(&target, self.config.k);
        let deadline = Instant::now() + LOOKUP_TIMEOUT;
        let mut walk = Walk::new(self, key, target, seeds, deadline);
        // A refresh that runs out of time has filled what it could.
        drop(tokio::time::timeout_at(deadline, self.find_closest(&mut walk, &mut |_, _| false)).await);
    }

    #[expect(clippy::infinite_loop, reason = "whoever started it drops its task")]
    pub(super) async fn maintenance(&self, bootstrap: Vec<Multiaddr>) {
        let mut refreshed = Instant::now();
        let mut refresh_after = YOUNG.min(self.config.refresh_every);
        let mut crawled = Instant::now();
        let mut said = false;
        loop {
            if self.host.table().read().len() == 0 && !bootstrap.is_empty() {
                match self.connect(&bootstrap).await {
                    Ok(()) => self.refresh().await,
                    Err(error) if said => tracing::debug!(%error, "still not in the network"),
                    Err(error) => tracing::warn!(%error, "not in the network yet; will go on trying"),
                }
                (refreshed, said) = (Instant::now(), true);
            }
            if refreshed.elapsed() >= refresh_after {
                self.refresh().await;
                refreshed = Instant::now();
                refresh_after = (refresh_after * 2).min(self.config.refresh_every);
            }
            let (known, crawl_known) = (self.host.table().read().len(), self.whole.read().len());
            let due = crawled.elapsed() >= self.config.crawl_every || crawl_known == 0;
            if self.config.variant == Variant::FullRt && known > 0 && due {
                self.crawl().await;
                crawled = Instant::now();
            }
            tokio::time::sleep(REJOIN).await;
        }
    }
}
