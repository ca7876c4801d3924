//! A monitor from start to stop.

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use libp2p::identity::Keypair;
use parking_lot::Mutex;
use peermark_core::{Clock, Environment, Seed};
use peermark_http::{Bound, Server, Tls};
use peermark_node::Extension;
use peermark_probe::agenda::{Agenda, AgendaHandle, AgendaOptions, Classes};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::budget::Budget;
use crate::bus::Bus;
use crate::config::{ConfigError, MonitorConfig};
use crate::desk::Desk;
use crate::dialback::{self, Dialback};
use crate::entry::Entry;
use crate::error::MonitorError;
use crate::history::{History, HistoryOptions};
use crate::http::{Orders, router};
use crate::journal::Journal;
use crate::metrics::Series;
use crate::pause::PauseFile;
use crate::runner::{Runner, Shared};
use crate::slots::{self, Guard, NetworkClass, Slots};
use crate::state::State;
use crate::task::NodeFacts;
use crate::tasks;

/// The network that sealed records name: self-tests are about a node, whatever network it is in.
pub const NETWORK: &str = "self";

/// How long the last attempts may take to be written, pruning included.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// Directory for the tasks' files, below the data.
const SCRATCH: &str = "monitor-scratch";

/// What a monitor is started with.
pub struct MonitorOptions {
    /// Its section of the configuration.
    pub config: MonitorConfig,
    /// Who is tested.
    pub node: NodeFacts,
    /// Signs the records: the node's key.
    pub key: Keypair,
    /// This machine and build.
    pub environment: Environment,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Source of random parts and choices; another one after each start.
    pub seed: Seed,
    /// Its own API; none where a node's serves it ([`Monitor::extension`]).
    pub listen: Option<Listen>,
}

/// A running monitor. Dropping it stops it without waiting.
pub struct Monitor {
    state: Arc<State>,
    others: Router,
    /// Of the agenda, and of the journal after it, so that what the agenda made is written.
    stops: [DropGuard; 2],
    agenda: JoinHandle<()>,
    journal: JoinHandle<()>,
    server: Option<Server>,
    bus: Option<Bus>,
}

impl Monitor {
    /// Opens the history and begins to run tasks.
    ///
    /// # Errors
    /// [`MonitorError`] names the setting, file or directory that cannot be used.
    pub async fn start(options: MonitorOptions) -> Result<Self, MonitorError> {
        let MonitorOptions { config, node, key, environment, clock, seed, listen } = options;
        check(&config)?;
        if let Some(url) = &config.redis {
            Bus::check(url).map_err(|error| ConfigError { key: "redis".into(), reason: error.to_string() })?;
        }
        let entries = entries(&config, node.api.is_some())?;
        let bound = match listen {
            Some(listen) => Some(listen.bind().await?),
            None => None,
        };
        let version = environment.version.clone();
        let history = open_history(&config, &node, &key, environment, Arc::clone(&clock)).await?;
        // After the history is locked: another monitor's files are not ours to clear away.
        let scratch = node.data.join(SCRATCH);
        make_empty(&scratch).map_err(|source| MonitorError::Data { path: scratch.clone(), source })?;
        let (stop, journal_stop) = (CancellationToken::new(), CancellationToken::new());
        let journal = Arc::new(Journal::default());
        let scheduled: Vec<Arc<Entry>> = entries.iter().filter(|entry| entry.idle.is_none()).cloned().collect();
        let agenda = agenda(&scheduled, &history, &journal, &node, seed, &clock)?;
        let node = Arc::new(node);
        let runner = Runner::new(Shared {
            entries: scheduled,
            budget: Budget::new(config.budget),
            clock: Arc::clone(&clock),
            seed,
            scratch,
            node: Arc::clone(&node),
            past: Arc::new(history.clone()),
            journal: Arc::clone(&journal),
            stop: stop.clone(),
            came_to: Mutex::default(),
        });
        let state = Arc::new(State {
            entries,
            history,
            agenda: agenda.handle(),
            journal,
            started_ms: clock.wall_ms(),
            clock,
            pause: PauseFile::open(&node.data),
            node,
            zone: config.zone.clone(),
            version,
            scheduler_up: AtomicBool::new(true),
            stop: stop.clone(),
            bus: OnceLock::new(),
        });
        if let Some(pause) = state.pause.get() {
            state.agenda.pause_until(pause.until_ms);
        }
        Self::spawn(state, agenda, runner, &config, bound, [stop, journal_stop])
    }

    /// Everything is there: begins.
    fn spawn(
        state: Arc<State>,
        agenda: Agenda,
        runner: Runner,
        config: &MonitorConfig,
        bound: Option<(Bound, Orders)>,
        [stop, journal_stop]: [CancellationToken; 2],
    ) -> Result<Self, MonitorError> {
        let id = || state.node.id.clone();
        let class = Arc::new(AgendaClass(state.agenda.clone()));
        let others = slots::router(Slots::new(config.slots.clone(), id(), class))
            .merge(dialback::router(Dialback::new(config.dialback.clone(), id(), Arc::clone(&state.clock))));
        let bus = match &config.redis {
            Some(url) => Some(start_bus(url, &state, &stop)?),
            None => None,
        };
        let (until, watched) = (stop.clone(), Arc::clone(&state));
        let agenda = tokio::spawn(async move {
            // Whatever ends it but a stop, a panic included, is told as such.
            let _down = DownGuard(watched);
            if let Err(error) = agenda.run(runner, &until).await {
                tracing::error!(%error, "self-tests no longer run");
            }
        });
        let handle = state.agenda.clone();
        let write = Arc::clone(&state.journal).write(
            state.history.clone(),
            Arc::clone(&state.clock),
            journal_stop.clone(),
            move || handle.wake(),
        );
        let journal = tokio::spawn(write);
        let server = bound.map(|(bound, orders)| bound.serve(router(Arc::clone(&state), others.clone(), orders)));
        let stops = [stop.drop_guard(), journal_stop.drop_guard()];
        Ok(Self { state, others, stops, agenda, journal, server, bus })
    }

    /// What it adds to the API of the node that it is part of.
    pub fn extension(&self, orders: Orders) -> Extension {
        let series = Box::new(Series::new(Arc::clone(&self.state)));
        Extension { routes: router(Arc::clone(&self.state), self.others.clone(), orders), series: Some(series) }
    }

    /// Where its own API listens, as a URL; `None` where it has none.
    pub fn url(&self) -> Option<String> {
        self.server.as_ref().map(Server::url)
    }

    /// What answers questions about it.
    pub fn state(&self) -> &Arc<State> {
        &self.state
    }

    /// Ends what runs within half a second, writes what is left, closes the history. Takes at most some ten seconds.
    pub async fn shutdown(self) {
        let Self { state, stops: [stop, journal_stop], agenda, journal, server, bus, .. } = self;
        if let Some(server) = server {
            server.shutdown().await;
        }
        drop(stop);
        drop(agenda.await);
        if let Some(bus) = bus {
            bus.stop().await;
        }
        drop(journal_stop);
        match timeout(LAST_WRITES, journal).await {
            Ok(_) => state.history.clone().close().await,
            Err(_elapsed) => {
                tracing::error!(lost = state.journal.waiting(), "the history did not take the last attempts")
            }
        }
    }
}

/// Says that nothing is scheduled any more when the scheduler ends.
struct DownGuard(Arc<State>);

impl Drop for DownGuard {
    fn drop(&mut self) {
        self.0.scheduler_up.store(false, Ordering::Relaxed);
    }
}

/// Where a monitor's own API listens, and who may ask.
pub struct Listen {
    /// The address; port 0 takes a free one.
    pub address: SocketAddr,
    /// The token that every caller presents.
    pub token: Option<Arc<str>>,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<Tls>,
    /// Whether it may be served beyond loopback without a token. Orders are then taken from this machine alone.
    pub allow_anonymous: bool,
}

impl Listen {
    async fn bind(self) -> Result<(Bound, Orders), MonitorError> {
        let Self { address, token, tls, allow_anonymous } = self;
        let orders = if token.is_some() { Orders::Guarded } else { Orders::FromHere };
        let bound = Server::bind(address, token, allow_anonymous).await?;
        Ok((if let Some(tls) = tls { bound.with_tls(tls) } else { bound }, orders))
    }
}

/// The network class of this node's own tests.
struct AgendaClass(AgendaHandle);

impl NetworkClass for AgendaClass {
    fn try_hold(&self, _longest: Duration) -> Option<Guard> {
        let hold = self.0.try_hold(Classes::NETWORK)?;
        Some(Box::new(hold))
    }
}

fn start_bus(url: &str, state: &Arc<State>, stop: &CancellationToken) -> Result<Bus, ConfigError> {
    let desk: Arc<dyn Desk> = state.clone();
    let bus = Bus::start(url, desk, Arc::clone(&state.clock), stop)
        .map_err(|error| ConfigError { key: "redis".into(), reason: error.to_string() })?;
    // The first and only time: a monitor has one bus.
    drop(state.bus.set(Arc::clone(bus.counters())));
    Ok(bus)
}

fn check(config: &MonitorConfig) -> Result<(), MonitorError> {
    let setting = |key: &str, reason: &str| ConfigError { key: key.into(), reason: reason.into() };
    if config.history.attempts_days == 0 || config.history.rollups_days < config.history.attempts_days {
        let reason = "attempts are kept for at least a day, and rollups no shorter than attempts";
        return Err(setting("history.attempts_days", reason).into());
    }
    if config.tls_cert.is_some() != config.tls_key.is_some() {
        return Err(setting("tls_cert", "certificate and key come together").into());
    }
    Ok(())
}

/// Every task under the configuration, and a look at whether all overrides name one.
fn entries(config: &MonitorConfig, has_node: bool) -> Result<Vec<Arc<Entry>>, MonitorError> {
    let tasks = tasks::all(config)?;
    let unknown = config.task.keys().find(|name| tasks.iter().all(|task| task.about().name != **name));
    if let Some(name) = unknown {
        return Err(ConfigError { key: format!("task.{name}"), reason: "no task has this name".into() }.into());
    }
    let entry = |task| Entry::new(task, config, has_node).map(Arc::new);
    Ok(tasks.into_iter().map(entry).collect::<Result<_, _>>()?)
}

async fn open_history(
    config: &MonitorConfig,
    node: &NodeFacts,
    key: &Keypair,
    environment: Environment,
    clock: Arc<dyn Clock>,
) -> Result<History, MonitorError> {
    let key = peermark_node::identity::signing_key(&node.data, key)?;
    let options = HistoryOptions {
        key,
        node: node.id.clone(),
        network: NETWORK.into(),
        environment,
        config: config.history,
        clock,
    };
    Ok(History::open(&node.data, options).await?)
}

fn agenda(
    scheduled: &[Arc<Entry>],
    history: &History,
    journal: &Arc<Journal>,
    node: &NodeFacts,
    seed: Seed,
    clock: &Arc<dyn Clock>,
) -> Result<Agenda, MonitorError> {
    let last = |entry: &Entry| history.latest_success(&entry.about.name).map(|attempt| attempt.ended_ms);
    let now_ms = clock.wall_ms();
    let plans = scheduled.iter().map(|entry| entry.plan(last(entry), now_ms)).collect();
    let journal = Arc::clone(journal);
    let options = AgendaOptions {
        may_start: Arc::new(move || journal.has_room()),
        ..AgendaOptions::new(node.id.clone(), seed, Arc::clone(clock))
    };
    Ok(Agenda::new(plans, options)?)
}

/// What a killed process left of its tests is of no use.
fn make_empty(directory: &std::path::Path) -> std::io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
