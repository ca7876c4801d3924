//! An operation as JSON, `peermark.dht.trace/1`: what servers hand out on request and probes print.

use peermark_core::MonotonicNs;
use serde_json::{Value, json};

use super::{Hop, Operation};

/// The operation with its hops. Times are nanoseconds from the operation's start.
pub fn trace(operation: &Operation) -> Value {
    let since_start = |moment: MonotonicNs| moment.saturating_sub(operation.started_ns);
    json!({
        "schema": "peermark.dht.trace/1",
        "kind": operation.kind.as_str(),
        "variant": operation.variant.as_str(),
        "hit": operation.hit.as_str(),
        "outcome": operation.outcome,
        "returned_ns": operation.duration_ns(),
        "stored_ns": operation.stored_ns.map(since_start),
        "stored": operation.stored,
        "providers": operation.providers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "table_len": operation.table_len,
        "hops": operation.hops.iter().map(|hop| hop_json(hop, since_start)).collect::<Vec<_>>(),
    })
}

fn hop_json(hop: &Hop, since_start: impl Fn(MonotonicNs) -> u64) -> Value {
    json!({
        "peer": hop.peer.to_string(),
        "rpc": hop.rpc.as_str(),
        "common_bits": hop.common_bits,
        "parent": hop.parent,
        "queued_ns": since_start(hop.queued_ns),
        "dial_ns": hop.dial_ns,
        "handshake_ns": hop.handshake_ns,
        "sent_ns": since_start(hop.sent_ns),
        "ended_ns": since_start(hop.ended_ns),
        "learnt": hop.learnt,
        "providers": hop.providers,
        "outcome": hop.outcome,
        "wasted": hop.wasted,
        "critical": hop.critical,
        "rtt_ns": hop.rtt_ns,
    })
}
