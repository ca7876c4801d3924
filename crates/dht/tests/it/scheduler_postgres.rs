//! Rounds in PostgreSQL, which goes away and comes back.

use std::collections::HashSet;
use std::time::Duration;

use peermark_dht::scheduler::{Notice, SchedulerOptions};
use peermark_store::Store;
use peermark_store::dht::{DhtStore, PostgresOptions};
use peermark_testkit::postgres::Postgres;

use crate::scheduler_fixture::{Cluster, Fault, complete, quick, rounds};

const GOOD: Fault = Fault::None;

async fn cluster(postgres: &Postgres, servers: &[(&str, &str, &str, Fault)]) -> Cluster {
    postgres.create_database("parsec");
    let options = PostgresOptions {
        host: "127.0.0.1".into(),
        port: postgres.port(),
        name: "parsec".into(),
        user: postgres.user().into(),
        password: None,
        ssl_mode: "disable".into(),
        ssl_root_cert: None,
    };
    let tables = DhtStore::connect_postgres(&options).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("peermark.db")).await.unwrap();
    Cluster::start_in(directory, store, tables, servers).await
}

#[tokio::test]
async fn a_round_is_what_psql_reads() {
    let postgres = Postgres::start();
    let servers = [("a", "af", "default", GOOD), ("b", "eu", "default", GOOD), ("c", "us", "default", Fault::Floats)];
    let cluster = cluster(&postgres, &servers).await;
    cluster.schedule(quick(1)).await;
    let psql = |sql: &str| postgres.psql("parsec", sql).trim().to_owned();
    assert_eq!(psql("SELECT fleets FROM schedulers_ecs"), "{default}");
    assert_eq!(
        psql(
            "SELECT n.peer_id, p.step, p.duration, p.error IS NULL, p.rt_size FROM provides_ecs p JOIN nodes_ecs n ON n.id = p.node_id"
        ),
        "a|provide|0.002|t|1000"
    );
    assert_eq!(
        psql("SELECT n.peer_id, r.duration, r.rt_size FROM retrievals_ecs r JOIN nodes_ecs n ON n.id = r.node_id"),
        "b|0.002|1001"
    );
    assert_eq!(
        psql(
            "SELECT count(DISTINCT cid) FROM (SELECT cid FROM provides_ecs UNION ALL SELECT cid FROM retrievals_ecs) c"
        ),
        "1"
    );
    assert_eq!(
        psql("SELECT peer_id FROM nodes_ecs WHERE offline_since IS NOT NULL AND last_heartbeat IS NOT NULL"),
        "c"
    );
    assert!(cluster.is_offline(cluster.members[2].id).await && !cluster.is_offline(cluster.members[0].id).await);
}

#[tokio::test]
async fn rounds_go_on_while_postgresql_is_stopped_and_are_written_once_when_it_is_back() {
    let mut postgres = Postgres::start();
    let cluster = cluster(&postgres, &[("a", "eu", "default", GOOD), ("b", "us", "default", GOOD)]).await;
    let options = SchedulerOptions { rounds: None, interval: Duration::from_millis(100), ..quick(0) };
    let running = cluster.begin(options, None);
    running.until("rounds", |told| complete(told) >= 2).await;
    postgres.stop();
    running.until("it is said", |told| told.iter().any(|notice| matches!(notice, Notice::DatabaseGone { .. }))).await;
    let before = complete(&running.told.lock());
    running.until("rounds without it", |told| complete(told) >= before + 3).await;
    postgres.start_again();
    let after = complete(&running.told.lock());
    running.until("it is back", |told| told.contains(&Notice::DatabaseBack) && complete(told) >= after + 2).await;
    running.stop.cancel();
    let done = running.end().await;
    assert_eq!((done.summary.unwritten, done.summary.metrics.dropped()), (0, 0));
    let rows = cluster.rows().await;
    let provides: Vec<_> = rows.iter().filter(|row| row.provide).map(|row| row.row.cid.clone()).collect();
    assert_eq!(provides.iter().collect::<HashSet<_>>().len(), provides.len(), "no round twice");
    let published = rounds(&done.told).filter(|round| round.published.is_some()).count();
    assert_eq!(provides.len(), published, "no round is missing");
}
