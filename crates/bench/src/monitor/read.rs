//! Telling a result beside reading one from the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libp2p::identity::Keypair;
use peermark_core::{Clock, Seed};
use peermark_monitor::config::{MonitorConfig, Profile};
use peermark_monitor::desk::Desk;
use peermark_monitor::task::NodeFacts;
use peermark_monitor::{Monitor, MonitorOptions, history};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::environment::environment;
use peermark_store::{RunFilter, SeriesId, Store};
use tokio::time::{Instant, sleep};

use crate::BenchError;
use crate::figure::{Figure, Hold};

/// The test whose result is told: every machine has it.
const TASK: &str = "healthcheck";

const ROUNDS: usize = 30;
const PER_ROUND: u32 = 200;

const PATIENCE: Duration = Duration::from_secs(20);

const WHAT: &str = "telling a result";

/// `monitor.get_ratio_store`: one result as JSON, beside one observation by the store's own reader.
pub(super) async fn store(scratch: &Path, clock: &MonotonicClock) -> Result<Vec<Figure>, BenchError> {
    let data = scratch.join("in-process");
    std::fs::create_dir_all(&data).map_err(BenchError::io(WHAT))?;
    let key = Keypair::generate_ed25519();
    let options = MonitorOptions {
        config: MonitorConfig { profile: Profile::Light, ..MonitorConfig::default() },
        node: NodeFacts { id: key.public().to_peer_id().to_string(), data: data.clone(), ..NodeFacts::default() },
        key,
        environment: environment(env!("CARGO_PKG_VERSION"), "unknown"),
        clock: Arc::new(MonotonicClock::new()),
        seed: Seed(7),
        listen: None,
    };
    let monitor = Monitor::start(options).await.map_err(|error| BenchError::subject(WHAT, error))?;
    let until = Instant::now() + PATIENCE;
    while monitor.state().get(TASK).is_err() {
        if Instant::now() > until {
            return Err(BenchError::subject(WHAT, "the test has no success"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    let file = data.join(history::FILE);
    let reader = Store::open_existing(&file).await.map_err(|error| BenchError::subject(WHAT, error))?;
    let series = series(&reader).await?;
    let (mut told, mut read) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began_ns = clock.now_ns();
        for _ in 0..PER_ROUND {
            let result = monitor.state().get(TASK).map_err(|error| BenchError::subject(WHAT, error))?;
            std::hint::black_box(serde_json::to_vec(&result).map_err(|error| BenchError::subject(WHAT, error))?);
        }
        let middle_ns = clock.now_ns();
        for _ in 0..PER_ROUND {
            let row = reader.latest_observation(series).await.map_err(|error| BenchError::subject(WHAT, error))?;
            std::hint::black_box(row);
        }
        told.push((middle_ns - began_ns) as f64 / f64::from(PER_ROUND));
        read.push((clock.now_ns() - middle_ns) as f64 / f64::from(PER_ROUND));
    }
    reader.close().await;
    monitor.shutdown().await;
    let reference = ("one observation by the store's reader, from the same file", &read[..]);
    let mut figure = Figure::of_ratio("monitor.get_ratio_store", "ns", &told, reference, Hold::AtMost(2.0));
    figure.notes.push("the latest success as JSON; it is told from memory".into());
    Ok(vec![figure])
}

async fn series(reader: &Store) -> Result<SeriesId, BenchError> {
    let failed = |error| BenchError::subject(WHAT, error);
    for run in reader.runs(&RunFilter::default()).await.map_err(failed)? {
        let all = reader.series_of(&run.record.id).await.map_err(failed)?;
        if let Some(found) = all.iter().find(|series| series.series.kind.starts_with(&format!("monitor.{TASK}"))) {
            return Ok(found.id);
        }
    }
    Err(BenchError::subject(WHAT, "the store has no series of the test"))
}
