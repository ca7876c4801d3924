//! What the rounds brought.

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Pool, Postgres, Row};

use crate::dht::connection::call;
use crate::dht::limits::{Round, Row as Fitting, Span};
use crate::dht::measured::{StoredMeasurement, measured_of};
use crate::dht::rows::{Measured, RoundWritten, SchedulerId};
use crate::error::StoreError;

const WRITE: &str = "store a round";

pub(crate) async fn write_round(
    pool: &Pool<Postgres>,
    scheduler: SchedulerId,
    round: &Round<'_>,
) -> Result<RoundWritten, StoreError> {
    let failed = StoreError::while_doing(WRITE);
    call(pool, WRITE, async |connection| {
        let mut transaction = connection.begin().await.map_err(&failed)?;
        // A try that has not ended yet is waited for.
        let new =
            sqlx::query("INSERT INTO peermark.dht_batch (scheduler_id, batch) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(scheduler.0)
                .bind(round.batch)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        if new.rows_affected() == 0 {
            return Ok(RoundWritten { now: false, orphans: 0 });
        }
        let written = write_rows(&mut transaction, scheduler, round).await;
        let written = written.map_err(|source| match source.as_database_error() {
            Some(error) if error.is_foreign_key_violation() => {
                StoreError::DanglingRound { batch: round.batch.to_owned() }
            }
            _ => StoreError::Database { action: WRITE, source },
        })?;
        let given = round.provides.len() + round.retrievals.len();
        transaction.commit().await.map_err(&failed)?;
        Ok(RoundWritten { now: true, orphans: (given as u64).saturating_sub(written) })
    })
    .await
}

/// Writes the rows whose server is there and returns their number.
async fn write_rows(
    connection: &mut PgConnection,
    scheduler: SchedulerId,
    round: &Round<'_>,
) -> Result<u64, sqlx::Error> {
    const PROVIDES: &str = concat!(
        "INSERT INTO provides_ecs (scheduler_id, node_id, rt_size, duration, cid, error, created_at, step) \
         SELECT $1, node, rt_size, duration, cid, error, ",
        moment_of_ms!("at_ms"),
        ", step FROM UNNEST($2::int[], $3::int[], $4::double precision[], $5::text[], $6::text[], $7::bigint[], $8::text[]) \
         WITH ORDINALITY AS given (node, rt_size, duration, cid, error, at_ms, step, place) \
         JOIN nodes_ecs n ON n.id = node ORDER BY place FOR KEY SHARE OF n"
    );
    const RETRIEVALS: &str = concat!(
        "INSERT INTO retrievals_ecs (scheduler_id, node_id, rt_size, duration, cid, error, created_at) \
         SELECT $1, node, rt_size, duration, cid, error, ",
        moment_of_ms!("at_ms"),
        " FROM UNNEST($2::int[], $3::int[], $4::double precision[], $5::text[], $6::text[], $7::bigint[]) \
         WITH ORDINALITY AS given (node, rt_size, duration, cid, error, at_ms, place) \
         JOIN nodes_ecs n ON n.id = node ORDER BY place FOR KEY SHARE OF n"
    );
    let mut written = 0;
    for (sql, rows, steps) in [(PROVIDES, &round.provides, true), (RETRIEVALS, &round.retrievals, false)] {
        if rows.is_empty() {
            continue;
        }
        let mut insert = sqlx::query(sql)
            .bind(scheduler.0)
            .bind(column(rows, |row| row.node))
            .bind(column(rows, |row| row.rt_size))
            .bind(column(rows, |row| row.seconds))
            .bind(column(rows, |row| row.cid.as_ref()))
            .bind(column(rows, |row| row.error.as_deref()))
            .bind(column(rows, |row| row.created_ms));
        if steps {
            insert = insert.bind(column(rows, |row| row.step.as_ref()));
        }
        written += insert.execute(&mut *connection).await?.rows_affected();
    }
    for (node, at_ms) in &round.offline {
        // A round may be written long after it: a server that has sent a heartbeat since then is back.
        sqlx::query(concat!(
            "UPDATE nodes_ecs SET offline_since = ",
            moment_of_ms!("$1"),
            " WHERE id = $2 AND (last_heartbeat IS NULL OR last_heartbeat <= ",
            moment_of_ms!("$1"),
            ")"
        ))
        .bind(at_ms)
        .bind(node)
        .execute(&mut *connection)
        .await?;
    }
    Ok(written)
}

fn column<'r, T>(rows: &'r [Fitting<'r>], value: impl Fn(&'r Fitting<'r>) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

/// A page of either table, as far as the page of both can need it.
macro_rules! page_of {
    ($table:literal, $number:literal, $step:literal) => {
        concat!(
            "(SELECT ",
            $number,
            "::int AS origin, m.id, m.scheduler_id, m.node_id, m.rt_size, m.duration, m.cid, m.error, ",
            $step,
            " AS step, m.created_at, n.region, n.fleet FROM ",
            $table,
            " m JOIN nodes_ecs n ON n.id = m.node_id \
             WHERE m.created_at >= ",
            moment_of_ms!("$1"),
            " AND m.created_at < ",
            moment_of_ms!("$2"),
            " AND (m.created_at, ",
            $number,
            "::int, m.id) > (",
            moment_of_us!("$3"),
            ", $4::int, $5::bigint) \
             AND m.created_at >= ",
            moment_of_us!("$3"),
            " AND (cardinality($6::text[]) = 0 OR n.fleet = ANY ($6)) ORDER BY m.created_at, m.id LIMIT $7)"
        )
    };
}

pub(crate) async fn measured(pool: &Pool<Postgres>, span: &Span<'_>, limit: u32) -> Result<Vec<Measured>, StoreError> {
    const ACTION: &str = "read measurements";
    const SQL: &str = concat!(
        "SELECT *, (extract(epoch FROM created_at) * 1000000)::bigint AS at_us FROM (",
        page_of!("provides_ecs", "0", "m.step"),
        " UNION ALL ",
        page_of!("retrievals_ecs", "1", "''::text"),
        ") both_tables ORDER BY created_at, origin, id LIMIT $7"
    );
    call(pool, ACTION, async |connection| {
        let rows = sqlx::query(SQL)
            .bind(span.from_ms)
            .bind(span.until_ms)
            .bind(span.after.at_us)
            .bind(span.after.table)
            .bind(span.after.id)
            .bind(span.fleets)
            .bind(i64::from(limit))
            .fetch_all(connection)
            .await
            .map_err(StoreError::while_doing(ACTION))?;
        let rows = rows.iter().map(stored).collect::<Result<Vec<_>, _>>().map_err(StoreError::while_doing(ACTION))?;
        rows.into_iter().map(measured_of).collect()
    })
    .await
}

fn stored(row: &PgRow) -> Result<StoredMeasurement, sqlx::Error> {
    Ok(StoredMeasurement {
        origin: row.try_get("origin")?,
        id: row.try_get::<i32, _>("id")?.into(),
        scheduler: row.try_get("scheduler_id")?,
        node: row.try_get("node_id")?,
        rt_size: row.try_get("rt_size")?,
        seconds: row.try_get("duration")?,
        cid: row.try_get("cid")?,
        error: row.try_get("error")?,
        step: row.try_get("step")?,
        at_us: row.try_get("at_us")?,
        region: row.try_get("region")?,
        fleet: row.try_get("fleet")?,
    })
}
