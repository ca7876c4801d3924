//! Operations and their hops.

use std::collections::{BTreeSet, HashMap};

use sqlx::{Connection, PgConnection, Pool, Postgres};

use crate::dht::connection::call;
use crate::dht::limits::Span;
use crate::dht::packed::{Batch, Hop, Operation};
use crate::dht::rows::Cursor;
use crate::dht::trace::Trace;
use crate::dht::unpacked::{StoredHop, StoredOperation, hop_of_row, join, operation_of_row, page};
use crate::error::StoreError;

/// The number that a name has in its table, for the names of one batch.
type Ids = HashMap<String, i32>;

pub(crate) async fn put(pool: &Pool<Postgres>, batch: &Batch<'_>) -> Result<(), StoreError> {
    const ACTION: &str = "store traces";
    let failed = StoreError::while_doing(ACTION);
    call(pool, ACTION, async |connection| {
        let mut transaction = connection.begin().await.map_err(&failed)?;
        if insert(&mut transaction, batch).await.map_err(&failed)? {
            transaction.commit().await.map_err(&failed)?;
        }
        Ok(())
    })
    .await
}

/// Returns whether the batch is new.
async fn insert(connection: &mut PgConnection, batch: &Batch<'_>) -> Result<bool, sqlx::Error> {
    let new = sqlx::query("INSERT INTO peermark.dht_batch (scheduler_id, batch) VALUES (0, $1) ON CONFLICT DO NOTHING")
        .bind(&batch.name)
        .execute(&mut *connection)
        .await?;
    if new.rows_affected() == 0 {
        return Ok(false);
    }
    let peers = [
        "SELECT id, name FROM peermark.dht_peer WHERE name = ANY ($1)",
        "INSERT INTO peermark.dht_peer (name) SELECT * FROM UNNEST($1::text[]) ON CONFLICT DO NOTHING",
    ];
    let texts = [
        "SELECT id, name FROM peermark.dht_text WHERE name = ANY ($1)",
        "INSERT INTO peermark.dht_text (name) SELECT * FROM UNNEST($1::text[]) ON CONFLICT DO NOTHING",
    ];
    let peers = ids(connection, peers, &batch.peers).await?;
    let texts = ids(connection, texts, &batch.texts).await?;
    let count = i64::try_from(batch.operations.len()).unwrap_or(i64::MAX);
    let numbers: Vec<i32> =
        sqlx::query_scalar("SELECT nextval('peermark.dht_operation_id')::int FROM generate_series(1, $1)")
            .bind(count)
            .fetch_all(&mut *connection)
            .await?;
    insert_operations(connection, &batch.operations, &numbers, &peers, &texts).await?;
    insert_hops(connection, &batch.hops, &numbers, &peers).await?;
    Ok(true)
}

/// The numbers of all names. Only missing ones are inserted: a conflict would use up a number of the table each time.
async fn ids(
    connection: &mut PgConnection,
    [select, insert]: [&'static str; 2],
    names: &BTreeSet<&str>,
) -> Result<Ids, sqlx::Error> {
    let mut ids = Ids::with_capacity(names.len());
    let mut missing: Vec<&str> = names.iter().copied().collect();
    for again in [true, false] {
        let rows: Vec<(i32, String)> = sqlx::query_as(select).bind(&missing).fetch_all(&mut *connection).await?;
        ids.extend(rows.into_iter().map(|(id, name)| (name, id)));
        missing.retain(|name| !ids.contains_key(*name));
        if missing.is_empty() || !again {
            break;
        }
        sqlx::query(insert).bind(&missing).execute(&mut *connection).await?;
    }
    Ok(ids)
}

async fn insert_operations(
    connection: &mut PgConnection,
    rows: &[Operation<'_>],
    numbers: &[i32],
    peers: &Ids,
    texts: &Ids,
) -> Result<(), sqlx::Error> {
    let id_of = |ids: &Ids, name: &str| ids.get(name).copied();
    sqlx::query(
        "INSERT INTO peermark.dht_operation (id, started_wall_ms, duration_ns, stored_ns, rt_size, obs_series, obs_seq, \
         observer, fleet, region, stored, hops, kind, variant, hit, key, error) \
         SELECT * FROM UNNEST($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
         $7::bigint[], $8::int[], $9::int[], $10::int[], $11::int[], $12::int[], $13::smallint[], $14::smallint[], \
         $15::smallint[], $16::bytea[], $17::text[])",
    )
    .bind(numbers)
    .bind(column(rows, |row| row.started_wall_ms))
    .bind(column(rows, |row| row.duration_ns))
    .bind(column(rows, |row| row.stored_ns))
    .bind(column(rows, |row| row.rt_size))
    .bind(column(rows, |row| row.observation.map(|(series, _)| series)))
    .bind(column(rows, |row| row.observation.map(|(_, seq)| seq)))
    .bind(column(rows, |row| id_of(peers, row.observer)))
    .bind(column(rows, |row| id_of(texts, row.fleet)))
    .bind(column(rows, |row| id_of(texts, row.region)))
    .bind(column(rows, |row| row.stored))
    .bind(column(rows, |row| row.hops))
    .bind(column(rows, |row| row.kind))
    .bind(column(rows, |row| row.variant))
    .bind(column(rows, |row| row.hit))
    .bind(column(rows, |row| row.key))
    .bind(column(rows, |row| row.error.as_deref()))
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_hops(
    connection: &mut PgConnection,
    rows: &[Hop<'_>],
    numbers: &[i32],
    peers: &Ids,
) -> Result<(), sqlx::Error> {
    let mut insert = sqlx::query(
        "INSERT INTO peermark.dht_hop (operation, seq, peer, queued_ns, dial_ns, handshake_ns, sent_ns, ended_ns, rtt_ns, \
         common_bits, learnt, providers, parent, rpc, failure, flags) \
         SELECT * FROM UNNEST($1::int[], $2::smallint[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::smallint[], $11::smallint[], $12::smallint[], $13::smallint[], $14::smallint[], \
         $15::smallint[], $16::smallint[])",
    )
    .bind(column(rows, |row| numbers.get(row.operation).copied()))
    .bind(column(rows, |row| row.seq))
    .bind(column(rows, |row| peers.get(row.peer).copied()));
    for place in 0..5 {
        insert = insert.bind(column(rows, |row| row.times_ns[place]));
    }
    insert = insert.bind(column(rows, |row| row.rtt_ns));
    for place in 0..3 {
        insert = insert.bind(column(rows, |row| row.counts[place].cast_signed()));
    }
    insert
        .bind(column(rows, |row| row.parent))
        .bind(column(rows, |row| row.rpc))
        .bind(column(rows, |row| row.failure))
        .bind(column(rows, |row| row.flags))
        .execute(connection)
        .await
        .map(drop)
}

fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

pub(crate) async fn get(
    pool: &Pool<Postgres>,
    span: &Span<'_>,
    limit: u32,
) -> Result<Vec<(Cursor, Trace)>, StoreError> {
    const ACTION: &str = "read traces";
    let failed = StoreError::while_doing(ACTION);
    call(pool, ACTION, async |connection| {
        let operations = read_operations(connection, span, limit).await.map_err(&failed)?;
        let numbers: Vec<i64> = operations.iter().map(|operation| operation.id).collect();
        let hops = read_hops(connection, &numbers).await.map_err(&failed)?;
        join(operations, hops)
    })
    .await
}

async fn read_operations(
    connection: &mut PgConnection,
    span: &Span<'_>,
    limit: u32,
) -> Result<Vec<StoredOperation>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT o.id::bigint AS id, o.started_wall_ms, o.duration_ns, o.stored_ns, o.rt_size, o.obs_series, o.obs_seq, \
         p.name AS observer, f.name AS fleet, r.name AS region, o.stored::bigint AS stored, o.hops::bigint AS hops, \
         o.kind::bigint AS kind, o.variant::bigint AS variant, o.hit::bigint AS hit, o.key, o.error \
         FROM peermark.dht_operation o JOIN peermark.dht_peer p ON p.id = o.observer \
         JOIN peermark.dht_text f ON f.id = o.fleet JOIN peermark.dht_text r ON r.id = o.region \
         WHERE o.started_wall_ms >= $1 AND o.started_wall_ms < $2 AND (o.started_wall_ms, o.id) > ($3, $4) \
         AND (cardinality($5::text[]) = 0 OR f.name = ANY ($5)) ORDER BY o.started_wall_ms, o.id LIMIT $6",
    )
    .bind(span.from_ms)
    .bind(span.until_ms)
    .bind(span.after.at_us.div_euclid(1000))
    .bind(span.after.id)
    .bind(span.fleets)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let rows = rows.iter().map(operation_of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(page(rows))
}

async fn read_hops(connection: &mut PgConnection, numbers: &[i64]) -> Result<Vec<StoredHop>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT h.operation::bigint AS operation, p.name AS peer, h.queued_ns, h.dial_ns, h.handshake_ns, h.sent_ns, h.ended_ns, h.rtt_ns, \
         (h.common_bits::bigint & 65535) AS common_bits, (h.learnt::bigint & 65535) AS learnt, \
         (h.providers::bigint & 65535) AS providers, \
         h.parent::bigint AS parent, h.rpc::bigint AS rpc, h.failure::bigint AS failure, h.flags::bigint AS flags \
         FROM peermark.dht_hop h JOIN peermark.dht_peer p ON p.id = h.peer \
         WHERE h.operation = ANY ($1::bigint[]::int[]) ORDER BY h.operation, h.seq",
    )
    .bind(numbers)
    .fetch_all(connection)
    .await?;
    rows.iter().map(hop_of_row).collect()
}
