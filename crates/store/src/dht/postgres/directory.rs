//! Schedulers and servers.

use std::net::Ipv4Addr;

use sqlx::postgres::PgRow;
use sqlx::{Pool, Postgres, Row};

use crate::dht::connection::call;
use crate::dht::limits::MAX_NODES;
use crate::dht::rows::{LiveNode, NewNode, NodeId, SchedulerId, SeenNode};
use crate::error::StoreError;

pub(crate) async fn insert_scheduler(
    pool: &Pool<Postgres>,
    fleets: &[String],
    dependencies: &str,
    now_ms: i64,
) -> Result<SchedulerId, StoreError> {
    const ACTION: &str = "store a scheduler";
    call(pool, ACTION, async |connection| {
        sqlx::query_scalar(concat!(
            "INSERT INTO schedulers_ecs (fleets, dependencies, created_at) VALUES ($1, $2::text::jsonb, ",
            moment_of_ms!("$3"),
            ") RETURNING id"
        ))
        .bind(fleets)
        .bind(dependencies)
        .bind(now_ms)
        .fetch_one(connection)
        .await
        .map(SchedulerId)
        .map_err(StoreError::while_doing(ACTION))
    })
    .await
}

pub(crate) async fn insert_node(
    pool: &Pool<Postgres>,
    node: &NewNode,
    dependencies: &str,
    now_ms: i64,
) -> Result<NodeId, StoreError> {
    const ACTION: &str = "store a server";
    call(pool, ACTION, async |connection| {
        sqlx::query_scalar(concat!(
            "INSERT INTO nodes_ecs \
             (cpu, memory, peer_id, region, cmd, fleet, dependencies, ip_address, server_port, peer_port, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8::text::inet, $9::int, $10::int, ",
            moment_of_ms!("$11"),
            ") RETURNING id"
        ))
        .bind(node.cpu)
        .bind(node.memory)
        .bind(&node.peer_id)
        .bind(&node.region)
        .bind(&node.cmd)
        .bind(&node.fleet)
        .bind(dependencies)
        .bind(node.ip_address.to_string())
        .bind(i32::from(node.server_port))
        .bind(i32::from(node.peer_port))
        .bind(now_ms)
        .fetch_one(connection)
        .await
        .map(NodeId)
        .map_err(StoreError::while_doing(ACTION))
    })
    .await
}

pub(crate) async fn heartbeat(pool: &Pool<Postgres>, node: NodeId, now_ms: i64) -> Result<(), StoreError> {
    let sql =
        concat!("UPDATE nodes_ecs SET last_heartbeat = ", moment_of_ms!("$1"), ", offline_since = NULL WHERE id = $2");
    update(pool, "store a heartbeat", sql, node, now_ms).await
}

pub(crate) async fn mark_offline(pool: &Pool<Postgres>, node: NodeId, now_ms: i64) -> Result<(), StoreError> {
    let sql = concat!("UPDATE nodes_ecs SET offline_since = ", moment_of_ms!("$1"), " WHERE id = $2");
    update(pool, "store that a server is offline", sql, node, now_ms).await
}

async fn update(
    pool: &Pool<Postgres>,
    action: &'static str,
    sql: &'static str,
    node: NodeId,
    now_ms: i64,
) -> Result<(), StoreError> {
    call(pool, action, async |connection| {
        let done = sqlx::query(sql).bind(now_ms).bind(node.0).execute(connection).await;
        match done.map_err(StoreError::while_doing(action))?.rows_affected() {
            0 => Err(StoreError::NoSuchNode { node }),
            _ => Ok(()),
        }
    })
    .await
}

pub(crate) async fn live_nodes(
    pool: &Pool<Postgres>,
    fleets: &[String],
    since_ms: i64,
) -> Result<Vec<LiveNode>, StoreError> {
    const ACTION: &str = "find servers";
    call(pool, ACTION, async |connection| {
        let rows = sqlx::query(concat!(
            "SELECT id, peer_id, region, fleet, host(ip_address) AS host, masklen(ip_address) AS bits, \
             server_port::int AS port FROM nodes_ecs \
             WHERE offline_since IS NULL AND last_heartbeat >= ",
            moment_of_ms!("$1"),
            " AND fleet = ANY ($2) ORDER BY id LIMIT $3"
        ))
        .bind(since_ms)
        .bind(fleets)
        .bind(i64::from(MAX_NODES))
        .fetch_all(connection)
        .await
        .map_err(StoreError::while_doing(ACTION))?;
        let nodes = rows.iter().map(node_of_row).collect::<Result<Vec<_>, _>>();
        Ok(nodes.map_err(StoreError::while_doing(ACTION))?.into_iter().flatten().collect())
    })
    .await
}

pub(crate) async fn nodes_since(pool: &Pool<Postgres>, from_ms: i64) -> Result<Vec<SeenNode>, StoreError> {
    const ACTION: &str = "find servers of any state";
    call(pool, ACTION, async |connection| {
        let rows = sqlx::query(concat!(
            "SELECT id, peer_id, region, fleet, host(ip_address) AS host, masklen(ip_address) AS bits, \
             server_port::int AS port, \
             (extract(epoch FROM last_heartbeat) * 1000)::bigint AS last_heartbeat, \
             (extract(epoch FROM offline_since) * 1000)::bigint AS offline_since FROM nodes_ecs \
             WHERE created_at >= ",
            moment_of_ms!("$1"),
            " OR last_heartbeat >= ",
            moment_of_ms!("$1"),
            " ORDER BY id DESC LIMIT $2"
        ))
        .bind(from_ms)
        .bind(i64::from(MAX_NODES))
        .fetch_all(connection)
        .await
        .map_err(StoreError::while_doing(ACTION))?;
        let seen = rows.iter().rev().map(seen_of_row).collect::<Result<Vec<_>, _>>();
        Ok(seen.map_err(StoreError::while_doing(ACTION))?.into_iter().flatten().collect())
    })
    .await
}

fn seen_of_row(row: &PgRow) -> Result<Option<SeenNode>, sqlx::Error> {
    let moment = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(i64::unsigned_abs));
    let (last_heartbeat_ms, offline_since_ms) = (moment("last_heartbeat")?, moment("offline_since")?);
    Ok(node_of_row(row)?.map(|node| SeenNode { node, last_heartbeat_ms, offline_since_ms }))
}

/// `None` for a row that nobody could call: other programs write what fits the columns.
fn node_of_row(row: &PgRow) -> Result<Option<LiveNode>, sqlx::Error> {
    let id: i32 = row.try_get("id")?;
    let (host, bits, port): (String, i32, i32) = (row.try_get("host")?, row.try_get("bits")?, row.try_get("port")?);
    let address = host.parse::<Ipv4Addr>().ok().filter(|_| bits == 32);
    let (Some(ip_address), Some(server_port)) = (address, u16::try_from(port).ok().filter(|port| *port > 0)) else {
        tracing::warn!(node = id, host, bits, port, "a server whose address cannot be called is left out");
        return Ok(None);
    };
    let (peer_id, region, fleet) = (row.try_get("peer_id")?, row.try_get("region")?, row.try_get("fleet")?);
    Ok(Some(LiveNode { id: NodeId(id), peer_id, region, fleet, ip_address, server_port }))
}
