//! Taking entries.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes as Body;
use http::{HeaderValue, StatusCode, header};
use peermark_core::sealed::SealedError;
use peermark_http::Problem;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::Digest;
use crate::log::{AppendError, Receipt};
use crate::outcome::Refusal;
use crate::sequencer::SubmitError;
use crate::shared::Shared;

/// Longest wait for a turn, and then for the disk.
const WAIT: Duration = Duration::from_secs(15);

/// The acknowledgement of an entry: it is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Its index in the log.
    pub index: u64,
    /// Its leaf hash in the tree.
    pub leaf: Digest,
}

/// Takes one sealed entry and answers when it is on the disk.
pub(super) async fn submit(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    match take(&shared, body).await {
        Ok(receipt) => {
            shared.metrics.taken.inc();
            let leaf = peermark_core::sealed::Bytes(receipt.leaf);
            Json(Acknowledgement { index: receipt.index, leaf }).into_response()
        }
        Err(problem) => {
            shared.metrics.refused.inc();
            let mut response = problem.into_response();
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

async fn take(shared: &Arc<Shared>, body: Body) -> Result<Receipt, Problem> {
    let busy = || Problem::server(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many entries at a time");
    let turn = timeout(WAIT, shared.checking.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())?;
    let (sender, answer) = oneshot::channel();
    let checking = Arc::clone(shared);
    let submitted = tokio::task::spawn_blocking(move || {
        checking.sequencer.submit(&body, Box::new(move |receipt| drop(sender.send(receipt))))
    });
    submitted.await.map_err(|_| busy())?.map_err(|error| problem(&error))?;
    drop(turn);
    let stopped = || problem(&SubmitError::Append(AppendError::Stopped));
    let late = |_| problem(&SubmitError::Append(AppendError::Timeout));
    timeout(WAIT, answer).await.map_err(late)?.map_err(|_| stopped())?.map_err(|error| problem(&error))
}

/// An entry that was not taken, as its sender sees it.
fn problem(error: &SubmitError) -> Problem {
    let text = error.to_string();
    match error {
        SubmitError::Sealed(SealedError::TooLarge { .. }) => {
            Problem::request(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
        }
        SubmitError::Sealed(_) => Problem::request(StatusCode::BAD_REQUEST, "malformed", text),
        SubmitError::Refused(refusal) => refused(refusal, text),
        SubmitError::Append(AppendError::NoSpace) => {
            Problem::server(StatusCode::INSUFFICIENT_STORAGE, "no_space", text)
        }
        SubmitError::Append(AppendError::Timeout) => Problem::server(StatusCode::GATEWAY_TIMEOUT, "timeout", text),
        SubmitError::Append(_) | SubmitError::Full => Problem::server(StatusCode::SERVICE_UNAVAILABLE, "busy", text),
    }
}

fn refused(refusal: &Refusal, text: String) -> Problem {
    let (status, code) = match refusal {
        Refusal::Malformed { .. } => (StatusCode::BAD_REQUEST, "malformed"),
        Refusal::Signature => (StatusCode::FORBIDDEN, "signature"),
        Refusal::Suspended { .. } => (StatusCode::FORBIDDEN, "suspended"),
        Refusal::Sequence { .. } | Refusal::Previous => (StatusCode::CONFLICT, "sequence"),
        Refusal::WrongNetwork { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "wrong_network"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
    };
    Problem::request(status, code, text)
}
