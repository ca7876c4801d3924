//! One house: what the jobs leave is the same kind of evidence. A lab run, a DHT run and what a ledger admitted in one store, and the
//! history of a monitor, are read by one reader, which knows none of them, into one table.

use std::path::Path;

use peermark_core::{Histogram, Unit};
use peermark_store::{RunFilter, Store, StoredSeries};

use crate::program::{Place, stderr, wait_for};
use crate::town::{judged_town, write};

/// One line of the table.
#[derive(Debug)]
struct Record {
    job: String,
    kind: String,
    class: String,
    ok: u64,
    failed: u64,
    unit: Unit,
    p50: Option<u64>,
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let p50 = match (self.p50, self.unit) {
            (None, _) => "n/a".to_owned(),
            (Some(bits), Unit::BitsPerSecond) => format!("{:.1} Mbit/s", bits as f64 / 1e6),
            (Some(ns), _) => format!("{:.3} ms", ns as f64 / 1e6),
        };
        write!(f, "{:<7} {:<22} {:<11} {:>6} {:>6} {p50:>12}", self.job, self.kind, self.class, self.ok, self.failed)
    }
}

/// A series as a record: an observation is a series with samples or with histograms.
async fn record(store: &Store, job: &str, stored: &StoredSeries) -> Record {
    let (mut latency, mut failed) = (Histogram::new(), 0);
    for hist in store.hists(stored.id, 0..u64::MAX).await.unwrap() {
        match hist.class {
            None => latency.merge(&hist.histogram),
            Some(_) => failed += hist.histogram.len(),
        }
    }
    for sample in store.observations(stored.id, 0..u64::MAX, 100_000).await.unwrap() {
        if sample.outcome.is_ok() {
            latency.record(sample.latency_ns());
        } else {
            failed += 1;
        }
    }
    Record {
        job: job.to_owned(),
        kind: stored.series.kind.clone(),
        class: serde_json::to_value(stored.series.class).unwrap().as_str().unwrap().to_owned(),
        ok: latency.len(),
        failed,
        unit: stored.series.unit,
        p50: latency.value_at_rank(latency.len().div_ceil(2)),
    }
}

async fn table(path: &Path) -> Vec<Record> {
    let store = Store::open_existing(path).await.unwrap();
    let mut records = Vec::new();
    for run in store.runs(&RunFilter::default()).await.unwrap() {
        for series in store.series_of(&run.record.id).await.unwrap() {
            records.push(record(&store, &run.record.kind, &series).await);
        }
    }
    store.close().await;
    records
}

#[test]
fn one_reader_puts_every_job_into_one_table() {
    let place = Place::new();
    for arguments in [
        &["up", "--nodes", "3", "--for", "2s", "--seed", "7", "--rate", "20"][..],
        &["up", "--workload", "dht", "--nodes", "6", "--fleets", "default", "--for", "4s", "--seed", "7"],
    ] {
        let output = place.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let town = judged_town(1);
    write(&town.world, &place.directory.path().join("l"));
    let output = place.run(&["ledger", "export", "--ledger", "l", "--store", "peermark.db"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    self_test(&place);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut records = runtime.block_on(table(&place.directory.path().join("peermark.db")));
    records.extend(runtime.block_on(table(&place.directory.path().join("m/monitor.db"))));
    for record in &records {
        println!("{record}");
    }
    for (job, kind) in [("lab", "data.put"), ("dht", "dht.retrieve"), ("dht", "dht.provide")] {
        let found: Vec<_> = records.iter().filter(|record| record.job == job && record.kind == kind).collect();
        assert!(!found.is_empty(), "no {kind} of {job}: {records:?}");
        assert!(found.iter().any(|record| record.ok > 0 && record.p50.is_some()), "{found:?}");
        assert!(found.iter().all(|record| record.class == "RAW"), "{found:?}");
    }
    // What attesters reported: of hosters at work, and of people while idle.
    for (kind, class) in [("block.get", "WORKING"), ("block.rate", "WORKING"), ("block.get", "RAW")] {
        let of_ledger = |record: &&Record| record.job == "ledger" && record.kind == kind && record.class == class;
        let found: Vec<_> = records.iter().filter(of_ledger).collect();
        assert!(found.iter().any(|record| record.ok > 0 && record.p50.is_some()), "no {class} {kind}: {records:?}");
    }
    assert!(records.iter().any(|record| record.job == "ledger" && record.failed > 0), "the second hoster fails half");
    // What nodes say of themselves: in a run of the lab, and of a monitor alone.
    for job in ["lab", "monitor"] {
        let told = |record: &&Record| record.job == job && record.kind == "monitor.healthcheck";
        let found: Vec<_> = records.iter().filter(told).collect();
        assert!(found.iter().any(|record| record.ok > 0), "no self-test of {job}: {records:?}");
        assert!(found.iter().all(|record| record.class == "SELF_REPORT"), "{found:?}");
    }
}

/// A monitor of its own, until its first attempt is in its store.
fn self_test(place: &Place) {
    let arguments = ["monitor", "run", "--data", "m", "--api", "127.0.0.1:0", "--monitor", "light"];
    let mut monitor = place.spawn(&arguments);
    let file = place.directory.path().join("m/monitor.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    wait_for("a self-test in the store", || {
        let told = runtime.block_on(async { if file.exists() { table(&file).await } else { Vec::new() } });
        told.iter().any(|record| record.kind == "monitor.healthcheck" && record.ok > 0).then_some(())
    });
    monitor.kill().unwrap();
    monitor.wait().unwrap();
}
