//! The lookup engine: our own iterative Kademlia client, in the three variants that parsec measures.
//!
//! | variant | provide | retrieve |
//! |---|---|---|
//! | `default` | finds the `k` closest peers, sends each the record, returns when every send ended | asks towards the key, `alpha` at once, until a provider is told or the `beta` closest have answered and the `k` closest were asked |
//! | `optprov` | sends records on the way to peers that are near enough by the estimated size of the network, and returns after three quarters of the sends | as `default` |
//! | `fullrt` | knows every peer from a crawl: sends to the `k` closest at once and returns when most are done | asks the `k` closest at once |
//!
//! Sources: the libp2p Kademlia specification; go-libp2p-kad-dht (alpha 10, k 20, beta 3, ends of lookups, thresholds of the
//! optimistic provide, waiting rules of the full table); parsec for what is timed.
//!
//! A record that was sent proves nothing, so each is followed by a question on the same stream ([`EngineConfig::confirm`]).
//! An operation is handed out when its confirmations are in too; its scalar still ends where the variant's call would have returned.

mod crawl;
mod frontier;
mod network_size;
mod optimistic;
pub mod preflight;
mod preimage;
mod provide;
mod refresh;
mod retrieve;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::Multiaddr;
use parking_lot::{Mutex, RwLock};
use peermark_core::{Culprit, FailureClass, MonotonicNs, Outcome};
use thiserror::Error;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::host::Host;
use crate::key::{Point, RecordKey};
use crate::measure::Measure;
use crate::operation::{Hit, Operation, OperationKind, Variant};
use crate::table::Table;
use crate::wire::PeerAddresses;
use network_size::NetworkSize;

/// How the engine looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Which implementation it stands for.
    pub variant: Variant,
    /// RPCs of one lookup at once.
    pub alpha: usize,
    /// Peers that a record is stored with.
    pub k: usize,
    /// Closest peers that have to answer before a lookup is settled.
    pub beta: usize,
    /// Longest time for one question, dial included.
    pub rpc_timeout: Duration,
    /// Longest time for sending and confirming one record, dial included.
    pub store_timeout: Duration,
    /// Whether peers are asked to confirm what they were sent.
    pub confirm: bool,
    /// How often the routing table is refreshed once it is old; a young one is refreshed after 4, 8, 16 ... seconds.
    pub refresh_every: Duration,
    /// How often `fullrt` crawls the network.
    pub crawl_every: Duration,
    /// Peers that a crawl asks at once.
    pub crawl_parallelism: usize,
}

impl EngineConfig {
    /// What parsec runs for a variant.
    pub fn of(variant: Variant) -> Self {
        Self {
            variant,
            alpha: 10,
            k: 20,
            beta: 3,
            rpc_timeout: Duration::from_secs(10),
            store_timeout: if variant == Variant::FullRt { Duration::from_secs(5) } else { Duration::from_secs(30) },
            confirm: true,
            refresh_every: Duration::from_secs(600),
            crawl_every: Duration::from_secs(3600),
            crawl_parallelism: 200,
        }
    }
}

/// Why an engine does not start.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Nobody to begin with.
    #[error("no bootstrap peer was named")]
    NoBootstrap,
    /// None of the bootstrap peers could be reached.
    #[error("none of the {count} bootstrap peers can be reached; the last said: {reason}")]
    Unreachable {
        /// How many were tried.
        count: usize,
        /// Why the last one failed.
        reason: String,
    },
    /// Connected, but nobody serves this network's protocol.
    #[error("connected, but no peer serves {protocol}: is it the right network?")]
    WrongNetwork {
        /// The protocol.
        protocol: String,
    },
    /// A setting cannot be used.
    #[error("{name}: has to be at least 1")]
    Setting {
        /// Which.
        name: &'static str,
    },
}

/// The engine. Its host's swarm has to outlive it.
pub struct Engine {
    pub(crate) host: Host,
    pub(crate) config: EngineConfig,
    sizes: Mutex<NetworkSize>,
    /// Every peer that answered the last crawl that was taken over; `fullrt` only.
    whole: RwLock<Table>,
}

impl Engine {
    /// An engine on a host. It knows nobody before [`Self::join`].
    ///
    /// # Errors
    /// [`EngineError::Setting`].
    pub fn new(host: Host, config: EngineConfig) -> Result<Self, EngineError> {
        for (name, value) in [("alpha", config.alpha), ("k", config.k), ("beta", config.beta)] {
            if value == 0 {
                return Err(EngineError::Setting { name });
            }
        }
        let local = Point::of_peer(&host.peer_id());
        let sizes = Mutex::new(NetworkSize::new(config.k));
        Ok(Self { host, config, sizes, whole: RwLock::new(Table::whole(local)) })
    }

    /// Connects to the bootstrap peers and fills the table. Who measures with `fullrt` crawls next ([`Self::crawl`]).
    ///
    /// # Errors
    /// [`EngineError`] when nobody answers, in words that say which of the reasons it was.
    pub async fn join(&self, bootstrap: &[Multiaddr]) -> Result<(), EngineError> {
        self.connect(bootstrap).await?;
        self.refresh().await;
        if self.host.table().read().len() == 0 {
            return Err(EngineError::WrongNetwork { protocol: self.host.protocol().to_owned() });
        }
        Ok(())
    }

    /// Joins, unless that was done, and keeps the table fresh until the handle is dropped.
    pub fn maintain(self: &Arc<Self>, bootstrap: Vec<Multiaddr>) -> AbortOnDropHandle<()> {
        let engine = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move { engine.maintenance(bootstrap).await }))
    }

    /// What the engine runs as.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// The host below.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Forgets that this node provides a key, so that it does not find its own record.
    pub fn withdraw(&self, key: &RecordKey) {
        self.host.store().withdraw(key.as_bytes());
    }

    /// The size of the network, estimated from the distances of closest peers; `None` before five lookups.
    pub fn network_size(&self) -> Option<f64> {
        self.sizes.lock().estimate()
    }

    /// The peers from which an operation starts.
    fn seeds(&self, target: &Point) -> Vec<PeerAddresses> {
        let k = self.config.k;
        match self.config.variant {
            Variant::FullRt => self.whole.read().closest(target, k),
            Variant::Default | Variant::OptProv => self.host.table().read().closest(target, k),
        }
    }

    /// This node as a provider.
    pub(crate) fn own_addresses(&self) -> PeerAddresses {
        PeerAddresses { peer: self.host.peer_id(), addresses: self.host.addresses() }
    }

    /// Peers with the addresses that may be dialled in this network; who has none is left out.
    fn in_scope(&self, peers: &[PeerAddresses]) -> Vec<PeerAddresses> {
        let scope = self.host.scope();
        let allowed = peers.iter().map(|known| {
            let addresses = known.addresses.iter().filter(|address| scope.allows(address));
            PeerAddresses { peer: known.peer, addresses: addresses.cloned().collect() }
        });
        allowed.filter(|known| !known.addresses.is_empty()).collect()
    }

    fn deadline(&self, deadline_ns: MonotonicNs) -> Instant {
        let left_ns = deadline_ns.saturating_sub(self.host.clock().now_ns());
        // Beyond a day nobody waits, and the timer's range ends somewhere.
        Instant::now() + Duration::from_nanos(left_ns.min(86_400_000_000_000))
    }

    /// An operation that begins now.
    fn begin(&self, kind: OperationKind, key: RecordKey) -> Operation {
        let started_ns = self.host.clock().now_ns();
        Operation {
            kind,
            variant: self.config.variant,
            key,
            started_ns,
            returned_ns: started_ns,
            stored_ns: None,
            stored: 0,
            providers: Vec::new(),
            hit: Hit::Failed,
            outcome: Outcome::failed(FailureClass::NotFound, Culprit::ThirdParty),
            error: String::new(),
            table_len: 0,
            hops: Vec::new(),
        }
    }
}

/// Words of parsec's servers for what an operation can end with.
pub(crate) mod words {
    /// Nobody to ask.
    pub(crate) const EMPTY_TABLE: &str = "failed to find any peer in table";
    /// Every peer that mattered was asked.
    pub(crate) const NOT_FOUND: &str = "not found";
    /// The time was up.
    pub(crate) const DEADLINE: &str = "context deadline exceeded";
    /// Peers were known, none answered.
    pub(crate) const NO_ANSWER: &str = "no peer answered";
    /// No record was sent.
    pub(crate) const NOTHING_STORED: &str = "failed to complete provide";
}

/// Fails an operation in parsec's words.
fn fail(operation: &mut Operation, error: &str) {
    let (class, culprit, hit) = match error {
        words::NOT_FOUND => (FailureClass::NotFound, Culprit::ThirdParty, Hit::Miss),
        words::DEADLINE => (FailureClass::Timeout, Culprit::ThirdParty, Hit::Failed),
        words::EMPTY_TABLE => (FailureClass::NotSent, Culprit::Observer, Hit::Failed),
        _ => (FailureClass::ConnectFailed, Culprit::ThirdParty, Hit::Failed),
    };
    operation.outcome = Outcome::failed(class, culprit);
    operation.hit = hit;
    error.clone_into(&mut operation.error);
}

impl Measure for Engine {
    fn provide(&self, key: RecordKey, deadline_ns: MonotonicNs) -> BoxFuture<'_, Operation> {
        async move {
            let mut operation = self.begin(OperationKind::Provide, key);
            self.run_provide(&mut operation, self.deadline(deadline_ns)).await;
            operation.table_len = self.table_len() as u32;
            operation
        }
        .boxed()
    }

    fn retrieve(&self, key: RecordKey, deadline_ns: MonotonicNs) -> BoxFuture<'_, Operation> {
        async move {
            let mut operation = self.begin(OperationKind::Retrieve, key);
            self.run_retrieve(&mut operation, self.deadline(deadline_ns)).await;
            operation.table_len = self.table_len() as u32;
            operation
        }
        .boxed()
    }

    fn table_len(&self) -> usize {
        match self.config.variant {
            Variant::FullRt => self.whole.read().len(),
            Variant::Default | Variant::OptProv => self.host.table().read().len(),
        }
    }
}
