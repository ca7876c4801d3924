//! Alert rules over what each epoch says of a hoster.
//!
//! A value is what the robust evaluation says of the epoch, never a sum of voices: a rule that pauses or replaces must not be within the
//! reach of a minority. Of an interval the end counts that is better for the hoster.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::court::{Case, Sitting};
use super::pool::{Found, Kind};
use super::{ContractStatement, Metric, Term};
use crate::alert::{self, AlertEvent, Memory};
use crate::policy::{PPM, Policy};

/// Most values of a window that are kept.
const MOST_VALUES: usize = 1_024;

/// An alert that was raised or cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLine {
    /// The hoster.
    pub hoster: String,
    /// What happened.
    pub event: AlertEvent,
}

/// What is remembered of rules, by name of the rule and number of the hoster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watches {
    watches: BTreeMap<(String, u32), Watch>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Watch {
    memory: Memory,
    /// Second and value, oldest first.
    values: VecDeque<(u64, i64)>,
}

/// The value of every metric of every hoster that was measured, with the hoster's name.
pub(super) type Values = BTreeMap<u32, (String, BTreeMap<alert::Metric, i64>)>;

/// What an epoch says of every hoster, of several sets and regions the worst.
pub(super) fn values(
    case: &Case,
    findings: &BTreeMap<(Kind, u32), Found>,
    contracts: &[ContractStatement],
    baselines: Option<&BTreeMap<String, u64>>,
    policy: &Policy,
) -> Values {
    let mut all = Values::new();
    for (subject, of) in (0_u32..).zip(case.docket.subjects.iter()) {
        let upper = |kind: Kind| {
            let found = findings.get(&(kind, subject))?.finding;
            (found.groups >= policy.robust.minimum_groups).then_some(found.high_ppm)
        };
        if !findings.contains_key(&(Kind::Integrity, subject)) {
            continue;
        }
        let name = case.docket.hosters.name(of.hoster);
        let (_, values) = all.entry(of.hoster).or_insert_with(|| (name.to_owned(), BTreeMap::new()));
        let mut low = |metric, value: Option<i64>| {
            if let Some(value) = value {
                values.entry(metric).and_modify(|least: &mut i64| *least = value.min(*least)).or_insert(value);
            }
        };
        let availability = upper(Kind::Term(Term::Availability));
        low(alert::Metric::AvailabilityPpm, availability.map(i64::from));
        low(alert::Metric::IntegrityPpm, upper(Kind::Integrity).map(i64::from));
        let egress = estimate(case, Metric::Egress, subject);
        low(alert::Metric::ThroughputP50Bps, egress.map(whole));
        let baseline = baselines.and_then(|baselines| baselines.get(name)).copied();
        let ratio = egress.zip(baseline.filter(|bps| *bps > 0)).map(|(now, then)| ratio_ppm(now, then));
        low(alert::Metric::BaselineRatioPpm, ratio);
        let mut high = |metric, value: Option<i64>| {
            if let Some(value) = value {
                values.entry(metric).and_modify(|most: &mut i64| *most = value.max(*most)).or_insert(value);
            }
        };
        high(alert::Metric::LatencyP95Us, estimate(case, Metric::LatencyP95, subject).map(whole));
        high(alert::Metric::BurnPpm, availability.map(|served| burn(served, policy.service.availability_ppm)));
        let inverted = contracts.iter().flat_map(|contract| &contract.inversions);
        let count = inverted.filter(|pair| pair.paid_more == name).count();
        high(alert::Metric::PayInversions, i64::try_from(count).ok());
    }
    all
}

/// The epoch's own estimate, in its unit.
fn estimate(case: &Case, metric: Metric, subject: u32) -> Option<u64> {
    let evaluation = case.evaluations.get(&metric).filter(|found| Some(found.epoch) == case.last_epoch())?;
    let now = evaluation.hosters.get(subject as usize)?.now?;
    now.interval.map(|_| now.value.exp2_count())
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Share of failures relative to the share that is allowed.
fn burn(served_ppm: u32, promised_ppm: u32) -> i64 {
    let (failed, allowed) = (PPM.saturating_sub(served_ppm), PPM.saturating_sub(promised_ppm));
    ratio_ppm(failed.into(), allowed.max(1).into())
}

fn ratio_ppm(of: u64, to: u64) -> i64 {
    let ratio = u128::from(of) * u128::from(PPM) / u128::from(to.max(1));
    i64::try_from(ratio).unwrap_or(i64::MAX)
}

impl Watches {
    /// Lets every rule look at every hoster.
    pub(super) fn look(&mut self, values: &Values, sitting: &Sitting<'_>, policy: &Policy) -> Vec<AlertLine> {
        self.watches.retain(|(rule, _), _| policy.alerts.iter().any(|other| other.name == *rule));
        let mut lines = Vec::new();
        for rule in &policy.alerts {
            for (hoster, (name, values)) in values {
                let watch = self.watches.entry((rule.name.clone(), *hoster)).or_default();
                watch.values.extend(values.get(&rule.metric).map(|value| (sitting.end_s, *value)));
                let first = sitting.end_s.saturating_sub(rule.window.seconds());
                let is_old = |(at_s, _): &(u64, i64)| *at_s < first;
                while watch.values.len() > MOST_VALUES || watch.values.front().is_some_and(is_old) {
                    watch.values.pop_front();
                }
                let window: Vec<i64> = watch.values.iter().map(|(_, value)| *value).collect();
                let subject = name.parse().unwrap_or_else(|_| u64::from(*hoster));
                let round = alert::Round { number: sitting.number, at_s: sitting.end_s, subject, values: &window };
                let (memory, event) = rule.look(&watch.memory, &round);
                watch.memory = memory;
                lines.extend(event.map(|event| AlertLine { hoster: name.clone(), event }));
            }
        }
        lines
    }
}
