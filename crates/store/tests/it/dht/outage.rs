//! A database that is gone, comes back, hangs, or is busy for too long.

use std::net::Ipv4Addr;
use std::time::Duration;

use peermark_store::dht::{DhtStore, PostgresOptions, RoundRows};
use peermark_store::{OpenError, StoreError};
use peermark_testkit::Postgres;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::dht::{Bed, NOW, empty_database, everything, new_node, options, row, server};

/// Ten seconds for a connection, fifteen for the work, and the machine's share.
const BOUND: Duration = Duration::from_secs(30);

/// Waits until something holds.
pub(crate) async fn poll(holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "it does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_are_written_after_the_database_returns_and_none_twice() {
    let mut postgres = tokio::task::block_in_place(Postgres::start);
    let options = options(&postgres, "peermark");
    let store = DhtStore::connect_postgres(&options).await.unwrap();
    let scheduler = store.insert_scheduler(&["default".to_owned()], &serde_json::json!({}), NOW).await.unwrap();
    let node = store.insert_node(&new_node("default"), NOW).await.unwrap();
    let round = |name: &str| RoundRows {
        batch: name.to_owned(),
        provides: vec![row(node, NOW)],
        retrievals: vec![row(node, NOW)],
        offline: Vec::new(),
    };
    assert!(store.write_round(scheduler, &round("before")).await.unwrap().now);

    // One round is half-way, held up by a lock, when the server goes.
    let admin = DhtStore::connect_postgres(&options).await.unwrap();
    let lock = hold_provides(&postgres);
    let held =
        "SELECT count(*) FROM pg_locks WHERE relation = 'provides_ecs'::regclass AND mode = 'AccessExclusiveLock'";
    poll(async || postgres.psql("peermark", held) == "1").await;
    let writer = {
        let (store, rows) = (store.clone(), round("half-way"));
        tokio::spawn(async move { store.write_round(scheduler, &rows).await })
    };
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'peermark' AND wait_event_type = 'Lock'";
    poll(async || postgres.psql("peermark", waiting) == "1").await;
    tokio::task::block_in_place(|| postgres.stop());
    tokio::task::spawn_blocking(move || lock.join()).await.unwrap().unwrap();
    let error = timeout(BOUND, writer).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error:?}");

    // While it is gone every call fails, and ends.
    let begun = Instant::now();
    let (one, other) = timeout(
        BOUND,
        futures::future::join(store.write_round(scheduler, &round("half-way")), admin.live_nodes(&[], NOW)),
    )
    .await
    .unwrap();
    assert!(matches!(one, Err(StoreError::Database { .. })), "{one:?}");
    assert!(matches!(other, Err(StoreError::Database { .. })), "{other:?}");
    println!("a call ends {} ms after it began without a database", begun.elapsed().as_millis());

    tokio::task::block_in_place(|| postgres.start_again());
    assert!(store.write_round(scheduler, &round("half-way")).await.unwrap().now);
    assert!(!store.write_round(scheduler, &round("half-way")).await.unwrap().now);
    assert!(!store.write_round(scheduler, &round("before")).await.unwrap().now);
    assert_eq!(store.measured(&everything(), 100).await.unwrap().len(), 4);
}

/// A session that holds a lock on `provides_ecs` until its server goes.
fn hold_provides(postgres: &Postgres) -> std::thread::JoinHandle<()> {
    let port = postgres.port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            use sqlx::{Connection, PgConnection};
            let url = format!("postgres://peermark@127.0.0.1:{port}/peermark?sslmode=disable");
            let mut session = PgConnection::connect(&url).await.unwrap();
            let sql = "BEGIN; LOCK TABLE provides_ecs; SELECT pg_sleep(60)";
            drop(sqlx::raw_sql(sql).execute(&mut session).await);
        });
    })
}

/// A path that swallows everything, and comes back without knowing the connections that it had.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_swallows_everything_is_given_up_and_found_again() {
    let path = Path::to(server().port()).await;
    let database = empty_database();
    let options = PostgresOptions { port: path.port, ..options(server(), &database) };
    let store = DhtStore::connect_postgres(&options).await.unwrap();
    let node = store.insert_node(&new_node("default"), NOW).await.unwrap();
    // All four connections of the pool, now idle.
    let heartbeats = (0..16).map(|_| store.heartbeat(node, NOW));
    futures::future::try_join_all(heartbeats).await.unwrap();

    path.swallowing.send_replace(true);
    let error = timeout(BOUND, store.heartbeat(node, NOW)).await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
    path.swallowing.send_replace(false);
    timeout(BOUND, store.heartbeat(node, NOW + 1)).await.unwrap().unwrap();
}

/// Carries bytes both ways. A connection that was there while it swallowed stays dead.
struct Path {
    port: u16,
    swallowing: watch::Sender<bool>,
}

impl Path {
    async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (swallowing, seen) = watch::channel(false);
        let path = Self { port: listener.local_addr().unwrap().port(), swallowing };
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, port, seen.clone()));
            }
        });
        path
    }
}

async fn carry(mut near: TcpStream, port: u16, mut swallowing: watch::Receiver<bool>) {
    let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let swallowed = async { drop(swallowing.wait_for(|swallowing| *swallowing).await) };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
        () = swallowed => {}
    }
    // Both ends stay open for as long as the test may take, and neither hears of the other.
    tokio::time::sleep(BOUND * 4).await;
}

/// The server's own bound, told by the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_given_up() {
    let bed = Bed::postgres().await;
    let (scheduler, node) = (bed.scheduler().await, bed.node("default").await);
    let database = bed.sql("SELECT current_database()").await;
    let holder = {
        let database = database.clone();
        let sql = "BEGIN; LOCK TABLE provides_ecs; SELECT pg_sleep(14); COMMIT";
        tokio::task::spawn_blocking(move || server().psql(&database, sql))
    };
    let held =
        "SELECT count(*) FROM pg_locks WHERE relation = 'provides_ecs'::regclass AND mode = 'AccessExclusiveLock'";
    poll(async || server().psql(&database, held) == "1").await;
    let rows = RoundRows { batch: "r-1".to_owned(), provides: vec![row(node, NOW)], ..RoundRows::default() };
    let error = timeout(BOUND, bed.store.write_round(scheduler, &rows)).await.unwrap().unwrap_err();
    let StoreError::Database { source, .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("statement timeout"), "{source}");
    holder.await.unwrap();
    assert!(bed.store.write_round(scheduler, &rows).await.unwrap().now);
}

/// A machine that takes connections and says nothing.
#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = PostgresOptions { port, ..options(server(), "peermark") };
    let error = timeout(BOUND, DhtStore::connect_postgres(&options)).await.unwrap().unwrap_err();
    let OpenError::Connect { source, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(source, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut), "{source:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_at_once() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let options = PostgresOptions { port, ..options(server(), "peermark") };
    let error = timeout(Duration::from_secs(5), DhtStore::connect_postgres(&options)).await.unwrap().unwrap_err();
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}/peermark")), "{error}");
}
