//! Operations and their hops.

use std::collections::{BTreeSet, HashMap};

use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

use crate::dht::limits::Span;
use crate::dht::packed::{Batch, Hop, Operation};
use crate::dht::rows::Cursor;
use crate::dht::trace::Trace;
use crate::dht::unpacked::{StoredHop, StoredOperation, hop_of_row, join, operation_of_row, page};
use crate::error::StoreError;
use crate::store::Store;

/// As for observations: at most seventeen values a row.
const ROWS_PER_STATEMENT: usize = 128;

/// The number that a name has in its table, for the names of one batch.
type Ids = HashMap<String, i64>;

pub(crate) async fn put(store: &Store, batch: &Batch<'_>) -> Result<(), StoreError> {
    const ACTION: &str = "store traces";
    let mut transaction = store.begin_write(ACTION).await?;
    let new = insert(&mut transaction, batch).await.map_err(|source| match source.as_database_error() {
        Some(error) if error.is_foreign_key_violation() => StoreError::NoSuchObservation,
        _ => StoreError::Database { action: ACTION, source },
    })?;
    if new {
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
    }
    Ok(())
}

/// Returns whether the batch is new.
async fn insert(connection: &mut SqliteConnection, batch: &Batch<'_>) -> Result<bool, sqlx::Error> {
    let new = sqlx::query("INSERT INTO dht_batch (scheduler_id, batch) VALUES (0, $1) ON CONFLICT DO NOTHING")
        .bind(&batch.name)
        .execute(&mut *connection)
        .await?;
    if new.rows_affected() == 0 {
        return Ok(false);
    }
    let peers = ["SELECT id, name FROM dht_peer WHERE name IN (", "INSERT INTO dht_peer (name) "];
    let texts = ["SELECT id, name FROM dht_text WHERE name IN (", "INSERT INTO dht_text (name) "];
    let peers = ids(connection, peers, &batch.peers).await?;
    let texts = ids(connection, texts, &batch.texts).await?;
    // Whoever has the write lock is the only one who takes numbers.
    let last: i64 =
        sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM dht_operation").fetch_one(&mut *connection).await?;
    let numbers: Vec<i64> = (last + 1..).take(batch.operations.len()).collect();
    let numbered: Vec<_> = numbers.iter().copied().zip(&batch.operations).collect();
    for rows in numbered.chunks(ROWS_PER_STATEMENT) {
        insert_operations(connection, rows, &peers, &texts).await?;
    }
    for rows in batch.hops.chunks(ROWS_PER_STATEMENT) {
        insert_hops(connection, rows, &numbers, &peers).await?;
    }
    Ok(true)
}

/// The numbers of all names, which get one where they have none.
async fn ids(
    connection: &mut SqliteConnection,
    [select, insert]: [&'static str; 2],
    names: &BTreeSet<&str>,
) -> Result<Ids, sqlx::Error> {
    let mut ids = Ids::with_capacity(names.len());
    let names: Vec<&str> = names.iter().copied().collect();
    for names in names.chunks(ROWS_PER_STATEMENT) {
        find(connection, select, names, &mut ids).await?;
        let missing: Vec<&str> = names.iter().copied().filter(|name| !ids.contains_key(*name)).collect();
        if missing.is_empty() {
            continue;
        }
        let mut added = QueryBuilder::<Sqlite>::new(insert);
        added.push_values(&missing, |mut values, name| _ = values.push_bind(*name));
        added.build().execute(&mut *connection).await?;
        find(connection, select, &missing, &mut ids).await?;
    }
    Ok(ids)
}

async fn find(
    connection: &mut SqliteConnection,
    select: &'static str,
    names: &[&str],
    ids: &mut Ids,
) -> Result<(), sqlx::Error> {
    let mut query = QueryBuilder::<Sqlite>::new(select);
    let mut list = query.separated(", ");
    for name in names {
        list.push_bind(*name);
    }
    query.push(")");
    let rows: Vec<(i64, String)> = query.build_query_as().fetch_all(connection).await?;
    ids.extend(rows.into_iter().map(|(id, name)| (name, id)));
    Ok(())
}

async fn insert_operations(
    connection: &mut SqliteConnection,
    rows: &[(i64, &Operation<'_>)],
    peers: &Ids,
    texts: &Ids,
) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO dht_operation (id, started_wall_ms, duration_ns, stored_ns, rt_size, obs_series, obs_seq, observer, \
         fleet, region, stored, hops, kind, variant, hit, key, error) ",
    );
    insert.push_values(rows, |mut values, (id, row)| {
        values
            .push_bind(*id)
            .push_bind(row.started_wall_ms)
            .push_bind(row.duration_ns)
            .push_bind(row.stored_ns)
            .push_bind(row.rt_size)
            .push_bind(row.observation.map(|(series, _)| series))
            .push_bind(row.observation.map(|(_, seq)| seq))
            .push_bind(peers.get(row.observer).copied())
            .push_bind(texts.get(row.fleet).copied())
            .push_bind(texts.get(row.region).copied())
            .push_bind(row.stored)
            .push_bind(row.hops)
            .push_bind(row.kind)
            .push_bind(row.variant)
            .push_bind(row.hit)
            .push_bind(row.key)
            .push_bind(row.error.as_deref());
    });
    insert.build().execute(connection).await.map(drop)
}

async fn insert_hops(
    connection: &mut SqliteConnection,
    rows: &[Hop<'_>],
    numbers: &[i64],
    peers: &Ids,
) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new(
        "INSERT INTO dht_hop (operation, seq, peer, queued_ns, dial_ns, handshake_ns, sent_ns, ended_ns, rtt_ns, \
         common_bits, learnt, providers, parent, rpc, failure, flags) ",
    );
    insert.push_values(rows, |mut values, row| {
        values
            .push_bind(numbers.get(row.operation).copied())
            .push_bind(row.seq)
            .push_bind(peers.get(row.peer).copied());
        for time_ns in row.times_ns {
            values.push_bind(time_ns);
        }
        values.push_bind(row.rtt_ns);
        for count in row.counts {
            values.push_bind(count);
        }
        values.push_bind(row.parent).push_bind(row.rpc).push_bind(row.failure).push_bind(row.flags);
    });
    insert.build().execute(connection).await.map(drop)
}

pub(crate) async fn get(store: &Store, span: &Span<'_>, limit: u32) -> Result<Vec<(Cursor, Trace)>, StoreError> {
    const ACTION: &str = "read traces";
    let failed = StoreError::while_doing(ACTION);
    let mut transaction = store.begin_read(ACTION).await?;
    let operations = read_operations(&mut transaction, span, limit).await.map_err(&failed)?;
    let numbers: Vec<i64> = operations.iter().map(|operation| operation.id).collect();
    let hops = read_hops(&mut transaction, &numbers).await.map_err(&failed)?;
    join(operations, hops)
}

async fn read_operations(
    connection: &mut SqliteConnection,
    span: &Span<'_>,
    limit: u32,
) -> Result<Vec<StoredOperation>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT o.id, o.started_wall_ms, o.duration_ns, o.stored_ns, o.rt_size, o.obs_series, o.obs_seq, \
         p.name AS observer, f.name AS fleet, r.name AS region, o.stored, o.hops, o.kind, o.variant, o.hit, o.key, o.error \
         FROM dht_operation o JOIN dht_peer p ON p.id = o.observer \
         JOIN dht_text f ON f.id = o.fleet JOIN dht_text r ON r.id = o.region \
         WHERE o.started_wall_ms >= $1 AND o.started_wall_ms < $2 AND (o.started_wall_ms, o.id) > ($3, $4) \
         AND (json_array_length($5) = 0 OR f.name IN (SELECT value FROM json_each($5))) \
         ORDER BY o.started_wall_ms, o.id LIMIT $6",
    )
    .bind(span.from_ms)
    .bind(span.until_ms)
    .bind(span.after.at_us.div_euclid(1000))
    .bind(span.after.id)
    .bind(serde_json::Value::from(span.fleets).to_string())
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let rows = rows.iter().map(operation_of_row).collect::<Result<Vec<_>, _>>()?;
    Ok(page(rows))
}

async fn read_hops(connection: &mut SqliteConnection, numbers: &[i64]) -> Result<Vec<StoredHop>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT h.operation, p.name AS peer, h.queued_ns, h.dial_ns, h.handshake_ns, h.sent_ns, h.ended_ns, h.rtt_ns, \
         h.common_bits, h.learnt, h.providers, h.parent, h.rpc, h.failure, h.flags \
         FROM dht_hop h JOIN dht_peer p ON p.id = h.peer \
         WHERE h.operation IN (SELECT value FROM json_each($1)) ORDER BY h.operation, h.seq",
    )
    .bind(serde_json::Value::from(numbers).to_string())
    .fetch_all(connection)
    .await?;
    rows.iter().map(hop_of_row).collect()
}
