//! Histograms that take the place of observations: one per series, slice of time and outcome, added to as more becomes old.

use peermark_core::sealed::{Digest32, Value};
use peermark_core::{FailureClass, Histogram};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::error::{StoreError, signed};
use crate::hists::hist_of_row;
use crate::names;
use crate::samples::saturated;
use crate::series::SeriesId;
use crate::store::Store;

/// What is added to the histogram of one series, slice and outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollup {
    /// The series.
    pub series: SeriesId,
    /// Beginning of the slice, since the run's epoch.
    pub t0_ns: u64,
    /// End of the slice, exclusive.
    pub t1_ns: u64,
    /// `None` for complete operations, otherwise the class of the failures.
    pub class: Option<FailureClass>,
    /// The values.
    pub histogram: Histogram,
}

impl Store {
    /// How many histograms a run has, and the SHA-256 over them: of each, the deterministic CBOR of
    /// `[kind, unit, environment, t0_ns, t1_ns, outcome, count, blob]`, in the order of kind, unit, environment, series, t0 and outcome.
    /// `blob` is the histogram's canonical encoding.
    ///
    /// # Errors
    /// That a row cannot be read, or a failing database.
    pub async fn rollup_digest(&self, run: &str) -> Result<(u64, Digest32), StoreError> {
        let mut moment = self.begin_read("read rollups").await?;
        digest(&mut moment, run).await
    }
}

/// Adds to what is there, or begins it.
pub(crate) async fn merge(connection: &mut SqliteConnection, rollup: &Rollup) -> Result<(), StoreError> {
    const ACTION: &str = "store a rollup";
    let Rollup { series, t0_ns, t1_ns, class, histogram } = rollup;
    if t1_ns < t0_ns {
        return Err(StoreError::BackwardSlice { t0_ns: *t0_ns, t1_ns: *t1_ns });
    }
    let found = sqlx::query(
        "SELECT series, t0_ns, t1_ns, outcome, count, blob FROM hist WHERE series = $1 AND t0_ns = $2 AND outcome = $3",
    )
    .bind(series.0)
    .bind(signed("t0_ns", *t0_ns)?)
    .bind(names::class_name(*class))
    .fetch_optional(&mut *connection)
    .await
    .map_err(StoreError::while_doing(ACTION))?;
    let mut sum = histogram.clone();
    if let Some(row) = &found {
        sum.merge(&hist_of_row(row)?.histogram);
    }
    let stored = sqlx::query(
        "INSERT INTO hist (series, t0_ns, t1_ns, outcome, count, blob) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (series, t0_ns, outcome) DO UPDATE SET count = excluded.count, blob = excluded.blob",
    )
    .bind(series.0)
    .bind(signed("t0_ns", *t0_ns)?)
    .bind(signed("t1_ns", *t1_ns)?)
    .bind(names::class_name(*class))
    .bind(signed("count", sum.len())?)
    .bind(sum.encode())
    .execute(connection)
    .await;
    stored.map(drop).map_err(|source| match source.as_database_error() {
        Some(error) if error.is_foreign_key_violation() => StoreError::NoSuchSeries { series: *series },
        _ => StoreError::Database { action: ACTION, source },
    })
}

/// Deletes the histograms of a run whose slices ended by `before_ns`.
pub(crate) async fn retire(connection: &mut SqliteConnection, run: &str, before_ns: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM hist WHERE t1_ns <= $2 AND series IN (SELECT id FROM series WHERE run = $1)")
        .bind(run)
        .bind(saturated(before_ns))
        .execute(connection)
        .await
        .map(drop)
        .map_err(StoreError::while_doing("delete old rollups"))
}

pub(crate) async fn digest(connection: &mut SqliteConnection, run: &str) -> Result<(u64, Digest32), StoreError> {
    use futures::TryStreamExt;
    const ACTION: &str = "read rollups";
    let failed = StoreError::while_doing(ACTION);
    let mut rows = sqlx::query(
        "SELECT s.kind, s.unit, s.env, h.series, h.t0_ns, h.t1_ns, h.outcome, h.count, h.blob \
         FROM series s JOIN hist h ON h.series = s.id WHERE s.run = $1 \
         ORDER BY s.kind, s.unit, s.env, s.id, h.t0_ns, h.outcome",
    )
    .bind(run)
    .fetch(connection);
    let (mut count, mut hash) = (0, Sha256::new());
    while let Some(row) = rows.try_next().await.map_err(&failed)? {
        let text = |column: &str| row.try_get::<String, _>(column).map(Value::Text).map_err(&failed);
        let number = |column: &str| row.try_get::<i64, _>(column).map(Value::from).map_err(&failed);
        let parts = vec![
            text("kind")?,
            text("unit")?,
            text("env")?,
            number("t0_ns")?,
            number("t1_ns")?,
            text("outcome")?,
            number("count")?,
            Value::Bytes(row.try_get("blob").map_err(&failed)?),
        ];
        // Two levels are below any limit.
        hash.update(Value::Array(parts).encode().unwrap_or_default());
        count += 1;
    }
    Ok((count, hash.finalize().into()))
}
