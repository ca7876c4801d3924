//! The robust estimate of this crate as a contender.

use std::collections::BTreeMap;

use crate::fixed::Fixed;
use crate::policy::Policy;
use crate::robust::{self, Bounds, Epoch, Estimate, Evaluation, History, Settings};
use crate::verdict::{self, Side, Tally, Terms, level, share};

use super::{Estimator, Findings, Round, Statement, Verdict};

/// Kilobits per megabit: rates are counted in kbit/s, which is exact enough for the slowest world.
const KBIT: f64 = 1000.0;

/// How a promise on a share of seconds is judged: by the terms of the default policy, as every verdict of a job is. The guarantee is the
/// least that the policy lets anybody promise, half of all seconds: an attester's own link counts in a share, so that honest ones see a
/// friend of [`super::Kind::Promise`] keep the rate in about a quarter of the seconds and a victim in about three.
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
    /// Per hoster and group: seconds that kept the promised rate, and all. Filled for [`Basis::Shares`] alone.
    seconds: BTreeMap<(u32, u32), (u64, u64)>,
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
        let tallies: Vec<Tally> = self
            .seconds
            .range((hoster, 0)..=(hoster, u32::MAX))
            .map(|(&(_, group), &(met, of))| Tally { group, met, of })
            .collect();
        let counts = |group| evaluation.flags.binary_search_by_key(&group, |flag| flag.group).is_err();
        let found = share(&tallies, counts, &self.terms, evaluation.dispute.is_some());
        let score = f64::from(found.share_ppm) / 1e6;
        Statement { score, rate_mbit: None, interval_mbit: None, verdict: plain(found.verdict) }
    }

    fn count_seconds(&mut self, round: &Round<'_>) {
        for report in round.observations {
            let seconds = self.seconds.entry((report.hoster, report.group)).or_default();
            seconds.0 += u64::from(report.met);
            seconds.1 += u64::from(report.probes);
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
            self.count_seconds(round);
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
