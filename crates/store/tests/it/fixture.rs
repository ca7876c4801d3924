//! Records that the tests begin with.

use std::path::{Path, PathBuf};

use peermark_core::{Culprit, Environment, EvidenceClass, FailureClass, Outcome, Sample, Seed, Series, Unit};
use peermark_store::{RunRecord, SeriesId, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

pub(crate) fn environment() -> Environment {
    Environment {
        version: "0.1.0".into(),
        commit: "abc123+".into(),
        kernel: "Linux 6.1".into(),
        cpu: "Some CPU".into(),
        cores: 2,
        memory_bytes: 8 << 30,
        governor: None,
        build: "release".into(),
    }
}

pub(crate) fn run(id: &str, started_wall_ms: u64) -> RunRecord {
    RunRecord {
        id: id.into(),
        kind: "lab".into(),
        name: "load".into(),
        scenario_fingerprint: "f00".into(),
        seed: Seed(u64::MAX - 1),
        version: "0.1.0".into(),
        commit: "abc123+".into(),
        environment: environment().fingerprint(),
        started_wall_ms,
    }
}

pub(crate) fn series(run: &str, kind: &str) -> Series {
    Series {
        schema: Series::SCHEMA,
        run: run.into(),
        kind: kind.into(),
        class: EvidenceClass::Raw,
        observer: "lab".into(),
        subject: "network".into(),
        observer_region: "u33".into(),
        subject_region: String::new(),
        unit: Unit::Nanoseconds,
        environment: environment().fingerprint(),
    }
}

/// A sample whose every field follows from its number; one in seven failed, each time in another way.
pub(crate) fn sample(seq: u64) -> Sample {
    let culprits = [Culprit::Observer, Culprit::Peer, Culprit::Path, Culprit::ThirdParty];
    let outcome = if seq % 7 == 6 {
        let at = (seq / 7) as usize;
        Outcome::failed(FailureClass::ALL[at % FailureClass::ALL.len()], culprits[at % culprits.len()])
    } else {
        Outcome::Ok
    };
    let intended_ns = seq * 1_000_000;
    Sample {
        seq,
        intended_ns,
        started_ns: intended_ns + 1_500,
        ended_ns: intended_ns + 2_000_000 + seq % 97,
        bytes: 65_536,
        value: 2_000_000 - (seq as i64 % 5),
        outcome,
        trace: seq.wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// A new store file with one run and one series.
pub(crate) async fn store_with_series(directory: &Path) -> (PathBuf, Store, SeriesId) {
    let path = directory.join("peermark.db");
    let store = Store::open(&path).await.unwrap();
    store.put_environment(&environment()).await.unwrap();
    store.begin_run(&run("r1", 1)).await.unwrap();
    let id = store.add_series(&series("r1", "block.get")).await.unwrap();
    (path, store, id)
}

/// Changes a closed store behind its back, constraints off.
pub(crate) async fn tamper(path: &Path, sql: &str) {
    let options = SqliteConnectOptions::new().filename(path).foreign_keys(false);
    let mut connection = options.pragma("ignore_check_constraints", "ON").connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
