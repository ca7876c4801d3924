//! Reading a whole store to see whether it is sound.

use std::fmt;

use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::environment;
use crate::error::{RowError, RowKey, SQLITE_CORRUPT, StoreError, primary_code};
use crate::events::event_of_row;
use crate::hists::hist_of_row;
use crate::samples::outcome_of_names;
use crate::store::Store;

/// Most problems that are described; the rest is only known to exist.
pub const MAX_PROBLEMS: usize = 100;

/// What [`Store::verify`] found.
#[derive(Debug, Default)]
pub struct Integrity {
    /// Histograms that were decoded.
    pub hists: u64,
    /// Observations whose outcome was read.
    pub observations: u64,
    /// What is wrong, at most [`MAX_PROBLEMS`]; reading stops there.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a store.
#[derive(Debug)]
#[non_exhaustive]
pub enum Problem {
    /// The database's own check: pages, indices, constraints.
    Database {
        /// What it said.
        text: String,
    },
    /// A row refers to one that is not there.
    Dangling {
        /// Table of the referring row.
        table: String,
        /// Table of the missing one.
        parent: String,
    },
    /// A row that cannot be read.
    Row(RowError),
}

impl Integrity {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// Keeps a row's error as a problem; what is no row's error ends the check.
    fn note<T>(&mut self, read: Result<T, StoreError>) -> Result<(), StoreError> {
        match read {
            Ok(_) => {}
            Err(StoreError::Row(error)) => self.problems.push(Problem::Row(error)),
            Err(other) => return Err(other),
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database { text } => write!(f, "database: {text}"),
            Self::Dangling { table, parent } => write!(f, "a row of {table} refers to a missing row of {parent}"),
            Self::Row(RowError::Histogram { row, source }) => write!(f, "{row}: {source}"),
            Self::Row(RowError::Json { row, source }) => write!(f, "{row}: {source}"),
            Self::Row(error) => error.fmt(f),
        }
    }
}

impl Store {
    /// Reads everything, as it is at one moment: the database's own integrity check, every reference, every environment and its
    /// fingerprint, every histogram, every event, every outcome. Takes as long as reading the file; others may write meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Database`] when the check itself cannot be done. What is wrong with the content is in the answer.
    pub async fn verify(&self) -> Result<Integrity, StoreError> {
        let mut found = Integrity::default();
        let mut transaction = self.begin_read("check the store").await?;
        match check_all(&mut transaction, &mut found).await {
            // A page so damaged that the database stops reading is a finding, not a failure to check.
            Err(StoreError::Database { source, .. }) if primary_code(&source) == Some(SQLITE_CORRUPT) => {
                found.problems.push(Problem::Database { text: source.to_string() });
            }
            other => other?,
        }
        Ok(found)
    }
}

async fn check_all(connection: &mut SqliteConnection, found: &mut Integrity) -> Result<(), StoreError> {
    check_database(connection, found).await?;
    if !found.is_clean() {
        // Rows on damaged pages would only repeat it.
        return Ok(());
    }
    check_environments(connection, found).await?;
    check_outcomes(connection, found).await?;
    check_hists(connection, found).await?;
    check_events(connection, found).await
}

async fn check_database(connection: &mut SqliteConnection, found: &mut Integrity) -> Result<(), StoreError> {
    let failed = StoreError::while_doing("check the database");
    let lines: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check(100)").fetch_all(&mut *connection).await.map_err(&failed)?;
    let complaints = lines.into_iter().filter(|line| line != "ok");
    found.problems.extend(complaints.map(|text| Problem::Database { text }));

    let mut dangling = sqlx::query("PRAGMA foreign_key_check").fetch(connection);
    while let Some(row) = dangling.try_next().await.map_err(&failed)? {
        if found.is_full() {
            break;
        }
        let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
        found.problems.push(Problem::Dangling { table: text("table")?, parent: text("parent")? });
    }
    Ok(())
}

async fn check_environments(connection: &mut SqliteConnection, found: &mut Integrity) -> Result<(), StoreError> {
    let failed = StoreError::while_doing("check environments");
    let mut rows = sqlx::query("SELECT fingerprint, json FROM env ORDER BY fingerprint").fetch(connection);
    while let Some(row) = rows.try_next().await.map_err(&failed)? {
        if found.is_full() {
            break;
        }
        let json: &str = row.try_get("json").map_err(&failed)?;
        let checked = environment::check(row.try_get("fingerprint").map_err(&failed)?, json);
        found.note(checked.map_err(StoreError::Row))?;
    }
    Ok(())
}

/// One pass over `obs` inside the database: there are few different outcomes, so each is looked at once and an unknown one is
/// named by the first of its rows. Numbers out of range are constraints, which the database's own check has covered.
async fn check_outcomes(connection: &mut SqliteConnection, found: &mut Integrity) -> Result<(), StoreError> {
    let failed = StoreError::while_doing("check observations");
    let groups = sqlx::query(
        "SELECT outcome, class, culprit, count(*) AS alike FROM obs GROUP BY outcome, class, culprit \
         ORDER BY outcome, class, culprit LIMIT 1000",
    )
    .fetch_all(&mut *connection)
    .await
    .map_err(&failed)?;
    for group in groups {
        let name = |column: &str| group.try_get::<Option<&str>, _>(column).map_err(&failed);
        let (outcome, class, culprit) = (name("outcome")?, name("class")?, name("culprit")?);
        let alike: i64 = group.try_get("alike").map_err(&failed)?;
        found.observations += alike.unsigned_abs();
        let somewhere = || RowKey::Obs { series: 0, seq: 0 };
        if outcome_of_names(somewhere, outcome, class, culprit).is_ok() || found.is_full() {
            continue;
        }
        let first = sqlx::query(
            "SELECT series, seq FROM obs WHERE outcome = $1 AND class IS NOT DISTINCT FROM $2 \
             AND culprit IS NOT DISTINCT FROM $3 ORDER BY series, seq LIMIT 1",
        )
        .bind(outcome)
        .bind(class)
        .bind(culprit)
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
        let number = |column: &str| first.try_get::<i64, _>(column).map_err(&failed);
        let (series, seq) = (number("series")?, number("seq")?);
        let named = outcome_of_names(|| RowKey::Obs { series, seq }, outcome, class, culprit);
        found.note(named.map_err(StoreError::Row))?;
    }
    Ok(())
}

async fn check_hists(connection: &mut SqliteConnection, found: &mut Integrity) -> Result<(), StoreError> {
    let mut rows =
        sqlx::query("SELECT series, t0_ns, t1_ns, outcome, count, blob FROM hist ORDER BY series, t0_ns, outcome")
            .fetch(connection);
    while let Some(row) = next(&mut rows, "check histograms").await? {
        if found.is_full() {
            break;
        }
        found.hists += 1;
        found.note(hist_of_row(&row))?;
    }
    Ok(())
}

async fn check_events(connection: &mut SqliteConnection, found: &mut Integrity) -> Result<(), StoreError> {
    let mut rows = sqlx::query("SELECT run, seq, json FROM event ORDER BY run, seq").fetch(connection);
    while let Some(row) = next(&mut rows, "check events").await? {
        if found.is_full() {
            break;
        }
        found.note(event_of_row(&row))?;
    }
    Ok(())
}

async fn next<S>(rows: &mut S, action: &'static str) -> Result<Option<SqliteRow>, StoreError>
where
    S: TryStreamExt<Ok = SqliteRow, Error = sqlx::Error> + Unpin,
{
    rows.try_next().await.map_err(StoreError::while_doing(action))
}
