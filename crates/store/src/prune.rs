//! Giving up old records: they and their observations go, histograms take their place, and a record says so, all at one moment.

use peermark_core::Sample;
use peermark_core::sealed::Digest32;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use crate::error::{RowKey, StoreError, signed};
use crate::records::{ChainId, NewRecord, RecordMeta, insert_record};
use crate::rollup::{self, Rollup};
use crate::samples::{sample_of_row, saturated};
use crate::series::SeriesId;
use crate::store::Store;

/// What to give up.
#[derive(Clone, Copy, Debug)]
pub struct Prune<'p> {
    /// The chain.
    pub chain: ChainId,
    /// Records up to this number go.
    pub upto: u64,
    /// The last number that ever went, this time or before: what is left up to it is told to `seal`.
    pub ever_upto: u64,
    /// But not these.
    pub keep: &'p [u64],
    /// The run whose histograms are the rollups.
    pub run: &'p str,
    /// What takes the place of the observations.
    pub rollups: &'p [Rollup],
    /// Histograms of the run whose slices ended by then go too, since the run's epoch.
    pub retire_before_ns: u64,
    /// What the record about it is looked up by.
    pub meta: RecordMeta<'p>,
}

/// What is there after giving up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Records that went.
    pub records: u64,
    /// Numbers of those that are left up to [`Prune::ever_upto`], ascending.
    pub kept: Vec<u64>,
    /// Histograms of the run.
    pub rollups: u64,
    /// What [`Store::rollup_digest`] says of them.
    pub digest: Digest32,
}

/// A record about to be given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldRecord {
    /// Its number.
    pub seq: u64,
    /// What it is about.
    pub topic: String,
    /// Its series and sample; `None` where nothing was observed.
    pub observed: Option<(SeriesId, Sample)>,
}

impl Store {
    /// The oldest records of a chain up to number `upto`, ascending, at most `limit`, with what they observed.
    ///
    /// # Errors
    /// That a row cannot be read, or a failing database.
    pub async fn old_records(&self, chain: ChainId, upto: u64, limit: u32) -> Result<Vec<OldRecord>, StoreError> {
        const ACTION: &str = "read old records";
        let failed = StoreError::while_doing(ACTION);
        let rows = sqlx::query(
            "SELECT r.chain, r.seq AS number, r.topic, o.series, o.seq, o.intended_ns, o.started_ns, o.ended_ns, o.bytes, o.value, \
             o.outcome, o.class, o.culprit, o.trace \
             FROM record r LEFT JOIN obs o ON o.series = r.series AND o.seq = r.seq \
             WHERE r.chain = $1 AND r.seq <= $2 ORDER BY r.seq LIMIT $3",
        )
        .bind(chain.0)
        .bind(saturated(upto))
        .bind(i64::from(limit.min(crate::MAX_RECORDS)))
        .fetch_all(self.read())
        .await
        .map_err(&failed)?;
        let record = |row: &sqlx::sqlite::SqliteRow| {
            let number: i64 = row.try_get("number").map_err(&failed)?;
            let series: Option<i64> = row.try_get("series").map_err(&failed)?;
            let observed = series.map(|series| Ok::<_, StoreError>((SeriesId(series), sample_of_row(row)?)));
            Ok(OldRecord {
                seq: RowKey::Record { chain: chain.0, seq: number }.unsigned("seq", number)?,
                topic: row.try_get("topic").map_err(&failed)?,
                observed: observed.transpose()?,
            })
        };
        rows.iter().map(record).collect()
    }

    /// Deletes records and their observations up to a number, adds their rollups, and stores the record about it, which `seal` signs
    /// when everything else is done: one transaction.
    ///
    /// # Errors
    /// Of `seal`, as [`Store::put_records`], or a failing database. Nothing has changed then.
    pub async fn prune<E: From<StoreError>>(
        &self,
        prune: &Prune<'_>,
        seal: impl FnOnce(&Pruned) -> Result<Vec<u8>, E>,
    ) -> Result<Pruned, E> {
        const ACTION: &str = "prune records";
        let mut transaction = self.begin_write(ACTION).await?;
        let pruned = apply(&mut transaction, prune).await?;
        let sealed = seal(&pruned)?;
        let record = NewRecord { meta: prune.meta, sealed: &sealed, observed: None };
        insert_record(&mut transaction, prune.chain, &[record]).await?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
        Ok(pruned)
    }
}

async fn apply(connection: &mut SqliteConnection, prune: &Prune<'_>) -> Result<Pruned, StoreError> {
    let failed = StoreError::while_doing("delete old records");
    let upto = signed("seq", prune.upto)?;
    let kept: Vec<i64> = prune.keep.iter().map(|seq| signed("seq", *seq)).collect::<Result<_, _>>()?;
    // As JSON, so that the list is one parameter of one statement.
    let kept = serde_json::to_string(&kept).map_err(|source| StoreError::Json { what: "list of records", source })?;
    sqlx::query(
        "DELETE FROM obs WHERE (series, seq) IN (SELECT series, seq FROM record WHERE chain = $1 AND seq <= $2 \
         AND series IS NOT NULL AND seq NOT IN (SELECT value FROM json_each($3)))",
    )
    .bind(prune.chain.0)
    .bind(upto)
    .bind(&kept)
    .execute(&mut *connection)
    .await
    .map_err(&failed)?;
    let gone = sqlx::query(
        "DELETE FROM record WHERE chain = $1 AND seq <= $2 AND seq NOT IN (SELECT value FROM json_each($3))",
    )
    .bind(prune.chain.0)
    .bind(upto)
    .bind(&kept)
    .execute(&mut *connection)
    .await
    .map_err(&failed)?;
    for rollup in prune.rollups {
        rollup::merge(connection, rollup).await?;
    }
    rollup::retire(connection, prune.run, prune.retire_before_ns).await?;
    let (rollups, digest) = rollup::digest(connection, prune.run).await?;
    let kept: Vec<i64> = sqlx::query_scalar("SELECT seq FROM record WHERE chain = $1 AND seq <= $2 ORDER BY seq")
        .bind(prune.chain.0)
        .bind(saturated(prune.ever_upto))
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
    let kept = kept.into_iter().map(i64::unsigned_abs).collect();
    Ok(Pruned { records: gone.rows_affected(), kept, rollups, digest })
}
