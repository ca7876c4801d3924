//! What `verify` finds, and that readers name the row instead of guessing.

use peermark_core::Histogram;
use peermark_store::{MAX_PROBLEMS, Problem, RowError, Store, StoreError};

use crate::fixture::{sample, store_with_series, tamper};

/// A store with evidence, changed by `sql`, opened again.
async fn tampered(directory: &std::path::Path, sql: &str) -> Store {
    let (path, store, id) = store_with_series(directory).await;
    let mut histogram = Histogram::new();
    (1..100).for_each(|value| histogram.record(value));
    store.put_hist(id, 0, 10, None, &histogram).await.unwrap();
    store.put_observations(id, &(0..300).map(sample).collect::<Vec<_>>()).await.unwrap();
    store.close().await;
    tamper(&path, sql).await;
    Store::open(&path).await.unwrap()
}

async fn problems(sql: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let store = tampered(directory.path(), sql).await;
    store.verify().await.unwrap().problems.iter().map(Problem::to_string).collect()
}

#[tokio::test]
async fn a_sound_store_is_clean() {
    let directory = tempfile::tempdir().unwrap();
    let store = tampered(directory.path(), "").await;
    let found = store.verify().await.unwrap();
    assert!(found.is_clean(), "{:?}", found.problems);
    assert_eq!((found.hists, found.observations), (1, 300));
}

#[tokio::test]
async fn every_kind_of_damage_is_named() {
    let cases = [
        ("UPDATE hist SET blob = x'1c849303'", "hist series=1 t0_ns=0 outcome=\"ok\": malformed histogram"),
        (
            "UPDATE hist SET blob = CAST(blob || x'00' AS BLOB)",
            "hist series=1 t0_ns=0 outcome=\"ok\": malformed histogram: announces",
        ),
        ("UPDATE hist SET count = 7", "hist series=1 t0_ns=0 outcome=\"ok\": histogram count: expected=7, found=99"),
        ("UPDATE hist SET outcome = 'gremlins'", "hist series=1 t0_ns=0 outcome=\"gremlins\": unknown outcome"),
        ("UPDATE obs SET outcome = 'maybe', class = 'timeout' WHERE seq = 6", "obs series=1 seq=6: unknown outcome"),
        ("UPDATE obs SET class = 'gremlins' WHERE seq = 13", "obs series=1 seq=13: unknown class: \"gremlins\""),
        ("UPDATE obs SET culprit = 'dog' WHERE seq = 13", "obs series=1 seq=13: unknown culprit: \"dog\""),
        ("UPDATE obs SET bytes = -1 WHERE seq = 3", "database: CHECK constraint failed in obs"),
        ("UPDATE obs SET class = 'timeout' WHERE seq = 3", "database: CHECK constraint failed in obs"),
        ("UPDATE env SET json = replace(json, 'Some', 'Other')", "fingerprint: expected the key"),
        ("UPDATE env SET json = '{}'", "missing field"),
        ("INSERT INTO event VALUES ('r1', 4, 0, '{\"event\":\"x\"}')", "event run=\"r1\" seq=4: "),
        ("UPDATE obs SET series = 77 WHERE seq = 3", "a row of obs refers to a missing row of series"),
    ];
    for (sql, expected) in cases {
        let found = problems(sql).await;
        assert!(found.len() == 1 && found[0].contains(expected), "{sql}: {found:?}");
    }
}

#[tokio::test]
async fn the_list_of_problems_is_bounded() {
    let found = problems("UPDATE obs SET class = 'new_' || seq, outcome = 'failed', culprit = 'peer'").await;
    assert_eq!(found.len(), MAX_PROBLEMS);
}

#[tokio::test]
async fn readers_name_the_row() {
    let directory = tempfile::tempdir().unwrap();
    let sql = "UPDATE obs SET class = 'gremlins' WHERE seq = 13; UPDATE hist SET blob = x'00'; \
               UPDATE run SET state = 'pondering'; UPDATE series SET unit = 'furlongs'; UPDATE party SET kind = 'elf';";
    let store = tampered(directory.path(), sql).await;
    let id = peermark_store::SeriesId(1);
    let row = |error: StoreError| match error {
        StoreError::Row(error) => error,
        other => panic!("{other:?}"),
    };
    let observations = row(store.observations(id, 0..u64::MAX, 1000).await.unwrap_err());
    assert_eq!(observations.to_string(), "obs series=1 seq=13: unknown class: \"gremlins\"");
    assert_eq!(store.observations(id, 0..13, 1000).await.unwrap().len(), 13);
    let hists = row(store.hists(id, 0..u64::MAX).await.unwrap_err());
    assert!(matches!(hists, RowError::Histogram { .. }), "{hists:?}");
    let run = row(store.run("r1").await.unwrap_err());
    assert_eq!(run.to_string(), "run \"r1\": unknown state: \"pondering\"");
    let series = row(store.series_of("r1").await.unwrap_err());
    assert_eq!(series.to_string(), "series 1: unknown unit: \"furlongs\"");
    let party = row(store.party("lab").await.unwrap_err());
    assert_eq!(party.to_string(), "party \"lab\": unknown kind: \"elf\"");
}

#[tokio::test]
async fn a_damaged_page_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let (path, store, id) = store_with_series(directory.path()).await;
    store.put_observations(id, &(0..5000).map(sample).collect::<Vec<_>>()).await.unwrap();
    store.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4096 * 20..end - 4096 * 19].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let store = Store::open(&path).await.unwrap();
    let found = store.verify().await.unwrap();
    assert!(matches!(found.problems.first(), Some(Problem::Database { .. })), "{found:?}");
}
