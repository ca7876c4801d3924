//! Histograms: the values of one series, one slice of time and one outcome.

use std::ops::Range;

use peermark_core::{FailureClass, Histogram};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::{RowError, RowKey, StoreError, signed};
use crate::names;
use crate::samples::saturated;
use crate::series::SeriesId;
use crate::store::Store;

/// Most histograms that one query returns.
pub const MAX_HISTS: u32 = 10_000;

/// A histogram as it is in the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Hist {
    /// Beginning of the slice, since the run's epoch.
    pub t0_ns: u64,
    /// End of the slice, exclusive.
    pub t1_ns: u64,
    /// `None` for complete operations, otherwise the class of the failures that were counted.
    pub class: Option<FailureClass>,
    /// The values.
    pub histogram: Histogram,
}

impl Store {
    /// Stores the values of one slice of time `t0_ns..t1_ns` and one outcome: `None` for complete operations, otherwise the
    /// failure class. Each (series, beginning, outcome) is written once.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSeries`], [`StoreError::AlreadyStored`], [`StoreError::BackwardSlice`], a time beyond the database's
    /// range, or a failing database.
    pub async fn put_hist(
        &self,
        series: SeriesId,
        t0_ns: u64,
        t1_ns: u64,
        class: Option<FailureClass>,
        histogram: &Histogram,
    ) -> Result<(), StoreError> {
        const ACTION: &str = "store a histogram";
        if t1_ns < t0_ns {
            return Err(StoreError::BackwardSlice { t0_ns, t1_ns });
        }
        let mut transaction = self.begin_write(ACTION).await?;
        let inserted = sqlx::query(
            "INSERT INTO hist (series, t0_ns, t1_ns, outcome, count, blob) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(series.0)
        .bind(signed("t0_ns", t0_ns)?)
        .bind(signed("t1_ns", t1_ns)?)
        .bind(names::class_name(class))
        .bind(signed("count", histogram.len())?)
        .bind(histogram.encode())
        .execute(&mut *transaction)
        .await;
        inserted.map_err(|source| match source.as_database_error() {
            Some(error) if error.is_unique_violation() => StoreError::AlreadyStored { what: "histogram", series },
            Some(error) if error.is_foreign_key_violation() => StoreError::NoSuchSeries { series },
            _ => StoreError::Database { action: ACTION, source },
        })?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }

    /// Histograms of a series whose slices begin in `t0_ns`, by beginning and outcome. `0..u64::MAX` takes all of them.
    ///
    /// # Errors
    /// [`StoreError::TooMany`] when there are more than [`MAX_HISTS`] (ask for a shorter time), that a row cannot be read, or a
    /// failing database.
    pub async fn hists(&self, series: SeriesId, t0_ns: Range<u64>) -> Result<Vec<Hist>, StoreError> {
        let rows = sqlx::query(
            "SELECT series, t0_ns, t1_ns, outcome, count, blob FROM hist \
             WHERE series = $1 AND t0_ns >= $2 AND t0_ns < $3 ORDER BY t0_ns, outcome LIMIT $4",
        )
        .bind(series.0)
        .bind(saturated(t0_ns.start))
        .bind(saturated(t0_ns.end))
        .bind(i64::from(MAX_HISTS) + 1)
        .fetch_all(self.read())
        .await
        .map_err(StoreError::while_doing("read histograms"))?;
        if rows.len() > MAX_HISTS as usize {
            let (found, limit) = (rows.len() as u64, u64::from(MAX_HISTS));
            return Err(StoreError::TooMany { what: "histograms", found, limit });
        }
        rows.iter().map(hist_of_row).collect()
    }
}

/// Reads a row of `series, t0_ns, t1_ns, outcome, count, blob`.
pub(crate) fn hist_of_row(row: &SqliteRow) -> Result<Hist, StoreError> {
    let failed = StoreError::while_doing("read a histogram");
    let number = |column: &str| row.try_get::<i64, _>(column).map_err(&failed);
    let outcome: String = row.try_get("outcome").map_err(&failed)?;
    let blob: &[u8] = row.try_get("blob").map_err(&failed)?;
    let (t0_ns, t1_ns, expected) = (number("t0_ns")?, number("t1_ns")?, number("count")?);
    let key = RowKey::Hist { series: number("series")?, t0_ns, outcome: outcome.clone() };
    let histogram = Histogram::decode(blob).map_err(|source| RowError::Histogram { row: key.clone(), source })?;
    if u64::try_from(expected) != Ok(histogram.len()) {
        return Err(RowError::Count { row: key, expected, found: histogram.len() }.into());
    }
    Ok(Hist {
        t0_ns: key.unsigned("t0_ns", t0_ns)?,
        t1_ns: key.unsigned("t1_ns", t1_ns)?,
        class: key.named("outcome", &outcome, names::class_of_name)?,
        histogram,
    })
}
