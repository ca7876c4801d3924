//! Crawling a network: asking every peer for its whole table, so that every peer is known.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use libp2p::PeerId;
use tokio::time::Instant;

use super::Engine;
use super::preimage::{MAX_BITS, key_at};
use crate::key::Point;
use crate::table::Table;
use crate::wire::{PeerAddresses, Question};

/// Longest time for one crawl; Amino takes Go's crawler some minutes.
const CRAWL_TIMEOUT: Duration = Duration::from_secs(900);

/// Peers that a crawl visits.
const MAX_VISITED: usize = 200_000;

/// A peer and what it told: `None` when it did not answer.
type Visit = (PeerAddresses, Option<Vec<PeerAddresses>>);

impl Engine {
    /// Visits every peer that can be found from the table, and takes those that answered as the whole table, unless the crawl
    /// found less than half of what is known or ran out of time.
    pub async fn crawl(&self) {
        let until = Instant::now() + CRAWL_TIMEOUT;
        let local = self.host.peer_id();
        let mut queue: VecDeque<PeerAddresses> =
            self.host.table().read().closest(&Point::of_peer(&local), self.config.crawl_parallelism.max(64)).into();
        let mut seen: HashSet<PeerId> = queue.iter().map(|known| known.peer).chain([local]).collect();
        let mut whole = Table::whole(Point::of_peer(&local));
        let mut visiting: FuturesUnordered<BoxFuture<'_, Visit>> = FuturesUnordered::new();
        let complete = loop {
            while visiting.len() < self.config.crawl_parallelism.max(1)
                && let Some(next) = queue.pop_front()
            {
                visiting.push(self.visit(next).boxed());
            }
            let (peer, told) = match tokio::time::timeout_at(until, visiting.next()).await {
                Ok(Some(visit)) => visit,
                Ok(None) => break true,
                Err(_elapsed) => break false,
            };
            let Some(told) = told else { continue };
            whole.insert(peer.peer, &peer.addresses);
            for known in told {
                if seen.len() < MAX_VISITED && seen.insert(known.peer) {
                    queue.push_back(known);
                }
            }
        };
        let known = self.whole.read().len();
        let (peers, seen) = (whole.len(), seen.len() - 1);
        // A crawl that was cut off, or that ran while this node was cut off, knows less than what is there.
        if !complete || peers * 2 < known {
            tracing::warn!(peers, known, complete, "the crawl is not taken over");
            if known > 0 {
                return;
            }
        }
        tracing::info!(peers, seen, "crawled the network");
        *self.whole.write() = whole;
    }

    /// Asks a peer for every bucket that it has: from the far half of the key space towards itself, until an answer holds
    /// nobody nearer than was asked for and nobody new.
    async fn visit(&self, peer: PeerAddresses) -> Visit {
        let point = Point::of_peer(&peer.peer);
        let mut told: HashMap<PeerId, PeerAddresses> = HashMap::new();
        for bits in 0..MAX_BITS {
            let (key, _) = key_at(&point, bits);
            let deadline = Instant::now() + self.config.rpc_timeout;
            let asked = self
                .host
                .ask_in_background(peer.peer, peer.addresses.clone(), Question::find_node(&key), deadline)
                .await;
            let Some(answer) = asked.result.ok().and_then(|answered| answered.answer.ok()) else {
                let some = (!told.is_empty()).then(|| told.into_values().collect());
                return (peer, some);
            };
            let before = told.len();
            let closer = self.in_scope(&answer.closer);
            let deeper = closer.iter().any(|known| Point::of_peer(&known.peer).distance(&point).common_bits() > bits);
            told.extend(closer.into_iter().map(|known| (known.peer, known)));
            if !deeper && told.len() == before {
                break;
            }
        }
        (peer, Some(told.into_values().collect()))
    }
}
