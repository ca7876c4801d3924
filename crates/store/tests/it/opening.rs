//! Opening: new files, old files, files that are none of ours.

use peermark_store::dht::DhtStore;
use peermark_store::{OpenError, RunFilter, SCHEMA_VERSION, Store};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqlSafeStr};

use crate::fixture::{environment, run, store_with_series, tamper};

#[tokio::test]
async fn what_was_stored_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, _) = store_with_series(directory.path()).await;
    store.close().await;
    assert!(!path.with_extension("db-wal").exists(), "closing folds the log into the file");
    let store = Store::open_existing(&path).await.unwrap();
    assert_eq!(store.run("r1").await.unwrap().record, run("r1", 1));
    assert_eq!(store.environment_of("r1").await.unwrap(), environment());
}

#[tokio::test]
async fn the_file_is_signed_and_written_ahead() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, _) = store_with_series(directory.path()).await;
    assert!(path.with_extension("db-wal").exists());
    store.close().await;
    let header = std::fs::read(&path).unwrap();
    assert_eq!(header[18..20], [2, 2], "file format numbers of the write-ahead log");
    assert_eq!(header[68..72], *b"pmrk");
}

/// The first release wrote files of version 1.
#[tokio::test]
async fn an_old_file_is_brought_up_to_date_and_keeps_its_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.db");
    let first = include_str!("../../migrations/sqlite/0001_evidence.sql").into_sql_str();
    let first = Migration::new(1, "evidence".into(), MigrationType::Simple, first, false);
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut old = options.connect().await.unwrap();
    Migrator::with_migrations(vec![first]).run_direct(None, &mut old, false).await.unwrap();
    old.close().await.unwrap();
    tamper(
        &path,
        "PRAGMA application_id = 1886220907; INSERT INTO party VALUES ('lab', 'process', 'the lab');
         INSERT INTO env VALUES ('e', '{}');
         INSERT INTO run VALUES ('r1', 'lab', 'n', 's', 1, 'v', 'c', 'e', 1, NULL, 'started', NULL, NULL)",
    )
    .await;
    let store = Store::open_existing(&path).await.unwrap();
    assert_eq!(store.party("lab").await.unwrap().unwrap().name, "the lab");
    assert_eq!(store.runs(&RunFilter::default()).await.unwrap().len(), 1);
    let dht = DhtStore::of(&store);
    let scheduler = dht.insert_scheduler(&[], &serde_json::Value::Null, 1).await.unwrap();
    assert_eq!(scheduler.0, 1);
    store.close().await;
    Store::open_existing(&path).await.unwrap();
}

#[tokio::test]
async fn memory_stores_are_apart() {
    let (one, other) = (Store::open_memory().await.unwrap(), Store::open_memory().await.unwrap());
    one.put_environment(&environment()).await.unwrap();
    one.begin_run(&run("r1", 1)).await.unwrap();
    assert_eq!(one.runs(&RunFilter::default()).await.unwrap().len(), 1);
    assert!(other.runs(&RunFilter::default()).await.unwrap().is_empty());
    assert!(one.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_missing_file_is_not_created_for_a_reader() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("typo.db");
    let error = Store::open_existing(&path).await.unwrap_err();
    assert!(matches!(&error, OpenError::Missing { .. }), "{error:?}");
    assert!(error.to_string().contains("typo.db"));
    assert!(!path.exists());
}

#[tokio::test]
async fn text_is_no_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let text = "Dear diary, ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(&error, OpenError::NotADatabase { .. }), "{error:?}");
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_path_below_a_file_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.join("peermark.db"), directory.path().join("no/such/dir.db"), directory.path().to_owned()] {
        let error = Store::open(&path).await.unwrap_err();
        assert!(matches!(&error, OpenError::CannotOpen { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, _) = store_with_series(directory.path()).await;
    store.close().await;
    let newer = SCHEMA_VERSION + 41;
    let row = format!("INSERT INTO _sqlx_migrations VALUES ({newer}, 'later', CURRENT_TIMESTAMP, 1, x'00', 0)");
    tamper(&path, &row).await;
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(&error, OpenError::NewerSchema { found, .. } if *found == newer), "{error:?}");
    assert!(error.to_string().contains("use a newer peermark"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn the_database_of_another_program_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("browser.db");
    drop(SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap());
    tamper(&path, "CREATE TABLE history (url TEXT)").await;
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(&error, OpenError::Foreign { application_id: 0, .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_cut_file_is_damaged() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, _) = store_with_series(directory.path()).await;
    store.close().await;
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(&error, OpenError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn names_that_sqlite_would_take_for_something_else_are_files() {
    let directory = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:x?mode=memory", "ü ? # %41.db"] {
        let path = directory.path().join(name);
        Store::open(&path).await.unwrap().close().await;
        assert!(path.exists(), "{name}");
    }
}

/// Two `up` at once in an empty directory: both create, migrate and write the same file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_a_new_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("peermark.db");
    let openers = (0..8).map(|number| {
        let path = path.clone();
        tokio::spawn(async move {
            let store = Store::open(&path).await.unwrap();
            store.put_environment(&environment()).await.unwrap();
            for part in 0..10 {
                store.begin_run(&run(&format!("run-{number}-{part}"), number)).await.unwrap();
            }
        })
    });
    for opener in openers.collect::<Vec<_>>() {
        opener.await.unwrap();
    }
    let store = Store::open(&path).await.unwrap();
    assert_eq!(store.runs(&RunFilter::default()).await.unwrap().len(), 80);
    assert!(store.verify().await.unwrap().is_clean());
}
