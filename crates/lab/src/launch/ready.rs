//! When a network is ready: every API answers, every node has its peers and routing table, and a file has crossed to every node.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use peermark_node::client::{ClientError, RequestBody, Upload};
use serde::Deserialize;
use thiserror::Error;
use tokio::time::Instant;

use super::{LaunchError, LiveNode, Topology};

/// Peers that a ready node has, fewer only where fewer run.
const PEERS: u64 = 4;

/// Peers in a ready node's routing table, fewer only where fewer run.
const ROUTING_PEERS: u64 = 8;

/// Nodes that are set up at the same time.
const PARALLEL: usize = 8;

const POLL: Duration = Duration::from_millis(50);

/// Why a network is not ready.
#[derive(Debug, Error)]
pub enum ReadyError {
    /// Setting up failed.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A node lacks peers.
    #[error(
        "node {node} has {peers} peers and {routing_peers} in its routing table after {seconds} s (ready: {wanted_peers} and {wanted_routing})"
    )]
    Mesh {
        /// Number of the node.
        node: u32,
        /// Peers it has.
        peers: u64,
        /// Peers in its routing table.
        routing_peers: u64,
        /// Peers it should have.
        wanted_peers: u64,
        /// Routing peers it should have.
        wanted_routing: u64,
        /// How long was waited.
        seconds: u64,
    },
    /// The file that proves that blocks travel did not reach a node.
    #[error("node {node} could not fetch a file from node {from}: {source}")]
    Canary {
        /// The node that fetched.
        node: u32,
        /// The node that held it.
        from: u32,
        /// What failed.
        source: ClientError,
    },
    /// A node answered with other bytes.
    #[error("node {node} fetched a file from node {from} and gave other bytes")]
    WrongBytes {
        /// The node that fetched.
        node: u32,
        /// The node that held it.
        from: u32,
    },
}

#[derive(Deserialize)]
struct Peers {
    peers: u64,
    routing_peers: u64,
}

/// Peers and routing peers that a ready node of a network of this size has.
fn expected_mesh(own_nodes: u32) -> (u64, u64) {
    let others = u64::from(own_nodes.saturating_sub(1));
    (PEERS.min(others), ROUTING_PEERS.min(others))
}

/// Dials the mesh, waits for peers and routing tables, and sends a file to every node. `on_ready` is told of each ready node.
///
/// # Errors
/// [`ReadyError`] names the first node that is not ready in time.
pub async fn make_ready(
    nodes: &[LiveNode],
    topology: &Topology,
    until: Instant,
    on_ready: impl Fn(u32),
) -> Result<(), ReadyError> {
    let own: Vec<&LiveNode> = nodes.iter().filter(|node| node.kind.is_own()).collect();
    stream::iter(own.iter().map(|node| dial(node, nodes, topology)))
        .buffer_unordered(PARALLEL)
        .try_collect::<Vec<()>>()
        .await?;
    let canaries = upload_canaries(&own).await?;
    let (peers, routing) = expected_mesh(own.len() as u32);
    let on_ready = &on_ready;
    let canaries = &canaries;
    stream::iter(own.iter().map(|node| async move {
        wait_for_mesh(node, peers, routing, until).await?;
        fetch_canary(node, canaries).await?;
        on_ready(node.index);
        Ok::<(), ReadyError>(())
    }))
    .buffer_unordered(PARALLEL)
    .try_collect::<Vec<()>>()
    .await?;
    // A foreign node is ready when its API answers, which its start has waited for.
    nodes.iter().filter(|node| !node.kind.is_own()).for_each(|node| on_ready(node.index));
    Ok(())
}

async fn dial(node: &LiveNode, nodes: &[LiveNode], topology: &Topology) -> Result<(), ReadyError> {
    for target in topology.dials_of(node.index) {
        let Some(peer) = nodes.iter().find(|peer| peer.index == *target) else { continue };
        let Some(id) = &peer.peer_id else { continue };
        let connected = node.client.connect_peer(id, &peer.addresses).await;
        match connected {
            Ok(()) => {}
            // A foreign node may speak another transport; the mesh of ours does not depend on it.
            Err(_) if !peer.kind.is_own() => {}
            Err(source) => return Err(LaunchError::Api { node: node.index, source }.into()),
        }
    }
    Ok(())
}

async fn wait_for_mesh(
    node: &LiveNode,
    wanted_peers: u64,
    wanted_routing: u64,
    until: Instant,
) -> Result<(), ReadyError> {
    let begun = Instant::now();
    loop {
        let api = |source| LaunchError::Api { node: node.index, source };
        let Peers { peers, routing_peers } = node.client.get_json("/api/v1/node").await.map_err(api)?;
        if peers >= wanted_peers && routing_peers >= wanted_routing {
            return Ok(());
        }
        if Instant::now() >= until {
            let seconds = begun.elapsed().as_secs();
            let node = node.index;
            return Err(ReadyError::Mesh { node, peers, routing_peers, wanted_peers, wanted_routing, seconds });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A file that proves that blocks travel.
struct Canary {
    holder: u32,
    cid: String,
    bytes: Vec<u8>,
}

/// One file on each of two nodes, so that every node can fetch one that it lacks.
async fn upload_canaries(own: &[&LiveNode]) -> Result<Vec<Canary>, ReadyError> {
    let mut canaries = Vec::new();
    for node in own.iter().take(2).filter(|_| own.len() > 1) {
        let bytes = format!("peermark canary of node {}", node.index).into_bytes();
        let upload = Upload::new(RequestBody::bytes(Bytes::from(bytes.clone())));
        let cid = node.client.upload(upload).await.map_err(|source| LaunchError::Api { node: node.index, source })?;
        canaries.push(Canary { holder: node.index, cid, bytes });
    }
    Ok(canaries)
}

async fn fetch_canary(node: &LiveNode, canaries: &[Canary]) -> Result<(), ReadyError> {
    let Some(canary) = canaries.iter().find(|canary| canary.holder != node.index) else { return Ok(()) };
    let (node_index, from) = (node.index, canary.holder);
    let mut bytes: Vec<u8> = Vec::new();
    let mut keep = |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        if bytes.len() > canary.bytes.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let fetched = node.client.fetch_network(&canary.cid, &mut keep).await;
    fetched.map_err(|source| ReadyError::Canary { node: node_index, from, source })?;
    if bytes != canary.bytes {
        return Err(ReadyError::WrongBytes { node: node_index, from });
    }
    Ok(())
}
