//! Traces put together from rows of integers. Both databases answer with the same columns.

use std::collections::HashMap;

use sqlx::{ColumnIndex, Decode, Row, Type};

use crate::dht::codes::{FAILURES, HITS, KINDS, RPCS, VARIANTS, Words};
use crate::dht::packed::{CRITICAL, WASTED};
use crate::dht::rows::Cursor;
use crate::dht::trace::{MAX_BATCH_HOPS, Trace, TraceHop};
use crate::error::{RowError, RowKey, StoreError};

/// A row of `dht_operation` as it was read: names in place of ids, every number as wide as it comes.
pub(super) struct StoredOperation {
    pub(super) id: i64,
    observer: String,
    fleet: String,
    region: String,
    started_wall_ms: i64,
    duration_ns: i64,
    stored_ns: Option<i64>,
    rt_size: i64,
    obs_series: Option<i64>,
    obs_seq: Option<i64>,
    stored: i64,
    hops: i64,
    kind: i64,
    variant: i64,
    hit: i64,
    key: Vec<u8>,
    error: Option<String>,
}

/// A row of `dht_hop` as it was read.
pub(super) struct StoredHop {
    operation: i64,
    peer: String,
    times_ns: [i64; 5],
    rtt_ns: Option<i64>,
    counts: [i64; 3],
    parent: Option<i64>,
    rpc: i64,
    failure: Option<i64>,
    flags: i64,
}

/// Names the row that a value comes from.
struct Reader {
    key: RowKey,
}

impl Reader {
    fn number<T: TryFrom<i64>>(&self, column: &'static str, found: i64) -> Result<T, RowError> {
        T::try_from(found).map_err(|_| RowError::OutOfRange { row: self.key.clone(), column, found })
    }

    fn word(&self, column: &'static str, words: &Words, found: i64) -> Result<String, RowError> {
        let word = words.word(found).map(str::to_owned);
        word.ok_or_else(|| RowError::OutOfRange { row: self.key.clone(), column, found })
    }
}

/// Puts an operation and its hops, in their order, together again.
fn unpack(stored: StoredOperation, hops: Vec<TraceHop>) -> Result<Trace, StoreError> {
    let row = Reader { key: RowKey::Dht { table: "dht_operation", id: stored.id } };
    if i64::try_from(hops.len()).ok() != Some(stored.hops) {
        return Err(RowError::OutOfRange { row: row.key, column: "hops", found: stored.hops }.into());
    }
    let observation = match (stored.obs_series, stored.obs_seq) {
        (Some(series), Some(seq)) => Some((series, row.number("obs_seq", seq)?)),
        _ => None,
    };
    Ok(Trace {
        observer: stored.observer,
        started_wall_ms: row.number("started_wall_ms", stored.started_wall_ms)?,
        kind: row.word("kind", &KINDS, stored.kind)?,
        variant: row.word("variant", &VARIANTS, stored.variant)?,
        fleet: stored.fleet,
        region: stored.region,
        key: stored.key,
        duration_ns: row.number("duration_ns", stored.duration_ns)?,
        stored_ns: stored.stored_ns.map(|at_ns| row.number("stored_ns", at_ns)).transpose()?,
        stored: row.number("stored", stored.stored)?,
        hit: row.word("hit", &HITS, stored.hit)?,
        error: stored.error.unwrap_or_default(),
        rt_size: row.number("rt_size", stored.rt_size)?,
        observation,
        hops,
    })
}

fn unpack_hop(stored: StoredHop) -> Result<TraceHop, StoreError> {
    let row = Reader { key: RowKey::Dht { table: "dht_hop", id: stored.operation } };
    let [queued_ns, dial_ns, handshake_ns, sent_ns, ended_ns] = stored.times_ns;
    let [common_bits, learnt, providers] = stored.counts;
    let flags: i16 = row.number("flags", stored.flags)?;
    Ok(TraceHop {
        peer: stored.peer,
        rpc: row.word("rpc", &RPCS, stored.rpc)?,
        common_bits: row.number("common_bits", common_bits)?,
        parent: stored.parent.map(|parent| row.number("parent", parent)).transpose()?,
        queued_ns: row.number("queued_ns", queued_ns)?,
        dial_ns: row.number("dial_ns", dial_ns)?,
        handshake_ns: row.number("handshake_ns", handshake_ns)?,
        sent_ns: row.number("sent_ns", sent_ns)?,
        ended_ns: row.number("ended_ns", ended_ns)?,
        learnt: row.number("learnt", learnt)?,
        providers: row.number("providers", providers)?,
        failure: stored.failure.map(|failure| row.word("failure", &FAILURES, failure)).transpose()?,
        wasted: flags & WASTED != 0,
        critical: flags & CRITICAL != 0,
        rtt_ns: stored.rtt_ns.map(|rtt_ns| row.number("rtt_ns", rtt_ns)).transpose()?,
    })
}

/// The beginning of the operations that has no more hops than one call reads, and at least one operation.
pub(super) fn page(operations: Vec<StoredOperation>) -> Vec<StoredOperation> {
    let mut left = MAX_BATCH_HOPS as i64;
    let mut first = true;
    let fits = |operation: &StoredOperation| {
        left = left.saturating_sub(operation.hops.max(0));
        std::mem::take(&mut first) || left >= 0
    };
    operations.into_iter().take_while(fits).collect()
}

/// Gives every operation its hops, which come in their order.
pub(super) fn join(operations: Vec<StoredOperation>, hops: Vec<StoredHop>) -> Result<Vec<(Cursor, Trace)>, StoreError> {
    let mut by_operation: HashMap<i64, Vec<TraceHop>> = HashMap::with_capacity(operations.len());
    for hop in hops {
        by_operation.entry(hop.operation).or_default().push(unpack_hop(hop)?);
    }
    let trace = |operation: StoredOperation| {
        let at_us = operation.started_wall_ms.saturating_mul(1000);
        let cursor = Cursor { at_us, table: Cursor::PROVIDES, id: operation.id };
        let hops = by_operation.remove(&operation.id).unwrap_or_default();
        Ok((cursor, unpack(operation, hops)?))
    };
    operations.into_iter().map(trace).collect()
}

/// Reads a row of `dht_operation` joined with its names.
pub(super) fn operation_of_row<'r, R>(row: &'r R) -> Result<StoredOperation, sqlx::Error>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(StoredOperation {
        id: row.try_get("id")?,
        observer: row.try_get("observer")?,
        fleet: row.try_get("fleet")?,
        region: row.try_get("region")?,
        started_wall_ms: row.try_get("started_wall_ms")?,
        duration_ns: row.try_get("duration_ns")?,
        stored_ns: row.try_get("stored_ns")?,
        rt_size: row.try_get("rt_size")?,
        obs_series: row.try_get("obs_series")?,
        obs_seq: row.try_get("obs_seq")?,
        stored: row.try_get("stored")?,
        hops: row.try_get("hops")?,
        kind: row.try_get("kind")?,
        variant: row.try_get("variant")?,
        hit: row.try_get("hit")?,
        key: row.try_get("key")?,
        error: row.try_get("error")?,
    })
}

/// Reads a row of `dht_hop` joined with the name of its peer.
pub(super) fn hop_of_row<'r, R>(row: &'r R) -> Result<StoredHop, sqlx::Error>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(StoredHop {
        operation: row.try_get("operation")?,
        peer: row.try_get("peer")?,
        times_ns: [
            row.try_get("queued_ns")?,
            row.try_get("dial_ns")?,
            row.try_get("handshake_ns")?,
            row.try_get("sent_ns")?,
            row.try_get("ended_ns")?,
        ],
        rtt_ns: row.try_get("rtt_ns")?,
        counts: [row.try_get("common_bits")?, row.try_get("learnt")?, row.try_get("providers")?],
        parent: row.try_get("parent")?,
        rpc: row.try_get("rpc")?,
        failure: row.try_get("failure")?,
        flags: row.try_get("flags")?,
    })
}
