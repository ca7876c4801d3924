//! Reading, listing and removing datasets.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cid::Cid;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use peermark_http::Problem;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::range::{Wanted, parse};
use super::{dataset_problem, store_problem};
use crate::content::{Digest, MANIFEST_CODEC, Manifest, TREE_CODEC, cid_text, parse_cid};
use crate::dataset::{Dataset, Source};
use crate::state::NodeState;

/// Datasets in one list unless the caller says otherwise.
const LIST_LIMIT: u32 = 10_000;

/// The datasets whose manifests are stored on a node.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct DataList {
    content: Vec<DataItem>,
}

/// A dataset.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataItem {
    /// CID of the manifest.
    cid: String,
    manifest: ManifestItem,
}

/// What a dataset consists of.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestItem {
    tree_cid: String,
    dataset_size: u64,
    block_size: u32,
    /// Always false: erasure-coded datasets are not supported.
    protected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mimetype: Option<String>,
}

/// Which part of the list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// Datasets to leave out at the beginning.
    #[serde(default)]
    skip: u64,
    /// Most datasets to list.
    limit: Option<u32>,
}

impl DataItem {
    pub(super) fn new(digest: Digest, manifest: &Manifest) -> Self {
        Self {
            cid: cid_text(&digest.cid(MANIFEST_CODEC)),
            manifest: ManifestItem {
                tree_cid: cid_text(&manifest.tree.cid(TREE_CODEC)),
                dataset_size: manifest.dataset_size,
                block_size: manifest.block_size,
                protected: false,
                filename: manifest.filename.clone(),
                mimetype: manifest.mimetype.clone(),
            },
        }
    }
}

pub(super) fn read_cid(text: &str) -> Result<(Cid, Digest), Problem> {
    parse_cid(text).map_err(|error| Problem::bad_request(error.to_string()))
}

/// Lists the datasets on this node.
#[utoipa::path(get, path = "/api/archivist/v1/data", params(ListQuery),
    responses((status = 200, body = DataList), (status = 400), (status = 500)))]
pub(super) async fn list(
    State(state): State<NodeState>,
    Query(query): Query<ListQuery>,
) -> Result<Json<DataList>, Problem> {
    let limit = query.limit.unwrap_or(LIST_LIMIT).min(LIST_LIMIT);
    let stored = state.exchange.blocks().manifests(query.skip, limit).await.map_err(|error| store_problem(&error))?;
    let content = stored.iter().map(|stored| DataItem::new(stored.digest, &stored.manifest)).collect();
    Ok(Json(DataList { content }))
}

/// Streams a dataset that is stored on this node. Honours a Range of one part.
#[utoipa::path(get, path = "/api/archivist/v1/data/{cid}", params(("cid" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 400), (status = 404),
        (status = 416), (status = 500), (status = 502)))]
pub(super) async fn local(
    State(state): State<NodeState>,
    Path(cid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(&state, &cid, Source::Local, &headers).await
}

/// Streams a dataset from this node or the network. Honours a Range of one part.
#[utoipa::path(get, path = "/api/archivist/v1/data/{cid}/network/stream", params(("cid" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream"), (status = 206), (status = 400), (status = 404),
        (status = 416), (status = 500), (status = 502), (status = 504)))]
pub(super) async fn stream(
    State(state): State<NodeState>,
    Path(cid): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    respond(&state, &cid, Source::Network, &headers).await
}

/// Fetches the manifest of a dataset from this node or the network.
#[utoipa::path(get, path = "/api/archivist/v1/data/{cid}/network/manifest", params(("cid" = String, Path)),
    responses((status = 200, body = DataItem), (status = 400), (status = 404), (status = 500), (status = 502), (status = 504)))]
pub(super) async fn manifest(
    State(state): State<NodeState>,
    Path(cid): Path<String>,
) -> Result<Json<DataItem>, Problem> {
    let (cid, digest) = read_cid(&cid)?;
    let dataset = open(&state, &cid, Source::Network).await?;
    Ok(Json(DataItem::new(digest, dataset.manifest())))
}

/// Starts to fetch a dataset from the network and returns at once.
#[utoipa::path(post, path = "/api/archivist/v1/data/{cid}/network", params(("cid" = String, Path)),
    responses((status = 200, body = DataItem), (status = 400), (status = 404), (status = 500), (status = 502), (status = 503),
        (status = 504)))]
pub(super) async fn fetch(State(state): State<NodeState>, Path(cid): Path<String>) -> Result<Json<DataItem>, Problem> {
    let (cid, digest) = read_cid(&cid)?;
    let permit = state.background.clone().try_acquire_owned().map_err(|_| {
        Problem::server(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_downloads",
            "too many background downloads are running",
        )
    })?;
    let dataset = open(&state, &cid, Source::Network).await?;
    let item = DataItem::new(digest, dataset.manifest());
    let size = dataset.manifest().dataset_size;
    tokio::spawn(async move {
        let result = dataset.read(0..size).try_for_each(|_| std::future::ready(Ok(()))).await;
        if let Err(error) = result {
            tracing::warn!(%error, %cid, "background download failed");
        }
        drop(permit);
    });
    Ok(Json(item))
}

/// Says whether a dataset or block is stored on this node.
#[utoipa::path(get, path = "/api/archivist/v1/data/{cid}/exists", params(("cid" = String, Path)),
    responses((status = 200), (status = 400), (status = 500)))]
pub(super) async fn exists(State(state): State<NodeState>, Path(text): Path<String>) -> Result<Response, Problem> {
    let (_, digest) = read_cid(&text)?;
    let has = state.exchange.blocks().has(digest).await.map_err(|error| store_problem(&error))?;
    // The specification says `has`, the deployed code answers under the CID, other nodes say `exists`.
    let mut answer = json!({ "cid": text, "has": has, "exists": has });
    answer[&text] = has.into();
    Ok(Json(answer).into_response())
}

/// Removes a dataset, or a single block that no dataset needs. Removing what is not there is no error.
#[utoipa::path(delete, path = "/api/archivist/v1/data/{cid}", params(("cid" = String, Path)),
    responses((status = 204), (status = 400), (status = 500)))]
pub(super) async fn delete(State(state): State<NodeState>, Path(cid): Path<String>) -> Result<StatusCode, Problem> {
    let (cid, digest) = read_cid(&cid)?;
    let tree = open(&state, &cid, Source::Local).await.ok().map(|dataset| dataset.manifest().tree);
    let removed = state.exchange.blocks().delete(digest).await.map_err(|error| store_problem(&error))?;
    for gone in [Some(digest), tree].into_iter().flatten().filter(|_| removed) {
        state.network.withdraw(gone).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn open(state: &NodeState, cid: &Cid, source: Source) -> Result<Dataset, Problem> {
    let timeout = state.config.block_timeout();
    Dataset::open(&state.exchange, cid, source, timeout).await.map_err(|error| dataset_problem(&error))
}

async fn respond(state: &NodeState, cid: &str, source: Source, headers: &HeaderMap) -> Result<Response, Problem> {
    let (cid, _) = read_cid(cid)?;
    let dataset = open(state, &cid, source).await?;
    let size = dataset.manifest().dataset_size;
    let wanted = parse(headers.get(header::RANGE).and_then(|value| value.to_str().ok()), size);
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Unsatisfiable => return Ok(unsatisfiable(size)),
    };
    let mut parts = Box::pin(dataset.read(range.clone()));
    // The first block decides on the status: what cannot be had at all is an error, not an empty body.
    let first = parts.try_next().await.map_err(|error| dataset_problem(&error))?.unwrap_or_default();
    let rest = parts.inspect_err(|error| tracing::warn!(%error, "a download breaks off"));
    let body = futures::stream::once(async { Ok(first) }).chain(rest);
    let mut response = (status, Body::from_stream(body)).into_response();
    describe(response.headers_mut(), dataset.manifest(), status, &range, size);
    Ok(response)
}

fn describe(headers: &mut HeaderMap, manifest: &Manifest, status: StatusCode, range: &std::ops::Range<u64>, size: u64) {
    let text = |value: &str| HeaderValue::from_str(value).ok();
    let mimetype = manifest.mimetype.as_deref().and_then(text);
    headers.insert(header::CONTENT_TYPE, mimetype.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A page among the data gets an origin of its own: with the node's it could drive the node.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Content-Disposition"));
    let disposition = manifest.filename.as_deref().and_then(|name| text(&format!("attachment; filename=\"{name}\"")));
    if let Some(disposition) = disposition {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    if status == StatusCode::PARTIAL_CONTENT
        && let Some(part) = text(&format!("bytes {}-{}/{size}", range.start, range.end - 1))
    {
        headers.insert(header::CONTENT_RANGE, part);
    }
}

fn unsatisfiable(size: u64) -> Response {
    let mut response =
        Problem::request(StatusCode::RANGE_NOT_SATISFIABLE, "range", "the range lies outside the dataset")
            .into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

/// A single block's bytes.
pub(super) fn block_response(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}
