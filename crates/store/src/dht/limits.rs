//! What may be written, and how far: everything that is known to be wrong is refused, or cut, before the database is asked.

use std::borrow::Cow;

use crate::dht::rows::{Cursor, MAX_PORT, MeasuredFilter, MeasurementRow, NewNode, RoundRows};
use crate::error::{StoreError, bounded};

/// Most fleets that one call names.
pub const MAX_FLEETS: usize = 256;

/// Most servers that one call returns.
pub const MAX_NODES: u32 = 10_000;

/// Most rows of one round: provides, retrievals and servers that are offline.
pub const MAX_ROUND_ROWS: usize = 100_000;

/// Most measurements that one call returns.
pub const MAX_MEASURED: u32 = 100_000;

/// Longest text of a row of ours: names, addresses, regions.
pub(super) const MAX_TEXT_BYTES: usize = 1024;

/// Longest command line of a server, and longest document about what it is made of.
const MAX_CMD_BYTES: usize = 16 * 1024;
const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// Texts that servers send are cut at these lengths.
const MAX_ERROR_BYTES: usize = 4096;
const MAX_CID_BYTES: usize = 256;
const MAX_STEP_BYTES: usize = 256;

/// The end of the year 9999, in milliseconds since the Unix epoch: the last moment that either database is given.
const LAST_MOMENT_MS: i64 = 253_402_300_799_999;

/// The moment as the databases take it.
pub(super) fn moment(what: &'static str, at_ms: u64) -> Result<i64, StoreError> {
    let beyond = StoreError::DoesNotFit { what, value: at_ms, limit: LAST_MOMENT_MS };
    i64::try_from(at_ms).ok().filter(|at_ms| *at_ms <= LAST_MOMENT_MS).ok_or(beyond)
}

/// The border of a question: no stored moment lies beyond the last one.
pub(super) fn clamped(at_ms: u64) -> i64 {
    i64::try_from(at_ms).map_or(LAST_MOMENT_MS, |at_ms| at_ms.min(LAST_MOMENT_MS))
}

pub(super) fn fleets(fleets: &[String]) -> Result<&[String], StoreError> {
    at_most("fleets", fleets.len(), MAX_FLEETS)?;
    for fleet in fleets {
        bounded("fleet", fleet, MAX_TEXT_BYTES)?;
    }
    Ok(fleets)
}

/// The document as text. PostgreSQL's JSONB cannot hold NUL, which JSON writes as `\u0000`.
pub(super) fn document(document: &serde_json::Value) -> Result<String, StoreError> {
    let text = document.to_string();
    bounded("dependencies", &text, MAX_DOCUMENT_BYTES)?;
    Ok(text)
}

/// Checks a server's row and returns its dependencies as text.
pub(super) fn node(node: &NewNode) -> Result<String, StoreError> {
    for (what, port) in [("server port", node.server_port), ("peer port", node.peer_port)] {
        if port > MAX_PORT {
            return Err(StoreError::PortTooHigh { what, port });
        }
    }
    for (what, text) in [("peer id", &node.peer_id), ("region", &node.region), ("fleet", &node.fleet)] {
        bounded(what, text, MAX_TEXT_BYTES)?;
    }
    bounded("command line", &node.cmd, MAX_CMD_BYTES)?;
    document(&node.dependencies)
}

/// A round that fits: see [`RoundRows`].
pub(super) struct Round<'r> {
    pub(super) batch: &'r str,
    pub(super) provides: Vec<Row<'r>>,
    pub(super) retrievals: Vec<Row<'r>>,
    pub(super) offline: Vec<(i32, i64)>,
}

/// A measurement that fits: see [`MeasurementRow`].
pub(super) struct Row<'r> {
    pub(super) node: i32,
    pub(super) rt_size: i32,
    pub(super) seconds: f64,
    pub(super) cid: Cow<'r, str>,
    pub(super) error: Option<Cow<'r, str>>,
    pub(super) step: Cow<'r, str>,
    pub(super) created_ms: i64,
}

pub(super) fn round(rows: &RoundRows) -> Result<Round<'_>, StoreError> {
    if rows.batch.is_empty() {
        return Err(StoreError::NamelessRound);
    }
    let count = rows.provides.len() + rows.retrievals.len() + rows.offline.len();
    at_most("rows of a round", count, MAX_ROUND_ROWS)?;
    let offline = |(node, at_ms): &(crate::dht::NodeId, u64)| Ok((node.0, moment("offline_since", *at_ms)?));
    Ok(Round {
        batch: bounded("name of a round", &rows.batch, MAX_TEXT_BYTES)?,
        provides: rows.provides.iter().map(row).collect::<Result<_, StoreError>>()?,
        retrievals: rows.retrievals.iter().map(row).collect::<Result<_, StoreError>>()?,
        offline: rows.offline.iter().map(offline).collect::<Result<_, StoreError>>()?,
    })
}

fn row(row: &MeasurementRow) -> Result<Row<'_>, StoreError> {
    let error = row.error.as_deref().filter(|error| !error.is_empty());
    Ok(Row {
        node: row.node.0,
        rt_size: row.rt_size,
        seconds: row.duration_ns as f64 / 1e9,
        cid: cut(&row.cid, MAX_CID_BYTES),
        error: error.map(|error| cut(error, MAX_ERROR_BYTES)),
        step: cut(&row.step, MAX_STEP_BYTES),
        created_ms: moment("created_at", row.created_ms)?,
    })
}

/// The longest beginning of `text` that has at most `limit` bytes, with another character in the place of NUL.
pub(super) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    // The replacement has three bytes where NUL has one: it comes first, so that the bound holds afterwards.
    if text.contains('\0') {
        let clean = text.get(..text.floor_char_boundary(limit)).unwrap_or_default().replace('\0', "\u{fffd}");
        let end = clean.floor_char_boundary(limit);
        return Cow::Owned(clean.get(..end).unwrap_or_default().to_owned());
    }
    Cow::Borrowed(text.get(..text.floor_char_boundary(limit)).unwrap_or_default())
}

/// What a filter asks for, in the databases' numbers.
pub(super) struct Span<'f> {
    pub(super) fleets: &'f [String],
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
    pub(super) after: Cursor,
}

pub(super) fn span(filter: &MeasuredFilter) -> Result<Span<'_>, StoreError> {
    Ok(Span {
        fleets: fleets(&filter.fleets)?,
        from_ms: clamped(filter.from_ms),
        until_ms: clamped(filter.until_ms),
        after: filter.after.unwrap_or(Cursor::START),
    })
}

pub(super) fn at_most(what: &'static str, found: usize, limit: usize) -> Result<(), StoreError> {
    if found > limit { Err(StoreError::TooMany { what, found: found as u64, limit: limit as u64 }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_characters_and_have_no_nul() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abü", 3), "ab");
        assert_eq!(cut("a\0b", 8), "a\u{fffd}b");
        assert_eq!(cut("\0\0", 5), "\u{fffd}");
    }
}
