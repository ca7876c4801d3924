//! Rows of `provides_ecs` and `retrievals_ecs` as they are read.

use crate::dht::rows::{Cursor, Measured, MeasurementRow, NodeId, SchedulerId};
use crate::error::{RowError, RowKey, StoreError};

/// More seconds than 64 bits of nanoseconds hold (1.84e10).
const TOO_MANY_SECONDS: f64 = 1.9e10;

/// A row of either table with what its node's row says.
pub(super) struct StoredMeasurement {
    pub(super) origin: i32,
    pub(super) id: i64,
    pub(super) scheduler: i32,
    pub(super) node: i32,
    pub(super) rt_size: i32,
    pub(super) seconds: f64,
    pub(super) cid: String,
    pub(super) error: Option<String>,
    pub(super) step: String,
    pub(super) at_us: i64,
    pub(super) region: String,
    pub(super) fleet: String,
}

pub(super) fn measured_of(stored: StoredMeasurement) -> Result<Measured, StoreError> {
    let provide = stored.origin == Cursor::PROVIDES;
    let row = RowKey::Dht { table: if provide { "provides_ecs" } else { "retrievals_ecs" }, id: stored.id };
    if !(0.0..TOO_MANY_SECONDS).contains(&stored.seconds) {
        return Err(RowError::NotADuration { row, found: stored.seconds }.into());
    }
    Ok(Measured {
        provide,
        scheduler: SchedulerId(stored.scheduler),
        row: MeasurementRow {
            node: NodeId(stored.node),
            rt_size: stored.rt_size,
            // Exact for what was nanoseconds below 26 days; the range was checked.
            duration_ns: (stored.seconds * 1e9).round() as u64,
            cid: stored.cid,
            error: stored.error.filter(|error| !error.is_empty()),
            step: stored.step,
            created_ms: row.unsigned("created_at", stored.at_us)? / 1000,
        },
        region: stored.region,
        fleet: stored.fleet,
        cursor: Cursor { at_us: stored.at_us, table: stored.origin, id: stored.id },
    })
}
