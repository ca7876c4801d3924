//! Runs the phases, on the generator's thread.

mod disseminate;
mod mix;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::event::Tick;
use peermark_core::{Clock, EventKind, Seed};
use peermark_node::client::NodeClient;
use tokio_util::sync::CancellationToken;

use super::LoadError;
use super::outcome::{LoadOutcome, Note, OperationOutcome};
use super::plan::{LoadPlan, Phase, Work};
use crate::driver::Driver;
use crate::executor::{ExecuteError, Execution, Executor, Limits, Progress, window_from};
use crate::knee::Knee;
use crate::pacer::PrecisePacer;
use crate::recorder::{LaneRecord, Recorder, SampleSender};
use crate::schedule::Schedule;
use crate::workload::{Catalog, Network, Op, Payloads, Worker};

/// Operations in flight while content is uploaded before a phase: enough to keep several nodes busy, not enough to break them.
const PREPARING: NonZeroU32 = NonZeroU32::new(16).expect("16 is not 0");

/// Longest preparation of a phase.
const MAX_PREPARING: Duration = Duration::from_secs(120);

/// Everything that the phases share.
pub(super) struct Runner<F> {
    plan: Arc<LoadPlan>,
    worker: Worker,
    payloads: Payloads,
    in_flight: usize,
    clock: Arc<dyn Clock>,
    pacer: PrecisePacer,
    sender: SampleSender,
    stop: CancellationToken,
    show: F,
    /// Numbers executions, so that no two draw the same arrivals.
    executions: u64,
}

/// One run of the engine for a phase.
struct Run<'a> {
    phase: &'a str,
    schedule: Schedule,
    limits: Limits,
    /// Whether its samples are kept and its progress shown.
    is_measured: bool,
}

impl<F: FnMut(EventKind) + Send> Runner<F> {
    pub(super) fn new(
        plan: LoadPlan,
        network: &Network,
        in_flight: usize,
        clock: Arc<dyn Clock>,
        sender: SampleSender,
        stop: CancellationToken,
        show: F,
    ) -> Result<Self, ExecuteError> {
        let clients: Arc<[NodeClient]> = network.targets().iter().map(|target| target.client.clone()).collect();
        let catalog = Catalog::new(network.len(), plan.seed.stream("catalog"));
        Ok(Self {
            worker: Worker::new(clients, catalog, Arc::clone(&clock)),
            payloads: Payloads::new(plan.seed),
            in_flight,
            pacer: PrecisePacer::new(Arc::clone(&clock))?,
            clock,
            sender,
            stop,
            show,
            executions: 0,
            plan: Arc::new(plan),
        })
    }

    pub(super) async fn run(mut self) -> Result<LoadOutcome, LoadError> {
        let (started_ns, cpu_ns) = (self.clock.now_ns(), crate::thread::cpu_ns());
        let plan = Arc::clone(&self.plan);
        let mut operations = Vec::new();
        for phase in &plan.phases {
            if self.stop.is_cancelled() {
                break;
            }
            let done = match &phase.work {
                Work::Mix(mix) => self.run_mix(phase, mix).await?,
                Work::Disseminate { seeders, rounds, every } => {
                    self.run_dissemination(phase, *seeders, *rounds, *every).await?
                }
            };
            (self.show)(EventKind::PhaseEnded {
                phase: phase.name.clone(),
                ok: done.iter().map(|operation| operation.record.ok).sum(),
                failed: done.iter().map(|operation| operation.record.censored).sum(),
            });
            operations.extend(done);
        }
        Ok(LoadOutcome {
            operations,
            started_ns,
            ended_ns: self.clock.now_ns(),
            generator_cpu_ns: crate::thread::cpu_ns() - cpu_ns,
            stopped: self.stop.is_cancelled(),
        })
    }

    fn announce(&mut self, phase: &Phase, duration: Option<Duration>) {
        let duration_ms = duration.map(|duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        (self.show)(EventKind::PhaseStarted { phase: phase.name.clone(), duration_ms });
    }

    /// Runs the engine once.
    async fn execute(
        &mut self,
        run: Run<'_>,
        driver: &mut impl Driver,
    ) -> Result<(Execution, Vec<LaneRecord>), ExecuteError> {
        let timeout_ns = u64::try_from(run.limits.timeout.as_nanos()).unwrap_or(u64::MAX);
        let sender = run.is_measured.then(|| self.sender.clone());
        let window = window_from(self.clock.as_ref(), &run.limits);
        let mut recorder = Recorder::new(&run.phase.into(), &driver.lanes(), window, timeout_ns, sender);
        let mut ticker = Ticker::new(run.phase);
        let mut show = |progress: Progress| {
            if run.is_measured {
                (self.show)(EventKind::Tick(ticker.tick(&progress)));
            }
        };
        let engine = Executor {
            limits: run.limits,
            window,
            pacer: &mut self.pacer,
            recorder: &mut recorder,
            stop: &self.stop,
            show: &mut show,
        };
        self.executions += 1;
        let stream = self.plan.seed.stream_at("arrivals", self.executions);
        let execution = engine.execute(driver, &mut run.schedule.arrivals(stream)).await?;
        Ok((execution, recorder.finish(execution.window.end_ns)?))
    }

    fn seed(&self) -> Seed {
        self.plan.seed
    }
}

/// The outcomes of a phase's lanes.
fn outcomes(
    phase: &Phase,
    mix: &[(Op, u32)],
    schedule: Schedule,
    knee: Option<Knee>,
    (execution, records): (Execution, Vec<LaneRecord>),
    mut notes: Vec<Note>,
) -> Vec<OperationOutcome> {
    if execution.stopped {
        notes.push(Note::Stopped { cut_off: execution.cut_off });
    }
    if execution.exhausted {
        notes.push(Note::Exhausted);
    }
    if execution.refused > 0 {
        notes.push(Note::Refused { count: execution.refused });
    }
    if execution.panicked > 0 {
        notes.push(Note::Panicked { count: execution.panicked });
    }
    let total: u64 = mix.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let share = |weight: u32| f64::from(weight) / total.max(1) as f64;
    mix.iter()
        .zip(records)
        .map(|((op, weight), record)| OperationOutcome {
            phase: phase.name.clone(),
            op: *op,
            schedule,
            target_rate: schedule.rate().map(|rate| rate.per_second() * share(*weight)),
            knee: knee.clone(),
            record,
            execution,
            notes: notes.clone(),
        })
        .collect()
}

/// Turns the engine's progress into ticks: totals into rates since the tick before.
struct Ticker<'a> {
    phase: &'a str,
    last: Progress,
}

impl<'a> Ticker<'a> {
    fn new(phase: &'a str) -> Self {
        Self { phase, last: Progress { elapsed_ns: 0, share: 0.0, snapshot: Default::default(), in_flight: 0 } }
    }

    fn tick(&mut self, now: &Progress) -> Tick {
        let seconds = now.elapsed_ns.saturating_sub(self.last.elapsed_ns).max(1) as f64 / 1e9;
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let tick = Tick {
            phase: self.phase.to_owned(),
            progress: now.share,
            ops_per_second: rate(now.snapshot.ok, self.last.snapshot.ok),
            bytes_per_second: rate(now.snapshot.bytes, self.last.snapshot.bytes),
            p50_ns: now.snapshot.p50_ns,
            p90_ns: now.snapshot.p90_ns,
            p99_ns: now.snapshot.p99_ns,
            failed: now.snapshot.failed,
            in_flight: now.in_flight as u64,
            nodes_up: 0,
            host_busy: 0.0,
        };
        self.last = *now;
        tick
    }
}
