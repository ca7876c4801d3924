//! How a node is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use libp2p::Multiaddr;
use peermark_core::ByteSize;
use serde::{Deserialize, Serialize};

/// Whether a node gives its blocks away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Serves whoever asks.
    #[default]
    Altruistic,
    /// Serves against a signed promise of payment.
    Marketplace,
}

/// Where blocks are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In the data directory.
    #[default]
    Disk,
    /// In memory, lost at the end of the process.
    Memory,
}

/// The `[node]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Directory of the identity and the blocks.
    pub data: PathBuf,
    /// Address of the REST API.
    pub api: SocketAddr,
    /// Serve the API beyond loopback to callers without a token. Said aloud at start.
    pub allow_anonymous: bool,
    /// libp2p addresses to listen on: TCP and QUIC.
    pub listen: Vec<Multiaddr>,
    /// Peers to join the network by, with `/p2p/` and their peer id.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether blocks are given away.
    pub mode: Mode,
    /// Price per byte in the smallest unit of account, for a marketplace node.
    pub price_per_byte: u64,
    /// Promise payment to marketplace nodes that ask for it.
    pub pay: bool,
    /// Most that is promised to one peer, in the smallest unit of account.
    pub pay_limit: u64,
    /// Where blocks are kept.
    pub store: StoreKind,
    /// Most bytes of blocks that are kept.
    pub quota: ByteSize,
    /// Most bytes of blocks in the memory cache.
    pub cache: ByteSize,
    /// Bytes of the blocks that uploads are cut into.
    pub block_size: ByteSize,
    /// Name of the Kademlia protocol: nodes with different names form different networks.
    pub dht_protocol: String,
    /// Peers that a provider record is stored with.
    pub dht_replication: u32,
    /// Connections that nobody uses are closed after this long, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Longest wait for one block of a download, in milliseconds.
    pub block_timeout_ms: u64,
    /// First part of every metric's name.
    pub metrics_prefix: String,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data: "peermark-node".into(),
            api: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_anonymous: false,
            listen: vec![
                "/ip4/127.0.0.1/tcp/0".parse().expect("a valid multiaddr"),
                "/ip4/127.0.0.1/udp/0/quic-v1".parse().expect("a valid multiaddr"),
            ],
            bootstrap: Vec::new(),
            mode: Mode::Altruistic,
            price_per_byte: 1,
            pay: true,
            pay_limit: 1 << 40,
            store: StoreKind::Disk,
            quota: ByteSize(20 << 30),
            cache: ByteSize(16 << 20),
            block_size: ByteSize(64 << 10),
            dht_protocol: "/peermark/kad/1.0.0".into(),
            dht_replication: 20,
            idle_timeout_ms: 10_000,
            block_timeout_ms: 30_000,
            metrics_prefix: "peermark".into(),
        }
    }
}

impl NodeConfig {
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn block_timeout(&self) -> Duration {
        Duration::from_millis(self.block_timeout_ms)
    }
}
