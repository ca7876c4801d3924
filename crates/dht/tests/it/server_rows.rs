//! The life of a server's row, on both databases.

use std::sync::Arc;
use std::time::Duration;

use peermark_core::Clock;
use peermark_store::dht::{DhtStore, LiveNode, MAX_PORT, PostgresOptions};
use peermark_testkit::fake_clock::START_WALL_MS;
use peermark_testkit::{FakeClock, Postgres};

use crate::server_rig::{Setup, ask, until};

fn setup(store: &DhtStore, clock: &Arc<FakeClock>) -> Setup {
    let mut setup = Setup { store: Some(store.clone()), clock: clock.clone(), ..Setup::default() };
    // The test turns the wall clock; heartbeats come when the system's timer says, often.
    setup.config.heartbeat_ms = 20;
    setup
}

async fn live(store: &DhtStore, now_ms: u64) -> Vec<LiveNode> {
    store.live_nodes(&["rust".to_owned()], now_ms).await.unwrap()
}

/// Insert without a heartbeat, heartbeat, marked offline by a scheduler, back by itself, offline at the stop.
async fn lives(store: DhtStore) {
    let clock = Arc::new(FakeClock::new());
    let mut late = setup(&store, &clock);
    late.config.startup_delay_ms = 3_600_000;
    let silent = late.start().await.unwrap();
    assert_eq!(ask(silent.server.api_address(), "GET", "/readiness").await.status, 200);
    assert!(live(&store, START_WALL_MS).await.is_empty(), "a row without a heartbeat is found by nobody");
    let silent_id = silent.server.node_id().unwrap();
    store.heartbeat(silent_id, START_WALL_MS).await.expect("the row is there");
    assert_eq!(live(&store, START_WALL_MS).await[0].id, silent_id);
    assert_eq!(silent.server.shutdown().await, None);
    assert!(live(&store, START_WALL_MS).await.is_empty());

    let rig = setup(&store, &clock).start().await.unwrap();
    let node = rig.server.node_id().unwrap();
    assert_ne!(node, silent_id, "a new row at every start");
    until("it has a heartbeat", async || !live(&store, START_WALL_MS).await.is_empty()).await;
    let found = live(&store, START_WALL_MS).await;
    let api = rig.server.api_address();
    assert!(api.port() <= MAX_PORT, "a port that the schema can hold was looked for");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].id, found[0].server_port, found[0].ip_address.into()), (node, api.port(), api.ip()));
    assert_eq!((found[0].peer_id.clone(), found[0].region.as_str()), (rig.peer_id.to_base58(), "eu-central-1"));

    store.mark_offline(node, clock.wall_ms()).await.unwrap();
    until("the next heartbeat brings it back", async || !live(&store, START_WALL_MS).await.is_empty()).await;

    let later = START_WALL_MS + 600_000;
    clock.advance(Duration::from_secs(600));
    until("heartbeats tell the server's own time", async || !live(&store, later + 120_000).await.is_empty()).await;
    assert!(live(&store, later + 120_001).await.is_empty(), "two minutes later it is forgotten");

    assert_eq!(rig.server.shutdown().await, None);
    assert!(live(&store, later).await.is_empty(), "offline, and no late heartbeat brings it back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_lives_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    lives(DhtStore::open_sqlite(&directory.path().join("s.db")).await.unwrap()).await;
}

pub(crate) async fn connect(postgres: &Postgres) -> DhtStore {
    let options = PostgresOptions {
        host: "127.0.0.1".into(),
        port: postgres.port(),
        name: "peermark".into(),
        user: postgres.user().into(),
        password: None,
        ssl_mode: "disable".into(),
        ssl_root_cert: None,
    };
    DhtStore::connect_postgres(&options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_lives_in_postgresql_with_parsecs_columns() {
    let postgres = Postgres::start();
    let store = connect(&postgres).await;
    lives(store.clone()).await;
    let row = "SELECT cpu > 0, memory > 64, cmd, fleet, server_port > 0, peer_port, host(ip_address), \
        dependencies->>'variant', dependencies->'crates'->>'libp2p-kad' <> '', last_heartbeat IS NOT NULL, \
        offline_since = timestamptz '2026-01-01 00:10:00Z', created_at = timestamptz '2026-01-01 00:00:00Z' \
        FROM nodes_ecs ORDER BY id DESC LIMIT 1";
    assert_eq!(
        postgres.psql("peermark", row),
        "t|t|peermark dht server --db-password *** --fleet rust|rust|t|4001|127.0.0.1|default|t|t|t|t"
    );
    let clock = Arc::new(FakeClock::new());
    let mut late = setup(&store, &clock);
    late.config.startup_delay_ms = 3_600_000;
    let rig = late.start().await.unwrap();
    let nulls = "SELECT last_heartbeat IS NULL, offline_since IS NULL FROM nodes_ecs ORDER BY id DESC LIMIT 1";
    assert_eq!(postgres.psql("peermark", nulls), "t|t");
    drop(rig);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_neither_stops_the_server_nor_holds_its_end() {
    let mut postgres = Postgres::start();
    let store = connect(&postgres).await;
    let clock = Arc::new(FakeClock::new());
    let rig = setup(&store, &clock).start().await.unwrap();
    until("it has a heartbeat", async || !live(&store, START_WALL_MS).await.is_empty()).await;
    let failures = async || {
        let page = ask(rig.server.telemetry_address(), "GET", "/metrics").await.body;
        let line = page.lines().find_map(|line| line.strip_prefix("peermark_dht_heartbeat_failures_total "));
        line.unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(failures().await, 0);
    postgres.stop();
    until("heartbeats fail", async || failures().await > 0).await;
    assert_eq!(ask(rig.server.api_address(), "GET", "/readiness").await.status, 200);
    clock.advance(Duration::from_secs(600));
    postgres.start_again();
    let later = START_WALL_MS + 600_000;
    until("heartbeats go on", async || store.live_nodes(&["rust".into()], later).await.is_ok_and(|l| !l.is_empty()))
        .await;
    postgres.stop();
    tokio::time::timeout(Duration::from_secs(30), rig.server.shutdown()).await.expect("the end is bounded");
}
