//! A phase of drawn operations: stock, knee, run.

use std::sync::PoisonError;
use std::time::Duration;

use peermark_core::EventKind;

use super::{MAX_PREPARING, PREPARING, Run, Runner, outcomes};
use crate::executor::{ExecuteError, Limits};
use crate::knee::{Knee, KneeError, KneeSearch, Step, StepFigures};
use crate::load::LoadError;
use crate::load::outcome::{Note, OperationOutcome};
use crate::load::plan::{ArrivalPlan, Phase, Shape};
use crate::load::stock::Provision;
use crate::recorder::{LaneRecord, quantile};
use crate::schedule::{Rate, Schedule};
use crate::workload::{MixDriver, Op};

impl<F: FnMut(EventKind) + Send> Runner<F> {
    pub(super) async fn run_mix(
        &mut self,
        phase: &Phase,
        mix: &[(Op, u32)],
    ) -> Result<Vec<OperationOutcome>, LoadError> {
        let mut notes = Vec::new();
        let (schedule, knee) = match phase.arrivals {
            ArrivalPlan::Fixed(schedule) => (schedule, None),
            ArrivalPlan::HalfTheKnee(shape) => {
                let (rate, knee) = match self.find_knee(phase, mix).await? {
                    Ok(knee) => (knee.rate.per_second() / 2.0, Some(knee)),
                    Err(error) => {
                        let guess = error.guessed_rate();
                        notes.push(Note::NoKnee { error });
                        (guess, None)
                    }
                };
                (shape.at(Rate::clamped(rate)), knee)
            }
        };
        let wanted = operations_of(phase, &schedule);
        let failed = self.provision(phase, mix, wanted).await?;
        if failed > 0 {
            notes.push(Note::NoStock { failed });
        }
        self.announce(phase, Some(phase.warm_up + phase.duration));
        let limits = Limits {
            warm_up: phase.warm_up,
            duration: Some(phase.duration),
            operations: phase.operations,
            timeout: phase.timeout,
            max_in_flight: self.in_flight,
        };
        let run = Run { phase: &phase.name, schedule, limits, is_measured: true };
        let done = self.draw(phase, mix, run).await?;
        Ok(outcomes(phase, mix, schedule, knee, done, notes))
    }

    /// Searches the rate of a mix; every step is an execution like any other, whose samples are not kept.
    async fn find_knee(&mut self, phase: &Phase, mix: &[(Op, u32)]) -> Result<Result<Knee, KneeError>, LoadError> {
        let mut search = KneeSearch::new(phase.timeout);
        let mut serial_rate = 50.0;
        while let Some(step) = search.next_step() {
            let rate = step.schedule.rate().map_or(serial_rate, Rate::per_second);
            let wanted = (rate * (step.warm_up + step.window).as_secs_f64()).ceil() as u64;
            self.provision(phase, mix, wanted).await?;
            let figures = self.try_step(phase, mix, step).await?;
            if self.stop.is_cancelled() {
                break;
            }
            serial_rate = serial_rate.max(figures.completed as f64);
            if let Err(error) = search.report(figures) {
                return Ok(Err(error));
            }
        }
        Ok(search.finish())
    }

    async fn try_step(&mut self, phase: &Phase, mix: &[(Op, u32)], step: Step) -> Result<StepFigures, ExecuteError> {
        let limits = Limits {
            warm_up: step.warm_up,
            duration: Some(step.window),
            operations: None,
            timeout: step.timeout,
            max_in_flight: self.in_flight,
        };
        let run = Run { phase: &phase.name, schedule: step.schedule, limits, is_measured: false };
        let (_, records) = self.draw(phase, mix, run).await?;
        Ok(figures(&records))
    }

    /// Uploads and reads what is missing for `operations` operations. Returns how many of these uploads failed.
    async fn provision(&mut self, phase: &Phase, mix: &[(Op, u32)], operations: u64) -> Result<u64, ExecuteError> {
        let stock = self.worker.catalog.lock().unwrap_or_else(PoisonError::into_inner).stock();
        let missing = Provision::missing(mix, operations, self.worker.nodes() as u64, stock);
        let affordable = (self.plan.max_stock.0 as f64 / phase.sizes.mean_bytes()).max(1.0) as u64;
        let uploads = missing.uploads.min(affordable);
        // A few first: a network that takes none of them would be waited for until the end of all deadlines.
        let pilots = uploads.min(u64::from(PREPARING.get()));
        let mut failed = self.prepare(phase, Op::Upload, pilots).await?;
        if failed < pilots {
            failed += self.prepare(phase, Op::Upload, uploads - pilots).await?;
            self.prepare(phase, Op::ReadCold, missing.reads).await?;
        }
        Ok(failed)
    }

    /// Does `count` operations of one kind, unmeasured.
    async fn prepare(&mut self, phase: &Phase, op: Op, count: u64) -> Result<u64, ExecuteError> {
        if count == 0 {
            return Ok(0);
        }
        let limits = Limits {
            warm_up: Duration::ZERO,
            duration: Some(MAX_PREPARING),
            operations: Some(count),
            timeout: phase.timeout,
            max_in_flight: PREPARING.get() as usize,
        };
        let schedule = Schedule::Closed { concurrency: PREPARING };
        let run = Run { phase: &phase.name, schedule, limits, is_measured: false };
        let (_, records) = self.draw(phase, &[(op, 1)], run).await?;
        Ok(records.iter().map(|record| record.censored).sum())
    }

    async fn draw(
        &mut self,
        phase: &Phase,
        mix: &[(Op, u32)],
        run: Run<'_>,
    ) -> Result<(crate::executor::Execution, Vec<LaneRecord>), ExecuteError> {
        let stream = self.seed().stream_at("choices", self.executions);
        let (worker, mut payloads) = (self.worker.clone(), self.payloads);
        let mut driver = MixDriver { worker: &worker, mix, sizes: &phase.sizes, payloads: &mut payloads, stream };
        let done = self.execute(run, &mut driver).await;
        self.payloads = payloads;
        done
    }
}

impl Shape {
    fn at(self, rate: Rate) -> Schedule {
        match self {
            Self::Poisson => Schedule::Poisson { rate },
            Self::Uniform => Schedule::Uniform { rate },
        }
    }
}

/// About how many operations a phase will do. A closed loop does as many as it can; what is prepared for it is a guess, and it ends
/// when that is used up.
fn operations_of(phase: &Phase, schedule: &Schedule) -> u64 {
    /// Operations per second that one slot of a closed loop is prepared for.
    const CLOSED_PER_SECOND: f64 = 50.0;
    let seconds = (phase.warm_up + phase.duration).as_secs_f64();
    let rate = match schedule {
        Schedule::Closed { concurrency } => f64::from(concurrency.get()) * CLOSED_PER_SECOND,
        _ => schedule.rate().map_or(0.0, Rate::per_second),
    };
    let by_time = (rate * seconds).ceil() as u64;
    phase.operations.map_or(by_time, |most| most.min(by_time))
}

fn figures(records: &[LaneRecord]) -> StepFigures {
    let sum = |of: fn(&LaneRecord) -> u64| records.iter().map(of).sum::<u64>();
    let mut latency = peermark_core::Histogram::new();
    let mut slip = peermark_core::Histogram::new();
    records.iter().for_each(|record| {
        latency.merge(&record.latency);
        slip.merge(&record.slip);
    });
    let (failed, timeout_ns) = (sum(|record| record.censored), records.first().map_or(0, |record| record.timeout_ns));
    StepFigures {
        offered: sum(|record| record.count),
        completed: sum(|record| record.completed_in_window),
        failed,
        p90_ns: quantile(&latency, failed, timeout_ns, 0.9).unwrap_or(0),
        slip_p90_ns: quantile(&slip, 0, 0, 0.9).unwrap_or(0),
    }
}
