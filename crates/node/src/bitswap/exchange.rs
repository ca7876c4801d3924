//! The block exchange as the rest of the node sees it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cid::Cid;
use futures::future::BoxFuture;
use libp2p::{PeerId, StreamProtocol};
use parking_lot::RwLock;
use tokio::sync::{broadcast, mpsc};

use super::link::Link;
use super::message::WantType;
use super::wants::{WantEvent, Wants};
use crate::blocks::Blocks;
use crate::content::Digest;
use crate::metrics::{Metrics, add, count, read};
use crate::wire;

/// The protocol's name on the wire.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");

/// Events that a slow subscriber may fall behind by before it loses the oldest.
const EVENTS: usize = 4096;

/// Something that happened between this node and a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExchangeEvent {
    /// A peer asked for a block, or (`block: false`) whether it is here.
    Wanted {
        /// Who asked.
        peer: PeerId,
        /// For what.
        cid: Cid,
        /// For the block itself.
        block: bool,
    },
    /// A block was sent.
    Sent {
        /// To whom.
        peer: PeerId,
        /// Which.
        cid: Cid,
        /// Its size.
        bytes: u64,
    },
    /// A block that was asked for arrived and passes its hash.
    Received {
        /// From whom.
        peer: PeerId,
        /// Which.
        digest: Digest,
        /// Its size.
        bytes: u64,
    },
}

/// Blocks and bytes exchanged with one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTraffic {
    /// Blocks sent to it.
    pub blocks_sent: u64,
    /// Bytes of those blocks.
    pub bytes_sent: u64,
    /// Blocks received from it.
    pub blocks_received: u64,
    /// Bytes of those blocks.
    pub bytes_received: u64,
}

/// Whether a block may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It costs nothing.
    Free,
    /// A verified promise covers it, and it is on the books.
    Paid,
    /// Nothing covers it.
    Refused,
}

/// Who may have a block for what.
pub(crate) trait Payments: Send + Sync {
    /// Whether a block of this size may be sent to the peer. Waits shortly for a promise that may be on its way.
    fn admit(&self, peer: PeerId, bytes: u64) -> BoxFuture<'_, Admission>;

    /// A block of this size came from the peer: time to promise more before it stops serving.
    fn received(&self, peer: PeerId, bytes: u64);
}

/// Finds and reaches peers.
pub(crate) trait Discovery: Send + Sync {
    /// Peers that announced to have a block, as the DHT finds them. The channel closes when the lookup ends.
    fn providers(&self, digest: Digest) -> mpsc::Receiver<PeerId>;

    /// Connects to a peer; `false` when it cannot be reached.
    fn connect(&self, peer: PeerId) -> BoxFuture<'_, bool>;
}

/// Block exchange with all peers. Cheap to clone.
#[derive(Clone)]
pub struct Exchange {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) blocks: Blocks,
    pub(super) wants: Wants,
    pub(super) metrics: Arc<Metrics>,
    links: RwLock<HashMap<PeerId, Arc<Link>>>,
    events: broadcast::Sender<ExchangeEvent>,
    payments: OnceLock<Arc<dyn Payments>>,
    discovery: OnceLock<Arc<dyn Discovery>>,
}

impl Shared {
    /// Makes an event only when somebody listens.
    pub(super) fn event(&self, make: impl FnOnce() -> ExchangeEvent) {
        if self.events.receiver_count() > 0 {
            // The last subscriber may leave between the two lines.
            drop(self.events.send(make()));
        }
    }

    pub(super) async fn admits(&self, peer: PeerId, bytes: u64) -> bool {
        let Some(payments) = self.payments.get() else { return true };
        match payments.admit(peer, bytes).await {
            Admission::Free => {}
            Admission::Paid => add(&self.metrics.paid_bytes, bytes),
            Admission::Refused => {
                count(&self.metrics.unpaid_wants);
                return false;
            }
        }
        true
    }

    pub(super) fn paid_for(&self, peer: PeerId, bytes: u64) {
        if let Some(payments) = self.payments.get() {
            payments.received(peer, bytes);
        }
    }

    pub(super) fn link(&self, peer: &PeerId) -> Option<Arc<Link>> {
        self.links.read().get(peer).cloned()
    }

    /// Connected peers that speak Bitswap, as far as is known.
    pub(super) fn peers(&self) -> Vec<PeerId> {
        let links = self.links.read();
        links.values().filter(|link| !link.is_unsupported()).map(|link| link.peer).collect()
    }

    pub(super) fn discovery(&self) -> Option<&Arc<dyn Discovery>> {
        self.discovery.get()
    }

    /// Asks a peer; `false` when it is not connected or does not speak Bitswap.
    pub(super) fn ask(&self, peer: &PeerId, cid: &Cid, want_type: WantType) -> bool {
        match self.link(peer) {
            Some(link) if !link.is_unsupported() => {
                link.want(cid, want_type);
                true
            }
            _ => false,
        }
    }
}

impl Exchange {
    /// An exchange over a block store. It has no peers until it is part of a swarm.
    pub fn new(blocks: Blocks, metrics: Arc<Metrics>) -> Self {
        let shared = Shared {
            blocks,
            wants: Wants::default(),
            metrics,
            links: RwLock::default(),
            events: broadcast::Sender::new(EVENTS),
            payments: OnceLock::new(),
            discovery: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Every inbound want and every block sent and received from now on. Lossy: a slow reader is told how much it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<ExchangeEvent> {
        self.shared.events.subscribe()
    }

    /// What was exchanged with a connected peer.
    pub fn traffic(&self, peer: &PeerId) -> Option<PeerTraffic> {
        let link = self.shared.link(peer)?;
        Some(PeerTraffic {
            blocks_sent: read(&link.traffic.blocks_sent),
            bytes_sent: read(&link.traffic.bytes_sent),
            blocks_received: read(&link.traffic.blocks_received),
            bytes_received: read(&link.traffic.bytes_received),
        })
    }

    /// The block store that the exchange serves from and keeps fetched blocks in.
    pub fn blocks(&self) -> &Blocks {
        &self.shared.blocks
    }

    /// Keeps the connection to a connected peer open while it is idle.
    pub fn keep_connection(&self, peer: &PeerId) {
        if let Some(link) = self.shared.link(peer) {
            link.keep();
        }
    }

    /// Sets who decides on payment. The first call counts.
    pub(crate) fn set_payments(&self, payments: Arc<dyn Payments>) {
        drop(self.shared.payments.set(payments));
    }

    /// Sets who finds peers. The first call counts.
    pub(crate) fn set_discovery(&self, discovery: Arc<dyn Discovery>) {
        drop(self.shared.discovery.set(discovery));
    }
}

impl wire::Protocol for Exchange {
    type Link = Link;

    fn name(&self) -> StreamProtocol {
        PROTOCOL
    }

    fn connected(&self, peer: PeerId) -> Arc<Link> {
        let mut links = self.shared.links.write();
        links.entry(peer).or_insert_with(|| Arc::new(Link::new(peer, Arc::downgrade(&self.shared)))).clone()
    }

    fn disconnected(&self, peer: PeerId) {
        self.shared.links.write().remove(&peer);
        self.shared.wants.lost(peer, &WantEvent::Lost(peer));
    }
}
