//! The robust estimate of this crate as a contender.

use std::collections::BTreeMap;

use crate::fixed::Fixed;
use crate::histogram::Scale;
use crate::policy::Policy;
use crate::robust::{self, Bounds, Epoch, Estimate, Evaluation, History, Settings};
use crate::verdict::{self, Graded, Levels, Side, Terms, graded, level};

use super::{Estimator, Findings, Round, Statement, Verdict};

/// Kilobits per megabit: rates are counted in kbit/s, which is exact enough for the slowest world.
const KBIT: f64 = 1000.0;

/// Bits per megabit, in which levels of promises are counted.
const BITS: f64 = 1e6;

/// How a promise on a share of seconds is judged: by the terms of the default policy, as every verdict of a job is. The guarantee is the
/// least that the policy lets anybody promise, half of all seconds: over its own path an honest attester sees a friend of
/// [`super::Kind::Promise`] keep the rate in about one sixth of the seconds and a victim in about five sixths.
pub(super) fn terms() -> Terms {
    let policy = Policy::public();
    policy.terms(policy.sla.min_guarantee_ppm)
}

/// What a statement is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// The level estimated from all epochs, the older the less.
    AllEpochs,
    /// The level estimated from the last epoch.
    LastEpoch,
    /// Counts of seconds over all epochs, without those who are flagged.
    Shares,
}

/// Carries the history from epoch to epoch.
pub(super) struct Robust {
    history: History,
    settings: Settings,
    basis: Basis,
    terms: Terms,
    /// Per hoster and group: seconds that kept the promised rate. Filled for [`Basis::Shares`] alone.
    seconds: BTreeMap<(u32, u32), Graded>,
}

impl Robust {
    pub(super) fn new(basis: Basis) -> Self {
        Self {
            history: History::default(),
            settings: Policy::public().robust,
            basis,
            terms: terms(),
            seconds: BTreeMap::new(),
        }
    }

    fn of_level(&self, estimate: &Estimate, threshold: Fixed, disputed: bool) -> Statement {
        let rate = mbit(estimate.value);
        let verdict = level(Some(estimate), Side::AtLeast, threshold, self.settings.minimum_groups, disputed);
        let interval_mbit = estimate.interval.map(|Bounds { low, high }| (mbit(low), mbit(high)));
        Statement { score: rate, rate_mbit: Some(rate), interval_mbit, verdict: plain(verdict) }
    }

    fn of_seconds(&self, hoster: u32, evaluation: &Evaluation) -> Statement {
        let tallies: Vec<Graded> =
            self.seconds.range((hoster, 0)..=(hoster, u32::MAX)).map(|(_, seconds)| *seconds).collect();
        let counts = |group| evaluation.flags.binary_search_by_key(&group, |flag| flag.group).is_err();
        let found = graded(&tallies, counts, &self.terms, evaluation.dispute.is_some());
        let score = f64::from(found.share_ppm) / 1e6;
        Statement { score, rate_mbit: None, interval_mbit: None, verdict: plain(found.verdict) }
    }

    /// Counts seconds as the probes of a job are: by the level as the group's own line shows it.
    fn count_seconds(&mut self, round: &Round<'_>, evaluation: &Evaluation) {
        for report in round.observations {
            let effect = evaluation.groups.get(report.group as usize).map_or(Fixed::ZERO, |fit| fit.effect);
            let levels = Levels::new((round.threshold_mbit * BITS) as u64, Scale::ThroughputBps, effect, 0);
            let met = |level: u64| u64::from(report.met_at(level as f64 / BITS));
            let key = (report.hoster, report.group);
            let none = Graded { group: report.group, sure: 0, kept: 0, maybe: 0, of: 0 };
            let seconds = self.seconds.entry(key).or_insert(none);
            seconds.sure += met(levels.hard);
            seconds.kept += met(levels.fair);
            seconds.maybe += met(levels.easy);
            seconds.of += u64::from(report.probes);
        }
    }
}

fn plain(verdict: verdict::Verdict) -> Verdict {
    match verdict {
        verdict::Verdict::Meets => Verdict::Meets,
        verdict::Verdict::Fails => Verdict::Fails,
        verdict::Verdict::Unproven { .. } => Verdict::Unproven,
        verdict::Verdict::Disputed => Verdict::Disputed,
    }
}

impl Estimator for Robust {
    fn round(&mut self, round: &Round<'_>) -> Findings {
        let observations: Vec<robust::Observation> = round
            .observations
            .iter()
            .filter_map(|report| {
                let value = log2_kbit(report.rate_mbit)?;
                Some(robust::Observation { hoster: report.hoster, attester: report.attester, value })
            })
            .collect();
        let epoch = Epoch {
            number: u64::from(round.epoch),
            hosters: round.hosters,
            groups: round.groups,
            barred: &[],
            exact: true,
            observations: &observations,
        };
        // What the simulation draws is dense and in order: evidence that cannot be evaluated leaves nothing to state.
        let Ok(evaluation) = robust::evaluate(&mut self.history, &epoch, &self.settings) else {
            return Findings::default();
        };
        let (Some(threshold), disputed) = (log2_kbit(round.threshold_mbit), evaluation.dispute.is_some()) else {
            return Findings::default();
        };
        if self.basis == Basis::Shares {
            self.count_seconds(round, &evaluation);
        }
        let state = |(hoster, fit): (u32, &robust::HosterFit)| match self.basis {
            Basis::AllEpochs => fit.pooled.map(|estimate| self.of_level(&estimate, threshold, disputed)),
            Basis::LastEpoch => fit.now.map(|estimate| self.of_level(&estimate, threshold, disputed)),
            Basis::Shares => Some(self.of_seconds(hoster, &evaluation)),
        };
        let flagged_groups: Vec<u32> = evaluation.flags.iter().map(|flag| flag.group).collect();
        let flagged = (0..round.attesters)
            .filter(|&attester| flagged_groups.binary_search(&round.groups[attester as usize]).is_ok())
            .collect();
        Findings { hosters: (0..).zip(&evaluation.hosters).map(state).collect(), flagged, disputed }
    }
}

fn log2_kbit(rate_mbit: f64) -> Option<Fixed> {
    Fixed::log2((rate_mbit * KBIT).round() as u64)
}

fn mbit(value: Fixed) -> f64 {
    (value.raw() as f64 / f64::from(2_u32).powi(32)).exp2() / KBIT
}
