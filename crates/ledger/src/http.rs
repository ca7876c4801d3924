//! The REST interface, under `/api/v1/ledger`: taking entries, reading the log with proofs, asking the state, following blocks.

mod follow;
mod read;
mod submit;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use peermark_core::sealed::MAX_BYTES;
use peermark_http::{Problem, explain};

use crate::shared::Shared;

pub use read::{Executed, ProofDocument, STATUS_SCHEMA, Status};
pub use submit::Acknowledgement;

/// Where the interface begins.
pub const BASE: &str = "/api/v1/ledger";

/// Every route, with absolute paths.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let own = Router::new()
        .route("/entries", post(submit::submit))
        .route("/entries/{hash}", get(read::outcome))
        .route("/chains/{signer}", get(read::chain))
        .route("/genesis", get(read::genesis))
        .route("/status", get(read::status))
        .route("/query", get(read::query))
        .route("/log", get(follow::log))
        .route("/events", get(follow::events))
        .route("/checkpoint", get(read::checkpoint))
        .route("/proofs/inclusion", get(read::inclusion))
        .route("/proofs/consistency", get(read::consistency))
        .route("/metrics", get(read::metrics))
        .fallback(|| async { Problem::not_found("there is nothing under this path") })
        // One byte more than a record, so that it is the record's rule that refuses, in words.
        .layer(DefaultBodyLimit::max(MAX_BYTES + 1))
        .layer(from_fn(explain))
        .with_state(shared);
    Router::new().route("/health", get(|| async { "ok" })).nest(BASE, own)
}
