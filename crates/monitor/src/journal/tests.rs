use std::path::Path;

use peermark_core::sealed::SigningKey;
use peermark_core::{ByteSize, Culprit, Environment, FailureClass, Unit};
use peermark_testkit::FakeClock;
use peermark_testkit::fake_clock::START_WALL_MS;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::*;
use crate::attempt::Trigger;
use crate::config::HistoryConfig;
use crate::history::{FILE, HistoryOptions};

const DAY_MS: u64 = 24 * HOUR_MS;

async fn open(directory: &Path, max_size: u64) -> History {
    let environment = Environment {
        version: "0.1.0".into(),
        commit: "abc".into(),
        kernel: "Linux".into(),
        cpu: "cpu".into(),
        cores: 2,
        memory_bytes: 1 << 30,
        governor: None,
        build: "test".into(),
    };
    let options = HistoryOptions {
        key: SigningKey::from_seed([3; 32]),
        node: "node".into(),
        network: "test".into(),
        environment,
        config: HistoryConfig { attempts_days: 3, rollups_days: 30, max_size: ByteSize(max_size) },
        clock: Arc::new(FakeClock::new()),
    };
    History::open(directory, options).await.unwrap()
}

/// The clock stands at [`START_WALL_MS`]; this ended so long before.
fn attempt(before_ms: u64, value: i64, result: &str) -> NewAttempt {
    let ended_ms = START_WALL_MS - before_ms;
    NewAttempt {
        task: "disk".into(),
        unit: Unit::Nanoseconds,
        trigger: Trigger::Schedule,
        attempt: 1,
        intended_ms: ended_ms,
        started_ms: ended_ms,
        ended_ms,
        duration_ns: 5,
        status: Status::Ok,
        failure: None,
        skipped: None,
        findings: Vec::new(),
        value: Some(value),
        bytes: 0,
        result: Some(json!(result)),
    }
}

fn failed(before_ms: u64) -> NewAttempt {
    let failure =
        Said { code: "busy".into(), class: FailureClass::Busy, culprit: Culprit::Peer, detail: String::new() };
    NewAttempt {
        status: Status::Failed,
        failure: Some(failure),
        value: None,
        result: None,
        ..attempt(before_ms, 0, "")
    }
}

struct Running {
    journal: Arc<Journal>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn run(history: &History) -> Running {
    let (journal, stop) = (Arc::new(Journal::default()), CancellationToken::new());
    let writing = Arc::clone(&journal).write(history.clone(), Arc::new(FakeClock::new()), stop.clone(), || ());
    Running { journal, stop, task: tokio::spawn(writing) }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Waits for a number of records, at most ten seconds.
async fn head(history: &History, seq: u64) {
    let mut changes = history.changes();
    let reached = changes.wait_for(|head| *head >= seq);
    tokio::time::timeout(Duration::from_secs(10), reached).await.expect("in time").unwrap();
}

#[tokio::test]
async fn what_is_refused_leaves_a_failed_attempt_and_holds_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path(), 50_000_000).await;
    let running = run(&history);
    running.journal.push(attempt(3, 1, &"x".repeat(60_000)));
    running.journal.push(NewAttempt { result: None, ..attempt(2, 1, "") });
    running.journal.push(attempt(1, 7, "well"));
    head(&history, 3).await;
    assert_eq!((running.journal.refused(), running.journal.lost(), running.journal.waiting()), (2, 0, 0));
    let attempts = history.since("disk", 0, 10).await.unwrap().attempts;
    let codes: Vec<_> = attempts.iter().map(|one| one.failure.as_ref().map(|failure| failure.code.as_str())).collect();
    assert_eq!(codes, [Some("not_storable"), Some("not_storable"), None]);
    let failure = attempts[0].failure.as_ref().unwrap();
    assert!(failure.detail.contains("60002 bytes") && failure.culprit == Culprit::Observer, "{failure:?}");
    // A task that has no place in the history at all is lost, and nothing waits for it.
    running.journal.push(NewAttempt { task: "no.name".into(), ..attempt(1, 7, "") });
    running.journal.push(attempt(0, 8, "on"));
    head(&history, 4).await;
    assert_eq!((running.journal.refused(), running.journal.lost()), (3, 1));
    running.end().await;
}

#[tokio::test]
async fn what_could_not_go_at_the_start_goes_with_the_next_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path(), 50_000_000).await;
    for day in (0..10).rev() {
        history.append(attempt(day * DAY_MS, -1, "old")).await.unwrap();
    }
    let path = directory.path().join(FILE);
    let mut behind = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let mut sql = async |sql: &'static str| {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut behind).await.unwrap();
    };
    sql("CREATE TRIGGER refuse BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    let running = run(&history);
    running.journal.push(attempt(0, 1, "new"));
    head(&history, 11).await;
    sql("DROP TRIGGER refuse").await;
    assert!(history.since("disk", 0, 100).await.unwrap().attempts.len() == 11);
    // The same hour, but it was not done yet.
    running.journal.push(attempt(0, 2, "newer"));
    head(&history, 13).await;
    assert_eq!(history.records(0, 1).await.unwrap()[0].seq, 7);
    running.end().await;
}

#[tokio::test]
async fn a_start_makes_room_before_the_first_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path(), 600_000).await;
    let mut noise = 1u64;
    let mut text = || -> String {
        let mut next = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{noise:016x}")
        };
        (0..100).map(|_| next()).collect()
    };
    history.append(failed(9)).await.unwrap();
    while let Ok(stored) = history.append(attempt(8, -5, &text())).await {
        assert!(stored.seq < 10_000, "it is never full");
    }
    while let Ok(stored) = history.append(failed(8)).await {
        assert!(stored.seq < 100_000, "it is never full");
    }
    let full = history.head().seq;
    history.close().await;
    let history = open(directory.path(), 600_000).await;
    let running = run(&history);
    // The record about it is the first that is written.
    head(&history, full + 1).await;
    running.journal.push(attempt(0, 6, &text()));
    head(&history, full + 2).await;
    assert_eq!((running.journal.failures(), running.journal.lost()), (0, 0));
    let days = history.days("disk").await.unwrap();
    assert!(days[0].ok > 10 && days[0].failed >= 1, "{days:?}");
    assert!(history.verify().await.unwrap().is_sound());
    running.end().await;
}

#[tokio::test]
async fn a_damaged_store_is_counted_and_holds_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path(), 50_000_000).await;
    for at in (0..2_000).rev() {
        history.append_all(vec![attempt(at, 1, "fill")]).await.unwrap();
    }
    history.close().await;
    let history = open(directory.path(), 50_000_000).await;
    let path = directory.path().join(FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8_192..].fill(0xee);
    std::fs::write(&path, bytes).unwrap();
    let running = run(&history);
    for at in 0..3 {
        running.journal.push(attempt(at, 1, "new"));
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while running.journal.waiting() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "damage must not hold the others back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!((running.journal.lost(), running.journal.refused()), (3, 0));
    running.end().await;
}
