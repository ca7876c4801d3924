//! Observations: one row per operation of a series.

use std::ops::Range;

use peermark_core::{Outcome, Sample};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::error::{RowError, RowKey, StoreError, signed};
use crate::names;
use crate::series::SeriesId;
use crate::store::Store;

/// Most observations that one call writes. A transaction of this size takes a fifth of a second and ~7 MiB of log.
pub const MAX_BATCH_ROWS: usize = 100_000;

/// Most observations that one query returns.
pub const MAX_ROWS: u32 = 100_000;

/// Rows of one statement. Fewer, longer statements save a round trip to the connection's thread per row; eleven values a row stay
/// far below SQLite's 32,766 and PostgreSQL's 65,535 parameters. Full statements have one text, which stays prepared.
const ROWS_PER_STATEMENT: usize = 128;

impl Store {
    /// Stores operations of one series, all or none of them.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSeries`], [`StoreError::AlreadyStored`] when a number is in the series already or twice in the batch,
    /// [`StoreError::TooMany`] above [`MAX_BATCH_ROWS`], a number beyond the database's range, or a failing database.
    pub async fn put_observations(&self, series: SeriesId, samples: &[Sample]) -> Result<(), StoreError> {
        const ACTION: &str = "store observations";
        if samples.len() > MAX_BATCH_ROWS {
            let (found, limit) = (samples.len() as u64, MAX_BATCH_ROWS as u64);
            return Err(StoreError::TooMany { what: "observations", found, limit });
        }
        let mut transaction = self.begin_write(ACTION).await?;
        for rows in samples.chunks(ROWS_PER_STATEMENT) {
            insert(&mut transaction, series, rows).await?;
        }
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }

    /// Operations of a series whose numbers lie in `seq`, ascending, at most `limit` of them and never more than [`MAX_ROWS`].
    /// The next page begins after the last number returned.
    ///
    /// # Errors
    /// That a row cannot be read, or a failing database.
    pub async fn observations(&self, series: SeriesId, seq: Range<u64>, limit: u32) -> Result<Vec<Sample>, StoreError> {
        let rows = sqlx::query(
            "SELECT series, seq, intended_ns, started_ns, ended_ns, bytes, value, outcome, class, culprit, trace FROM obs \
             WHERE series = $1 AND seq >= $2 AND seq < $3 ORDER BY seq LIMIT $4",
        )
        .bind(series.0)
        .bind(saturated(seq.start))
        .bind(saturated(seq.end))
        .bind(i64::from(limit.min(MAX_ROWS)))
        .fetch_all(self.read())
        .await
        .map_err(StoreError::while_doing("read observations"))?;
        rows.iter().map(sample_of_row).collect()
    }

    /// The operation with the highest number of a series; `None` where it has none.
    ///
    /// # Errors
    /// That the row cannot be read, or a failing database.
    pub async fn latest_observation(&self, series: SeriesId) -> Result<Option<Sample>, StoreError> {
        let row = sqlx::query(
            "SELECT series, seq, intended_ns, started_ns, ended_ns, bytes, value, outcome, class, culprit, trace \
             FROM latest_observation WHERE series = $1",
        )
        .bind(series.0)
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::while_doing("read the latest observation"))?;
        row.as_ref().map(sample_of_row).transpose()
    }
}

/// No stored number is above the database's range, so a range that goes beyond it ends at its end.
pub(crate) fn saturated(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    series: SeriesId,
    samples: &[Sample],
) -> Result<(), StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "INSERT INTO obs (series, seq, intended_ns, started_ns, ended_ns, bytes, value, outcome, class, culprit, trace) ",
    );
    let rows = samples.iter().map(Columns::try_new).collect::<Result<Vec<_>, _>>()?;
    query.push_values(rows, |mut row, columns| {
        row.push_bind(series.0);
        for number in columns.numbers {
            row.push_bind(number);
        }
        let (outcome, class, culprit) = columns.outcome;
        row.push_bind(outcome).push_bind(class).push_bind(culprit).push_bind(columns.trace);
    });
    let full = samples.len() == ROWS_PER_STATEMENT;
    let inserted = query.build().persistent(full).execute(connection).await;
    inserted.map(drop).map_err(|source| match source.as_database_error() {
        Some(error) if error.is_unique_violation() => StoreError::AlreadyStored { what: "observation", series },
        Some(error) if error.is_foreign_key_violation() => StoreError::NoSuchSeries { series },
        _ => StoreError::Database { action: "store observations", source },
    })
}

/// A sample as the columns take it.
struct Columns {
    /// `seq, intended_ns, started_ns, ended_ns, bytes, value`.
    numbers: [i64; 6],
    outcome: (&'static str, Option<&'static str>, Option<&'static str>),
    trace: i64,
}

impl Columns {
    fn try_new(sample: &Sample) -> Result<Self, StoreError> {
        Ok(Self {
            numbers: [
                signed("seq", sample.seq)?,
                signed("intended_ns", sample.intended_ns)?,
                signed("started_ns", sample.started_ns)?,
                signed("ended_ns", sample.ended_ns)?,
                signed("bytes", sample.bytes)?,
                sample.value,
            ],
            outcome: names::outcome_names(sample.outcome),
            trace: sample.trace.cast_signed(),
        })
    }
}

pub(crate) fn sample_of_row(row: &SqliteRow) -> Result<Sample, StoreError> {
    let failed = StoreError::while_doing("read an observation");
    let number = |column: &str| row.try_get::<i64, _>(column).map_err(&failed);
    let name = |column: &str| row.try_get::<Option<&str>, _>(column).map_err(&failed);
    let (series, seq) = (number("series")?, number("seq")?);
    let key = || RowKey::Obs { series, seq };
    let unsigned = |column: &'static str, found: i64| {
        u64::try_from(found).map_err(|_| RowError::OutOfRange { row: key(), column, found })
    };
    Ok(Sample {
        seq: unsigned("seq", seq)?,
        intended_ns: unsigned("intended_ns", number("intended_ns")?)?,
        started_ns: unsigned("started_ns", number("started_ns")?)?,
        ended_ns: unsigned("ended_ns", number("ended_ns")?)?,
        bytes: unsigned("bytes", number("bytes")?)?,
        value: number("value")?,
        outcome: outcome_of_names(key, name("outcome")?, name("class")?, name("culprit")?)?,
        trace: number("trace")?.cast_unsigned(),
    })
}

/// The outcome that three columns describe. A missing class or culprit of a failure is an unknown name like any other.
pub(crate) fn outcome_of_names(
    row: impl Fn() -> RowKey,
    outcome: Option<&str>,
    class: Option<&str>,
    culprit: Option<&str>,
) -> Result<Outcome, RowError> {
    match (outcome, class, culprit) {
        (Some(names::OK), None, None) => Ok(Outcome::Ok),
        (Some(names::FAILED), class, culprit) => Ok(Outcome::Failed {
            class: row().named("class", class.unwrap_or_default(), names::failure_class)?,
            culprit: row().named("culprit", culprit.unwrap_or_default(), names::culprit)?,
        }),
        (found, ..) => {
            Err(RowError::UnknownName { row: row(), column: "outcome", found: found.unwrap_or_default().to_owned() })
        }
    }
}
