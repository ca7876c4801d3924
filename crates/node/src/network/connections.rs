//! The connections of a node, as they are observed.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use parking_lot::RwLock;
use serde::Serialize;
use tokio::time::Instant;

/// Peers that are remembered for counting different ones; beyond it the count stands still.
const MAX_SEEN: usize = 1 << 20;

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The peer did.
    Inbound,
    /// This node did.
    Outbound,
}

/// One open connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The other side.
    pub peer: PeerId,
    /// Its address as seen from here.
    pub address: Multiaddr,
    /// `tcp` or `quic`.
    pub transport: &'static str,
    /// Who opened it.
    pub direction: Direction,
    /// Round trip of the last ping.
    pub rtt: Option<Duration>,
    /// When it was established.
    pub since: Instant,
}

/// All open connections. Written by the swarm's task alone.
#[derive(Debug, Default)]
pub struct ConnectionTable {
    open: RwLock<HashMap<ConnectionId, Connection>>,
    seen: RwLock<HashSet<PeerId>>,
    routing_peers: AtomicU64,
}

impl ConnectionTable {
    /// A copy of the table, ordered by peer.
    pub fn snapshot(&self) -> Vec<Connection> {
        let mut all: Vec<Connection> = self.open.read().values().cloned().collect();
        all.sort_by_key(|connection| (connection.peer, connection.since));
        all
    }

    /// Peers connected now.
    pub fn peers(&self) -> usize {
        self.open.read().values().map(|connection| connection.peer).collect::<HashSet<_>>().len()
    }

    /// Peers in the routing table of the DHT.
    pub fn routing_peers(&self) -> u64 {
        self.routing_peers.load(Ordering::Relaxed)
    }

    pub(super) fn set_routing_peers(&self, peers: usize) {
        self.routing_peers.store(peers as u64, Ordering::Relaxed);
    }

    /// Adds a connection; returns whether its peer was never seen before.
    pub(super) fn add(&self, id: ConnectionId, peer: PeerId, endpoint: &ConnectedPoint) -> bool {
        let address = endpoint.get_remote_address().clone();
        let quic = address.iter().any(|part| matches!(part, Protocol::QuicV1));
        let direction = if endpoint.is_dialer() { Direction::Outbound } else { Direction::Inbound };
        let transport = if quic { "quic" } else { "tcp" };
        let connection = Connection { peer, address, transport, direction, rtt: None, since: Instant::now() };
        self.open.write().insert(id, connection);
        let mut seen = self.seen.write();
        seen.len() < MAX_SEEN && seen.insert(peer)
    }

    pub(super) fn remove(&self, id: ConnectionId) {
        self.open.write().remove(&id);
    }

    pub(super) fn pinged(&self, id: ConnectionId, rtt: Duration) {
        if let Some(connection) = self.open.write().get_mut(&id) {
            connection.rtt = Some(rtt);
        }
    }
}
