//! An [`Operation`] in the words of the store.

use peermark_core::{MonotonicNs, Sample};
use peermark_store::dht::{MAX_HOPS, Trace, TraceHop};

use super::RunFacts;
use crate::operation::{Hop, Operation};

/// The observation that an operation is. Nothing schedules the operations of a server, so it is intended when it starts; its value
/// is the duration in nanoseconds that parsec stores.
pub fn sample_of(operation: &Operation, seq: u64, epoch_ns: MonotonicNs) -> Sample {
    let since_epoch = |moment: MonotonicNs| moment.saturating_sub(epoch_ns);
    let point = operation.key.point();
    let (first, _) = point.as_bytes().split_first_chunk::<8>().expect("a point has 32 bytes");
    Sample {
        seq,
        intended_ns: since_epoch(operation.started_ns),
        started_ns: since_epoch(operation.started_ns),
        ended_ns: since_epoch(operation.returned_ns),
        bytes: 0,
        value: i64::try_from(operation.duration_ns()).unwrap_or(i64::MAX),
        outcome: operation.outcome,
        trace: u64::from_be_bytes(*first),
    }
}

/// An operation with its hops as a table keeps it: the first [`MAX_HOPS`], which only a crawl exceeds. Moments before the
/// operation's start count as its start.
pub fn trace_of(
    operation: &Operation,
    facts: &RunFacts,
    started_wall_ms: u64,
    observation: Option<(i64, u64)>,
) -> Trace {
    let since_start = |moment: MonotonicNs| moment.saturating_sub(operation.started_ns);
    Trace {
        observer: facts.observer.clone(),
        started_wall_ms,
        kind: operation.kind.as_str().to_owned(),
        variant: operation.variant.as_str().to_owned(),
        fleet: facts.fleet.clone(),
        region: facts.region.clone(),
        key: operation.key.as_bytes().to_vec(),
        duration_ns: operation.duration_ns(),
        stored_ns: operation.stored_ns.map(since_start),
        stored: operation.stored,
        hit: operation.hit.as_str().to_owned(),
        error: operation.error.clone(),
        rt_size: operation.table_len,
        observation,
        hops: operation.hops.iter().take(MAX_HOPS).map(|hop| hop_of(hop, since_start)).collect(),
    }
}

fn hop_of(hop: &Hop, since_start: impl Fn(MonotonicNs) -> u64) -> TraceHop {
    TraceHop {
        peer: hop.peer.to_base58(),
        rpc: hop.rpc.as_str().to_owned(),
        common_bits: hop.common_bits,
        parent: hop.parent,
        queued_ns: since_start(hop.queued_ns),
        dial_ns: hop.dial_ns,
        handshake_ns: hop.handshake_ns,
        sent_ns: since_start(hop.sent_ns),
        ended_ns: since_start(hop.ended_ns),
        learnt: hop.learnt,
        providers: hop.providers,
        failure: hop.outcome.class().map(|class| class.as_str().to_owned()),
        wasted: hop.wasted,
        critical: hop.critical,
        rtt_ns: hop.rtt_ns,
    }
}
