//! Questions.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use peermark_http::Problem;
use serde::Deserialize;
use serde_json::Value;

use super::{Shared, problem};
use crate::desk::{Desk, HistoryDocument, MAX_HISTORY, ScheduleDocument, StatusDocument, TaskResult, TasksDocument};
use crate::metrics;
use crate::state::RecordsDocument;

/// Most records of one page.
const MAX_RECORDS: u32 = 1_000;

/// What tasks there are, with every failure that each can name and what to do about it.
pub(super) async fn tasks(State(state): State<Shared>) -> Json<TasksDocument> {
    Json(state.tasks())
}

/// The JSON Schema of a task's result.
pub(super) async fn schema(State(state): State<Shared>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    state.result_schema(&name).map(Json).map_err(|error| problem(&error))
}

/// How every task is doing.
pub(super) async fn status(State(state): State<Shared>) -> Json<StatusDocument> {
    Json(state.status())
}

/// When tasks run.
pub(super) async fn schedule(State(state): State<Shared>) -> Json<ScheduleDocument> {
    Json(state.schedule())
}

/// The latest success of every task that has one.
pub(super) async fn results(State(state): State<Shared>) -> Json<Vec<TaskResult>> {
    Json(state.get_all())
}

/// The latest success of one task.
pub(super) async fn result(State(state): State<Shared>, Path(name): Path<String>) -> Result<Json<TaskResult>, Problem> {
    state.get(&name).map(Json).map_err(|error| problem(&error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    #[serde(default)]
    since_ms: u64,
    limit: Option<u32>,
}

/// Attempts of one task.
pub(super) async fn history(
    State(state): State<Shared>,
    Path(name): Path<String>,
    Query(Since { since_ms, limit }): Query<Since>,
) -> Result<Json<HistoryDocument>, Problem> {
    let limit = limit.unwrap_or(1_000);
    if limit > MAX_HISTORY {
        return Err(Problem::bad_request(format!("limit is at most {MAX_HISTORY}")));
    }
    state.history(&name, since_ms, limit).await.map(Json).map_err(|error| problem(&error))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[serde(default)]
    from: u64,
    limit: Option<u32>,
}

/// Sealed records by number, for whoever wants to verify them.
pub(super) async fn records(
    State(state): State<Shared>,
    Query(Page { from, limit }): Query<Page>,
) -> Result<Json<RecordsDocument>, Problem> {
    let limit = limit.unwrap_or(100);
    if limit == 0 || limit > MAX_RECORDS {
        return Err(Problem::bad_request(format!("limit is 1 to {MAX_RECORDS}")));
    }
    state.records(from, limit).await.map(Json).map_err(|error| problem(&error))
}

/// The monitor's series alone, as OpenMetrics. In a node they are on the node's page too.
pub(super) async fn metrics(State(state): State<Shared>) -> Response {
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], metrics::page(&state)).into_response()
}
