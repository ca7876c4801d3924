//! parsec's schema in PostgreSQL: exactly that, and only where it may be written.

use peermark_store::OpenError;
use peermark_store::dht::{DhtStore, PARSEC_VERSION};

use crate::dht::{Bed, empty_database, options, server};

const GOLDEN: &str = include_str!("../../golden/parsec_schema.txt");

/// Everything that parsec's programs and dashboards can see of the tables.
const DESCRIPTION: &str = "
    SELECT line FROM (
        SELECT 1 AS part, table_name::text AS of, ordinal_position::int AS place, concat_ws(' ', 'column', table_name,
            ordinal_position, column_name, udt_name, CASE is_nullable WHEN 'NO' THEN 'not null' ELSE 'null' END,
            CASE is_identity WHEN 'YES' THEN 'identity ' || identity_generation END, 'default ' || column_default) AS line
        FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL
        SELECT 2, conname, 0, concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL
        SELECT 3, indexname, 0, 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL
        SELECT 4, relname, 0, concat_ws(' ', 'other', relkind, relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('r', 'i', 'S')
    ) described ORDER BY part, of COLLATE \"C\", place";

/// The golden text is what parsec's own six migrations leave.
#[tokio::test]
async fn an_empty_database_gets_parsecs_schema() {
    let bed = Bed::postgres().await;
    let found = bed.sql(DESCRIPTION).await;
    assert_eq!(found, GOLDEN.trim_end(), "\n{found}\n");
    assert_eq!(bed.sql("SELECT version, dirty FROM schema_migrations").await, "6|f");
    let own = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
               WHERE relnamespace = 'peermark'::regnamespace AND relkind = 'r'";
    assert_eq!(bed.sql(own).await, "dht_batch dht_hop dht_operation dht_peer dht_text schema_version");
}

#[tokio::test]
async fn a_database_that_is_up_to_date_is_used_as_it_is() {
    let database = empty_database();
    let options = options(server(), &database);
    DhtStore::connect_postgres(&options).await.unwrap().close().await;
    // What an administrator added stays.
    server().psql(&database, "CREATE INDEX own ON nodes_ecs (fleet)");
    DhtStore::connect_postgres(&options).await.unwrap();
    assert_eq!(server().psql(&database, "SELECT count(*) FROM pg_class WHERE relname = 'own'"), "1");
    // golang-migrate makes its record before its first migration.
    let database = empty_database();
    server().psql(
        &database,
        "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)",
    );
    DhtStore::connect_postgres(&crate::dht::options(server(), &database)).await.unwrap();
    assert_eq!(server().psql(&database, "SELECT version, dirty FROM schema_migrations"), "6|f");
}

#[tokio::test]
async fn of_many_that_open_an_empty_database_one_fills_it() {
    let database = empty_database();
    let openers = (0..6).map(|_| {
        let options = options(server(), &database);
        tokio::spawn(async move { DhtStore::connect_postgres(&options).await.map(drop) })
    });
    for opener in openers.collect::<Vec<_>>() {
        opener.await.unwrap().unwrap();
    }
    assert_eq!(server().psql(&database, "SELECT version, dirty FROM schema_migrations"), "6|f");
}

#[tokio::test]
async fn other_versions_are_refused_and_left_alone() {
    let database = empty_database();
    let options = options(server(), &database);
    DhtStore::connect_postgres(&options).await.unwrap().close().await;
    let set = |record: &str| server().psql(&database, &format!("UPDATE schema_migrations SET {record}"));
    set("version = 5");
    let old = DhtStore::connect_postgres(&options).await.unwrap_err();
    assert!(matches!(old, OpenError::OldParsec { found: 5, expected: PARSEC_VERSION, .. }), "{old:?}");
    assert!(old.to_string().contains("version 5, 6 is needed: run parsec's own migrations first"), "{old}");
    set("version = 7");
    let new = DhtStore::connect_postgres(&options).await.unwrap_err();
    assert!(matches!(new, OpenError::NewParsec { found: 7, .. }), "{new:?}");
    set("version = 6, dirty = true");
    let dirty = DhtStore::connect_postgres(&options).await.unwrap_err();
    assert!(matches!(dirty, OpenError::DirtyParsec { found: 6, .. }), "{dirty:?}");
    set("dirty = false");
    server().psql(&database, "INSERT INTO peermark.schema_version VALUES (99)");
    let newer = DhtStore::connect_postgres(&options).await.unwrap_err();
    assert!(matches!(newer, OpenError::NewerTables { found: 99, .. }), "{newer:?}");
    server().psql(&database, "DELETE FROM peermark.schema_version WHERE version = 99");
    DhtStore::connect_postgres(&options).await.unwrap();
}

#[tokio::test]
async fn tables_without_a_record_are_refused() {
    let database = empty_database();
    server().psql(&database, "CREATE TABLE nodes_ecs (mine INT)");
    let error = DhtStore::connect_postgres(&options(server(), &database)).await.unwrap_err();
    assert!(matches!(&error, OpenError::UnknownTables { table, .. } if table == "nodes_ecs"), "{error:?}");
    let tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    assert_eq!(server().psql(&database, tables), "1", "nothing was added");
}

/// While golang-migrate works on the same database, we wait for it, as it waits for us.
#[tokio::test]
async fn the_lock_of_golang_migrate_is_waited_for() {
    let database = empty_database();
    let key = u64::from(crc32(format!("public\0schema_migrations\0{database}").as_bytes()).wrapping_mul(1_486_364_155));
    let blocked = {
        let database = database.clone();
        let sql = format!("SELECT pg_advisory_lock({key}); SELECT pg_sleep(3)");
        tokio::task::spawn_blocking(move || server().psql(&database, &sql))
    };
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database())";
    crate::dht::outage::poll(async || server().psql(&database, held) == "1").await;
    let options = options(server(), &database);
    let opener = tokio::spawn(async move { DhtStore::connect_postgres(&options).await.map(drop) });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'peermark' AND wait_event_type = 'Lock'";
    crate::dht::outage::poll(async || server().psql(&database, waiting) == "1").await;
    blocked.await.unwrap();
    opener.await.unwrap().unwrap();
}

/// As in Go's `hash/crc32`.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}
