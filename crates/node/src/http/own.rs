//! The product's own routes: what the lab and the dashboard need and the official API does not tell.

use std::convert::Infallible;
use std::sync::atomic::AtomicU64;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use axum::{Json, Router};
use futures::{Stream, StreamExt};
use libp2p::PeerId;
use peermark_http::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::data::{block_response, read_cid};
use super::{fetch_problem, store_problem};
use crate::bitswap::{ExchangeEvent, PeerTraffic};
use crate::config::Mode;
use crate::content::{BLOCK_CODEC, cid_text};
use crate::metrics::{ProcessUse, read};
use crate::network::Direction;
use crate::state::NodeState;

pub(super) fn routes() -> Router<NodeState> {
    Router::new()
        .route("/node", get(node))
        .route("/resources", get(resources))
        .route("/connections", get(connections))
        .route("/exchange", get(exchange))
        .route("/exchange/events", get(exchange_events))
        .route("/blocks/{cid}", get(block))
}

/// What kind of node this is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct NodeInfo {
    /// Always `peermark`.
    kind: &'static str,
    version: &'static str,
    /// `altruistic` or `marketplace`.
    #[schema(value_type = String)]
    mode: Mode,
    /// Price of a byte, for a marketplace node.
    price_per_byte: Option<u64>,
    peer_id: String,
    pid: u32,
    uptime_ms: u64,
    addresses: Vec<String>,
    /// Peers connected.
    peers: u64,
    /// Peers in the routing table of the DHT.
    routing_peers: u64,
}

/// What the node's process uses.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Resources {
    #[serde(flatten)]
    process: ProcessUse,
    /// Bytes received over peer connections, all protocols.
    net_received_bytes: u64,
    /// Bytes sent over peer connections, all protocols.
    net_sent_bytes: u64,
    /// Bytes of blocks in the store.
    stored_bytes: u64,
}

/// One open connection as it is observed.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ConnectionInfo {
    peer: String,
    address: String,
    /// `tcp` or `quic`.
    transport: &'static str,
    direction: Direction,
    /// Round trip of the last ping; `null` before the first.
    rtt_us: Option<u64>,
    age_ms: u64,
    /// Blocks exchanged with the peer, over all its connections.
    blocks_in: u64,
    bytes_in: u64,
    blocks_out: u64,
    bytes_out: u64,
}

/// What the node has exchanged since it started.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ExchangeInfo {
    blocks_sent: u64,
    blocks_received: u64,
    bytes_sent: u64,
    bytes_received: u64,
    wants_received: u64,
    unpaid_wants: u64,
    paid_bytes: u64,
    wrong_blocks: u64,
    spurious_blocks: u64,
    blocks_from_discovery: u64,
}

/// Where to get a block from.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct BlockQuery {
    /// Peer id of the one peer to ask, whatever this node's store holds. Without it only the store is read.
    from: Option<String>,
}

/// What kind of node this is.
#[utoipa::path(get, path = "/api/v1/node", responses((status = 200, body = NodeInfo)))]
pub(super) async fn node(State(state): State<NodeState>) -> Json<NodeInfo> {
    let mode = state.config.mode;
    Json(NodeInfo {
        kind: "peermark",
        version: env!("CARGO_PKG_VERSION"),
        mode,
        price_per_byte: (mode == Mode::Marketplace).then_some(state.config.price_per_byte),
        peer_id: state.network.local_peer().to_string(),
        pid: std::process::id(),
        uptime_ms: u64::try_from(state.uptime().as_millis()).unwrap_or(u64::MAX),
        addresses: state.network.addresses().iter().map(ToString::to_string).collect(),
        peers: read(&state.metrics.peers_connected),
        routing_peers: state.network.connections().routing_peers(),
    })
}

/// What the node's process uses.
#[utoipa::path(get, path = "/api/v1/resources", responses((status = 200, body = Resources)))]
pub(super) async fn resources(State(state): State<NodeState>) -> Json<Resources> {
    let (net_received_bytes, net_sent_bytes) = state.exposition.transport_bytes();
    let stored_bytes = read(&state.exchange.blocks().counters().bytes);
    Json(Resources { process: ProcessUse::now(), net_received_bytes, net_sent_bytes, stored_bytes })
}

/// The open connections as they are observed.
#[utoipa::path(get, path = "/api/v1/connections", responses((status = 200, body = Vec<ConnectionInfo>)))]
pub(super) async fn connections(State(state): State<NodeState>) -> Json<Vec<ConnectionInfo>> {
    let now = Instant::now();
    let snapshot = state.network.connections().snapshot();
    let info = snapshot.into_iter().map(|open| {
        let PeerTraffic { blocks_sent, bytes_sent, blocks_received, bytes_received } =
            state.exchange.traffic(&open.peer).unwrap_or_default();
        ConnectionInfo {
            peer: open.peer.to_string(),
            address: open.address.to_string(),
            transport: open.transport,
            direction: open.direction,
            rtt_us: open.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
            age_ms: u64::try_from(now.duration_since(open.since).as_millis()).unwrap_or(u64::MAX),
            blocks_in: blocks_received,
            bytes_in: bytes_received,
            blocks_out: blocks_sent,
            bytes_out: bytes_sent,
        }
    });
    Json(info.collect())
}

/// What the node has exchanged since it started.
#[utoipa::path(get, path = "/api/v1/exchange", responses((status = 200, body = ExchangeInfo)))]
pub(super) async fn exchange(State(state): State<NodeState>) -> Json<ExchangeInfo> {
    let counter = |counter: &AtomicU64| read(counter);
    let metrics = &state.metrics;
    Json(ExchangeInfo {
        blocks_sent: counter(&metrics.blocks_sent),
        blocks_received: counter(&metrics.blocks_received),
        bytes_sent: counter(&metrics.block_bytes_sent),
        bytes_received: counter(&metrics.block_bytes_received),
        wants_received: counter(&metrics.wants_received),
        unpaid_wants: counter(&metrics.unpaid_wants),
        paid_bytes: counter(&metrics.paid_bytes),
        wrong_blocks: counter(&metrics.wrong_blocks),
        spurious_blocks: counter(&metrics.spurious_blocks),
        blocks_from_discovery: counter(&metrics.blocks_from_discovery),
    })
}

/// Every inbound want and every block sent and received from now on, as server-sent events. A reader that falls behind gets an
/// event `lagged` with the number of events it missed. Ends when the node stops.
#[utoipa::path(get, path = "/api/v1/exchange/events", responses((status = 200, content_type = "text/event-stream")))]
pub(super) async fn exchange_events(
    State(state): State<NodeState>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = futures::stream::unfold(state.exchange.subscribe(), |mut receiver| async move {
        let event = match receiver.recv().await {
            Ok(event) => Event::default().event("exchange").data(event_json(&event).to_string()),
            Err(RecvError::Lagged(missed)) => Event::default().event("lagged").data(missed.to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), receiver))
    });
    let network = state.network.clone();
    let stopped = async move { network.stopped().await };
    Sse::new(events.take_until(Box::pin(stopped))).keep_alive(KeepAlive::default())
}

fn event_json(event: &ExchangeEvent) -> Value {
    match event {
        ExchangeEvent::Wanted { peer, cid, block } => {
            json!({ "event": "wanted", "peer": peer.to_string(), "cid": cid_text(cid), "block": block })
        }
        ExchangeEvent::Sent { peer, cid, bytes } => {
            json!({ "event": "sent", "peer": peer.to_string(), "cid": cid_text(cid), "bytes": bytes })
        }
        ExchangeEvent::Received { peer, digest, bytes } => {
            json!({ "event": "received", "peer": peer.to_string(), "cid": cid_text(&digest.cid(BLOCK_CODEC)), "bytes": bytes })
        }
    }
}

/// One block's bytes, from this node's store or from one chosen peer.
#[utoipa::path(get, path = "/api/v1/blocks/{cid}", params(("cid" = String, Path), BlockQuery),
    responses((status = 200, content_type = "application/octet-stream"), (status = 400), (status = 404),
        (status = 500), (status = 502), (status = 504)))]
pub(super) async fn block(
    State(state): State<NodeState>,
    Path(cid): Path<String>,
    Query(query): Query<BlockQuery>,
) -> Result<Response, Problem> {
    let (cid, digest) = read_cid(&cid)?;
    let Some(peer) = query.from else {
        let found = state.exchange.blocks().get(digest).await.map_err(|error| store_problem(&error))?;
        return found.map(block_response).ok_or_else(|| Problem::not_found("block is not stored on this node"));
    };
    let peer: PeerId = peer.parse().map_err(|_| Problem::bad_request(format!("{peer:?} is no peer id")))?;
    let deadline = Instant::now() + state.config.block_timeout();
    let fetched = state.exchange.fetch_from(peer, cid, deadline).await;
    fetched.map(block_response).map_err(|error| fetch_problem(&error))
}
