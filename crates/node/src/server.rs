//! A node from start to stop.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libp2p::core::PeerRecord;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use prometheus_client::collector::Collector;
use prometheus_client::registry::Registry;
use tokio_util::task::AbortOnDropHandle;

use crate::bitswap::Exchange;
use crate::blocks::{Blocks, BlocksConfig, Location};
use crate::config::{NodeConfig, StoreKind};
use crate::content::MAX_BLOCK_BYTES;
use crate::error::NodeError;
use crate::http::router;
use crate::identity;
use crate::metrics::{Exposition, Metrics};
use crate::network::{self, Network, Parts};
use crate::pay::Wallet;
use crate::state::NodeState;

/// Datasets that are read at once for announcing them.
const ANNOUNCE_PAGE: u32 = 256;

/// A running node. It stops when this is dropped; [`Node::shutdown`] stops it in order.
pub struct Node {
    server: peermark_http::Server,
    network: Network,
    swarm: AbortOnDropHandle<()>,
    exchange: Exchange,
    /// Locked; let go when the node is gone.
    _directory: File,
}

/// What else the process serves on the node's API.
#[derive(Default)]
pub struct Extension {
    /// Routes with absolute paths, none of which is the node's: `/api/v1/monitor/...`.
    pub routes: Router,
    /// Series for the node's page of metrics; collected at each scrape, so that has to return at once.
    pub series: Option<Box<dyn Collector>>,
}

/// A node that works but whose API does not answer yet: who connects to it waits. For processes that do more than one job, which
/// have to know where the node listens before they can say what they add to its API.
pub struct BoundNode {
    bound: peermark_http::Bound,
    config: NodeConfig,
    network: Network,
    swarm: AbortOnDropHandle<()>,
    exchange: Exchange,
    metrics: Arc<Metrics>,
    registry: Registry,
    key: Keypair,
    directory: File,
}

impl BoundNode {
    /// Where the REST API will listen.
    pub fn api_address(&self) -> SocketAddr {
        self.bound.address()
    }

    /// The node's peer id.
    pub fn peer_id(&self) -> PeerId {
        self.network.local_peer()
    }

    /// The libp2p addresses that it listens on.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.network.addresses()
    }

    /// The node's key.
    pub fn key(&self) -> &Keypair {
        &self.key
    }

    /// Begins to answer.
    pub fn serve(self, extension: Extension) -> Node {
        let Self { bound, config, network, swarm, exchange, metrics, mut registry, key, directory } = self;
        if let Some(series) = extension.series {
            registry.register_collector(series);
        }
        let exposition = Exposition::new(&config.metrics_prefix, registry, metrics.clone());
        let record = peer_record(&key, network.addresses());
        let state = NodeState::new(config, exchange.clone(), network.clone(), metrics, exposition, record);
        let server = bound.serve(router(state, extension.routes));
        Node { server, network, swarm, exchange, _directory: directory }
    }
}

impl Node {
    /// Starts a node: identity, store, network, REST API. `token` is asked of every caller of the API when it is given.
    ///
    /// # Errors
    /// [`NodeError`] names the directory, file, address or setting that cannot be used.
    pub async fn start(config: NodeConfig, token: Option<Arc<str>>) -> Result<Self, NodeError> {
        Ok(Self::bind(config, token).await?.serve(Extension::default()))
    }

    /// As [`Self::start`], up to the API, which listens and does not answer yet.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn bind(config: NodeConfig, token: Option<Arc<str>>) -> Result<BoundNode, NodeError> {
        check(&config)?;
        peermark_http::check_bind(config.api, token.is_some(), config.allow_anonymous)?;
        fs::create_dir_all(&config.data).map_err(|source| NodeError::Data { path: config.data.clone(), source })?;
        let directory = lock(&config.data)?;
        let key = identity::load_or_create(&config.data)?;
        let blocks = Blocks::open(&BlocksConfig {
            location: match config.store {
                StoreKind::Disk => Location::Directory(config.data.clone()),
                StoreKind::Memory => Location::Memory,
            },
            quota_bytes: config.quota.0,
            cache_bytes: config.cache.0,
        })?;
        let metrics = Arc::new(Metrics::new());
        let exchange = Exchange::new(blocks, metrics.clone());
        let wallet = Arc::new(Wallet::new(&config, key.clone()));
        exchange.set_payments(wallet.clone());
        let mut registry = Registry::default();
        let parts = Parts { key: key.clone(), exchange: exchange.clone(), wallet, metrics: metrics.clone() };
        let (network, swarm) = network::start(&config, parts, &mut registry).await?;
        tokio::spawn(announce_stored(exchange.blocks().clone(), network.clone()));
        let bound = peermark_http::Server::bind(config.api, token, config.allow_anonymous).await?;
        Ok(BoundNode { bound, config, network, swarm, exchange, metrics, registry, key, directory })
    }

    /// Where the REST API listens.
    pub fn api_address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The node's peer id.
    pub fn peer_id(&self) -> PeerId {
        self.network.local_peer()
    }

    /// The libp2p addresses that it listens on.
    pub fn addresses(&self) -> Vec<Multiaddr> {
        self.network.addresses()
    }

    /// Its block exchange.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// Its libp2p host.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Ends open requests within a bound, then the connections.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
        self.swarm.abort();
        // Ends as cancelled, which is what was asked for.
        drop(self.swarm.await);
    }
}

/// Takes a data directory for one node: a second one would sign with the same key and overwrite the store's counters.
fn lock(data: &Path) -> Result<File, NodeError> {
    let path = data.join("node.lock");
    let failed = |source| NodeError::Data { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(failed(io::Error::new(io::ErrorKind::ResourceBusy, "another node uses it")))
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Announces the datasets of earlier runs: records live in memory, here and with the peers that they were given to.
async fn announce_stored(blocks: Blocks, network: Network) {
    let mut seen = 0;
    loop {
        let page = match blocks.manifests(seen, ANNOUNCE_PAGE).await {
            Ok(page) if page.is_empty() => return,
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "cannot read which datasets to announce");
                return;
            }
        };
        seen += page.len() as u64;
        for stored in page.into_iter().filter(|stored| stored.own) {
            network.announce(stored.digest).await;
            network.announce(stored.manifest.tree).await;
        }
    }
}

fn check(config: &NodeConfig) -> Result<(), NodeError> {
    let setting = |name, reason: String| Err(NodeError::Setting { name, reason });
    if config.block_size.0 == 0 || config.block_size.0 > u64::from(MAX_BLOCK_BYTES) {
        return setting("block_size", format!("{} is not between 1 and {MAX_BLOCK_BYTES} bytes", config.block_size));
    }
    if config.listen.is_empty() {
        return setting("listen", "a node needs an address that peers can reach".into());
    }
    if config.dht_replication == 0 {
        return setting("dht_replication", "0 copies of a record are none".into());
    }
    let names_peer = |address: &Multiaddr| address.iter().any(|part| matches!(part, Protocol::P2p(_)));
    if let Some(nameless) = config.bootstrap.iter().find(|address| !names_peer(address)) {
        return setting("bootstrap", format!("{nameless} does not end in /p2p/ and a peer id"));
    }
    let prefix = &config.metrics_prefix;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if prefix.is_empty() || !prefix.bytes().all(legal) || prefix.as_bytes()[0].is_ascii_digit() {
        return setting("metrics_prefix", format!("{prefix:?} cannot begin a metric's name"));
    }
    Ok(())
}

/// `spr:` and the signed peer record in base64url, by the registered domain and payload type (RFC 0003 of libp2p).
fn peer_record(key: &Keypair, addresses: Vec<Multiaddr>) -> String {
    match PeerRecord::new_interop(key, addresses) {
        Ok(record) => format!("spr:{}", URL_SAFE_NO_PAD.encode(record.into_signed_envelope().into_protobuf_encoding())),
        Err(error) => {
            tracing::error!(%error, "cannot sign the peer record");
            String::new()
        }
    }
}
