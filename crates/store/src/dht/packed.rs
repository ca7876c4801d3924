//! Traces as rows of integers.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::dht::codes::{FAILURES, HITS, KINDS, RPCS, VARIANTS};
use crate::dht::limits::{MAX_TEXT_BYTES, at_most, cut, moment};
use crate::dht::trace::{MAX_BATCH_HOPS, MAX_HOPS, MAX_TRACES, Trace, TraceHop};
use crate::error::{StoreError, bounded, signed};

const MAX_KEY_BYTES: usize = 128;
const MAX_ERROR_BYTES: usize = 1024;

/// Bits of `dht_hop.flags`.
pub(super) const WASTED: i16 = 1;
pub(super) const CRITICAL: i16 = 2;

/// What one call writes.
pub(super) struct Batch<'t> {
    /// SHA-256 of everything that is written, in hexadecimal.
    pub(super) name: String,
    pub(super) operations: Vec<Operation<'t>>,
    pub(super) hops: Vec<Hop<'t>>,
    /// Every peer that is named, in one order for all writers, so that no two wait for each other.
    pub(super) peers: BTreeSet<&'t str>,
    /// Every fleet and region.
    pub(super) texts: BTreeSet<&'t str>,
}

/// A row of `dht_operation`, with names where the row has ids.
#[derive(Debug)]
pub(super) struct Operation<'t> {
    pub(super) observer: &'t str,
    pub(super) fleet: &'t str,
    pub(super) region: &'t str,
    pub(super) started_wall_ms: i64,
    pub(super) duration_ns: i64,
    pub(super) stored_ns: Option<i64>,
    pub(super) rt_size: i64,
    pub(super) observation: Option<(i64, i64)>,
    pub(super) stored: i32,
    pub(super) hops: i32,
    pub(super) kind: i16,
    pub(super) variant: i16,
    pub(super) hit: i16,
    pub(super) key: &'t [u8],
    pub(super) error: Option<String>,
}

/// A row of `dht_hop`, with the place of its operation in the batch.
#[derive(Debug)]
pub(super) struct Hop<'t> {
    pub(super) operation: usize,
    pub(super) seq: i16,
    pub(super) peer: &'t str,
    /// `queued_ns`, `dial_ns`, `handshake_ns`, `sent_ns`, `ended_ns`.
    pub(super) times_ns: [i64; 5],
    pub(super) rtt_ns: Option<i64>,
    /// `common_bits`, `learnt`, `providers`.
    pub(super) counts: [u16; 3],
    pub(super) parent: Option<i16>,
    pub(super) rpc: i16,
    pub(super) failure: Option<i16>,
    pub(super) flags: i16,
}

pub(super) fn pack(traces: &[Trace]) -> Result<Batch<'_>, StoreError> {
    at_most("operations", traces.len(), MAX_TRACES)?;
    at_most("hops", traces.iter().map(|trace| trace.hops.len()).sum(), MAX_BATCH_HOPS)?;
    let (mut operations, mut hops) = (Vec::with_capacity(traces.len()), Vec::new());
    let (mut peers, mut texts) = (BTreeSet::new(), BTreeSet::new());
    for (number, trace) in traces.iter().enumerate() {
        at_most("hops of an operation", trace.hops.len(), MAX_HOPS)?;
        operations.push(operation(trace)?);
        peers.insert(trace.observer.as_str());
        texts.extend([trace.fleet.as_str(), trace.region.as_str()]);
        for (seq, hop) in (0..).zip(&trace.hops) {
            hops.push(pack_hop(number, seq, hop)?);
            peers.insert(hop.peer.as_str());
        }
    }
    for text in peers.iter().chain(&texts) {
        bounded("name of a peer, fleet or region", text, MAX_TEXT_BYTES)?;
    }
    let name = name_of(&operations, &hops);
    Ok(Batch { name, operations, hops, peers, texts })
}

/// Equal rows have equal names. The rows' debug form is unambiguous, and only tries of one process are compared.
fn name_of(operations: &[Operation<'_>], hops: &[Hop<'_>]) -> String {
    use std::fmt::Write as _;

    let mut hash = Sha256::new();
    let mut text = String::new();
    let rows = operations.iter().map(|row| row as &dyn std::fmt::Debug);
    for row in rows.chain(hops.iter().map(|row| row as &dyn std::fmt::Debug)) {
        text.clear();
        // Writing to a text does not fail.
        _ = write!(text, "{row:?}");
        hash.update(text.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn operation(trace: &Trace) -> Result<Operation<'_>, StoreError> {
    at_most("bytes of a key", trace.key.len(), MAX_KEY_BYTES)?;
    let observation = |(series, seq)| Ok::<_, StoreError>((series, signed("observation", seq)?));
    Ok(Operation {
        observer: &trace.observer,
        fleet: &trace.fleet,
        region: &trace.region,
        started_wall_ms: moment("started_wall_ms", trace.started_wall_ms)?,
        duration_ns: signed("duration_ns", trace.duration_ns)?,
        stored_ns: trace.stored_ns.map(|at_ns| signed("stored_ns", at_ns)).transpose()?,
        rt_size: trace.rt_size.into(),
        observation: trace.observation.map(observation).transpose()?,
        stored: trace.stored.into(),
        hops: i32::try_from(trace.hops.len()).unwrap_or(i32::MAX),
        kind: KINDS.code(&trace.kind)?,
        variant: VARIANTS.code(&trace.variant)?,
        hit: HITS.code(&trace.hit)?,
        key: &trace.key,
        error: (!trace.error.is_empty()).then(|| cut(&trace.error, MAX_ERROR_BYTES).into_owned()),
    })
}

fn pack_hop(operation: usize, seq: i16, hop: &TraceHop) -> Result<Hop<'_>, StoreError> {
    let limit = MAX_HOPS as i64 - 1;
    let parent = |parent: u32| match i16::try_from(parent) {
        Ok(place) if i64::from(place) <= limit => Ok(place),
        _ => Err(StoreError::DoesNotFit { what: "parent", value: parent.into(), limit }),
    };
    Ok(Hop {
        operation,
        seq,
        peer: &hop.peer,
        times_ns: [
            signed("queued_ns", hop.queued_ns)?,
            signed("dial_ns", hop.dial_ns)?,
            signed("handshake_ns", hop.handshake_ns)?,
            signed("sent_ns", hop.sent_ns)?,
            signed("ended_ns", hop.ended_ns)?,
        ],
        rtt_ns: hop.rtt_ns.map(|rtt_ns| signed("rtt_ns", rtt_ns)).transpose()?,
        counts: [hop.common_bits, hop.learnt, hop.providers],
        parent: hop.parent.map(parent).transpose()?,
        rpc: RPCS.code(&hop.rpc)?,
        failure: hop.failure.as_deref().map(|failure| FAILURES.code(failure)).transpose()?,
        flags: if hop.wasted { WASTED } else { 0 } | if hop.critical { CRITICAL } else { 0 },
    })
}
