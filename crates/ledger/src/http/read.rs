//! Questions about the log and the state.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use peermark_core::sealed::{Bytes, PublicKey};
use peermark_http::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::LogError;
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::state::ChainEnd;
use crate::{Digest, Height};

/// The schema of [`Status`].
pub const STATUS_SCHEMA: &str = "peermark.ledger-status/1";

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Always [`STATUS_SCHEMA`].
    pub schema: String,
    /// The network that entries name.
    pub network: String,
    /// Height of the last block.
    pub height: Height,
    /// Hash of the state after it.
    pub state: Digest,
    /// Records in the log.
    pub records: u64,
    /// Records that the last checkpoint covers.
    pub checkpoint: u64,
    /// Who signs blocks and checkpoints.
    pub sequencer: PublicKey,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// Height of its block.
    pub height: Height,
    /// What became of it.
    pub outcome: Outcome,
}

/// A proof that a record is in the tree, or that a tree is the beginning of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofDocument {
    /// Leaves of the tree.
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
    /// Hashes of the proof, in the order of RFC 6962.
    pub hashes: Vec<Digest>,
}

pub(super) async fn genesis(State(shared): State<Arc<Shared>>) -> Response {
    octets(shared.sequencer.read(|machine| machine.state().genesis().encode()))
}

pub(super) async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    let reader = shared.sequencer.reader();
    let (records, checkpoint) = (reader.size(), reader.checkpoint().size);
    Json(shared.sequencer.read(|machine| Status {
        schema: STATUS_SCHEMA.to_owned(),
        network: machine.network().to_owned(),
        height: machine.state().height(),
        state: machine.state().hash(),
        records,
        checkpoint,
        sequencer: machine.state().genesis().sequencer,
    }))
}

pub(super) async fn chain(
    State(shared): State<Arc<Shared>>,
    Path(signer): Path<String>,
) -> Result<Json<ChainEnd>, Problem> {
    let signer = signer.parse().map_err(|error| Problem::bad_request(format!("signer: {error}")))?;
    Ok(Json(shared.sequencer.chain_end(signer)))
}

pub(super) async fn outcome(
    State(shared): State<Arc<Shared>>,
    Path(hash): Path<String>,
) -> Result<Json<Executed>, Problem> {
    let hash = hash.parse().map_err(|error| Problem::bad_request(format!("hash: {error}")))?;
    let unknown = || Problem::not_found("no entry of the last blocks has this hash");
    let (height, outcome) = shared.sequencer.outcome(&hash).ok_or_else(unknown)?;
    Ok(Json(Executed { height, outcome }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    path: String,
}

pub(super) async fn query(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Problem> {
    let found = shared.sequencer.read(|machine| machine.query(&asked.path));
    found.map(Json).map_err(|error| Problem::not_found(error.to_string()))
}

pub(super) async fn checkpoint(State(shared): State<Arc<Shared>>) -> String {
    shared.sequencer.reader().checkpoint_note()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inclusion {
    index: u64,
    size: u64,
}

pub(super) async fn inclusion(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Inclusion>,
) -> Result<Json<ProofDocument>, Problem> {
    let reader = shared.sequencer.reader();
    let proof = reader.inclusion(asked.index, asked.size).map_err(problem)?;
    let root = reader.root(asked.size).map_err(problem)?;
    Ok(Json(document(asked.size, root, proof.path)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consistency {
    from: u64,
    to: u64,
}

pub(super) async fn consistency(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<Consistency>,
) -> Result<Json<ProofDocument>, Problem> {
    let reader = shared.sequencer.reader();
    let proof = reader.consistency(asked.from, asked.to).map_err(problem)?;
    let root = reader.root(asked.to).map_err(problem)?;
    Ok(Json(document(asked.to, root, proof.path)))
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = shared.metrics.text(shared.sequencer.reader().size());
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn document(size: u64, root: [u8; 32], hashes: Vec<[u8; 32]>) -> ProofDocument {
    ProofDocument { size, root: Bytes(root), hashes: hashes.into_iter().map(Bytes).collect() }
}

pub(super) fn octets(bytes: Vec<u8>) -> Response {
    let kind = HeaderValue::from_static("application/octet-stream");
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}

/// A log that cannot answer, as the caller sees it.
pub(super) fn problem(error: LogError) -> Problem {
    match error {
        LogError::NoRecord { .. } | LogError::NoProof { .. } => Problem::not_found(error.to_string()),
        _ => Problem::logged(&error),
    }
}
