//! One run from scenario to result: start the network, load it, break it, watch it, judge it, write it down, stop it.

pub(crate) mod assess;
mod faults;
pub(crate) mod host;
mod network;
mod observe;
mod operations;
mod plan;
mod record;
mod running;
mod self_tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use peermark_core::{Calibration, Clock, Event, EventKind, Seed};
use peermark_probe::calibrate::{CalibrateError, calibrate};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::load::{LoadError, LoadOutcome};
use peermark_probe::workload::NetworkError;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::launch::{Blueprint, LaunchError, Lease, ReadyError};
use crate::result::{NodeCounts, RunResult};
use crate::scenario::{Scenario, ScenarioError};
use host::HostWatch;
pub use network::BareNetwork;
use network::RunningNetwork;
pub use plan::PlanError;
pub use record::{Files, RecordError};

/// How often nodes are asked what they count and use.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The scenario.
    pub scenario: Scenario,
    /// The seed.
    pub seed: Seed,
    /// Identifies the run.
    pub run_id: String,
    /// Directory that holds one directory per run.
    pub out: PathBuf,
    /// SQLite file with the history of all runs.
    pub store: PathBuf,
    /// This product's binary.
    pub program: PathBuf,
    /// Version of the product.
    pub version: String,
    /// Commit that it was built from.
    pub commit: String,
    /// What becomes of the network after the load.
    pub afterwards: Afterwards,
    /// Most bytes of compressed raw samples.
    pub samples_cap_bytes: u64,
    /// URLs of nodes that run already: they are loaded, and nothing is started. Empty for a network of this run's own.
    pub urls: Vec<String>,
}

/// What becomes of the network after the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It is stopped.
    Stop,
    /// It stays up until the run is told to stop.
    StayUntilStopped,
    /// It outlives this process.
    Keep,
}

/// Why a run gave no result.
#[derive(Debug, Error)]
pub enum RunError {
    /// The scenario cannot be run.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A node did not start.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The network did not become ready.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// The machine could not be calibrated.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// The load could not be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The load could not be run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A node that was named does not answer as one.
    #[error("{url}: {source}")]
    Url {
        /// The URL.
        url: String,
        /// What it did.
        source: peermark_node::client::ClientError,
    },
    /// There is nothing to load.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Results could not be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Stopped before there was anything to report.
    #[error("stopped before the load began")]
    Stopped,
    /// A part of the run ended by a fault of this program.
    #[error("a part of the run failed: {0}")]
    Fault(String),
}

/// A name for a run that sorts by time and says its seed.
pub fn run_id(seed: Seed) -> String {
    let seconds = MonotonicClock::new().wall_ms() / 1000;
    let stamp = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let stamp: String = stamp.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("{}-{seed}", stamp.trim_end_matches('Z'))
}

/// Takes what happens while it happens. Called from several threads; has to return at once.
pub type Show = Arc<dyn Fn(EventKind) + Send + Sync>;

/// Everything a run needs while it runs.
struct Run {
    options: RunOptions,
    clock: Arc<MonotonicClock>,
    directory: PathBuf,
    show: Show,
    stop: CancellationToken,
}

/// Runs a scenario. `on_event` is told what happens; `stop` ends the run in order, with what was measured until then.
///
/// # Errors
/// [`RunError`]. No process is left, whatever the error.
pub async fn run(
    options: RunOptions,
    on_event: impl Fn(Event) + Send + Sync + 'static,
    stop: CancellationToken,
) -> Result<(RunResult, Files), RunError> {
    options.scenario.check()?;
    let clock = Arc::new(MonotonicClock::new());
    let directory = record::create_run_directory(&options.out.join(&options.run_id), &options)?;
    let (seq, event_clock) = (AtomicU64::new(0), clock.clone());
    let show: Show = Arc::new(move |kind| {
        on_event(Event { seq: seq.fetch_add(1, Ordering::Relaxed), at_ns: event_clock.now_ns(), kind });
    });
    let run = Run { options, clock, directory, show, stop };
    run.execute().await
}

impl Run {
    async fn execute(self) -> Result<(RunResult, Files), RunError> {
        let nodes = self.options.scenario.total_nodes();
        (self.show)(EventKind::RunStarted { run: self.options.run_id.clone(), nodes });
        let history = record::History::begin(&self.options, self.clock.wall_ms()).await?;
        let result = self.measure(&history).await;
        match result {
            Ok(result) => {
                let files = history.finish(&result, &self.directory).await?;
                let validity = assess::verdict_text(&result.validity);
                (self.show)(EventKind::RunEnded { run: self.options.run_id.clone(), validity });
                Ok((result, files))
            }
            Err(error) => {
                history.abort(self.clock.now_ns()).await;
                Err(error)
            }
        }
    }

    async fn measure(&self, history: &record::History) -> Result<RunResult, RunError> {
        let started_wall_ms = self.clock.wall_ms();
        let before = self.calibrate().await?;
        if !self.options.urls.is_empty() {
            let measured = self.load_running(history).await?;
            let after = self.calibrate().await?;
            return Ok(assess::result(&self.options, measured, started_wall_ms, [before, after]));
        }
        let lease = if self.options.afterwards == Afterwards::Keep { Lease::Detached } else { Lease::Leased };
        let blueprint =
            Blueprint::new(&self.options.scenario, self.options.seed, &self.options.run_id, &self.directory);
        let launched = Instant::now();
        let start = RunningNetwork::start(&self.options.program, blueprint, lease, &self.show);
        let network = match lease {
            Lease::Leased => self.or_stopped(start).await?,
            // Half-started nodes that outlive this process would be known to nobody, so the start is seen to its end.
            Lease::Detached => start.await?,
        };
        let loaded = self.load(network, launched, history).await;
        let Loaded { network, measured } = match loaded {
            Ok(loaded) => loaded,
            Err((network, error)) => {
                stop_network(network).await;
                return Err(error);
            }
        };
        match self.options.afterwards {
            Afterwards::Stop => stop_network(network).await,
            Afterwards::StayUntilStopped => {
                self.stop.cancelled().await;
                stop_network(network).await;
            }
            // The processes were started to outlive this one.
            Afterwards::Keep => drop(network),
        }
        let after = self.calibrate().await?;
        Ok(assess::result(&self.options, measured, started_wall_ms, [before, after]))
    }

    async fn calibrate(&self) -> Result<Calibration, RunError> {
        let (directory, clock) = (self.directory.clone(), self.clock.clone());
        let calibrated = tokio::task::spawn_blocking(move || calibrate(&directory, &*clock)).await;
        Ok(calibrated.map_err(|error| RunError::Fault(error.to_string()))??)
    }

    /// Ends early when the run is told to stop.
    async fn or_stopped<T>(&self, work: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
        tokio::select! {
            done = work => done,
            () = self.stop.cancelled() => Err(RunError::Stopped),
        }
    }

    async fn load(
        &self,
        network: RunningNetwork,
        launched: Instant,
        history: &record::History,
    ) -> Result<Loaded, (Arc<Mutex<RunningNetwork>>, RunError)> {
        let network = Arc::new(Mutex::new(network));
        match self.try_load(&network, launched, history).await {
            Ok(measured) => Ok(Loaded { network, measured }),
            Err(error) => Err((network, error)),
        }
    }

    async fn try_load(
        &self,
        network: &Arc<Mutex<RunningNetwork>>,
        launched: Instant,
        history: &record::History,
    ) -> Result<Measured, RunError> {
        let nodes = self.prepare(network, launched).await?;
        let begun = Instant::now();
        let load_began_ns = self.clock.now_ns();
        let watch = HostWatch::start(self.clock.clone());
        let up = Arc::new(AtomicU64::new(u64::from(nodes.ready)));
        let looking = tokio::spawn(look(network.clone(), up.clone(), self.show.clone()));
        let faults = self.options.scenario.faults.clone();
        let injected: faults::Injected = Arc::default();
        let breaking =
            tokio::spawn(faults::inject(faults, network.clone(), begun, self.show.clone(), injected.clone()));
        let targets = network.lock().await.targets()?;
        let outcome = self.run_load(targets, history, &watch, up).await;
        looking.abort();
        // Faults that were due after the end of the load have nothing left to break.
        breaking.abort();
        let outcome = outcome?;
        let faults = std::mem::take(&mut *injected.lock().await);
        let load_ended_ns = self.clock.now_ns();
        let host = watch.stop().await;
        let mut network = network.lock().await;
        network.settle().await;
        network.look().await;
        let self_tests = self_tests::collect(&network.nodes).await;
        let epoch_ms = self.clock.wall_ms().saturating_sub(self.clock.now_ns() / 1_000_000);
        history.keep_self_tests(&self_tests, epoch_ms).await?;
        let block_size = self.options.scenario.nodes.block_size.0;
        let fetched_blocks = operations::fetched_blocks(&outcome, block_size);
        Ok(Measured {
            duration_ns: u64::try_from(launched.elapsed().as_nanos()).unwrap_or(u64::MAX),
            nodes: NodeCounts { failed: network.observer.exited_count(), ..nodes },
            operations: operations::results(&outcome, load_began_ns),
            exchange: network.observer.exchange(&network.nodes, fetched_blocks),
            resources: network.observer.resources(&network.nodes),
            host: host.during(&outcome, load_began_ns..load_ended_ns),
            faults,
            self_tests,
            stopped: outcome.stopped,
        })
    }

    /// Loads nodes that somebody else runs.
    async fn load_running(&self, history: &record::History) -> Result<Measured, RunError> {
        let begun_ns = self.clock.now_ns();
        let clients = self.or_stopped(running::connect(&self.options.urls)).await?;
        let total = clients.len() as u32;
        let watch = HostWatch::start(self.clock.clone());
        let up = Arc::new(AtomicU64::new(u64::from(total)));
        let outcome = self.run_load(running::targets(&clients)?, history, &watch, up).await?;
        let ended_ns = self.clock.now_ns();
        let host = watch.stop().await;
        Ok(Measured {
            duration_ns: ended_ns - begun_ns,
            nodes: NodeCounts { started: total, ready: total, ..NodeCounts::default() },
            operations: operations::results(&outcome, begun_ns),
            exchange: running::exchange(),
            resources: running::resources(&self.options.urls),
            host: host.during(&outcome, begun_ns..ended_ns),
            faults: Vec::new(),
            self_tests: Vec::new(),
            stopped: outcome.stopped,
        })
    }

    /// Writes where the nodes are and makes them ready.
    async fn prepare(&self, network: &Mutex<RunningNetwork>, launched: Instant) -> Result<NodeCounts, RunError> {
        let mut network = network.lock().await;
        network.write_nodes(&self.options.run_id, &self.directory).map_err(RecordError::writing(&self.directory))?;
        self.or_stopped(network.make_ready(self.options.seed, &self.show)).await?;
        let ready_after_ns = u64::try_from(launched.elapsed().as_nanos()).ok();
        let total = network.nodes.len() as u32;
        network.begin_observing().await;
        let connections = network.connections().await;
        Ok(NodeCounts { started: total, ready: total, failed: 0, ready_after_ns, connections })
    }

    async fn run_load(
        &self,
        targets: peermark_probe::workload::Network,
        history: &record::History,
        watch: &HostWatch,
        up: Arc<AtomicU64>,
    ) -> Result<LoadOutcome, RunError> {
        let plan = plan::load_plan(&self.options.scenario, self.options.seed)?;
        let sink = history.sink(&self.directory, self.options.samples_cap_bytes)?;
        let (clock, stop, show, busy) = (self.clock.clone(), self.stop.clone(), self.show.clone(), watch.busy());
        let show_tick = move |mut kind: EventKind| {
            if let EventKind::Tick(tick) = &mut kind {
                tick.host_busy = busy.load();
                tick.nodes_up = u32::try_from(up.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
            }
            show(kind);
        };
        let load = tokio::task::spawn_blocking(move || {
            peermark_probe::load::run(plan, &targets, clock, sink, stop, show_tick)
        });
        let (outcome, sink) = load.await.map_err(|error| RunError::Fault(error.to_string()))??;
        sink.finish().await?;
        history.keep_operations(&outcome).await?;
        Ok(outcome)
    }
}

/// A network after its load.
struct Loaded {
    network: Arc<Mutex<RunningNetwork>>,
    measured: Measured,
}

/// What was measured, before it is judged.
struct Measured {
    duration_ns: u64,
    nodes: NodeCounts,
    operations: Vec<crate::result::OperationResult>,
    exchange: crate::result::Exchange,
    resources: Vec<crate::result::NodeResources>,
    host: host::HostSummary,
    faults: Vec<crate::result::FaultResult>,
    self_tests: Vec<self_tests::Attempts>,
    stopped: bool,
}

/// Asks all nodes now and then, and says which ended on their own. Ends with its task.
#[expect(clippy::infinite_loop, reason = "aborted when the load is over")]
async fn look(network: Arc<Mutex<RunningNetwork>>, up: Arc<AtomicU64>, show: Show) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let mut network = network.lock().await;
        for node in network.look().await {
            show(EventKind::NodeState { node, state: "exited".into(), detail: None });
        }
        up.store(u64::from(network.up()), Ordering::Relaxed);
    }
}

/// Stops all nodes. Tasks that still hold the network have been told to end; the last one lets go of it within their next step.
async fn stop_network(network: Arc<Mutex<RunningNetwork>>) {
    network.lock().await.stop().await;
}
