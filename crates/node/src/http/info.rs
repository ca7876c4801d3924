//! What a node says about itself.

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use libp2p::{Multiaddr, PeerId};
use peermark_http::Problem;
use serde::Serialize;
use serde_json::{Value, json};

use crate::metrics::{TextFormat, read};
use crate::state::NodeState;

/// Addresses that one connect request may name.
const MAX_ADDRESSES: usize = 32;

/// Use of the block store.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Space {
    total_blocks: u64,
    quota_max_bytes: u64,
    quota_used_bytes: u64,
    quota_reserved_bytes: u64,
}

/// Says that the node runs, with two counters.
#[utoipa::path(get, path = "/health", responses((status = 200)))]
pub(super) async fn health(State(state): State<NodeState>) -> Json<Value> {
    let counters = state.exchange.blocks().counters();
    Json(json!({ "status": "ok", "block_count": read(&counters.count), "total_bytes": read(&counters.bytes) }))
}

/// Metrics in Prometheus text 0.0.4, or in OpenMetrics when the Accept header asks for it.
#[utoipa::path(get, path = "/metrics", responses((status = 200, content_type = "text/plain")))]
pub(super) async fn metrics(State(state): State<NodeState>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (format, kind) = if accepts.contains("application/openmetrics-text") {
        (TextFormat::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8")
    } else {
        (TextFormat::Prometheus, "text/plain; version=0.0.4; charset=utf-8")
    };
    let page = state.exposition.page(format, state.exchange.blocks(), state.uptime());
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], page).into_response()
}

/// Use of the block store.
#[utoipa::path(get, path = "/api/archivist/v1/space", responses((status = 200, body = Space)))]
pub(super) async fn space(State(state): State<NodeState>) -> Json<Space> {
    let blocks = state.exchange.blocks();
    Json(Space {
        total_blocks: read(&blocks.counters().count),
        quota_max_bytes: blocks.quota_bytes(),
        quota_used_bytes: read(&blocks.counters().bytes),
        quota_reserved_bytes: 0,
    })
}

/// The peer id: as text when the Accept header asks for it, else as JSON.
#[utoipa::path(get, path = "/api/archivist/v1/peerid", responses((status = 200)))]
pub(super) async fn peer_id(State(state): State<NodeState>, headers: HeaderMap) -> Response {
    text_or_json(&headers, "id", state.network.local_peer().to_string())
}

/// The signed peer record: as text when the Accept header asks for it, else as JSON.
#[utoipa::path(get, path = "/api/archivist/v1/spr", responses((status = 200)))]
pub(super) async fn spr(State(state): State<NodeState>, headers: HeaderMap) -> Response {
    text_or_json(&headers, "spr", state.record.clone())
}

fn text_or_json(headers: &HeaderMap, key: &str, value: String) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/plain") { value.into_response() } else { Json(json!({ key: value })).into_response() }
}

/// Connects to a peer by the addresses in `addrs`, or by those that the DHT knows. The connection is kept open.
#[utoipa::path(get, path = "/api/archivist/v1/connect/{peer_id}", params(("peer_id" = String, Path), ("addrs" = Vec<String>, Query)),
    responses((status = 200), (status = 400)))]
pub(super) async fn connect(
    State(state): State<NodeState>,
    Path(peer): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<&'static str, Problem> {
    let peer: PeerId = peer.parse().map_err(|_| Problem::bad_request(format!("{peer:?} is no peer id")))?;
    let mut addresses = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if name != "addrs" {
            return Err(Problem::bad_request(format!("unknown parameter {name:?}, expected addrs")));
        }
        let address: Multiaddr =
            value.parse().map_err(|_| Problem::bad_request(format!("{value:?} is no multiaddr")))?;
        addresses.push(address);
    }
    if addresses.len() > MAX_ADDRESSES {
        return Err(Problem::bad_request(format!("{} addresses, at most {MAX_ADDRESSES}", addresses.len())));
    }
    let dialled = state.network.dial(peer, addresses, true).await;
    dialled.map_err(|error| Problem::request(StatusCode::BAD_REQUEST, "dial_failed", error.to_string()))?;
    Ok("Successfully connected to peer")
}

/// The node's identity, addresses and version.
#[utoipa::path(get, path = "/api/archivist/v1/debug/info", responses((status = 200)))]
pub(super) fn debug_info(state: &NodeState, flavour: &'static str) -> Json<Value> {
    let id = state.network.local_peer().to_string();
    let addresses: Vec<String> = state.network.addresses().iter().map(ToString::to_string).collect();
    let peers: Vec<Value> = state
        .network
        .connections()
        .snapshot()
        .iter()
        .map(|open| {
            json!({ "nodeId": open.peer.to_string(), "peerId": open.peer.to_string(), "record": "", "address": open.address.to_string(), "seen": true })
        })
        .collect();
    let version = json!({ "version": env!("CARGO_PKG_VERSION"), "revision": "peermark", "contracts": "" });
    let local =
        json!({ "nodeId": id, "peerId": id, "record": state.record, "address": addresses.first(), "seen": true });
    let mut info = json!({
        "id": id,
        "addrs": addresses,
        "repo": state.config.data.display().to_string(),
        "spr": state.record,
        "announceAddresses": addresses,
        "table": { "localNode": local, "nodes": peers },
    });
    info[flavour] = version;
    Json(info)
}
