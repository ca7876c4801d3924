//! The libp2p host: one task owns the swarm; everything else sends it commands or reads the table of connections.

mod actor;
mod connections;
mod dht;
mod listen;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::identity::Keypair;
use libp2p::kad::store::MemoryStore;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, connection_limits, identify, kad, noise, ping, tcp, yamux,
};
use parking_lot::RwLock;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::bitswap::{Discovery, Exchange};
use crate::config::NodeConfig;
use crate::content::Digest;
use crate::error::NodeError;
use crate::metrics::Metrics;
use crate::pay::Wallet;
use crate::wire;
pub use connections::{Connection, ConnectionTable, Direction};
pub use listen::{ListenFailed, listen};

/// Commands that may wait for the swarm; senders wait beyond it.
const COMMANDS: usize = 1024;

/// Connections of a node. Kademlia drives small networks to a full mesh, so this allows one of a few hundred nodes.
const MAX_CONNECTIONS: u32 = 1024;

/// Keys that a node announces; the store of the DHT refuses more.
const MAX_PROVIDED_KEYS: usize = 1 << 18;

/// Why a peer could not be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot connect: {reason}")]
pub struct DialFailed {
    /// What the transport said.
    pub reason: String,
}

/// A request to the swarm's task.
#[derive(Debug)]
enum Command {
    Dial { peer: PeerId, addresses: Vec<Multiaddr>, keep: bool, reply: oneshot::Sender<Result<(), DialFailed>> },
    Providers { digest: Digest, found: mpsc::Sender<PeerId> },
    Announce { digest: Digest },
    Withdraw { digest: Digest },
}

/// The host. Cheap to clone; the swarm ends with the handle that its start returned.
#[derive(Clone)]
pub struct Network {
    commands: mpsc::Sender<Command>,
    connections: Arc<ConnectionTable>,
    addresses: Arc<RwLock<Vec<Multiaddr>>>,
    local: PeerId,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    kad: kad::Behaviour<MemoryStore>,
    bitswap: wire::Behaviour<Exchange>,
    pay: wire::Behaviour<Wallet>,
}

/// What the host is made of.
pub(crate) struct Parts {
    pub(crate) key: Keypair,
    pub(crate) exchange: Exchange,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Builds the swarm, listens, joins the network and starts the task, which ends when its handle is dropped. Transport bandwidth is
/// counted in `registry`.
///
/// # Errors
/// [`NodeError::Listen`] when an address cannot be bound, [`NodeError::Setting`] when one cannot be used.
pub(crate) async fn start(
    config: &NodeConfig,
    parts: Parts,
    registry: &mut Registry,
) -> Result<(Network, AbortOnDropHandle<()>), NodeError> {
    let local = parts.key.public().to_peer_id();
    let mut swarm = build(config, &parts, registry)?;
    let bound = listen(&mut swarm, &config.listen)
        .await
        .map_err(|ListenFailed { address, reason }| NodeError::Listen { address, reason })?;
    let addresses = Arc::new(RwLock::new(bound));
    let connections = Arc::new(ConnectionTable::default());
    let (sender, commands) = mpsc::channel(COMMANDS);
    let network = Network { commands: sender, connections: connections.clone(), addresses: addresses.clone(), local };
    let actor =
        actor::Actor::new(swarm, commands, connections, addresses, parts.metrics.clone(), parts.exchange.clone());
    // The exchange keeps a `Network` for its lookups and the task keeps the exchange: it cannot wait for the last `Network` to go.
    let task = AbortOnDropHandle::new(tokio::spawn(actor.run(config.bootstrap.clone())));
    parts.exchange.set_discovery(Arc::new(network.clone()));
    Ok((network, task))
}

fn build(config: &NodeConfig, parts: &Parts, registry: &mut Registry) -> Result<Swarm<Behaviour>, NodeError> {
    let setting = |name, reason: String| NodeError::Setting { name, reason };
    let protocol = StreamProtocol::try_from_owned(config.dht_protocol.clone())
        .map_err(|error| setting("dht_protocol", error.to_string()))?;
    let kad = dht::behaviour(parts.key.public().to_peer_id(), protocol, config.dht_replication);
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(MAX_CONNECTIONS))
        .with_max_established_per_peer(Some(4))
        .with_max_pending_incoming(Some(256));
    let swarm = SwarmBuilder::with_existing_identity(parts.key.clone())
        .with_tokio()
        .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| setting("identity", error.to_string()))?
        .with_quic()
        .with_dns()
        .map_err(|error| setting("dns", error.to_string()))?
        .with_bandwidth_metrics(registry)
        .with_behaviour(|key| Behaviour {
            limits: connection_limits::Behaviour::new(limits),
            identify: identify::Behaviour::new(
                identify::Config::new("ipfs/0.1.0".into(), key.public())
                    .with_agent_version(concat!("peermark/", env!("CARGO_PKG_VERSION")).into())
                    // The default of 5 minutes pushes nothing new on a lab node and costs idle CPU.
                    .with_interval(Duration::from_secs(3600)),
            ),
            ping: ping::Behaviour::new(ping::Config::new()),
            kad,
            bitswap: wire::Behaviour::new(Arc::new(parts.exchange.clone())),
            pay: wire::Behaviour::new(parts.wallet.clone()),
        })
        .map_err(|error| setting("behaviour", error.to_string()))?
        .with_swarm_config(|swarm| swarm.with_idle_connection_timeout(config.idle_timeout() / 2))
        .build();
    Ok(swarm)
}

impl Network {
    /// This node's peer id.
    pub fn local_peer(&self) -> PeerId {
        self.local
    }

    /// The addresses that the node listens on.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.addresses.read().clone()
    }

    /// All open connections.
    pub fn connections(&self) -> &ConnectionTable {
        &self.connections
    }

    /// Connects to a peer, by the given addresses or those that the DHT knows. With `keep` the connection stays open while idle.
    ///
    /// # Errors
    /// [`DialFailed`] when no address answers as this peer.
    pub async fn dial(&self, peer: PeerId, addresses: Vec<Multiaddr>, keep: bool) -> Result<(), DialFailed> {
        if peer == self.local {
            return Err(DialFailed { reason: "that is this node itself".into() });
        }
        let (reply, answer) = oneshot::channel();
        let stopped = |_| DialFailed { reason: "the node is stopping".into() };
        self.commands
            .send(Command::Dial { peer, addresses, keep, reply })
            .await
            .map_err(|_| DialFailed { reason: "the node is stopping".into() })?;
        answer.await.map_err(stopped)?
    }

    /// Waits until the swarm has ended.
    pub async fn stopped(&self) {
        self.commands.closed().await;
    }

    /// Announces in the DHT that this node has a manifest or tree. Returns at once; announcements are sent one after the other.
    pub async fn announce(&self, digest: Digest) {
        // A stopping node announces nothing.
        drop(self.commands.send(Command::Announce { digest }).await);
    }

    /// Stops announcing.
    pub async fn withdraw(&self, digest: Digest) {
        drop(self.commands.send(Command::Withdraw { digest }).await);
    }
}

impl Discovery for Network {
    fn providers(&self, digest: Digest) -> mpsc::Receiver<PeerId> {
        let (found, providers) = mpsc::channel(32);
        let commands = self.commands.clone();
        tokio::spawn(async move { commands.send(Command::Providers { digest, found }).await });
        providers
    }

    fn connect(&self, peer: PeerId) -> BoxFuture<'_, bool> {
        async move { peer != self.local && self.dial(peer, Vec::new(), false).await.is_ok() }.boxed()
    }
}
