//! Schedulers and servers.

use std::net::Ipv4Addr;

use peermark_store::StoreError;
use peermark_store::dht::{MAX_PORT, NodeId};

use crate::dht::{Bed, NOW, new_node, on_both};

on_both!(
    rows_hold_what_was_given,
    a_heartbeat_brings_a_server_back,
    two_minutes_are_the_border,
    only_the_fleets_that_were_asked_for,
    being_offline_leaves_the_heartbeat_alone,
    a_server_without_a_row_is_named,
    ports_beyond_smallint_are_refused_before_the_database,
    rows_that_nobody_could_call_are_left_out,
);

fn fleets(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn live(bed: &Bed, names: &[&str], now_ms: u64) -> Vec<NodeId> {
    let nodes = bed.store.live_nodes(&fleets(names), now_ms).await.unwrap();
    nodes.into_iter().map(|node| node.id).collect()
}

async fn rows_hold_what_was_given(bed: &Bed) {
    let dependencies = serde_json::json!({ "crates": ["libp2p"] });
    let scheduler = bed.store.insert_scheduler(&fleets(&["optprov", "default"]), &dependencies, NOW).await.unwrap();
    let node = bed.store.insert_node(&new_node("default"), NOW + 1).await.unwrap();
    assert_eq!((scheduler.0, node.0), (1, 1));
    let (array, host) =
        if bed.is_postgres() { ("array_to_json(fleets)::text", "host(ip_address)") } else { ("fleets", "ip_address") };
    let json = if bed.is_postgres() { "(dependencies ->> 'crates')" } else { "json_extract(dependencies, '$.crates')" };
    let sql = format!("SELECT {array} || ' ' || {json} || ' ' || {} FROM schedulers_ecs", bed.ms("created_at"));
    assert_eq!(bed.sql(&sql).await, format!("[\"optprov\",\"default\"] [\"libp2p\"] {NOW}"));
    let (created, heartbeat, offline) = (bed.ms("created_at"), bed.ms("last_heartbeat"), bed.ms("offline_since"));
    let sql = format!(
        "SELECT cpu || ' ' || memory || ' ' || peer_id || ' ' || region || ' ' || cmd || ' ' || fleet || ' ' || {host} \
         || ' ' || server_port || ' ' || peer_port || ' ' || {heartbeat} || ' ' || {offline} || ' ' || {created} FROM nodes_ecs"
    );
    let expected = format!(
        "4 8192 12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X eu-central-1 peermark dht server default 10.1.2.3 \
         7070 32767 - - {}",
        NOW + 1
    );
    assert_eq!(bed.sql(&sql).await, expected);
}

async fn a_heartbeat_brings_a_server_back(bed: &Bed) {
    let node = bed.node("default").await;
    assert!(live(bed, &["default"], NOW).await.is_empty(), "no heartbeat yet");
    bed.store.heartbeat(node, NOW).await.unwrap();
    let found = bed.store.live_nodes(&fleets(&["default"]), NOW).await.unwrap();
    let found = &found[0];
    assert_eq!((found.id, found.ip_address, found.server_port), (node, Ipv4Addr::new(10, 1, 2, 3), 7070));
    assert_eq!((found.region.as_str(), found.fleet.as_str()), ("eu-central-1", "default"));
    assert_eq!(found.peer_id, new_node("").peer_id);
    bed.store.mark_offline(node, NOW).await.unwrap();
    assert!(live(bed, &["default"], NOW).await.is_empty());
    bed.store.heartbeat(node, NOW + 60_000).await.unwrap();
    assert_eq!(live(bed, &["default"], NOW + 60_000).await, [node]);
    assert_eq!(bed.sql(&format!("SELECT {} FROM nodes_ecs", bed.ms("offline_since"))).await, "-");
}

async fn two_minutes_are_the_border(bed: &Bed) {
    let node = bed.node("default").await;
    bed.store.heartbeat(node, NOW).await.unwrap();
    assert_eq!(live(bed, &["default"], NOW + 120_000).await, [node]);
    assert!(live(bed, &["default"], NOW + 120_001).await.is_empty());
    // A clock that is behind the server's sees a heartbeat of the future.
    assert_eq!(live(bed, &["default"], NOW - 180_000).await, [node]);
    assert_eq!(live(bed, &["default"], 0).await, [node]);
    assert!(live(bed, &["default"], u64::MAX).await.is_empty());
}

async fn only_the_fleets_that_were_asked_for(bed: &Bed) {
    let mut nodes = Vec::new();
    for fleet in ["default", "optprov", "fullrt", "default"] {
        let node = bed.node(fleet).await;
        nodes.push(node);
    }
    // The order of heartbeats is not the order of the answer.
    for node in nodes.iter().rev() {
        bed.store.heartbeat(*node, NOW).await.unwrap();
    }
    assert_eq!(live(bed, &["default"], NOW).await, [nodes[0], nodes[3]]);
    assert_eq!(live(bed, &["fullrt", "default"], NOW).await, [nodes[0], nodes[2], nodes[3]]);
    assert!(live(bed, &[], NOW).await.is_empty());
    assert!(live(bed, &["Default", "%"], NOW).await.is_empty());
}

async fn being_offline_leaves_the_heartbeat_alone(bed: &Bed) {
    let node = bed.node("default").await;
    bed.store.heartbeat(node, NOW).await.unwrap();
    bed.store.mark_offline(node, NOW + 7).await.unwrap();
    let sql = format!("SELECT {} || ' ' || {} FROM nodes_ecs", bed.ms("last_heartbeat"), bed.ms("offline_since"));
    assert_eq!(bed.sql(&sql).await, format!("{NOW} {}", NOW + 7));
}

async fn a_server_without_a_row_is_named(bed: &Bed) {
    let node = NodeId(41);
    for result in [bed.store.heartbeat(node, NOW).await, bed.store.mark_offline(node, NOW).await] {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::NoSuchNode { node: NodeId(41) }), "{error:?}");
    }
}

async fn ports_beyond_smallint_are_refused_before_the_database(bed: &Bed) {
    let mut node = new_node("default");
    node.server_port = MAX_PORT;
    bed.store.insert_node(&node, NOW).await.unwrap();
    // A closed store answers nothing.
    bed.store.close().await;
    let (mut server, mut peer) = (node.clone(), node.clone());
    server.server_port = MAX_PORT + 1;
    peer.peer_port = u16::MAX;
    for (node, name) in [(server, "server port 32768"), (peer, "peer port 65535")] {
        let error = bed.store.insert_node(&node, NOW).await.unwrap_err();
        assert!(matches!(error, StoreError::PortTooHigh { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("{name} is above 32767: parsec's schema holds ports as SMALLINT"));
    }
    let error = bed.store.insert_node(&node, NOW).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
}

/// Go's server writes a port above 32767 as a negative number.
async fn rows_that_nobody_could_call_are_left_out(bed: &Bed) {
    let good = bed.node("default").await;
    for changed in ["ip_address = '::1'", "ip_address = '10.0.0.0/8'", "server_port = -5", "server_port = 0"] {
        let node = bed.node("default").await;
        bed.store.heartbeat(node, NOW).await.unwrap();
        bed.sql(&format!("UPDATE nodes_ecs SET {changed} WHERE id = {}", node.0)).await;
    }
    bed.store.heartbeat(good, NOW).await.unwrap();
    assert_eq!(live(bed, &["default"], NOW).await, [good]);
}
