//! What hosters say about themselves, beside what was measured.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::docket::Docket;
use super::{Claim, ClaimLine, Metric};
use crate::policy::Policy;
use crate::robust::{Bounds, Evaluation};
use crate::self_report::{ClaimHistory, Comparison, SelfReport, compare_hosters, deviates, used_capacity};

/// What is remembered of claims, by contract and hoster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    states: BTreeMap<(u32, u32), State>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    history: ClaimHistory,
    /// The last claim of capacity; `None` of who never made one.
    claimed_bps: Option<u64>,
    used_bps: Option<u64>,
    deviates: bool,
    /// The last report, and the epoch that it is about.
    report: Option<(u64, SelfReport)>,
}

impl Claims {
    /// Looks at the last claim of every hoster in an epoch. Nothing can be said of hosters and contracts that were never measured.
    pub(super) fn epoch(
        &mut self,
        number: u64,
        claims: &[&Claim],
        evaluations: &BTreeMap<Metric, Evaluation>,
        docket: &Docket,
        policy: &Policy,
    ) {
        let key = |claim: &Claim| Some((docket.contracts.find(&claim.contract)?, docket.hosters.find(&claim.hoster)?));
        let mut known: Vec<((u32, u32), &Claim)> =
            claims.iter().filter_map(|claim| Some((key(claim)?, *claim))).collect();
        // Of two at the same second the lower claim is the last: a claim may lower what counts, never raise it. The report decides what is
        // equal otherwise, so that the order of the evidence does not.
        let order = |(key, claim): &((u32, u32), &Claim)| (*key, claim.at_s, Reverse(claim.egress_bps));
        known.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.1.report.cmp(&b.1.report)));
        let mut last: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for (key, claim) in known {
            if let Some(report) = &claim.report {
                self.states.entry(key).or_default().report = Some((number, report.clone()));
            }
            if let Some(bps) = claim.egress_bps {
                last.insert(key, bps);
            }
        }
        for (key, claimed_bps) in last {
            let measured = best_region(key, evaluations.get(&Metric::Egress), docket);
            let state = self.states.entry(key).or_default();
            state.claimed_bps = Some(claimed_bps);
            state.used_bps = measured.map(|(_, high)| used_capacity(claimed_bps, high, &policy.self_report));
            state.deviates = measured.is_some_and(|(low, high)| deviates(claimed_bps, low, high, &policy.self_report));
            state.history.add(state.deviates, &policy.self_report);
        }
    }

    /// What is said of every hoster's claims, by contract.
    pub(super) fn lines(&self, docket: &Docket, policy: &Policy) -> BTreeMap<u32, Vec<ClaimLine>> {
        let mut lines: BTreeMap<u32, Vec<ClaimLine>> = BTreeMap::new();
        for ((contract, hoster), state) in &self.states {
            let Some(egress_bps) = state.claimed_bps else { continue };
            lines.entry(*hoster).or_default().push(ClaimLine {
                contract: docket.contracts.name(*contract).to_owned(),
                egress_bps,
                used_bps: state.used_bps,
                deviates: state.deviates,
                flagged: state.history.is_flagged(&policy.self_report),
            });
        }
        lines
    }

    /// What counts of claims of capacity, by set and hoster: of several contracts the lowest. Where nothing was measured the claim alone.
    pub(super) fn capacities(&self, docket: &Docket) -> BTreeMap<(u32, u32), u64> {
        let mut capacities: BTreeMap<(u32, u32), u64> = BTreeMap::new();
        for ((contract, hoster), state) in &self.states {
            let (Some(members), Some(bps)) = (docket.members.get(contract), state.used_bps.or(state.claimed_bps))
            else {
                continue;
            };
            capacities.entry((members.set, *hoster)).and_modify(|least| *least = bps.min(*least)).or_insert(bps);
        }
        capacities
    }

    /// The self-reports of the hosters of one contract beside each other, with the hosters by name: those about the last epoch that any is
    /// about. What was served in one epoch is not compared with what was served in another.
    pub(super) fn compare(&self, contract: u32, docket: &Docket, policy: &Policy) -> (Vec<String>, Comparison) {
        let of_contract = || self.states.range((contract, 0)..=(contract, u32::MAX));
        let last = of_contract().filter_map(|(_, state)| Some(state.report.as_ref()?.0)).max();
        let mut reports: Vec<(&str, &SelfReport)> = of_contract()
            .filter_map(|((_, hoster), state)| Some((*hoster, state.report.as_ref()?)))
            .filter(|(_, (epoch, _))| Some(*epoch) == last)
            .map(|(hoster, (_, report))| (docket.hosters.name(hoster), report))
            .collect();
        reports.sort_by_key(|(hoster, _)| *hoster);
        let names = reports.iter().map(|(hoster, _)| (*hoster).to_owned()).collect();
        let reports: Vec<SelfReport> = reports.into_iter().map(|(_, report)| report.clone()).collect();
        (names, compare_hosters(&reports, &policy.self_report))
    }
}

/// The measured interval of a hoster's egress in one contract, from the region that sees most of it: what is far away says little about
/// what it can send. The interval of all epochs; of this one where there is none.
fn best_region(key: (u32, u32), evaluation: Option<&Evaluation>, docket: &Docket) -> Option<(u64, u64)> {
    let evaluation = evaluation?;
    let set = docket.members.get(&key.0)?.set;
    let subjects = docket.of_hoster(key.1).filter(|(_, subject)| subject.set == set);
    let fits = subjects.filter_map(|(subject, _)| evaluation.hosters.get(subject as usize));
    let bounds = fits.filter_map(|fit| fit.pooled.or(fit.now)?.interval);
    let best = bounds.max_by_key(|bounds: &Bounds| (bounds.high, bounds.low))?;
    Some((best.low.exp2_count(), best.high.exp2_count()))
}
