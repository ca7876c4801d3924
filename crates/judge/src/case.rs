//! One job and all that was measured, and everything that may be said of it: the estimate of every metric with its interval, a verdict on
//! every promise, ranks, standings, windows with their causes, flags with their evidence.
//!
//! [`judge`] is a pure function. It goes through the evidence epoch by epoch, as a ledger does, and ends with a [`Statement`] that names
//! everything it rests on: imported measurements, a simulation and a ledger's records are judged by the same lines. The order of the
//! evidence does not matter.
//!
//! What is said is said of a hoster in one contract, seen from one region; regions are never averaged, the worst one decides. A price
//! stands beside the rank and has no say in it.

mod claims;
mod closing;
mod court;
mod docket;
mod estimating;
mod evidence;
mod finding;
mod fit;
mod flags;
mod groups;
mod job;
mod order;
mod paying;
mod pool;
mod register;
mod standing;
mod statement;
#[cfg(test)]
mod tests;
mod voices;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

pub use court::{Case, Roster, Ruling, Sitting};
pub use evidence::{Claim, Evidence, Measurement, Offer, Values};
pub use fit::{Fit, Hindrance};
pub use job::{Availability, Bandwidth, Job, JobError, Latency, Term, TermNeeds, needs};
pub use order::MAX_COMPARED;
pub use statement::{
    ClaimLine, ContractStatement, DisputeLine, EpochLine, FlagLine, Flagged, HosterStatement, InversionLine, Metric,
    MetricEstimate, Placement, RankLine, Statement, TermFinding,
};

pub use watch::AlertLine;

use crate::policy::{Policy, PolicyError};
use crate::qualification::Event;
use crate::robust::RobustError;

/// Why evidence cannot be judged at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CaseError {
    /// The policy contradicts itself.
    #[error("policy: {0}")]
    Policy(#[from] PolicyError),
    /// The job contradicts itself.
    #[error("job: {0}")]
    Job(#[from] JobError),
    /// There is nothing to judge.
    #[error("no measurements")]
    Empty,
    /// More of something than an evaluation takes.
    #[error("{count} {what}, more than {most}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many.
        count: usize,
        /// The most.
        most: usize,
    },
    /// The robust estimate refused its input.
    #[error("epoch {epoch}: {source}")]
    Robust {
        /// The epoch.
        epoch: u64,
        /// What it said.
        source: RobustError,
    },
}

/// Most epochs from the first to the last measurement.
pub const MAX_EPOCHS: u64 = 16_384;

/// Most measurements in one case.
pub const MAX_MEASUREMENTS: usize = 4_000_000;

/// Most hosters in one case times its epochs: every hoster has a standing in every epoch.
pub const MAX_STEPS: usize = 16_000_000;

/// Most pairs of hosters that are compared with one another in one case, every epoch counted.
pub const MAX_COMPARISONS: u64 = 500_000_000;

/// What epochs decided, as far as somebody was measured or something changed.
#[derive(Default)]
struct Kept {
    lines: Vec<EpochLine>,
    /// The last line of every hoster.
    last: BTreeMap<String, usize>,
}

impl Kept {
    fn take(&mut self, lines: Vec<EpochLine>, measurements: &[&Measurement]) {
        let measured: BTreeSet<&str> = measurements.iter().map(|one| one.hoster.as_str()).collect();
        for line in lines {
            let last = self.last.get(&line.hoster).and_then(|index| self.lines.get(*index));
            let is_same =
                |last: &EpochLine| (last.record.standing, &last.verdicts) == (line.record.standing, &line.verdicts);
            // A dispute that goes on is said once.
            let is_quiet = |last: &EpochLine| {
                line.events.is_empty() || (line.events == [Event::Frozen] && last.events == line.events)
            };
            let is_known = last.is_some_and(|last| is_same(last) && is_quiet(last));
            if is_known && !measured.contains(line.hoster.as_str()) {
                continue;
            }
            self.last.insert(line.hoster.clone(), self.lines.len());
            self.lines.push(line);
        }
    }
}

/// Everything that may be said of a job after the last epoch of the evidence.
///
/// An epoch ends every `policy.epoch_s()` seconds; the last one ends with the last measurement in it. Measurements from outside the
/// job's regions are counted and left out.
///
/// # Errors
/// A policy or a job that contradicts itself, no evidence, or more of it than [`MAX_EPOCHS`], [`MAX_MEASUREMENTS`], [`MAX_STEPS`] and
/// [`MAX_COMPARISONS`].
pub fn judge(evidence: &Evidence, policy: &Policy, job: &Job) -> Result<Statement, CaseError> {
    policy.validate()?;
    job.validate(policy)?;
    let epoch_s = policy.epoch_s().max(1);
    if evidence.measurements.len() > MAX_MEASUREMENTS {
        let count = evidence.measurements.len();
        return Err(CaseError::TooMany { what: "measurements", count, most: MAX_MEASUREMENTS });
    }
    let mut epochs: BTreeMap<u64, (Vec<&Measurement>, Vec<&Claim>)> = BTreeMap::new();
    for measurement in &evidence.measurements {
        epochs.entry(measurement.at_s / epoch_s).or_default().0.push(measurement);
    }
    for claim in &evidence.claims {
        epochs.entry(claim.at_s / epoch_s).or_default().1.push(claim);
    }
    let measured = || epochs.iter().filter(|(_, (measurements, _))| !measurements.is_empty()).map(|(epoch, _)| *epoch);
    let (Some(first), Some(last)) = (measured().next(), measured().next_back()) else { return Err(CaseError::Empty) };
    if last - first >= MAX_EPOCHS {
        let count = usize::try_from(last - first).unwrap_or(usize::MAX);
        return Err(CaseError::TooMany { what: "epochs", count, most: MAX_EPOCHS as usize });
    }
    let hosters: BTreeSet<&str> = evidence.measurements.iter().map(|one| one.hoster.as_str()).collect();
    let steps = epochs.len().saturating_mul(hosters.len());
    if steps > MAX_STEPS {
        return Err(CaseError::TooMany { what: "hosters in all epochs together", count: steps, most: MAX_STEPS });
    }
    drop(hosters);
    let mut case = Case::default();
    let (mut kept, mut compared) = (Kept::default(), 0_u64);
    for (number, (measurements, claims)) in epochs {
        let end_s = number.saturating_add(1).saturating_mul(epoch_s).saturating_sub(1);
        let (measurements, claims) = (&measurements[..], &claims[..]);
        let sitting = Sitting { number, end_s, measurements, claims, rosters: None, baselines: None };
        if let Some(ruling) = case.epoch(&sitting, policy, job)? {
            compared = compared.saturating_add(ruling.compared);
            kept.take(ruling.lines, measurements);
        }
        if compared > MAX_COMPARISONS {
            let (count, most) = (compared as usize, MAX_COMPARISONS as usize);
            return Err(CaseError::TooMany { what: "pairs of hosters to compare, name their contracts", count, most });
        }
    }
    case.statement(policy, job, &evidence.offers, kept.lines).ok_or(CaseError::Empty)
}
