//! Rounds as operations of the engine: one at a time, on the beat.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::{Culprit, FailureClass, MonotonicNs, Seed};
use peermark_probe::driver::{Done, Driver, Prepared};
use peermark_probe::executor::{Executor, Limits, window_from};
use peermark_probe::pacer::PrecisePacer;
use peermark_probe::recorder::Recorder;
use peermark_probe::schedule::Schedule;
use rand::Rng as _;

use super::error::SchedulerError;
use super::metrics::count;
use super::notice::Notice;
use super::outbox::Outbox;
use super::roster::{READ_TIMEOUT, Roster};
use super::round::{Round, RoundEnd, RoundPlan, RoundSummary, Skip};
use super::turns::Turns;
use super::wire::CONTENT_BYTES;

/// What rounds leave of their time for the work between calls.
const SLACK: Duration = Duration::from_secs(30);

/// Everything that rounds share.
pub(super) struct Rounds {
    pub(super) plan: RoundPlan,
    pub(super) roster: tokio::sync::Mutex<Roster>,
    pub(super) turns: Mutex<Turns>,
    pub(super) outbox: Arc<Outbox>,
    /// Begins the name of every round; no other scheduler has it.
    pub(super) batch: String,
    pub(super) last_skip: Mutex<Option<Skip>>,
}

impl Rounds {
    /// The longest that a round can take: all its deadlines one after the other.
    fn longest(&self) -> Duration {
        let asker = &self.plan.asker;
        let lookups = asker.timeout.saturating_mul(self.plan.probes.max(1));
        let visible = self.plan.visible_within.unwrap_or_default();
        2 * READ_TIMEOUT + asker.readiness_timeout + asker.timeout + lookups + visible + SLACK
    }

    async fn round(&self, number: u64, content: &[u8]) -> Done {
        let plan = &self.plan;
        count(&plan.metrics.rounds);
        let round = Round::new(plan, number, format!("{}-{number}", self.batch));
        let mut roster = self.roster.lock().await;
        // Asked before the list is read: what is written in between is in the list.
        let offline = self.outbox.offline();
        let (parcel, summary) = match roster.read(&offline).await {
            Some(targets) => Box::pin(round.run(targets, &self.turns, content)).await,
            None => round.skipped(Skip::NoDatabase),
        };
        self.outbox.put(parcel);
        self.say(summary)
    }

    fn say(&self, summary: RoundSummary) -> Done {
        let end = summary.end;
        let skip = if let RoundEnd::Skipped(skip) = end { Some(skip) } else { None };
        let before = std::mem::replace(&mut *self.last_skip.lock(), skip);
        match skip {
            None => (self.plan.tell)(Notice::Round(summary)),
            Some(skip) => {
                count(&self.plan.metrics.skipped[skip.index()]);
                if before != Some(skip) {
                    (self.plan.tell)(Notice::Skipped(skip));
                }
            }
        }
        match end {
            RoundEnd::Complete => Done::ok(0),
            RoundEnd::ProvideFailed => Done::failed(FailureClass::ServerError, Culprit::Peer),
            RoundEnd::Skipped(_) => Done::failed(FailureClass::NotSent, Culprit::ThirdParty),
            RoundEnd::Stopped => Done::failed(FailureClass::NotSent, Culprit::Observer),
        }
    }
}

/// The engine's view of rounds.
struct RoundDriver {
    rounds: Arc<Rounds>,
    seed: Seed,
}

/// A round that waits for its moment.
struct Task {
    number: u64,
    content: Vec<u8>,
}

impl Driver for RoundDriver {
    type Task = Task;

    fn lanes(&self) -> Vec<String> {
        vec!["round".to_owned()]
    }

    fn prepare(&mut self, number: u64) -> Option<Prepared<Task>> {
        let mut content = vec![0; CONTENT_BYTES];
        self.seed.stream_at("content", number).fill_bytes(&mut content);
        Some(Prepared { lane: 0, trace: number, timeout: None, task: Task { number, content } })
    }

    fn run(&self, task: Task, _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        let rounds = Arc::clone(&self.rounds);
        async move { rounds.round(task.number, &task.content).await }
    }
}

/// Runs `most` rounds, or rounds without end, until the plan's stop.
pub(super) async fn run_rounds(
    rounds: Arc<Rounds>,
    every: Duration,
    most: Option<u64>,
    seed: Seed,
) -> Result<(), SchedulerError> {
    let clock = Arc::clone(&rounds.plan.asker.clock);
    let stop = rounds.plan.stop.clone();
    let limits = Limits {
        warm_up: Duration::ZERO,
        duration: None,
        operations: most,
        timeout: rounds.longest(),
        max_in_flight: 1,
    };
    let mut driver = RoundDriver { rounds, seed };
    let mut pacer = PrecisePacer::new(Arc::clone(&clock)).map_err(|source| SchedulerError::Timer { source })?;
    let window = window_from(clock.as_ref(), &limits);
    let timeout_ns = u64::try_from(limits.timeout.as_nanos()).unwrap_or(u64::MAX);
    let mut recorder = Recorder::new(&"rounds".into(), &driver.lanes(), window, timeout_ns, None);
    let show = &mut |_| {};
    let engine = Executor { limits, window, pacer: &mut pacer, recorder: &mut recorder, stop: &stop, show };
    engine.execute(&mut driver, &mut Schedule::Rounds { every }.arrivals(seed.stream("rounds"))).await?;
    Ok(())
}
