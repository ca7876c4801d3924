//! The log as it grows, for those who keep their own.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use peermark_http::Problem;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::read::{octets, problem};
use crate::shared::Shared;

/// Most records of one answer.
const MAX_RECORDS: usize = 1_000;

/// Bytes after which an answer ends.
const MAX_PAGE_BYTES: usize = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct From {
    from: u64,
    limit: Option<usize>,
}

/// Records from an index on, each after its length (u32, big-endian). Empty at the end of the log.
pub(super) async fn log(State(shared): State<Arc<Shared>>, Query(asked): Query<From>) -> Result<Response, Problem> {
    let read = tokio::task::spawn_blocking(move || {
        let mut page = Vec::new();
        let limit = asked.limit.unwrap_or(MAX_RECORDS).min(MAX_RECORDS);
        for record in shared.sequencer.reader().iter(asked.from).take(limit) {
            let (_, record) = record?;
            page.extend(u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes());
            page.extend(record);
            if page.len() >= MAX_PAGE_BYTES {
                break;
            }
        }
        Ok(page)
    });
    let page = read.await.map_err(|error| Problem::logged(&error))?;
    page.map(octets).map_err(problem)
}

/// Every block from now on, as server-sent events: `id` is its height. A reader that falls behind gets an event `lagged` with the
/// number of blocks it missed; the log has them.
pub(super) async fn events(State(shared): State<Arc<Shared>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = shared.stop.clone();
    let events = futures::stream::unfold(shared.events.subscribe(), |mut receiver| async move {
        let event = match receiver.recv().await {
            Ok(block) => {
                let data = serde_json::to_string(&*block).unwrap_or_default();
                Event::default().event("block").id(block.height.to_string()).data(data)
            }
            Err(RecvError::Lagged(missed)) => Event::default().event("lagged").data(missed.to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok(event), receiver))
    });
    Sse::new(events.take_until(Box::pin(stop.cancelled_owned()))).keep_alive(KeepAlive::default())
}
