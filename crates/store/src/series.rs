//! Series and the parties that they speak of, each described once.

use std::fmt;

use peermark_core::Series;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::error::{RowError, RowKey, StoreError, bounded};
use crate::names;
use crate::store::Store;

/// Longest text of a series or party.
const MAX_TEXT_BYTES: usize = 1024;

/// Most series that one run may have, so that listing them stays bounded.
const MAX_SERIES: i64 = 100_000;

const ACTION: &str = "store a series";

/// The subject of a series about whoever answers.
const NETWORK: &str = "network";

/// Identifies a series within one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(pub i64);

impl fmt::Display for SeriesId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A series as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSeries {
    /// Its id in this store.
    pub id: SeriesId,
    /// The part of the run that it belongs to; empty where the run has none.
    pub phase: String,
    /// What is measured by whom about whom.
    pub series: Series,
}

/// Who measures or is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// As series name it: a peer id, the name of a process, `network`.
    pub id: String,
    /// What it is.
    pub kind: PartyKind,
    /// A name for people; empty where none was given.
    pub name: String,
}

/// What a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartyKind {
    /// Nobody said.
    Unknown,
    /// One storage peer.
    Peer,
    /// A process that measures.
    Process,
    /// Whoever answers.
    Network,
}

impl PartyKind {
    /// The name under which the kind is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Peer => "peer",
            Self::Process => "process",
            Self::Network => NETWORK,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Unknown, Self::Peer, Self::Process, Self::Network].into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Store {
    /// Stores a series that belongs to no phase; see [`Store::add_series_in_phase`].
    ///
    /// # Errors
    /// As [`Store::add_series_in_phase`].
    pub async fn add_series(&self, series: &Series) -> Result<SeriesId, StoreError> {
        self.add_series_in_phase(series, "").await
    }

    /// Stores several series that belong to no phase, all or none, and returns their ids in the same order.
    ///
    /// # Errors
    /// As [`Store::add_series_in_phase`].
    pub async fn add_several_series(&self, series: &[Series]) -> Result<Vec<SeriesId>, StoreError> {
        let mut transaction = self.begin_write(ACTION).await?;
        let mut ids = Vec::with_capacity(series.len());
        for one in series {
            ids.push(add(&mut transaction, one, "").await?);
        }
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
        Ok(ids)
    }

    /// Stores what is measured by whom about whom in one phase of a run, and returns the id under which its evidence is stored.
    /// Describing the same series again, also after a restart, returns the same id. Observer and subject become parties of
    /// unknown kind unless [`Store::put_party`] says more.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], [`StoreError::NoSuchEnvironment`], a text beyond its bound, or a failing database.
    pub async fn add_series_in_phase(&self, series: &Series, phase: &str) -> Result<SeriesId, StoreError> {
        let mut transaction = self.begin_write(ACTION).await?;
        let id = add(&mut transaction, series, phase).await?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
        Ok(id)
    }

    /// Says what a party is and what people call it; what was said before is replaced.
    ///
    /// # Errors
    /// A text beyond its bound, or a failing database.
    pub async fn put_party(&self, party: &Party) -> Result<(), StoreError> {
        const ACTION: &str = "store a party";
        let mut transaction = self.begin_write(ACTION).await?;
        sqlx::query(
            "INSERT INTO party (id, kind, name) VALUES ($1, $2, $3) \
             ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name",
        )
        .bind(bounded("party id", &party.id, MAX_TEXT_BYTES)?)
        .bind(party.kind.as_str())
        .bind(bounded("party name", &party.name, MAX_TEXT_BYTES)?)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::while_doing(ACTION))?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }

    /// What is known of a party; `None` where no series and no call named it.
    ///
    /// # Errors
    /// That its row cannot be read, or a failing database.
    pub async fn party(&self, id: &str) -> Result<Option<Party>, StoreError> {
        let failed = StoreError::while_doing("read a party");
        let row = sqlx::query("SELECT kind, name FROM party WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await
            .map_err(&failed)?;
        let Some(row) = row else { return Ok(None) };
        let kind: String = row.try_get("kind").map_err(&failed)?;
        let kind = RowKey::Party { id: id.to_owned() }.named("kind", &kind, PartyKind::from_name)?;
        Ok(Some(Party { id: id.to_owned(), kind, name: row.try_get("name").map_err(&failed)? }))
    }

    /// Every series of a run, in the order in which they were stored. Empty for a run that has none.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], that a row cannot be read, or a failing database.
    pub async fn series_of(&self, run: &str) -> Result<Vec<StoredSeries>, StoreError> {
        const ACTION: &str = "list series";
        let mut transaction = self.begin_read(ACTION).await?;
        require_run(&mut transaction, run).await?;
        let rows = sqlx::query(
            "SELECT id, run, phase, kind, class, observer, subject, observer_region, subject_region, unit, env, schema \
             FROM series WHERE run = $1 ORDER BY id",
        )
        .bind(run)
        .fetch_all(&mut *transaction)
        .await
        .map_err(StoreError::while_doing(ACTION))?;
        rows.iter().map(series_of_row).collect()
    }
}

async fn add(connection: &mut SqliteConnection, series: &Series, phase: &str) -> Result<SeriesId, StoreError> {
    require_run(connection, &series.run).await?;
    require_environment(connection, &series.environment).await?;
    for id in [&series.observer, &series.subject] {
        let kind = if id == NETWORK { PartyKind::Network } else { PartyKind::Unknown };
        sqlx::query("INSERT INTO party (id, kind, name) VALUES ($1, $2, '') ON CONFLICT DO NOTHING")
            .bind(bounded("party id", id, MAX_TEXT_BYTES)?)
            .bind(kind.as_str())
            .execute(&mut *connection)
            .await
            .map_err(StoreError::while_doing(ACTION))?;
    }
    insert(connection, series, phase).await
}

async fn require_run(connection: &mut SqliteConnection, run: &str) -> Result<(), StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM run WHERE id = $1")
        .bind(run)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::while_doing("find a run"))?;
    found.map(drop).ok_or_else(|| StoreError::NoSuchRun { id: run.to_owned() })
}

async fn require_environment(connection: &mut SqliteConnection, fingerprint: &str) -> Result<(), StoreError> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM env WHERE fingerprint = $1")
        .bind(fingerprint)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::while_doing("find an environment"))?;
    found.map(drop).ok_or_else(|| StoreError::NoSuchEnvironment { fingerprint: fingerprint.to_owned() })
}

/// Inserts the series or finds it: setting the key to itself makes the conflict return the row that is there.
async fn insert(connection: &mut SqliteConnection, series: &Series, phase: &str) -> Result<SeriesId, StoreError> {
    let failed = StoreError::while_doing("store a series");
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM series WHERE run = $1")
        .bind(&series.run)
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
    if count >= MAX_SERIES {
        let (found, limit) = (count.unsigned_abs() + 1, MAX_SERIES.unsigned_abs());
        return Err(StoreError::TooMany { what: "series of a run", found, limit });
    }
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO series (run, phase, kind, class, observer, subject, observer_region, subject_region, unit, env, schema) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (run, phase, kind, class, observer, subject, observer_region, subject_region, unit, env, schema) \
         DO UPDATE SET schema = excluded.schema RETURNING id",
    )
    .bind(&series.run)
    .bind(bounded("phase", phase, MAX_TEXT_BYTES)?)
    .bind(bounded("series kind", &series.kind, MAX_TEXT_BYTES)?)
    .bind(names::evidence_name(series.class))
    .bind(&series.observer)
    .bind(&series.subject)
    .bind(bounded("observer region", &series.observer_region, MAX_TEXT_BYTES)?)
    .bind(bounded("subject region", &series.subject_region, MAX_TEXT_BYTES)?)
    .bind(names::unit_name(series.unit))
    .bind(&series.environment)
    .bind(i64::from(series.schema))
    .fetch_one(connection)
    .await
    .map_err(&failed)?;
    Ok(SeriesId(id))
}

fn series_of_row(row: &SqliteRow) -> Result<StoredSeries, StoreError> {
    let failed = StoreError::while_doing("read a series");
    let text = |column: &str| row.try_get::<String, _>(column).map_err(&failed);
    let id: i64 = row.try_get("id").map_err(&failed)?;
    let schema: i64 = row.try_get("schema").map_err(&failed)?;
    let key = RowKey::Series { id };
    Ok(StoredSeries {
        id: SeriesId(id),
        phase: text("phase")?,
        series: Series {
            schema: u32::try_from(schema).map_err(|_| RowError::OutOfRange {
                row: key.clone(),
                column: "schema",
                found: schema,
            })?,
            run: text("run")?,
            kind: text("kind")?,
            class: key.named("class", &text("class")?, names::evidence_class)?,
            observer: text("observer")?,
            subject: text("subject")?,
            observer_region: text("observer_region")?,
            subject_region: text("subject_region")?,
            unit: key.named("unit", &text("unit")?, names::unit)?,
            environment: text("env")?,
        },
    })
}
