//! From a scenario to the plan of its load.

use std::num::NonZeroU32;
use std::time::Duration;

use peermark_core::Seed;
use peermark_probe::load::{ArrivalPlan, LoadPlan, Phase as LoadPhase, Shape, Work};
use peermark_probe::schedule::{InvalidRate, Rate, Schedule};
use peermark_probe::workload::{Op as LoadOp, SizeMix, SizeMixError};
use thiserror::Error;

use crate::scenario::{ArrivalKind, Op, Phase, Scenario};

/// Why a scenario's load cannot be planned. [`Scenario::check`] refuses most of it earlier.
#[derive(Debug, Error)]
pub enum PlanError {
    /// A rate that is none.
    #[error(transparent)]
    Rate(#[from] InvalidRate),
    /// Sizes that are none.
    #[error(transparent)]
    Sizes(#[from] SizeMixError),
}

/// Weights are given as fractions and drawn as integers; this many parts are one.
const WEIGHT_PARTS: f64 = 1000.0;

/// Between two rounds of a dissemination when no rate says otherwise.
const ROUND_EVERY: Duration = Duration::from_secs(1);

/// The load of a scenario.
pub(super) fn load_plan(scenario: &Scenario, seed: Seed) -> Result<LoadPlan, PlanError> {
    let shares: f64 = scenario.phases.iter().map(|phase| phase.share).sum();
    let phases = scenario.phases.iter().map(|phase| {
        let budget = scenario.duration.0.mul_f64(phase.share / shares);
        load_phase(phase, budget)
    });
    Ok(LoadPlan::new(seed, phases.collect::<Result<_, _>>()?))
}

fn load_phase(phase: &Phase, budget: Duration) -> Result<LoadPhase, PlanError> {
    // Half a phase at most goes to its warm-up, so that a short run still measures.
    let warm_up = phase.warm_up.0.min(budget / 2);
    let sizes = phase.sizes.iter().map(|entry| (entry.size, (entry.weight * WEIGHT_PARTS).round() as u32)).collect();
    Ok(LoadPhase {
        name: phase.label().to_owned(),
        work: work(phase, budget, phase.rate),
        arrivals: arrivals(phase, phase.rate)?,
        warm_up,
        duration: budget - warm_up,
        operations: None,
        timeout: phase.timeout.0,
        sizes: SizeMix::try_new(sizes)?,
    })
}

fn work(phase: &Phase, budget: Duration, rate: Option<f64>) -> Work {
    match phase.op {
        Op::Upload => Work::Mix(vec![(LoadOp::Upload, 1)]),
        Op::Fetch => Work::Mix(vec![(LoadOp::Fetch, 1)]),
        Op::Stress => Work::Mix(vec![(LoadOp::Upload, 1), (LoadOp::Fetch, 2), (LoadOp::ReadCold, 1)]),
        Op::ReadCold => Work::Mix(vec![(LoadOp::ReadCold, 1)]),
        Op::ReadWarm => Work::Mix(vec![(LoadOp::ReadWarm, 1)]),
        Op::Disseminate => {
            let every = rate.map_or(ROUND_EVERY, |rate| Duration::from_secs_f64(1.0 / rate));
            let rounds = (budget.as_secs_f64() / every.as_secs_f64()).floor().max(1.0) as u32;
            Work::Disseminate { seeders: phase.seeders, rounds, every }
        }
    }
}

fn arrivals(phase: &Phase, rate: Option<f64>) -> Result<ArrivalPlan, PlanError> {
    let rate = rate.map(Rate::try_new).transpose()?;
    Ok(match (phase.arrivals, rate) {
        (ArrivalKind::Closed, _) => {
            let concurrency = NonZeroU32::new(phase.concurrency).unwrap_or(NonZeroU32::MIN);
            ArrivalPlan::Fixed(Schedule::Closed { concurrency })
        }
        (ArrivalKind::Poisson, Some(rate)) => ArrivalPlan::Fixed(Schedule::Poisson { rate }),
        (ArrivalKind::Uniform, Some(rate)) => ArrivalPlan::Fixed(Schedule::Uniform { rate }),
        (ArrivalKind::Poisson, None) => ArrivalPlan::HalfTheKnee(Shape::Poisson),
        (ArrivalKind::Uniform, None) => ArrivalPlan::HalfTheKnee(Shape::Uniform),
    })
}
