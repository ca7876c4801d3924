//! A writer that is killed loses nothing that it was told is stored.
//!
//! The test starts this test binary again as the writer, kills it with SIGKILL at some moment, and opens what it left.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use peermark_core::{Histogram, Sample};
use peermark_store::observations::{
    FileEnd, Labels, Observation, ObservationReader, ObservationWriter, WriterOptions, partial_path,
};
use peermark_store::{RunState, Store};

use crate::fixture::{environment, run, sample, series};

/// Tells the child where to write. Without it, the child's test does nothing.
const DIRECTORY: &str = "PEERMARK_TEST_CRASH_DIRECTORY";

/// Observations per acknowledged batch.
const BATCH: u64 = 200;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how a test says to the process it starts that it is not an ordinary run"
)]
fn child_writes_until_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(write_for_ever(Path::new(&directory)));
}

async fn write_for_ever(directory: &Path) {
    let store = Store::open(&directory.join("peermark.db")).await.unwrap();
    store.put_environment(&environment()).await.unwrap();
    let id = format!("run-{}", std::process::id());
    store.begin_run(&run(&id, 1)).await.unwrap();
    let described = series(&id, "block.get");
    let series = store.add_series(&described).await.unwrap();
    let options = WriterOptions { flush_after: Duration::from_millis(3), ..WriterOptions::default() };
    let raw = ObservationWriter::create(&directory.join(&id), &id, options).unwrap();
    let labels = Arc::new(Labels { series: described, op: "fetch".into(), phase: "main".into() });
    let mut output = std::io::stdout();
    for batch in 0.. {
        let samples: Vec<_> = (batch * BATCH..(batch + 1) * BATCH).map(sample).collect();
        store.put_observations(series, &samples).await.unwrap();
        let mut histogram = Histogram::new();
        samples.iter().for_each(|sample| histogram.record(sample.latency_ns()));
        store.put_hist(series, batch, batch + 1, None, &histogram).await.unwrap();
        let row = |sample| Observation { labels: Arc::clone(&labels), sample, node: None };
        raw.send(samples.into_iter().map(row).collect()).await.unwrap();
        // A line of its own: the test harness writes to the same output.
        writeln!(output, "\nstored {}", batch + 1).unwrap();
    }
}

#[test]
fn everything_acknowledged_survives_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    // The moments differ, and later rounds open and extend what earlier ones left behind.
    for (batches, delay_us) in [(1, 0), (5, 300), (20, 1_100), (40, 2_700), (80, 0)] {
        let mut child = start(directory.path());
        let pid = child.id();
        let acknowledged = kill_after(&mut child, batches, Duration::from_micros(delay_us));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(directory.path(), &format!("run-{pid}"), acknowledged));
    }
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_writes_until_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Kills the child some time after it has reported `batches`, and returns how many it reported before it died.
fn kill_after(child: &mut Child, batches: u64, delay: Duration) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = 0;
    let mut killed = false;
    while let Some(Ok(line)) = lines.next() {
        if let Some(count) = line.strip_prefix("stored ").and_then(|count| count.parse().ok()) {
            acknowledged = count;
        }
        if acknowledged >= batches && !killed {
            std::thread::sleep(delay);
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(!child.wait().unwrap().success() && killed, "the child ended by itself");
    acknowledged
}

async fn check(directory: &Path, run: &str, acknowledged: u64) {
    let store = Store::open_existing(&directory.join("peermark.db")).await.unwrap();
    assert_eq!(store.run(run).await.unwrap().state, RunState::Started);
    let series = store.series_of(run).await.unwrap()[0].id;
    let found = store.observations(series, 0..u64::MAX, u32::MAX).await.unwrap();
    let count = found.len() as u64;
    assert!(count >= acknowledged * BATCH, "{acknowledged} batches were acknowledged, {count} rows are there");
    assert!(count.is_multiple_of(BATCH), "a part of a batch is there: {count} rows");
    assert!(found.into_iter().eq((0..count).map(sample)));
    let hists = store.hists(series, 0..u64::MAX).await.unwrap().len() as u64;
    assert!(hists >= acknowledged && hists * BATCH <= count, "{hists} histograms beside {count} rows");
    let integrity = store.verify().await.unwrap();
    assert!(integrity.is_clean(), "{:?}", integrity.problems);
    store.close().await;

    // The raw observations have no acknowledgement; what a killed writer leaves is a sound beginning that says it is cut.
    let mut raw = ObservationReader::open(&partial_path(&directory.join(run))).unwrap();
    let rows: Vec<Sample> = raw.by_ref().map(|row| row.unwrap().sample).collect();
    assert!(rows.iter().copied().eq((0..rows.len() as u64).map(sample)));
    assert_eq!(raw.end(), Some(FileEnd::Truncated));
    assert!(!directory.join(run).exists());
}
