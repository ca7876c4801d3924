//! The node's part in the DHT: serving it, announcing datasets, looking for providers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use libp2p::kad::store::{MemoryStore, MemoryStoreConfig, RecordStore};
use libp2p::kad::{self, GetProvidersOk, QueryId, QueryResult, RecordKey};
use libp2p::{PeerId, StreamProtocol};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::MAX_PROVIDED_KEYS;
use crate::content::{BLOCK_CODEC, Digest};
use crate::metrics::{Metrics, count};

/// Announcements on their way at once. Each asks some twenty peers; more at once would only queue in the swarm.
const MAX_ANNOUNCING: usize = 4;

/// Announcements that may wait. An upload is found by asking its node directly even when it was dropped here.
const MAX_QUEUED: usize = 1 << 16;

/// Provider lookups of one node at once; more wait for their turn by being refused and retried by the fetch.
const MAX_LOOKUPS: usize = 256;

/// The Kademlia behaviour of a node: always a server, since a storage node that nobody can ask is none.
pub(super) fn behaviour(local: PeerId, protocol: StreamProtocol, replication: u32) -> kad::Behaviour<MemoryStore> {
    let mut config = kad::Config::new(protocol);
    config.set_query_timeout(Duration::from_secs(10));
    if let Some(replication) = NonZeroUsize::new(replication as usize) {
        config.set_replication_factor(replication);
    }
    let store = MemoryStoreConfig { max_provided_keys: MAX_PROVIDED_KEYS, ..MemoryStoreConfig::default() };
    let mut kad = kad::Behaviour::with_config(local, MemoryStore::with_config(local, store), config);
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

/// The lookups and announcements that are under way.
pub(super) struct Queries {
    local: PeerId,
    metrics: Arc<Metrics>,
    lookups: HashMap<QueryId, Lookup>,
    announcing: HashSet<QueryId>,
    queue: VecDeque<Digest>,
}

struct Lookup {
    started: Instant,
    found: mpsc::Sender<PeerId>,
    seen: HashSet<PeerId>,
}

/// The key of a block in the DHT: its multihash, as in IPFS, so that every codec of the same bytes has one key.
fn key(digest: Digest) -> RecordKey {
    RecordKey::new(&digest.cid(BLOCK_CODEC).hash().to_bytes())
}

impl Queries {
    pub(super) fn new(local: PeerId, metrics: Arc<Metrics>) -> Self {
        Self { local, metrics, lookups: HashMap::new(), announcing: HashSet::new(), queue: VecDeque::new() }
    }

    pub(super) fn look_up(
        &mut self,
        kad: &mut kad::Behaviour<MemoryStore>,
        digest: Digest,
        found: mpsc::Sender<PeerId>,
    ) {
        if self.lookups.len() >= MAX_LOOKUPS {
            return;
        }
        count(&self.metrics.discovery_queries);
        let id = kad.get_providers(key(digest));
        self.lookups.insert(id, Lookup { started: Instant::now(), found, seen: HashSet::new() });
    }

    pub(super) fn announce(&mut self, kad: &mut kad::Behaviour<MemoryStore>, digest: Digest) {
        if self.queue.len() >= MAX_QUEUED {
            count(&self.metrics.announcements_dropped);
            return;
        }
        self.queue.push_back(digest);
        self.announce_next(kad);
    }

    pub(super) fn withdraw(&mut self, kad: &mut kad::Behaviour<MemoryStore>, digest: Digest) {
        self.queue.retain(|queued| *queued != digest);
        kad.stop_providing(&key(digest));
    }

    /// Announces what waits, as soon as there is somebody to tell: a record that nobody took would not be sent again for hours.
    pub(super) fn announce_next(&mut self, kad: &mut kad::Behaviour<MemoryStore>) {
        if kad.kbuckets().next().is_none() {
            return;
        }
        while self.announcing.len() < MAX_ANNOUNCING
            && let Some(digest) = self.queue.pop_front()
        {
            let key = key(digest);
            // Announcing again what is announced would cost a query for nothing; records are renewed by their own timer.
            let local = self.local;
            if kad.store_mut().providers(&key).iter().any(|record| record.provider == local) {
                continue;
            }
            match kad.start_providing(key) {
                Ok(id) => drop(self.announcing.insert(id)),
                Err(error) => {
                    count(&self.metrics.announcements_dropped);
                    tracing::warn!(%error, "cannot announce a dataset");
                }
            }
        }
    }

    /// Takes a query's progress in.
    pub(super) fn progressed(
        &mut self,
        kad: &mut kad::Behaviour<MemoryStore>,
        id: QueryId,
        result: QueryResult,
        last: bool,
    ) {
        if last && self.announcing.remove(&id) {
            self.announce_next(kad);
        }
        let Some(lookup) = self.lookups.get_mut(&id) else { return };
        if let QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) = result {
            if lookup.seen.is_empty() && !providers.is_empty() {
                count(&self.metrics.discovery_successes);
                self.metrics.dht_query_seconds.observe(lookup.started.elapsed().as_secs_f64());
            }
            for provider in providers {
                if lookup.seen.insert(provider) {
                    // A fetch that has enough providers reads no more of them.
                    let _ = lookup.found.try_send(provider);
                }
            }
        }
        let done = lookup.found.is_closed();
        if done && let Some(mut query) = kad.query_mut(&id) {
            query.finish();
        }
        if last {
            let lookup = self.lookups.remove(&id);
            if lookup.is_some_and(|lookup| lookup.seen.is_empty()) {
                count(&self.metrics.discovery_failures);
            }
        }
    }
}
