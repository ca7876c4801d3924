//! A DHT on this machine, measured: servers and measuring nodes of several fleets as processes, schedulers in this one, and what
//! came of it.
//!
//! - [`plan`]: what is started, and who joins by whom, decided before anything starts;
//! - `network`: the processes, by the launcher that starts storage nodes, too;
//! - `preflight`: what could make the figures wrong, asked of a node of its own in the same network;
//! - `schedule`: the schedulers of `peermark_dht`, one over all fleets and one across two of them;
//! - `evidence`: the rows and traces that they left in the store;
//! - `figures`: from those to percentiles with intervals, and whether limits were kept;
//! - [`result`]: the document that a run leaves; `record`: its directory and its entry in the history.
//!
//! Everything is on loopback: the regions of the measuring nodes are labels, no distance lies between them, and no figure is drawn
//! by region.

mod error;
mod evidence;
mod figures;
mod network;
pub mod plan;
mod preflight;
mod record;
pub mod result;
mod schedule;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peermark_core::{Calibration, Clock, Event, EventKind, Seed};
use peermark_dht::report::Span;
use peermark_probe::calibrate::calibrate;
use peermark_probe::clock::MonotonicClock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::run::Show;
use crate::run::assess::verdict_text;
use crate::run::host::HostWatch;
pub use error::DhtError;
use evidence::Collected;
use network::{DhtNetwork, Membership};
use plan::DhtPlan;
use record::History;
pub use record::{DhtFiles, RUN_KIND, RUN_NAME, plan_document};
use result::{DhtResult, NetworkFacts, PreflightCheck};
use schedule::Schedules;

/// Longest operation of a measuring node: a lookup on loopback takes milliseconds.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);

/// How long after a provide it is watched whether nodes of all labels see the record.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);

/// Name of the one phase of a run in its events.
pub const PHASE: &str = "dht";

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct DhtOptions {
    /// What is started.
    pub plan: DhtPlan,
    /// Decides topology and contents. The keys of nodes are their own: peers have other places in the key space every time.
    pub seed: Seed,
    /// Identifies the run.
    pub run_id: String,
    /// How long the schedulers run.
    pub lasting: Duration,
    /// Limits such as `lookup.p99<50ms`.
    pub thresholds: Vec<String>,
    /// Directory that holds one directory per run.
    pub out: PathBuf,
    /// SQLite file that takes rows, traces and the history of all runs.
    pub store: PathBuf,
    /// This product's binary.
    pub program: PathBuf,
    /// Version of the product.
    pub version: String,
    /// Commit that it was built from.
    pub commit: String,
}

/// Everything a run needs while it runs.
struct Run {
    options: DhtOptions,
    clock: Arc<MonotonicClock>,
    directory: PathBuf,
    show: Show,
    stop: CancellationToken,
}

/// What a run saw, before it is judged.
struct Measured {
    network: NetworkFacts,
    preflight: Vec<PreflightCheck>,
    collected: Collected,
    host: crate::result::HostUse,
    /// Nodes that ended on their own.
    ended: u32,
    duration_ns: u64,
    stopped: bool,
}

/// Starts a DHT, measures it and writes down what came of it. `on_event` is told what happens; `stop` ends the run in order, with
/// what was measured until then.
///
/// # Errors
/// [`DhtError`]. No process is left, whatever the error.
pub async fn run(
    options: DhtOptions,
    on_event: impl Fn(Event) + Send + Sync + 'static,
    stop: CancellationToken,
) -> Result<(DhtResult, DhtFiles), DhtError> {
    let thresholds = figures::thresholds(&options.thresholds, &options.plan)?;
    let clock = Arc::new(MonotonicClock::new());
    let directory = record::create_run_directory(&options)?;
    let (seq, event_clock) = (AtomicU64::new(0), clock.clone());
    let show: Show = Arc::new(move |kind| {
        on_event(Event { seq: seq.fetch_add(1, Ordering::Relaxed), at_ns: event_clock.now_ns(), kind });
    });
    let run = Run { options, clock, directory, show, stop };
    run.execute(&thresholds).await
}

impl Run {
    async fn execute(self, thresholds: &[peermark_judge::Threshold]) -> Result<(DhtResult, DhtFiles), DhtError> {
        let nodes = self.options.plan.total_nodes();
        (self.show)(EventKind::RunStarted { run: self.options.run_id.clone(), nodes });
        let history = History::begin(&self.options, self.clock.wall_ms()).await?;
        match self.measure(&history, thresholds).await {
            Ok(result) => {
                let until_ms = self.clock.wall_ms() + 1;
                let span = Span::new(result.started_wall_ms, until_ms).ok();
                let report = history.report(&self.options.plan, span, &self.directory).await;
                let files = history.finish(&result, &self.directory, report).await?;
                let validity = verdict_text(&result.validity);
                (self.show)(EventKind::RunEnded { run: self.options.run_id.clone(), validity });
                Ok((result, files))
            }
            Err(error) => {
                history.abort(self.clock.now_ns()).await;
                Err(error)
            }
        }
    }

    async fn measure(
        &self,
        history: &History,
        thresholds: &[peermark_judge::Threshold],
    ) -> Result<DhtResult, DhtError> {
        let started_wall_ms = self.clock.wall_ms();
        history.is_free_for(&self.options.plan, started_wall_ms).await?;
        let before = self.calibrate().await?;
        let measured = self.observe(history).await?;
        let after = self.calibrate().await?;
        Ok(figures::result(&self.options, measured, thresholds, started_wall_ms, [before, after]))
    }

    /// Starts the network, measures it, stops it, and reads what it left in the store.
    async fn observe(&self, history: &History) -> Result<Measured, DhtError> {
        let launched = Instant::now();
        let membership =
            Membership { protocol: format!("/peermark/lab/{}/kad/1.0.0", self.options.run_id), store: history.path() };
        let start = DhtNetwork::start(&self.options, &self.directory, membership, &self.show);
        let mut network = self.or_stopped(start).await?;
        let seen = self.observe_network(&mut network, history, launched).await;
        network.stop().await;
        let mut measured = seen?;
        // Nodes write their last traces while they stop.
        measured.collected.read_traces(history.tables(), &self.options.plan).await?;
        Ok(measured)
    }

    async fn observe_network(
        &self,
        network: &mut DhtNetwork,
        history: &History,
        launched: Instant,
    ) -> Result<Measured, DhtError> {
        network.write_nodes(&self.options.run_id, &self.directory)?;
        let members = self.or_stopped(network.make_ready(history.tables(), &*self.clock, &self.show)).await?;
        let ready_after_ns = u64::try_from(launched.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let preflight = self.or_stopped(preflight::run(network, &self.options, &self.directory)).await?;
        for check in preflight.iter().filter(|check| check.verdict == result::CheckVerdict::Fails) {
            (self.show)(EventKind::Warning { text: format!("preflight {}: {}", check.name, check.detail) });
        }
        let watch = HostWatch::start(self.clock.clone());
        let begun_ns = self.clock.now_ns();
        let schedules = Schedules::new(&self.options, members, history, self.clock.clone());
        let mut collected = schedules.run(network, &watch, &self.show, &self.stop).await?;
        let ended_ns = self.clock.now_ns();
        let host = watch.stop().await.over(begun_ns..ended_ns, collected.generator_cpu_seconds);
        collected.read_rows(history.tables(), &self.options.plan).await?;
        Ok(Measured {
            network: network.facts(ready_after_ns),
            preflight,
            collected,
            host,
            ended: network.ended(),
            duration_ns: u64::try_from(launched.elapsed().as_nanos()).unwrap_or(u64::MAX),
            stopped: self.stop.is_cancelled(),
        })
    }

    async fn calibrate(&self) -> Result<Calibration, DhtError> {
        let (directory, clock): (PathBuf, _) = (Path::new(&self.directory).to_owned(), self.clock.clone());
        let calibrated = tokio::task::spawn_blocking(move || calibrate(&directory, &*clock)).await;
        Ok(calibrated.map_err(|error| DhtError::Fault(error.to_string()))??)
    }

    /// Ends early when the run is told to stop.
    async fn or_stopped<T>(&self, work: impl Future<Output = Result<T, DhtError>>) -> Result<T, DhtError> {
        tokio::select! {
            done = work => done,
            () = self.stop.cancelled() => Err(DhtError::Stopped),
        }
    }
}
