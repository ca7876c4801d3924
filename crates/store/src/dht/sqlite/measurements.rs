//! What the rounds brought.

use std::collections::BTreeSet;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite};

use crate::dht::limits::{Round, Row as Fitting, Span};
use crate::dht::measured::{StoredMeasurement, measured_of};
use crate::dht::rows::{Measured, RoundWritten, SchedulerId};
use crate::error::StoreError;
use crate::store::Store;

const WRITE: &str = "store a round";

/// As for observations: eight values a row.
const ROWS_PER_STATEMENT: usize = 128;

pub(crate) async fn write_round(
    store: &Store,
    scheduler: SchedulerId,
    round: &Round<'_>,
) -> Result<RoundWritten, StoreError> {
    let mut transaction = store.begin_write(WRITE).await?;
    let new = sqlx::query("INSERT INTO dht_batch (scheduler_id, batch) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(scheduler.0)
        .bind(round.batch)
        .execute(&mut *transaction)
        .await
        .map_err(StoreError::while_doing(WRITE))?;
    if new.rows_affected() == 0 {
        return Ok(RoundWritten { now: false, orphans: 0 });
    }
    let written = write_rows(&mut transaction, scheduler, round).await;
    let written = written.map_err(|source| match source.as_database_error() {
        Some(error) if error.is_foreign_key_violation() => StoreError::DanglingRound { batch: round.batch.to_owned() },
        _ => StoreError::Database { action: WRITE, source },
    })?;
    transaction.commit().await.map_err(StoreError::while_doing(WRITE))?;
    let given = round.provides.len() + round.retrievals.len();
    Ok(RoundWritten { now: true, orphans: given.saturating_sub(written) as u64 })
}

/// Writes the rows whose server is there and returns their number.
async fn write_rows(
    connection: &mut SqliteConnection,
    scheduler: SchedulerId,
    round: &Round<'_>,
) -> Result<usize, sqlx::Error> {
    const PROVIDES: &str =
        "INSERT INTO provides_ecs (scheduler_id, node_id, rt_size, duration, cid, error, created_at, step) ";
    const RETRIEVALS: &str =
        "INSERT INTO retrievals_ecs (scheduler_id, node_id, rt_size, duration, cid, error, created_at) ";
    let there = there(connection, round).await?;
    let mut written = 0;
    for (sql, rows, steps) in [(PROVIDES, &round.provides, true), (RETRIEVALS, &round.retrievals, false)] {
        let rows: Vec<&Fitting<'_>> = rows.iter().filter(|row| there.contains(&row.node)).collect();
        written += rows.len();
        for rows in rows.chunks(ROWS_PER_STATEMENT) {
            let mut insert = QueryBuilder::<Sqlite>::new(sql);
            insert.push_values(rows, |mut values, row: &&Fitting<'_>| {
                values
                    .push_bind(scheduler.0)
                    .push_bind(row.node)
                    .push_bind(row.rt_size)
                    .push_bind(row.seconds)
                    .push_bind(row.cid.as_ref())
                    .push_bind(row.error.as_deref())
                    .push_bind(row.created_ms);
                if steps {
                    values.push_bind(row.step.as_ref());
                }
            });
            insert.build().execute(&mut *connection).await?;
        }
    }
    for (node, at_ms) in &round.offline {
        // A round may be written long after it: a server that has sent a heartbeat since then is back.
        sqlx::query(
            "UPDATE nodes_ecs SET offline_since = $1 \
             WHERE id = $2 AND (last_heartbeat IS NULL OR last_heartbeat <= $1)",
        )
        .bind(at_ms)
        .bind(node)
        .execute(&mut *connection)
        .await?;
    }
    Ok(written)
}

/// The servers of a round that have a row. Nobody deletes one meanwhile: the transaction has the only right to write.
async fn there(connection: &mut SqliteConnection, round: &Round<'_>) -> Result<BTreeSet<i32>, sqlx::Error> {
    let named: BTreeSet<i32> = round.provides.iter().chain(&round.retrievals).map(|row| row.node).collect();
    let named = serde_json::Value::from_iter(named).to_string();
    let there: Vec<i32> = sqlx::query_scalar("SELECT id FROM nodes_ecs WHERE id IN (SELECT value FROM json_each($1))")
        .bind(named)
        .fetch_all(connection)
        .await?;
    Ok(there.into_iter().collect())
}

/// A page of either table, as far as the page of both can need it.
macro_rules! page_of {
    ($table:literal, $number:literal, $step:literal) => {
        concat!(
            "SELECT * FROM (SELECT ",
            $number,
            " AS origin, m.id AS id, m.scheduler_id, m.node_id, m.rt_size, m.duration, m.cid, m.error, ",
            $step,
            " AS step, m.created_at AS created_at, n.region, n.fleet FROM ",
            $table,
            " m JOIN nodes_ecs n ON n.id = m.node_id \
             WHERE m.created_at >= max($1, $3 / 1000) AND m.created_at < $2 \
             AND (m.created_at * 1000, ",
            $number,
            ", m.id) > ($3, $4, $5) \
             AND (json_array_length($6) = 0 OR n.fleet IN (SELECT value FROM json_each($6))) \
             ORDER BY m.created_at, m.id LIMIT $7)"
        )
    };
}

pub(crate) async fn measured(store: &Store, span: &Span<'_>, limit: u32) -> Result<Vec<Measured>, StoreError> {
    const SQL: &str = concat!(
        page_of!("provides_ecs", "0", "m.step"),
        " UNION ALL ",
        page_of!("retrievals_ecs", "1", "''"),
        " ORDER BY created_at, origin, id LIMIT $7"
    );
    let failed = StoreError::while_doing("read measurements");
    let rows = sqlx::query(SQL)
        .bind(span.from_ms)
        .bind(span.until_ms)
        .bind(span.after.at_us)
        .bind(span.after.table)
        .bind(span.after.id)
        .bind(serde_json::Value::from(span.fleets).to_string())
        .bind(i64::from(limit))
        .fetch_all(store.read())
        .await
        .map_err(&failed)?;
    let rows = rows.iter().map(stored).collect::<Result<Vec<_>, _>>().map_err(&failed)?;
    rows.into_iter().map(measured_of).collect()
}

fn stored(row: &SqliteRow) -> Result<StoredMeasurement, sqlx::Error> {
    Ok(StoredMeasurement {
        origin: row.try_get("origin")?,
        id: row.try_get("id")?,
        scheduler: row.try_get("scheduler_id")?,
        node: row.try_get("node_id")?,
        rt_size: row.try_get("rt_size")?,
        seconds: row.try_get("duration")?,
        cid: row.try_get("cid")?,
        error: row.try_get("error")?,
        step: row.try_get("step")?,
        at_us: row.try_get::<i64, _>("created_at")?.saturating_mul(1000),
        region: row.try_get("region")?,
        fleet: row.try_get("fleet")?,
    })
}
