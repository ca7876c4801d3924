//! Asks the monitors of a fleet, each in its turn, on the engine that all schedules of the product run on.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::{Clock, Culprit, FailureClass, MonotonicNs, Seed, in_words};
use peermark_probe::driver::{Done, Driver, Prepared};
use peermark_probe::executor::{ExecuteError, Execution, Executor, Limits, window_from};
use peermark_probe::pacer::RelaxedPacer;
use peermark_probe::recorder::Recorder;
use peermark_probe::schedule::{InvalidRate, Rate, Schedule};
use peermark_store::Store;
use thiserror::Error;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::alert::{AlertFileError, Alerts};
use super::config::{FleetConfig, FleetConfigError};
use super::document::FleetDocument;
use super::fetch::FETCH;
use super::keep::{KeepError, Keeper};
use super::state::FleetState;
use super::webhook::Webhooks;
use crate::client::{MonitorClient, ServiceError};

/// Monitors that are asked at once where each is asked once.
const ONCE_IN_FLIGHT: u32 = 16;

/// Time for storing what was fetched, after the deadlines of all questions.
const STORE: Duration = Duration::from_secs(60);

/// Why a fleet cannot be watched.
#[derive(Debug, Error)]
pub enum FleetError {
    /// `nodes.toml` cannot be used.
    #[error(transparent)]
    Config(#[from] FleetConfigError),
    /// The store cannot be used.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// What is raised cannot be kept.
    #[error(transparent)]
    Alerts(#[from] AlertFileError),
    /// The engine failed.
    #[error("cannot ask the fleet")]
    Engine(#[from] ExecuteError),
    /// The nodes cannot be asked so often.
    #[error("the fleet is asked too often")]
    Rate(#[from] InvalidRate),
}

/// What a fleet is watched with.
pub struct FleetOptions {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Takes every attempt; none are kept without.
    pub store: Option<Store>,
    /// Keeps what is raised over a restart.
    pub alerts: Option<PathBuf>,
    /// Whether tokens may travel unencrypted.
    pub insecure: bool,
}

/// A fleet that is watched. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Fleet {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) config: FleetConfig,
    pub(super) clients: Vec<MonitorClient>,
    /// A node is asked once at a time.
    turns: Vec<tokio::sync::Mutex<()>>,
    keeper: Option<Keeper>,
    pub(super) state: Mutex<FleetState>,
    pub(super) alerts: Mutex<Alerts>,
    /// There is something new for receivers.
    pub(super) owes: Notify,
    pub(super) webhooks: Webhooks,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counts: FleetCounts,
}

/// What a fleet did.
#[derive(Debug, Default)]
pub struct FleetCounts {
    /// Attempts put into the store.
    pub kept: AtomicU64,
    /// Histories that could not be read or stored.
    pub not_kept: AtomicU64,
    /// Notices that receivers took.
    pub delivered: AtomicU64,
    /// Notices that were given up: refused, older than a day, or too many.
    pub given_up: AtomicU64,
}

impl Fleet {
    /// Makes everything ready and asks nobody yet.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn open(config: FleetConfig, options: FleetOptions) -> Result<Self, FleetError> {
        config.check()?;
        let FleetOptions { clock, store, alerts, insecure } = options;
        let clients = config.node.iter().map(|node| node.client(config.timeout(), insecure));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        let keeper = match store {
            Some(store) => Some(Keeper::open(store, &clock).await?),
            None => None,
        };
        let shared = Shared {
            turns: clients.iter().map(|_| tokio::sync::Mutex::new(())).collect(),
            clients,
            keeper,
            state: Mutex::new(FleetState::new(&config, clock.now_ns())),
            alerts: Mutex::new(Alerts::open(&config, alerts)?),
            owes: Notify::new(),
            webhooks: Webhooks::new(&config.alert, insecure)?,
            clock,
            counts: FleetCounts::default(),
            config,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The fleet at this moment.
    pub fn document(&self) -> FleetDocument {
        let shared = &self.shared;
        let mut document = shared.state.lock().document(shared.clock.now_ns(), shared.clock.wall_ms());
        document.alerts = shared.alerts.lock().raised();
        document
    }

    /// What it did so far.
    pub fn counts(&self) -> &FleetCounts {
        &self.shared.counts
    }

    /// Asks every node once, at most 16 at a time. Alerts are not looked at: one answer decides nothing.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn once(&self, stop: &CancellationToken) -> Result<Execution, FleetError> {
        self.shared.state.lock().ask_once();
        let nodes = self.shared.clients.len() as u64;
        let concurrency = NonZeroU32::new(ONCE_IN_FLIGHT).expect("sixteen is not zero");
        self.execute(Schedule::Closed { concurrency }, Some(nodes), false, stop).await
    }

    /// Asks every node again and again, one after the other, evenly over the interval, until `stop`.
    ///
    /// # Errors
    /// [`FleetError`]. A node that does not answer is none.
    pub async fn run(&self, stop: &CancellationToken) -> Result<Execution, FleetError> {
        let rate = Rate::try_new(self.shared.clients.len() as f64 / self.shared.config.every().as_secs_f64())?;
        let telling = stop.child_token();
        let asked = async {
            let _end = telling.clone().drop_guard();
            self.execute(Schedule::Uniform { rate }, None, true, stop).await
        };
        tokio::join!(asked, self.shared.tell(&telling)).0
    }

    async fn execute(
        &self,
        schedule: Schedule,
        operations: Option<u64>,
        watch: bool,
        stop: &CancellationToken,
    ) -> Result<Execution, FleetError> {
        let shared = Arc::clone(&self.shared);
        let limits = Limits {
            warm_up: Duration::ZERO,
            duration: None,
            operations,
            timeout: shared.config.timeout() + FETCH + STORE,
            // A node that is still being asked gives up its turn, so there are never more than nodes.
            max_in_flight: 2 * shared.clients.len(),
        };
        let clock = Arc::clone(&shared.clock);
        let mut driver = Poll { shared, watch };
        let mut pacer = RelaxedPacer::new(Arc::clone(&clock));
        let window = window_from(clock.as_ref(), &limits);
        let timeout_ns = u64::try_from(limits.timeout.as_nanos()).unwrap_or(u64::MAX);
        let mut recorder = Recorder::new(&"fleet".into(), &driver.lanes(), window, timeout_ns, None);
        let show = &mut |_| {};
        let engine = Executor { limits, window, pacer: &mut pacer, recorder: &mut recorder, stop, show };
        // The moments are even; nothing is drawn.
        Ok(engine.execute(&mut driver, &mut schedule.arrivals(Seed(0).stream("fleet"))).await?)
    }
}

/// The engine's view of a fleet.
struct Poll {
    shared: Arc<Shared>,
    watch: bool,
}

impl Driver for Poll {
    type Task = usize;

    fn lanes(&self) -> Vec<String> {
        vec!["poll".to_owned()]
    }

    fn prepare(&mut self, number: u64) -> Option<Prepared<usize>> {
        let task = (number % self.shared.clients.len() as u64) as usize;
        Some(Prepared { lane: 0, trace: number, timeout: None, task })
    }

    fn run(&self, node: usize, _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        let (shared, watch) = (Arc::clone(&self.shared), self.watch);
        async move { Box::pin(shared.poll(node, watch)).await }
    }
}

impl Shared {
    async fn poll(&self, node: usize, watch: bool) -> Done {
        let Ok(_turn) = self.turns[node].try_lock() else {
            return Done::failed(FailureClass::NotSent, Culprit::Observer);
        };
        let done = match tokio::time::timeout(self.config.timeout(), self.clients[node].status()).await {
            Ok(Ok(status)) => {
                self.state.lock().answered(node, status.clone(), self.clock.now_ns());
                if let Some(keeper) = &self.keeper {
                    self.fetch(keeper, node, &status).await;
                }
                Done::ok(0)
            }
            Ok(Err(error)) => {
                self.state.lock().failed(node, &in_words(&error));
                let (class, culprit) = match &error {
                    ServiceError::Call { source, .. } => source.failure(),
                    ServiceError::Refused { .. } => (FailureClass::Rejected, Culprit::Observer),
                    _ => (FailureClass::Protocol, Culprit::Peer),
                };
                Done::failed(class, culprit)
            }
            Err(_elapsed) => {
                let waited = self.config.timeout_s;
                self.state.lock().failed(node, &format!("no complete answer within {waited} s"));
                Done::failed(FailureClass::Timeout, Culprit::Peer)
            }
        };
        if watch {
            self.watch(node);
        }
        done
    }

    /// Looks at the rules; whoever has to know is told by [`Self::tell`].
    fn watch(&self, node: usize) {
        let (now_ns, now_ms) = (self.clock.now_ns(), self.clock.wall_ms());
        let state = self.state.lock();
        let mut alerts = self.alerts.lock();
        let notices = alerts.look(node, &state, now_ns, now_ms);
        drop(state);
        if notices.is_empty() {
            return;
        }
        count(&self.counts.given_up, alerts.drop_excess() as u64);
        drop(alerts);
        self.save();
        self.owes.notify_one();
    }
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
