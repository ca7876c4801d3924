//! The scheduler: has one server of some fleets publish and all others look up, round by round, as parsec's does.
//!
//! - [`wire`]: parsec's HTTP interface from the side of the scheduler;
//! - [`target`]: one server, which is its row and its address in one;
//! - [`turns`]: whose turn it is to publish;
//! - `roster`: which servers are alive, and what keeps others from taking part;
//! - [`round`]: what is done in one round; `rounds` runs them on the engine of `peermark_probe`;
//! - `outbox`: finished rounds on their way into the database, the only place that tries again;
//! - [`evidence`]: calls as observations;
//! - [`capacity`]: the open loop, which draws the capacity curve;
//! - [`metrics`], [`notice`]: what a scheduler counts and says.
//!
//! Several schedulers may ask the same servers at once; they do not coordinate, and do not have to.

pub mod capacity;
mod error;
pub mod evidence;
pub mod metrics;
pub mod notice;
mod outbox;
mod roster;
pub mod round;
mod rounds;
pub mod target;
pub mod turns;
pub mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::{Clock, Seed};
use peermark_store::dht::{DhtStore, SchedulerId};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use error::SchedulerError;
pub use evidence::EvidenceRun;
pub use metrics::SchedulerMetrics;
pub use notice::{Notice, Tell};
pub use roster::FRESH;

use evidence::EvidenceWriter;
use outbox::{Outbox, Writer};
use roster::{READ_TIMEOUT, Roster};
use round::RoundPlan;
use rounds::{Rounds, run_rounds};
use target::Asker;

/// Which servers take part, and as what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleets {
    publish: Vec<String>,
    lookup: Vec<String>,
}

/// How calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOptions {
    /// Longest time for a provide or retrieve. parsec's servers give up on a provide after 180 s.
    pub timeout: Duration,
    /// Longest time for the question whether a server is ready.
    pub readiness_timeout: Duration,
}

/// How rounds are run.
#[derive(Clone, Debug)]
pub struct SchedulerOptions {
    /// Who takes part.
    pub fleets: Fleets,
    /// From one round to the next.
    pub interval: Duration,
    /// Retrieves per server and round.
    pub probes: u32,
    /// How calls are made.
    pub calls: CallOptions,
    /// How long after a provide it is watched whether all regions see it; `None` does not watch.
    pub visible_within: Option<Duration>,
    /// Rounds after which it ends; `None` goes on until it is stopped.
    pub rounds: Option<u64>,
    /// How long the last list of servers is used on once its heartbeats are no longer fresh and the database is gone.
    pub grace: Duration,
    /// Source of the contents. The same seed publishes the same contents, which the network may still hold from the last time.
    pub seed: Seed,
    /// Where metrics are served; `None` serves none.
    pub metrics: Option<SocketAddr>,
    /// Whether they may be served beyond loopback.
    pub allow_anonymous: bool,
    /// What this scheduler is made of, for its row: any JSON.
    pub dependencies: serde_json::Value,
    /// How long finished rounds may take to be written after the end.
    pub last_writes: Duration,
}

/// What came of a scheduler.
#[derive(Clone, Debug)]
pub struct SchedulerSummary {
    /// Its row.
    pub scheduler: SchedulerId,
    /// What it counted.
    pub metrics: Arc<SchedulerMetrics>,
    /// Finished rounds that could not be written.
    pub unwritten: usize,
}

impl Default for CallOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(190), readiness_timeout: Duration::from_secs(5) }
    }
}

impl Fleets {
    /// Servers of all these fleets publish in turn and look up, mixed, as parsec does it.
    pub fn mixed(fleets: Vec<String>) -> Self {
        Self { publish: fleets.clone(), lookup: fleets }
    }

    /// Servers of `publish` publish, servers of `lookup` look up: one implementation against another.
    pub fn pair(publish: Vec<String>, lookup: Vec<String>) -> Self {
        Self { publish, lookup }
    }

    /// Fleets whose servers publish.
    pub fn publish(&self) -> &[String] {
        &self.publish
    }

    /// Fleets whose servers look up.
    pub fn lookup(&self) -> &[String] {
        &self.lookup
    }

    /// Every fleet once, in the order in which they were given.
    pub fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for fleet in self.publish.iter().chain(&self.lookup) {
            if !all.contains(fleet) {
                all.push(fleet.clone());
            }
        }
        all
    }

    /// The fleets as they are stored and sent, after a look at whether that is possible.
    fn checked(&self) -> Result<Vec<String>, SchedulerError> {
        if self.publish.is_empty() || self.lookup.is_empty() || self.all().iter().any(String::is_empty) {
            return Err(SchedulerError::NoFleets);
        }
        Ok(self.all())
    }

    fn asker(&self, calls: CallOptions, clock: Arc<dyn Clock>) -> Result<Asker, SchedulerError> {
        let fleets = self.checked()?;
        let headers = wire::headers(&fleets).ok_or(SchedulerError::BadFleet { fleets })?;
        let CallOptions { timeout, readiness_timeout } = calls;
        Ok(Asker { headers, timeout, readiness_timeout, clock })
    }
}

/// Registers a scheduler and runs its rounds until they are done or `stop`, then writes what is left.
///
/// `tables` is where servers register and rows go; `evidence` takes every call as an observation; `tell` gets what there is to say.
///
/// # Errors
/// [`SchedulerError`] when it cannot start. Once it runs, neither servers nor the database end it.
pub async fn run(
    options: SchedulerOptions,
    tables: DhtStore,
    evidence: Option<EvidenceRun>,
    clock: Arc<dyn Clock>,
    tell: Tell,
    stop: CancellationToken,
) -> Result<SchedulerSummary, SchedulerError> {
    if options.probes == 0 {
        return Err(SchedulerError::Setting { name: "probes", expected: "at least 1" });
    }
    if options.interval.is_zero() {
        return Err(SchedulerError::Setting { name: "interval", expected: "longer than nothing" });
    }
    let asker = options.fleets.asker(options.calls, Arc::clone(&clock))?;
    let metrics = Arc::new(SchedulerMetrics::default());
    let served = match options.metrics {
        Some(address) => Some(Arc::clone(&metrics).serve(address, options.allow_anonymous).await?),
        None => None,
    };
    if let Some(served) = &served {
        tell(Notice::Metrics { address: served.address() });
    }
    let fleets = options.fleets.all();
    let now_ms = clock.wall_ms();
    let registered = tables.insert_scheduler(&fleets, &options.dependencies, now_ms);
    let registered = timeout(READ_TIMEOUT, registered).await;
    let scheduler = registered
        .map_err(|_elapsed| SchedulerError::Silent { after: READ_TIMEOUT })?
        .map_err(|source| SchedulerError::Register { source })?;

    let outbox = Arc::new(Outbox::new(Arc::clone(&metrics), Arc::clone(&tell)));
    let writer = Writer {
        outbox: Arc::clone(&outbox),
        tables: tables.clone(),
        scheduler,
        evidence: evidence.map(EvidenceWriter::new),
        is_failing: false,
    };
    let rounds_over = CancellationToken::new();
    let writer = tokio::spawn(writer.run(rounds_over.clone(), options.last_writes));

    let roster = Roster::new(tables, fleets, options.grace, asker.clone(), Arc::clone(&metrics), Arc::clone(&tell));
    let Fleets { publish, lookup } = options.fleets;
    let plan = RoundPlan {
        asker,
        publish,
        lookup,
        probes: options.probes,
        visible_within: options.visible_within,
        metrics: Arc::clone(&metrics),
        tell,
        stop,
    };
    let rounds = Arc::new(Rounds {
        plan,
        roster: tokio::sync::Mutex::new(roster),
        turns: Mutex::default(),
        outbox,
        batch: format!("{}-{now_ms}", scheduler.0),
        last_skip: Mutex::default(),
    });
    // A task of its own: the engine must not share one with whoever waits here.
    let done = tokio::spawn(run_rounds(rounds, options.interval, options.rounds, options.seed)).await;
    rounds_over.cancel();
    let unwritten = writer.await.map_err(|_| SchedulerError::Panicked)?;
    if let Some(served) = served {
        served.shutdown().await;
    }
    done.map_err(|_| SchedulerError::Panicked)??;
    Ok(SchedulerSummary { scheduler, metrics, unwritten })
}
