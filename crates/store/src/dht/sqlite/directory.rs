//! Schedulers and servers.

use std::net::Ipv4Addr;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::dht::limits::MAX_NODES;
use crate::dht::rows::{LiveNode, NewNode, NodeId, SchedulerId, SeenNode};
use crate::error::StoreError;
use crate::store::Store;

pub(crate) async fn insert_scheduler(
    store: &Store,
    fleets: &[String],
    dependencies: &str,
    now_ms: i64,
) -> Result<SchedulerId, StoreError> {
    const ACTION: &str = "store a scheduler";
    let mut transaction = store.begin_write(ACTION).await?;
    let sql = "INSERT INTO schedulers_ecs (fleets, dependencies, created_at) VALUES ($1, $2, $3) RETURNING id";
    let id = sqlx::query_scalar(sql)
        .bind(serde_json::Value::from(fleets).to_string())
        .bind(dependencies)
        .bind(now_ms)
        .fetch_one(&mut *transaction)
        .await
        .map_err(StoreError::while_doing(ACTION))?;
    transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
    Ok(SchedulerId(id))
}

pub(crate) async fn insert_node(
    store: &Store,
    node: &NewNode,
    dependencies: &str,
    now_ms: i64,
) -> Result<NodeId, StoreError> {
    const ACTION: &str = "store a server";
    let mut transaction = store.begin_write(ACTION).await?;
    let id = sqlx::query_scalar(
        "INSERT INTO nodes_ecs \
         (cpu, memory, peer_id, region, cmd, fleet, dependencies, ip_address, server_port, peer_port, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id",
    )
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
    .fetch_one(&mut *transaction)
    .await
    .map_err(StoreError::while_doing(ACTION))?;
    transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
    Ok(NodeId(id))
}

pub(crate) async fn heartbeat(store: &Store, node: NodeId, now_ms: i64) -> Result<(), StoreError> {
    let sql = "UPDATE nodes_ecs SET last_heartbeat = $1, offline_since = NULL WHERE id = $2";
    update(store, "store a heartbeat", sql, node, now_ms).await
}

pub(crate) async fn mark_offline(store: &Store, node: NodeId, now_ms: i64) -> Result<(), StoreError> {
    let sql = "UPDATE nodes_ecs SET offline_since = $1 WHERE id = $2";
    update(store, "store that a server is offline", sql, node, now_ms).await
}

async fn update(
    store: &Store,
    action: &'static str,
    sql: &'static str,
    node: NodeId,
    now_ms: i64,
) -> Result<(), StoreError> {
    let mut transaction = store.begin_write(action).await?;
    let done = sqlx::query(sql).bind(now_ms).bind(node.0).execute(&mut *transaction).await;
    if done.map_err(StoreError::while_doing(action))?.rows_affected() == 0 {
        return Err(StoreError::NoSuchNode { node });
    }
    transaction.commit().await.map_err(StoreError::while_doing(action))
}

pub(crate) async fn live_nodes(store: &Store, fleets: &[String], since_ms: i64) -> Result<Vec<LiveNode>, StoreError> {
    let failed = StoreError::while_doing("find servers");
    let rows = sqlx::query(
        "SELECT id, peer_id, region, fleet, ip_address, server_port FROM nodes_ecs \
         WHERE offline_since IS NULL AND last_heartbeat >= $1 AND fleet IN (SELECT value FROM json_each($2)) \
         ORDER BY id LIMIT $3",
    )
    .bind(since_ms)
    .bind(serde_json::Value::from(fleets).to_string())
    .bind(i64::from(MAX_NODES))
    .fetch_all(store.read())
    .await
    .map_err(&failed)?;
    let nodes = rows.iter().map(node_of_row).collect::<Result<Vec<_>, _>>();
    Ok(nodes.map_err(&failed)?.into_iter().flatten().collect())
}

pub(crate) async fn nodes_since(store: &Store, from_ms: i64) -> Result<Vec<SeenNode>, StoreError> {
    let failed = StoreError::while_doing("find servers of any state");
    let rows = sqlx::query(
        "SELECT id, peer_id, region, fleet, ip_address, server_port, last_heartbeat, offline_since FROM nodes_ecs \
         WHERE created_at >= $1 OR last_heartbeat >= $1 ORDER BY id DESC LIMIT $2",
    )
    .bind(from_ms)
    .bind(i64::from(MAX_NODES))
    .fetch_all(store.read())
    .await
    .map_err(&failed)?;
    let seen = rows.iter().rev().map(seen_of_row).collect::<Result<Vec<_>, _>>();
    Ok(seen.map_err(&failed)?.into_iter().flatten().collect())
}

fn seen_of_row(row: &SqliteRow) -> Result<Option<SeenNode>, sqlx::Error> {
    let moment = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(i64::unsigned_abs));
    let (last_heartbeat_ms, offline_since_ms) = (moment("last_heartbeat")?, moment("offline_since")?);
    Ok(node_of_row(row)?.map(|node| SeenNode { node, last_heartbeat_ms, offline_since_ms }))
}

/// `None` for a row that nobody could call.
fn node_of_row(row: &SqliteRow) -> Result<Option<LiveNode>, sqlx::Error> {
    let id: i32 = row.try_get("id")?;
    let (host, port): (String, i64) = (row.try_get("ip_address")?, row.try_get("server_port")?);
    let port_that_listens = u16::try_from(port).ok().filter(|port| *port > 0);
    let (Ok(ip_address), Some(server_port)) = (host.parse::<Ipv4Addr>(), port_that_listens) else {
        tracing::warn!(node = id, host, port, "a server whose address cannot be called is left out");
        return Ok(None);
    };
    let (peer_id, region, fleet) = (row.try_get("peer_id")?, row.try_get("region")?, row.try_get("fleet")?);
    Ok(Some(LiveNode { id: NodeId(id), peer_id, region, fleet, ip_address, server_port }))
}
