//! The REST API: the official routes of Archivist and Codex under both prefixes, and this product's own under `/api/v1`.

mod data;
mod info;
mod openapi;
mod own;
pub(crate) mod range;
mod upload;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use peermark_http::{Problem, explain};
use tokio::time::Instant;

use crate::bitswap::FetchError;
use crate::blocks::BlocksError;
use crate::dataset::DatasetError;
use crate::state::NodeState;

pub use openapi::document as openapi_document;

/// Every route of a node, and those that its process adds.
pub(crate) fn router(state: NodeState, more: Router) -> Router {
    Router::new()
        .route("/health", get(info::health))
        .route("/metrics", get(info::metrics))
        .route("/openapi.json", get(openapi::serve))
        .nest("/api/archivist/v1", official("archivist"))
        .nest("/api/codex/v1", official("codex"))
        .nest("/api/v1", own::routes())
        .fallback(|| async { Problem::not_found("no such route; /openapi.json lists them") })
        .layer(from_fn(explain))
        .layer(from_fn_with_state(state.clone(), measure))
        .with_state(state)
        .merge(more)
}

/// The routes that every Archivist and Codex node has. `flavour` is the key that `debug/info` puts the version under.
fn official(flavour: &'static str) -> Router<NodeState> {
    let debug_info = move |State(state): State<NodeState>| async move { info::debug_info(&state, flavour) };
    Router::new()
        .route("/data", get(data::list).post(upload::upload))
        .route("/data/{cid}", get(data::local).delete(data::delete))
        .route("/data/{cid}/network", post(data::fetch))
        .route("/data/{cid}/network/stream", get(data::stream))
        .route("/data/{cid}/network/manifest", get(data::manifest))
        .route("/data/{cid}/exists", get(data::exists))
        .route("/space", get(info::space))
        .route("/peerid", get(info::peer_id))
        .route("/spr", get(info::spr))
        .route("/connect/{peer_id}", get(info::connect))
        .route("/debug/info", get(debug_info))
}

/// Times a request from its head to the response's head.
async fn measure(State(state): State<NodeState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    state.metrics.rest_request_seconds.observe(started.elapsed().as_secs_f64());
    response
}

/// A failed read of a dataset as the caller sees it.
fn dataset_problem(error: &DatasetError) -> Problem {
    match error {
        DatasetError::Cid(_) => Problem::bad_request(error.to_string()),
        DatasetError::NotLocal { .. } | DatasetError::NotADataset(_) => Problem::not_found(error.to_string()),
        DatasetError::Fetch(fetch) => fetch_problem(fetch),
        DatasetError::Tree | DatasetError::BlockSize { .. } => {
            Problem::server(StatusCode::BAD_GATEWAY, "bad_dataset", error.to_string())
        }
        DatasetError::Store(store) => store_problem(store),
    }
}

/// A failed fetch of a block as the caller sees it.
fn fetch_problem(error: &FetchError) -> Problem {
    let detail = error.to_string();
    match error {
        FetchError::Cid(_) => Problem::bad_request(detail),
        FetchError::NotFound { .. } => Problem::not_found(detail),
        FetchError::Refused { .. } => Problem::not_found(detail),
        FetchError::Wrong { .. } => Problem::server(StatusCode::BAD_GATEWAY, "wrong_block", detail),
        FetchError::Lost { .. } => Problem::server(StatusCode::BAD_GATEWAY, "connection_lost", detail),
        FetchError::Deadline => Problem::server(StatusCode::GATEWAY_TIMEOUT, "deadline", detail),
        FetchError::Store(store) => store_problem(store),
    }
}

/// A failure of the own store as the caller sees it.
fn store_problem(error: &BlocksError) -> Problem {
    match error {
        BlocksError::QuotaFull { .. } => {
            Problem::server(StatusCode::INSUFFICIENT_STORAGE, "quota_full", error.to_string())
        }
        BlocksError::Shared(shared) => store_problem(shared),
        BlocksError::Open { .. } | BlocksError::Database(_) | BlocksError::Closed => Problem::logged(error),
    }
}
