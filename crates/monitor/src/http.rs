//! The REST interface, under `/api/v1/monitor`: what [`crate::desk`] answers, the tasks with their schemas, sealed records.

mod ask;
mod order;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use http::StatusCode;
use peermark_http::{Problem, explain};

use crate::client::BASE;
use crate::desk::DeskError;
use crate::state::State as MonitorState;

/// Largest body of a request.
const MAX_BODY_BYTES: usize = 16 << 10;

type Shared = Arc<MonitorState>;

/// From whom orders are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orders {
    /// From whoever gets past the server's guard, which asks for a token.
    Guarded,
    /// From this machine alone: the server answers anybody.
    FromHere,
}

/// Every route, with absolute paths. `others` are those of tasks with an other end (slots, dial-back), relative to [`BASE`].
pub(crate) fn router(state: Shared, others: Router, orders: Orders) -> Router {
    let mut given = Router::new()
        .route("/run/{name}", post(order::run))
        .route("/pause", post(order::pause).delete(order::resume))
        .with_state(Arc::clone(&state));
    if orders == Orders::FromHere {
        given = given.layer(from_fn(order::from_here));
    }
    let own = Router::new()
        .route("/tasks", get(ask::tasks))
        .route("/schema/{name}", get(ask::schema))
        .route("/status", get(ask::status))
        .route("/schedule", get(ask::schedule))
        .route("/results", get(ask::results))
        .route("/results/{name}", get(ask::result))
        .route("/history/{name}", get(ask::history))
        .route("/records", get(ask::records))
        .route("/metrics", get(ask::metrics))
        .with_state(state)
        .merge(given)
        .merge(others)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(explain));
    Router::new().nest(BASE, own)
}

/// A question without an answer, as the caller sees it.
fn problem(error: &DeskError) -> Problem {
    let text = error.to_string();
    match error {
        DeskError::ResultNotFound | DeskError::UnknownTask { .. } => Problem::not_found(text),
        DeskError::NotConfigured { .. } => Problem::request(StatusCode::CONFLICT, "not_configured", text),
        DeskError::AlreadyRunning { .. } => Problem::request(StatusCode::CONFLICT, "already_running", text),
        DeskError::TooOften { .. } => Problem::request(StatusCode::TOO_MANY_REQUESTS, "too_often", text),
        DeskError::Refused(_) => Problem::bad_request(text),
        DeskError::History(_) => Problem::logged(error),
    }
}
