//! Nodes in this process: one network per test, so that tests running at once do not meet.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use peermark_node::client::{ClientError, ClientOptions, NodeClient};
use peermark_node::{Node, NodeConfig, NodeError};
use serde_json::Value;
use tempfile::TempDir;

use crate::openapi::assert_documented;
use crate::rest::{Answer, request, send};
use crate::wait::until;

/// Provider records in these networks of a few nodes.
const REPLICATION: u32 = 3;

/// Nodes that try to act while they are connected to one peer alone.
const LONELY_ATTEMPTS: usize = 10;

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// A network of its own.
pub(crate) struct Net {
    protocol: String,
}

/// A running node with its data directory.
pub(crate) struct Peer {
    pub(crate) node: Node,
    pub(crate) config: NodeConfig,
    pub(crate) directory: Arc<TempDir>,
}

impl Net {
    pub(crate) fn new() -> Self {
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        Self { protocol: format!("/peermark-test/{number}/kad/1.0.0") }
    }

    /// The settings of a node of this network in `directory`.
    pub(crate) fn config(&self, directory: &TempDir) -> NodeConfig {
        NodeConfig {
            data: directory.path().into(),
            api: "127.0.0.1:0".parse().unwrap(),
            dht_protocol: self.protocol.clone(),
            dht_replication: REPLICATION,
            idle_timeout_ms: 60_000,
            ..NodeConfig::default()
        }
    }

    /// A node that knows nobody.
    pub(crate) async fn start(&self) -> Peer {
        self.start_with(|_| ()).await
    }

    pub(crate) async fn start_with(&self, change: impl FnOnce(&mut NodeConfig)) -> Peer {
        let directory = tempfile::tempdir().unwrap();
        let mut config = self.config(&directory);
        change(&mut config);
        Peer::start(config, Arc::new(directory)).await.unwrap()
    }

    /// A node that joins by `hub`, and is in its routing table when this returns, as `hub` is in its.
    pub(crate) async fn join(&self, hub: &Peer) -> Peer {
        self.join_with(hub, |_| ()).await
    }

    pub(crate) async fn join_with(&self, hub: &Peer, change: impl FnOnce(&mut NodeConfig)) -> Peer {
        let known = hub.node.network().connections().routing_peers();
        let joined = self
            .start_with(|config| {
                config.bootstrap = vec![hub.address()];
                change(config);
            })
            .await;
        let routing = |peer: &Peer| peer.node.network().connections().routing_peers();
        until("both know each other", async || routing(&joined) > 0 && routing(hub) > known).await;
        joined
    }

    /// Lets a new node act while it is connected to `hub` alone, so that only the DHT leads it to others. The upkeep of the DHT may
    /// connect it to others at any moment: `act` says whether it went as it should, and where not, another node tries.
    pub(crate) async fn alone_with(
        &self,
        hub: &Peer,
        change: impl Fn(&mut NodeConfig),
        act: impl AsyncFn(&Peer) -> bool,
    ) -> Peer {
        for _ in 0..LONELY_ATTEMPTS {
            let peer = self
                .start_with(|config| {
                    config.idle_timeout_ms = 200;
                    change(config);
                })
                .await;
            peer.alone_with(hub).await;
            if act(&peer).await {
                return peer;
            }
        }
        panic!("it went as it should with none of {LONELY_ATTEMPTS} nodes");
    }
}

impl Peer {
    pub(crate) async fn start(config: NodeConfig, directory: Arc<TempDir>) -> Result<Self, NodeError> {
        let node = Node::start(config.clone(), None).await?;
        Ok(Self { node, config, directory })
    }

    /// Stops the node and starts it again on its directory.
    pub(crate) async fn restart_with(self, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let Self { node, mut config, directory } = self;
        node.shutdown().await;
        change(&mut config);
        Self::start(config, directory).await.unwrap()
    }

    pub(crate) fn id(&self) -> PeerId {
        self.node.peer_id()
    }

    /// Where peers reach it, with its peer id.
    pub(crate) fn address(&self) -> Multiaddr {
        self.node.addresses().swap_remove(0).with(Protocol::P2p(self.id()))
    }

    pub(crate) fn client(&self) -> NodeClient {
        NodeClient::new(&format!("http://{}", self.node.api_address()), ClientOptions::default()).unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = send(self.node.api_address(), request).await;
        assert_documented(method.as_str(), &path, answer.status.as_u16());
        answer
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(request("DELETE", path).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request("POST", path).body(Full::new(body.into())).unwrap()).await
    }

    /// Uploads content without name and type.
    pub(crate) async fn upload(&self, content: impl Into<Bytes>) -> String {
        let answer = self.post("/api/archivist/v1/data", content).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    }

    /// Downloads content through the network.
    pub(crate) async fn fetch(&self, cid: &str) -> Result<Vec<u8>, ClientError> {
        let mut content = Vec::new();
        let mut sink = |chunk: &[u8]| {
            content.extend_from_slice(chunk);
            ControlFlow::Continue(())
        };
        self.client().fetch_network(cid, &mut sink).await?;
        Ok(content)
    }

    /// The counters of `/api/v1/exchange`.
    pub(crate) async fn exchange(&self) -> Value {
        self.get("/api/v1/exchange").await.json()
    }

    /// One of them.
    pub(crate) async fn exchanged(&self, counter: &str) -> u64 {
        self.exchange().await[counter].as_u64().unwrap_or_else(|| panic!("no counter {counter}"))
    }

    /// Blocks stored and their bytes.
    pub(crate) async fn stored(&self) -> (u64, u64) {
        let space = self.client().space().await.unwrap();
        (space.total_blocks, space.quota_used_bytes)
    }

    /// Connects to another node for good.
    pub(crate) async fn connect(&self, other: &Self) {
        let address = other.node.addresses()[0].to_string();
        self.client().connect_peer(&other.id().to_string(), &[address]).await.unwrap();
    }

    /// Connects to another node for good, and waits until every connection that the DHT opened on the way is closed.
    async fn alone_with(&self, other: &Self) {
        self.connect(other).await;
        until("only the connection that was asked for is left, and the routing table has a peer", async || {
            let connections = self.node.network().connections();
            let open = connections.snapshot();
            connections.routing_peers() > 0 && !open.is_empty() && open.iter().all(|open| open.peer == other.id())
        })
        .await;
    }
}

/// Bytes without a pattern that compresses or repeats: every block of a dataset is another one, and no two tags share any.
pub(crate) fn content(size: usize, tag: u64) -> Vec<u8> {
    let mut state = tag.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(size).collect()
}
