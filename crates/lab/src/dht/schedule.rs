//! The schedulers of a run, in this process, and what they say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::event::Tick;
use peermark_core::{Clock, EventKind, Seed};
use peermark_dht::operation::Variant;
use peermark_dht::scheduler::round::{Published, RoundEnd, RoundSummary};
use peermark_dht::scheduler::{self, CallOptions, EvidenceRun, Fleets, Notice, SchedulerOptions, Tell};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::host::ProcessSampler;
use peermark_store::dht::{LiveNode as Member, SchedulerId};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::evidence::{Collected, Round, ScheduleSeen, Seen, Unanswered};
use super::network::DhtNetwork;
use super::plan::SchedulePlan;
use super::record::History;
use super::{DhtError, DhtOptions, OPERATION_TIMEOUT, PHASE, VISIBLE_WITHIN};
use crate::run::Show;
use crate::run::host::HostWatch;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(500);

/// A server ends its operations by its own deadline; this much later a call has failed.
const CALL_SLACK: Duration = Duration::from_secs(5);

/// How long finished rounds may take to be written.
const LAST_WRITES: Duration = Duration::from_secs(15);

/// Most things of one kind that one scheduler says and that are kept; a run of a day has 350,000 rounds.
const MAX_KEPT: usize = 1 << 20;

/// Everything that the schedulers of a run need.
pub(super) struct Schedules<'r> {
    options: &'r DhtOptions,
    history: &'r History,
    members: Vec<Member>,
    clock: Arc<MonotonicClock>,
}

/// Lookups so far, for showing.
#[derive(Debug, Default)]
struct Progress {
    found: AtomicU64,
    failed: AtomicU64,
}

/// What one scheduler says while it runs.
#[derive(Debug, Default)]
struct Said {
    seen: Mutex<Seen>,
}

impl<'r> Schedules<'r> {
    pub(super) fn new(
        options: &'r DhtOptions,
        members: Vec<Member>,
        history: &'r History,
        clock: Arc<MonotonicClock>,
    ) -> Self {
        Self { options, history, members, clock }
    }

    /// Runs all schedulers side by side for the time of the run, or until `stop`.
    pub(super) async fn run(
        &self,
        network: &mut DhtNetwork,
        watch: &HostWatch,
        show: &Show,
        stop: &CancellationToken,
    ) -> Result<Collected, DhtError> {
        let plans = self.options.plan.schedules();
        let lasting = self.options.lasting;
        let duration_ms = u64::try_from(lasting.as_millis()).ok();
        show(EventKind::PhaseStarted { phase: PHASE.into(), duration_ms });
        let (begun_ns, begun_wall_ms) = (self.clock.now_ns(), self.clock.wall_ms());
        let sampler = ProcessSampler::start(std::process::id());
        let cpu_seconds = || sampler.as_ref().and_then(ProcessSampler::look).map_or(0.0, |used| used.cpu_seconds);
        let cpu_before = cpu_seconds();
        let ending = stop.child_token();
        let (progress, mut running) = (Arc::new(Progress::default()), JoinSet::new());
        let mut said = Vec::new();
        for (place, plan) in plans.iter().enumerate() {
            let heard = Arc::new(Said::default());
            let tell = self.tell(heard.clone(), progress.clone(), show.clone());
            let work = self.scheduler(place, plan, tell, ending.clone());
            running.spawn(async move { (place, work.await) });
            said.push(heard);
        }
        let told = self.wait(network, watch, show, &ending, &progress, &mut running).await;
        ending.cancel();
        let mut ids = vec![None; plans.len()];
        ids_of(told?, &mut ids, &plans)?;
        while let Some(joined) = running.join_next().await {
            ids_of(Some(joined), &mut ids, &plans)?;
        }
        let (found, failed) = (progress.found.load(Ordering::Relaxed), progress.failed.load(Ordering::Relaxed));
        show(EventKind::PhaseEnded { phase: PHASE.into(), ok: found, failed });
        let seen = plans.into_iter().zip(said).zip(ids).filter_map(|((plan, said), id)| {
            let (id, unwritten) = id?;
            Some(ScheduleSeen { plan, id, unwritten, seen: std::mem::take(&mut *said.seen.lock()) })
        });
        Ok(Collected {
            schedules: seen.collect(),
            members: self.members.clone(),
            begun_wall_ms,
            lasted_ns: self.clock.now_ns() - begun_ns,
            generator_cpu_seconds: cpu_seconds() - cpu_before,
            ..Collected::default()
        })
    }

    /// Shows progress until the time is over, a stop, or the end of a scheduler, which has no end of its own.
    async fn wait(
        &self,
        network: &mut DhtNetwork,
        watch: &HostWatch,
        show: &Show,
        ending: &CancellationToken,
        progress: &Progress,
        running: &mut JoinSet<Ended>,
    ) -> Result<Option<Joined>, DhtError> {
        let (begun, lasting, busy) = (Instant::now(), self.options.lasting, watch.busy());
        let mut every = tokio::time::interval(TICK);
        let mut before = 0;
        every.tick().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(begun + lasting) => return Ok(None),
                () = ending.cancelled() => return Ok(None),
                joined = running.join_next() => return Ok(joined),
                _ = every.tick() => {
                    let found = progress.found.load(Ordering::Relaxed);
                    let failed = progress.failed.load(Ordering::Relaxed);
                    let share = begun.elapsed().as_secs_f64() / lasting.as_secs_f64();
                    show(EventKind::Tick(Tick {
                        phase: PHASE.into(),
                        progress: share.min(1.0),
                        ops_per_second: (found - before) as f64 / TICK.as_secs_f64(),
                        failed,
                        nodes_up: network.up(),
                        host_busy: busy.load(),
                        ..Tick::default()
                    }));
                    before = found;
                }
            }
        }
    }

    /// One scheduler, started at once and run until the token.
    fn scheduler(
        &self,
        place: usize,
        plan: &SchedulePlan,
        tell: Tell,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(SchedulerId, usize), scheduler::SchedulerError>> + Send + 'static {
        let names = |fleets: &[Variant]| fleets.iter().map(|fleet| fleet.as_str().to_owned()).collect::<Vec<_>>();
        let (publish, lookup) = (names(&plan.publish), names(&plan.lookup));
        let dependencies = json!({
            "peermark": self.options.version,
            "commit": self.options.commit,
            "run": self.options.run_id,
            "publish_fleets": publish,
            "lookup_fleets": lookup,
        });
        let options = SchedulerOptions {
            fleets: if publish == lookup { Fleets::mixed(publish) } else { Fleets::pair(publish, lookup) },
            interval: plan.every,
            probes: 1,
            calls: CallOptions { timeout: OPERATION_TIMEOUT + CALL_SLACK, ..CallOptions::default() },
            visible_within: Some(VISIBLE_WITHIN),
            rounds: None,
            grace: Duration::from_secs(60),
            // Two schedulers with one seed would publish the same contents.
            seed: Seed(self.options.seed.0.wrapping_add((place as u64) << 32)),
            metrics: None,
            allow_anonymous: false,
            dependencies,
            last_writes: LAST_WRITES,
        };
        let evidence = EvidenceRun {
            store: self.history.store().clone(),
            run: self.options.run_id.clone(),
            environment: self.history.environment().to_owned(),
            observer: format!("dht-scheduler-{}", plan.name),
        };
        let (tables, clock): (_, Arc<dyn Clock>) = (self.history.tables().clone(), self.clock.clone());
        async move {
            let summary = scheduler::run(options, tables, Some(evidence), clock, tell, stop).await?;
            Ok((summary.scheduler, summary.unwritten))
        }
    }

    fn tell(&self, said: Arc<Said>, progress: Arc<Progress>, show: Show) -> Tell {
        let clock = self.clock.clone();
        Arc::new(move |notice| match notice {
            Notice::Round(summary) => {
                progress.found.fetch_add(u64::from(summary.found), Ordering::Relaxed);
                let unpublished = u64::from(summary.end == RoundEnd::ProvideFailed);
                progress.failed.fetch_add(u64::from(summary.not_found) + unpublished, Ordering::Relaxed);
                said.seen.lock().round(round_of(summary, clock.wall_ms()));
            }
            Notice::Skipped(_) => {
                said.seen.lock().skipped += 1;
                show(EventKind::Warning { text: notice.to_string() });
            }
            Notice::Failed { call, ref peer_id, .. } => {
                let unanswered = Unanswered { call, peer_id: peer_id.clone(), at_wall_ms: clock.wall_ms() };
                if said.seen.lock().unanswered(unanswered) {
                    show(EventKind::Warning { text: notice.to_string() });
                }
            }
            other => show(EventKind::Warning { text: other.to_string() }),
        })
    }
}

/// A scheduler that ended: its place, its row and the rounds that it could not write.
type Ended = (usize, Result<(SchedulerId, usize), scheduler::SchedulerError>);
type Joined = Result<Ended, tokio::task::JoinError>;

fn ids_of(
    joined: Option<Joined>,
    ids: &mut [Option<(SchedulerId, usize)>],
    plans: &[SchedulePlan],
) -> Result<(), DhtError> {
    let Some(joined) = joined else { return Ok(()) };
    let (place, done) = joined.map_err(|error| DhtError::Fault(error.to_string()))?;
    let done = done.map_err(|source| DhtError::Scheduler { name: plans[place].name, source: Box::new(source) })?;
    ids[place] = Some(done);
    Ok(())
}

/// What is kept of a round: the moment of visibility, which no row holds.
fn round_of(summary: RoundSummary, at_wall_ms: u64) -> Round {
    let RoundSummary { published, visible, end, .. } = summary;
    let fleet = published.map(|Published { fleet, .. }| fleet);
    let visible_ns = visible.map(|visible| visible.last_ns.filter(|_| visible.unseen.is_empty()));
    Round { fleet, visible_ns, is_complete: end == RoundEnd::Complete, at_wall_ms }
}

impl Seen {
    fn round(&mut self, round: Round) {
        self.count += 1;
        if self.rounds.len() < MAX_KEPT {
            self.rounds.push(round);
        }
    }

    /// Returns whether it is one of the first, which are shown.
    fn unanswered(&mut self, unanswered: Unanswered) -> bool {
        const SHOWN: usize = 20;
        if self.unanswered.len() < MAX_KEPT {
            self.unanswered.push(unanswered);
        }
        self.unanswered.len() <= SHOWN
    }
}
