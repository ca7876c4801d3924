//! One measured operation, from the permit to the record.
//!
//! An operation runs in a task of its own. A caller that hangs up loses the answer and nothing else: the operation goes on to its
//! end, holds its permit until then, and is counted and stored like any other. When the server stops, operations that still run are
//! ended and stored as failed with Go's words for it, `context canceled`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use peermark_core::{Culprit, FailureClass, MonotonicNs, Outcome};
use tokio::sync::OwnedSemaphorePermit;

use super::state::ServerState;
use crate::key::RecordKey;
use crate::operation::{Hit, Operation, OperationKind};

/// How long past its deadline an operation is waited for. Who measures ends by the deadline; this is for one that does not.
const GRACE: Duration = Duration::from_secs(5);

/// What parsec's servers say of an operation that ran out of time.
pub(super) const DEADLINE_EXCEEDED: &str = "context deadline exceeded";

/// What they say of one that was stopped.
pub(super) const CANCELED: &str = "context canceled";

/// The operation has ended in a bug: there is nothing to be told of it.
#[derive(Debug, thiserror::Error)]
#[error("the operation panicked")]
pub(super) struct Panicked;

/// Runs an operation to its end and records it.
///
/// # Errors
/// [`Panicked`].
pub(super) async fn run(
    state: &ServerState,
    kind: OperationKind,
    key: RecordKey,
    scheduler: Arc<str>,
    permit: OwnedSemaphorePermit,
) -> Result<Arc<Operation>, Panicked> {
    let task = state.clone();
    let operation = state.operations.spawn(async move {
        let operation = AssertUnwindSafe(measured(&task, kind, key)).catch_unwind().await.map_err(|_| Panicked)?;
        let operation = Arc::new(operation);
        let now_ns = task.clock.now_ns();
        task.metrics.operation(&operation, scheduler, now_ns);
        if let Some(recorder) = &task.recorder {
            recorder.record(operation.clone(), &*task.clock);
        }
        drop(permit);
        Ok(operation)
    });
    operation.await.unwrap_or(Err(Panicked))
}

async fn measured(state: &ServerState, kind: OperationKind, key: RecordKey) -> Operation {
    let started_ns = state.clock.now_ns();
    let limit = match kind {
        OperationKind::Provide => state.limits.provide,
        OperationKind::Retrieve => state.limits.retrieve,
    };
    let deadline_ns = started_ns.saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX));
    let measuring = match kind {
        OperationKind::Provide => state.measure.provide(key.clone(), deadline_ns),
        OperationKind::Retrieve => state.measure.retrieve(key.clone(), deadline_ns),
    };
    let words = tokio::select! {
        operation = measuring => return explained(operation),
        () = state.give_up.cancelled() => CANCELED,
        () = tokio::time::sleep(limit + GRACE) => {
            tracing::error!(kind = kind.as_str(), "an operation did not end by its deadline");
            DEADLINE_EXCEEDED
        }
    };
    ended_from_outside(state, kind, key, started_ns, words)
}

/// Callers tell success by the text alone, so that a failure must have one.
fn explained(mut operation: Operation) -> Operation {
    if let (true, Some(class)) = (operation.error.is_empty(), operation.outcome.class()) {
        operation.error = class.as_str().replace('_', " ");
    }
    operation
}

fn ended_from_outside(
    state: &ServerState,
    kind: OperationKind,
    key: RecordKey,
    started_ns: MonotonicNs,
    words: &str,
) -> Operation {
    Operation {
        kind,
        variant: state.variant,
        key,
        started_ns,
        returned_ns: state.clock.now_ns(),
        stored_ns: None,
        stored: 0,
        providers: Vec::new(),
        hit: Hit::Failed,
        outcome: Outcome::failed(FailureClass::Timeout, Culprit::Observer),
        error: words.to_owned(),
        table_len: u32::try_from(state.measure.table_len()).unwrap_or(u32::MAX),
        hops: Vec::new(),
    }
}
