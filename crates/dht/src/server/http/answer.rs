//! The answer to `/provide` and `/retrieve`: parsec's document, and the operation with its hops for who asks.

use cid::Cid;
use serde::Serialize;
use serde_json::Value;

use crate::operation::{Operation, OperationKind, trace};

/// In the order in which Go writes it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(rename = "CID")]
    cid: String,
    measurements: [Measurement<'a>; 1],
    /// As large as the column that it goes into.
    routing_table_size: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Measurement<'a> {
    step: &'static str,
    /// Nanoseconds, an integer: Go refuses anything else.
    duration: i64,
    error: &'a str,
}

/// The document.
pub(super) fn json(operation: &Operation, cid: &Cid, with_trace: bool) -> Vec<u8> {
    let step = match operation.kind {
        OperationKind::Provide => "provide",
        OperationKind::Retrieve => "",
    };
    let duration = i64::try_from(operation.duration_ns()).unwrap_or(i64::MAX);
    let answer = Answer {
        cid: cid.to_string(),
        measurements: [Measurement { step, duration, error: &operation.error }],
        routing_table_size: i32::try_from(operation.table_len).unwrap_or(i32::MAX),
        trace: with_trace.then(|| trace(operation)),
    };
    serde_json::to_vec(&answer).expect("texts and numbers have a JSON form")
}
