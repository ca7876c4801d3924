//! The open loop: what servers keep up with.
//!
//! Retrieves, and provides in a given share, arrive by a Poisson process whatever becomes of the ones before, at rates that double from
//! step to step. Latency counts from the intended start, so a server that falls behind shows it. Nothing of this goes into parsec's
//! tables, whose readers take every row for a round of an idle server.

mod curve;
mod driver;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use peermark_core::{Clock, Seed, in_words};
use peermark_probe::executor::{Execution, Executor, Limits, window_from};
use peermark_probe::pacer::PrecisePacer;
use peermark_probe::recorder::{LaneRecord, Recorder};
use peermark_probe::schedule::{Rate, Schedule};
use peermark_store::dht::DhtStore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::error::SchedulerError;
use super::roster::{READ_TIMEOUT, newest_by_address};
use super::target::{Asker, Target};
use super::{CallOptions, Fleets};

pub use curve::{CapacityCurve, CapacityStep, Figures, Percentile};

use driver::{LookupDriver, Servers};

/// Records that are published before the first step, so that there is something to look up.
const STOCK: u64 = 16;

/// Provides in flight while they are.
const STOCK_CONCURRENCY: NonZeroU32 = NonZeroU32::new(4).expect("4 is not 0");

/// Servers that are asked at a time whether they are ready.
const READINESS_CONCURRENCY: usize = 64;

/// Most steps: beyond it, the first would have an operation in weeks.
pub const MAX_STEPS: u32 = 16;

/// What is offered to the servers.
#[derive(Clone, Debug)]
pub struct CapacityOptions {
    /// Who takes part.
    pub fleets: Fleets,
    /// Arrivals per second of the last step.
    pub rate: Rate,
    /// Steps, each at twice the rate of the one before; 1 to [`MAX_STEPS`].
    pub steps: u32,
    /// Length of each step.
    pub duration: Duration,
    /// Share of provides among the arrivals, 0 to 1.
    pub provide_share: f64,
    /// How calls are made.
    pub calls: CallOptions,
    /// Operations in flight; one more is turned away and counted as our own failure.
    pub max_in_flight: usize,
    /// Source of arrivals and contents.
    pub seed: Seed,
}

/// Runs the steps against the servers of `tables` that are ready now, until the last or `stop`. `show` gets each step when it is
/// over.
///
/// # Errors
/// [`SchedulerError`] when there is nothing to ask or to look up. What servers fail at is data.
pub async fn run(
    options: CapacityOptions,
    tables: &DhtStore,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    mut show: impl FnMut(&CapacityStep) + Send,
) -> Result<CapacityCurve, SchedulerError> {
    options.check()?;
    let asker = options.fleets.asker(options.calls, Arc::clone(&clock))?;
    let servers = Arc::new(ready_servers(&options.fleets, tables, &asker).await?);
    let count = servers.len();
    let mut bench = Bench { options: &options, servers, asker, clock, stop, executions: 0 };
    bench.publish_stock().await?;
    let mut steps = Vec::new();
    for step in 0..options.steps {
        if bench.stop.is_cancelled() {
            break;
        }
        let below = f64::from(2u32.pow(options.steps - 1 - step));
        let rate = Rate::try_new(options.rate.per_second() / below).unwrap_or(options.rate);
        let limits = Limits {
            warm_up: Duration::ZERO,
            duration: Some(options.duration),
            operations: None,
            timeout: options.calls.timeout,
            max_in_flight: options.max_in_flight,
        };
        let (execution, records) = bench.execute(limits, Schedule::Poisson { rate }, options.provide_share).await?;
        let step = CapacityStep::new(rate, &execution, &records);
        show(&step);
        steps.push(step);
    }
    let stopped = bench.stop.is_cancelled();
    Ok(CapacityCurve::new(&options, count, stopped, steps))
}

impl CapacityOptions {
    fn check(&self) -> Result<(), SchedulerError> {
        let refused = |name, expected| Err(SchedulerError::Setting { name, expected });
        if !(1..=MAX_STEPS).contains(&self.steps) {
            return refused("steps", "1 to 16");
        }
        if !(0.0..=1.0).contains(&self.provide_share) {
            return refused("provide-share", "0 to 1");
        }
        if self.duration.is_zero() {
            return refused("for", "longer than nothing");
        }
        if self.max_in_flight == 0 { refused("in-flight", "at least 1") } else { Ok(()) }
    }
}

/// Everything that the steps share.
struct Bench<'a> {
    options: &'a CapacityOptions,
    servers: Arc<Servers>,
    asker: Asker,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    /// Numbers executions, so that no two draw the same.
    executions: u64,
}

impl Bench<'_> {
    async fn publish_stock(&mut self) -> Result<(), SchedulerError> {
        let limits = Limits {
            warm_up: Duration::ZERO,
            duration: None,
            operations: Some(STOCK),
            timeout: self.options.calls.timeout,
            max_in_flight: STOCK_CONCURRENCY.get() as usize,
        };
        self.execute(limits, Schedule::Closed { concurrency: STOCK_CONCURRENCY }, 1.0).await?;
        let is_empty = self.servers.has_nothing_published() && !self.stop.is_cancelled();
        if is_empty { Err(SchedulerError::NothingPublished { tried: STOCK }) } else { Ok(()) }
    }

    async fn execute(
        &mut self,
        limits: Limits,
        schedule: Schedule,
        provide_share: f64,
    ) -> Result<(Execution, Vec<LaneRecord>), SchedulerError> {
        self.executions += 1;
        let seed = self.options.seed;
        let (clock, stop) = (Arc::clone(&self.clock), self.stop.clone());
        let mut driver =
            LookupDriver::new(Arc::clone(&self.servers), self.asker.clone(), provide_share, seed, self.executions);
        let mut arrivals = schedule.arrivals(seed.stream_at("arrivals", self.executions));
        let work = async move {
            let mut pacer = PrecisePacer::new(Arc::clone(&clock)).map_err(|source| SchedulerError::Timer { source })?;
            let window = window_from(clock.as_ref(), &limits);
            let timeout_ns = u64::try_from(limits.timeout.as_nanos()).unwrap_or(u64::MAX);
            let mut recorder = Recorder::new(&"capacity".into(), &driver.lanes(), window, timeout_ns, None);
            let show = &mut |_| {};
            let engine = Executor { limits, window, pacer: &mut pacer, recorder: &mut recorder, stop: &stop, show };
            let execution = engine.execute(&mut driver, &mut arrivals).await?;
            let records = recorder.finish(execution.window.end_ns).expect("without a sink nothing can fail");
            Ok((execution, records))
        };
        // A task of its own: the engine must not share one with whoever waits here.
        tokio::spawn(work).await.map_err(|_| SchedulerError::Panicked)?
    }
}

/// The servers that are ready, by what they do.
async fn ready_servers(fleets: &Fleets, tables: &DhtStore, asker: &Asker) -> Result<Servers, SchedulerError> {
    let all = fleets.all();
    let nodes = timeout(READ_TIMEOUT, tables.live_nodes(&all, asker.clock.wall_ms())).await;
    let nodes = nodes
        .map_err(|_elapsed| SchedulerError::Silent { after: READ_TIMEOUT })?
        .map_err(|source| SchedulerError::Servers { source })?;
    let targets = newest_by_address(nodes).into_iter().filter_map(|node| Target::new(node).ok());
    let asked = stream::iter(targets.collect::<Vec<_>>())
        .map(|target| async move {
            let answer = target.ready(asker).await;
            (target, answer)
        })
        .buffer_unordered(READINESS_CONCURRENCY)
        .collect::<Vec<_>>();
    let mut ready = Vec::new();
    for (target, answer) in asked.await {
        match answer {
            Ok(()) => ready.push(target),
            Err(error) => {
                let words = in_words(&error);
                tracing::warn!(server = target.node().peer_id, words, "takes no part: not ready");
            }
        }
    }
    ready.sort_by_key(|target| target.node().id);
    let found = ready.len();
    Servers::new(fleets, ready).ok_or(SchedulerError::TooFewServers { ready: found, fleets: all })
}
