//! parsec's HTTP interface: `POST /provide`, `POST /retrieve/{cid}`, `GET|HEAD /readiness`, and its description.
//!
//! Source of every detail: what parsec's Go scheduler sends and what it makes of an answer. It looks at no status but that of
//! `/readiness`, and decodes whatever body comes; a refusal that decodes would be taken for an answer without measurements, and the
//! lookups that follow would be measured on content that nobody published. So every refusal has a member `Measurements` of a type
//! that no measurements have.

mod answer;
mod content;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cid::Cid;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use peermark_http::Problem;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::metrics::{CONTENT_TYPE, count};
use super::operations;
use super::state::ServerState;
use crate::key::RecordKey;
use crate::operation::OperationKind;

/// The description of the interface, as it is served at `/server.yaml` and kept in `docs/formats/server.yaml`.
pub const OPENAPI: &str = include_str!("../../../../docs/formats/server.yaml");

/// Names the scheduler: its fleets joined with commas.
const SCHEDULER: &str = "x-scheduler-id";

/// Asks for the operation with its hops when it is `1`.
const TRACE: &str = "x-peermark-trace";

/// Media type of [`Problem`].
const PROBLEM: &str = "application/problem+json";

/// Longest wait for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// When to come again after a refusal because too many operations run, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Longest text that is taken for a CID; the longest that has a meaning here is that of a 64-byte hash.
const MAX_CID_BYTES: usize = 256;

/// Longest text of a refusal that is handed on.
const MAX_REFUSAL_BYTES: usize = 4096;

/// The interface that schedulers use.
pub(super) fn router(state: ServerState) -> Router {
    Router::new()
        .route("/provide", post(provide))
        .route("/retrieve/{cid}", post(retrieve))
        .route("/readiness", get(readiness))
        .route("/server.yaml", get(description))
        .fallback(|| async { Problem::not_found("no such route; /server.yaml lists them") })
        .layer(DefaultBodyLimit::max(state.limits.body_bytes))
        .layer(from_fn(explain))
        .layer(from_fn_with_state(state.clone(), count_requests))
        .with_state(state)
}

/// The page of metrics.
pub(super) fn telemetry(state: ServerState) -> Router {
    let page = |State(state): State<ServerState>| async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], state.page()) };
    Router::new()
        .route("/metrics", get(page))
        .fallback(|| async { Problem::not_found("no such route; there is /metrics") })
        .layer(from_fn(explain))
        .with_state(state)
}

async fn provide(State(state): State<ServerState>, request: Request) -> Result<Response, Refusal> {
    let permit = permit(&state)?;
    let asked = Asked::of(&state, request.headers());
    let body = body(request).await?;
    let content = content::of_provide(&body).map_err(|reason| Problem::bad_request(format!("body: {reason}")))?;
    let (key, cid) = RecordKey::of_content(&content);
    answered(&state, OperationKind::Provide, key, &cid, asked, permit).await
}

async fn retrieve(
    State(state): State<ServerState>,
    Path(cid): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let permit = permit(&state)?;
    let asked = Asked::of(&state, request.headers());
    let body = body(request).await?;
    content::check_retrieve(&body).map_err(|reason| Problem::bad_request(format!("body: {reason}")))?;
    if cid.len() > MAX_CID_BYTES {
        return Err(Problem::bad_request(format!("CID: longer than {MAX_CID_BYTES} characters")).into());
    }
    let cid: Cid = cid.parse().map_err(|error| Problem::bad_request(format!("CID {cid:?}: {error}")))?;
    answered(&state, OperationKind::Retrieve, RecordKey::of_cid(&cid), &cid, asked, permit).await
}

/// 200 with an empty body when there is a peer to ask, which is what "ready" is for.
async fn readiness(State(state): State<ServerState>) -> Result<StatusCode, Problem> {
    if state.measure.table_len() > 0 {
        return Ok(StatusCode::OK);
    }
    let detail = "the routing table is empty: no peer can be asked";
    Err(Problem::server(StatusCode::SERVICE_UNAVAILABLE, "no_peers", detail))
}

async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
}

/// What a request says beside its body.
struct Asked {
    scheduler: Arc<str>,
    trace: bool,
}

impl Asked {
    fn of(state: &ServerState, headers: &HeaderMap) -> Self {
        let scheduler = state.metrics.scheduler(headers.get(SCHEDULER).map(HeaderValue::as_bytes));
        Self { scheduler, trace: headers.get(TRACE).is_some_and(|value| value == "1") }
    }
}

async fn answered(
    state: &ServerState,
    kind: OperationKind,
    key: RecordKey,
    cid: &Cid,
    asked: Asked,
    permit: OwnedSemaphorePermit,
) -> Result<Response, Refusal> {
    let done = operations::run(state, kind, key, asked.scheduler, permit).await;
    let operation = done.map_err(|panicked| Problem::logged(&panicked))?;
    let json = answer::json(&operation, cid, asked.trace);
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// The right to run an operation, taken before its body is read: bodies are memory, too.
fn permit(state: &ServerState) -> Result<OwnedSemaphorePermit, Refusal> {
    state.permits.clone().try_acquire_owned().map_err(|_| {
        count(&state.metrics.refused);
        let detail = format!("{} operations are running, no more are taken", state.limits.operations);
        Refusal::Busy(Problem::server(StatusCode::SERVICE_UNAVAILABLE, "busy", detail))
    })
}

async fn body(request: Request) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => Err(Refusal::Body(Box::new(rejection.into_response()))),
        Err(_elapsed) => {
            let detail = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::request(StatusCode::REQUEST_TIMEOUT, "slow_body", detail).into())
        }
    }
}

/// Why a request gets no operation.
enum Refusal {
    Problem(Problem),
    /// Too many operations run.
    Busy(Problem),
    /// The body was refused before it was read: too large, or broken off.
    Body(Box<Response>),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Busy(problem) => ([(header::RETRY_AFTER, RETRY_AFTER)], problem).into_response(),
            Self::Body(response) => *response,
        }
    }
}

async fn count_requests(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    let scheduler = state.metrics.scheduler(request.headers().get(SCHEDULER).map(HeaderValue::as_bytes));
    state.metrics.request(request.method(), request.uri().path(), scheduler);
    next.run(request).await
}

/// Makes every refusal a problem document with the member that keeps it from being taken for an answer.
async fn explain(request: Request, next: Next) -> Response {
    let head_only = request.method() == Method::HEAD;
    let response = next.run(request).await;
    if head_only || !(response.status().is_client_error() || response.status().is_server_error()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let said = axum::body::to_bytes(body, MAX_REFUSAL_BYTES).await.unwrap_or_default();
    let is_problem = head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM);
    let said = if is_problem { said } else { problem_of(head.status, &said).await };
    let mut document: Value = serde_json::from_slice(&said).unwrap_or_else(|_| serde_json::json!({}));
    document["Measurements"] = "none, see detail".into();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    (head, document.to_string()).into_response()
}

/// What the router and its extractors refuse in plain text, as a problem.
async fn problem_of(status: StatusCode, said: &[u8]) -> Bytes {
    let said = String::from_utf8_lossy(said);
    let (code, detail) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "the route does not have this method"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is larger than this server takes"),
        _ => ("bad_request", said.trim()),
    };
    let problem = if status.is_client_error() {
        Problem::request(status, code, detail)
    } else {
        Problem::server(status, code, detail)
    };
    axum::body::to_bytes(problem.into_response().into_body(), MAX_REFUSAL_BYTES).await.unwrap_or_default()
}
