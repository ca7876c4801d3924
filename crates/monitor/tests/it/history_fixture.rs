//! What the tests of the history begin with.

use std::path::Path;
use std::sync::Arc;

use peermark_core::sealed::SigningKey;
use peermark_core::{ByteSize, Culprit, Environment, FailureClass, Unit};
use peermark_monitor::attempt::{Said, Status, Trigger};
use peermark_monitor::config::HistoryConfig;
use peermark_monitor::history::{History, HistoryOptions, NewAttempt};
use peermark_testkit::FakeClock;
use peermark_testkit::fake_clock::START_WALL_MS;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

pub(crate) const DAY_MS: u64 = 86_400_000;
pub(crate) const NODE: &str = "12D3KooWNode";

pub(crate) fn environment() -> Environment {
    Environment {
        version: "0.1.0".into(),
        commit: "abc123".into(),
        kernel: "Linux 6.1".into(),
        cpu: "Some CPU".into(),
        cores: 2,
        memory_bytes: 8 << 30,
        governor: None,
        build: "release".into(),
    }
}

pub(crate) fn config() -> HistoryConfig {
    HistoryConfig { attempts_days: 3, rollups_days: 10, max_size: ByteSize(50_000_000) }
}

pub(crate) fn options(config: HistoryConfig) -> HistoryOptions {
    HistoryOptions {
        key: SigningKey::from_seed([7; 32]),
        node: NODE.into(),
        network: "test".into(),
        environment: environment(),
        config,
        clock: Arc::new(FakeClock::new()),
    }
}

pub(crate) async fn open(directory: &Path) -> History {
    History::open(directory, options(config())).await.unwrap()
}

/// A success that ended so many milliseconds after the first day began.
pub(crate) fn success(task: &str, at_ms: u64, value: i64) -> NewAttempt {
    let ended_ms = START_WALL_MS + at_ms;
    NewAttempt {
        task: task.into(),
        unit: Unit::Nanoseconds,
        trigger: Trigger::Schedule,
        attempt: 1,
        intended_ms: ended_ms.saturating_sub(20),
        started_ms: ended_ms.saturating_sub(10),
        ended_ms,
        duration_ns: 10_250_000,
        status: Status::Ok,
        failure: None,
        skipped: None,
        findings: Vec::new(),
        value: Some(value),
        bytes: 17,
        result: Some(json!({"value": value, "of": task})),
    }
}

pub(crate) fn failure(task: &str, at_ms: u64) -> NewAttempt {
    let failure = Said {
        code: "server_busy".into(),
        class: FailureClass::Busy,
        culprit: Culprit::Peer,
        detail: "203.0.113.7 serves somebody else".into(),
    };
    NewAttempt { status: Status::Failed, failure: Some(failure), value: None, result: None, ..success(task, at_ms, 0) }
}

pub(crate) fn skipped(task: &str, at_ms: u64) -> NewAttempt {
    NewAttempt {
        status: Status::Skipped,
        skipped: Some("the host is busy".into()),
        value: None,
        result: None,
        ..success(task, at_ms, 0)
    }
}

/// Changes a closed history behind its back.
pub(crate) async fn tamper(directory: &Path, sql: &str) {
    let path = directory.join(peermark_monitor::history::FILE);
    let mut connection = SqliteConnectOptions::new().filename(path).foreign_keys(false).connect().await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
    connection.close().await.unwrap();
}
