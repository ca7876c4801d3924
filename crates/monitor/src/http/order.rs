//! Orders.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use peermark_http::{Caller, Problem};
use serde::Deserialize;

use super::{Shared, problem};
use crate::desk::{Desk, Pause, RunTicket};

/// Refuses orders from other machines, where nobody has to present a token: strangers do not hold tests back.
///
/// # Errors
/// 403.
pub(super) async fn from_here(
    ConnectInfo(Caller(from)): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if from.ip().to_canonical().is_loopback() {
        return Ok(next.run(request).await);
    }
    let detail = "orders are taken from this machine, or with a token: start it with --token-file";
    Err(Problem::request(StatusCode::FORBIDDEN, "not_from_here", detail))
}

/// Runs a task soon.
pub(super) async fn run(
    State(state): State<Shared>,
    Path(name): Path<String>,
) -> Result<(StatusCode, Json<RunTicket>), Problem> {
    let ticket = state.run_now(&name).map_err(|error| problem(&error))?;
    Ok((StatusCode::ACCEPTED, Json(ticket)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    for_s: u64,
    reason: String,
}

/// Holds scheduled runs back for a while.
pub(super) async fn pause(
    State(state): State<Shared>,
    body: Result<Json<PauseBody>, JsonRejection>,
) -> Result<Json<Pause>, Problem> {
    let Json(PauseBody { for_s, reason }) = body.map_err(|error| Problem::bad_request(error.body_text()))?;
    state.pause(for_s, &reason).map(Json).map_err(|error| problem(&error))
}

/// Ends a pause.
pub(super) async fn resume(State(state): State<Shared>) -> StatusCode {
    state.resume();
    StatusCode::NO_CONTENT
}
