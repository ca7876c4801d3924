//! DHT measurements: the same contract on SQLite and on PostgreSQL, and what is PostgreSQL's alone.

mod directory;
mod outage;
mod properties;
mod reaching;
mod rounds;
mod schema;
mod size;
mod traces;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use peermark_store::dht::{DhtStore, MeasuredFilter, MeasurementRow, NewNode, NodeId, PostgresOptions, SchedulerId};
use peermark_testkit::postgres::{Postgres, Settings};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

/// Some moment of 2024, in milliseconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_712_345_678_901;

pub(crate) const ROLE: &str = "parsec";
pub(crate) const PASSWORD: &str = "correct horse";

/// The server of every test that does not stop it; it goes with the test program.
pub(crate) fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| {
        Postgres::start_with(&Settings { role: Some((ROLE.to_owned(), PASSWORD.to_owned())), tls: true })
    })
}

/// An empty database of its own on the shared server.
pub(crate) fn empty_database() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server().create_database(&name);
    name
}

pub(crate) fn options(server: &Postgres, database: &str) -> PostgresOptions {
    PostgresOptions {
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        name: database.to_owned(),
        user: server.user().to_owned(),
        password: None,
        ssl_mode: "disable".to_owned(),
        ssl_root_cert: None,
    }
}

/// A store with a way behind its back.
pub(crate) struct Bed {
    pub(crate) store: DhtStore,
    behind: Behind,
}

enum Behind {
    Sqlite(PathBuf, #[expect(dead_code, reason = "the directory goes with it")] TempDir),
    Postgres(String),
}

impl Bed {
    pub(crate) async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("peermark.db");
        let store = DhtStore::open_sqlite(&path).await.unwrap();
        Self { store, behind: Behind::Sqlite(path, directory) }
    }

    pub(crate) async fn postgres() -> Self {
        let database = empty_database();
        let store = DhtStore::connect_postgres(&options(server(), &database)).await.unwrap();
        Self { store, behind: Behind::Postgres(database) }
    }

    /// The one text that some SQL gives, empty where it gives none.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        match &self.behind {
            Behind::Postgres(database) => server().psql(database, sql),
            Behind::Sqlite(path, _) => {
                let options = SqliteConnectOptions::new().filename(path).foreign_keys(true);
                let mut connection = options.connect().await.unwrap();
                let found = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql.to_owned()));
                let found = found.fetch_optional(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                found.flatten().unwrap_or_default()
            }
        }
    }

    /// A column that is a moment, in milliseconds, as text.
    pub(crate) fn ms(&self, column: &str) -> String {
        match &self.behind {
            Behind::Postgres(_) => format!("coalesce(((extract(epoch FROM {column}) * 1000)::bigint)::text, '-')"),
            Behind::Sqlite(..) => format!("coalesce(CAST({column} AS TEXT), '-')"),
        }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.behind, Behind::Postgres(_))
    }

    pub(crate) async fn count(&self, table: &str) -> u64 {
        self.sql(&format!("SELECT CAST(count(*) AS TEXT) FROM {table}")).await.parse().unwrap()
    }

    pub(crate) async fn node(&self, fleet: &str) -> NodeId {
        self.store.insert_node(&new_node(fleet), NOW).await.unwrap()
    }

    pub(crate) async fn scheduler(&self) -> SchedulerId {
        self.store.insert_scheduler(&["default".to_owned()], &serde_json::json!({}), NOW).await.unwrap()
    }
}

/// Runs each of the functions of its module on both databases.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::dht::Bed::sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::dht::Bed::postgres().await).await;
            })*
        }
    };
}
pub(crate) use on_both;

pub(crate) fn new_node(fleet: &str) -> NewNode {
    NewNode {
        cpu: 4,
        memory: 8192,
        peer_id: "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X".to_owned(),
        region: "eu-central-1".to_owned(),
        cmd: "peermark dht server".to_owned(),
        fleet: fleet.to_owned(),
        dependencies: serde_json::json!({ "peermark": "0.1.0", "list": [1, 2] }),
        ip_address: Ipv4Addr::new(10, 1, 2, 3),
        server_port: 7070,
        peer_port: 32_767,
    }
}

pub(crate) fn row(node: NodeId, created_ms: u64) -> MeasurementRow {
    MeasurementRow {
        node,
        rt_size: 201,
        duration_ns: 1_234_567_891,
        cid: "QmSnuWmxptJZdLJpKRarxBMS2Ju2oANVrgbr2xWbie9b2D".to_owned(),
        error: None,
        step: String::new(),
        created_ms,
    }
}

pub(crate) fn everything() -> MeasuredFilter {
    MeasuredFilter { until_ms: u64::MAX, ..MeasuredFilter::default() }
}
