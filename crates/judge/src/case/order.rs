//! Ranks of the hosters of one contract in one region, and their places over time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pool::{Found, Kind};
use super::{Job, Metric, Term};
use crate::places::{self, PlaceHistory, Round};
use crate::policy::Policy;
use crate::ranking::paired::{self, RankInterval};
use crate::robust::History;
use crate::verdict::Side;

/// Ranks by contract and region; the hoster of an interval is a subject.
pub(super) type Ranks = BTreeMap<(u32, u32), Vec<RankInterval>>;

/// Places of every subject in every contract, by contract and subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    histories: BTreeMap<(u32, u32), PlaceHistory>,
}

/// Ranks from what is promised: one hoster is better than another where it is better beyond chance in something that the job asks for, and
/// worse beyond chance in nothing. A price has no say.
pub(super) fn ranks(
    fields: BTreeMap<(u32, u32), Vec<u32>>,
    job: &Job,
    histories: &BTreeMap<Metric, History>,
    findings: &BTreeMap<(Kind, u32), Found>,
    policy: &Policy,
) -> Ranks {
    let field = |subjects: &[u32]| {
        let mut orders: Vec<Vec<RankInterval>> = job
            .terms()
            .into_iter()
            .filter_map(|(term, _)| {
                let metric = term.metric()?;
                Some(paired::rank(histories.get(&metric)?, subjects, side(metric)))
            })
            .collect();
        orders.push(by_availability(subjects, findings, policy));
        combined(subjects, &orders)
    };
    fields.into_iter().map(|(key, subjects)| (key, field(&subjects))).collect()
}

fn side(metric: Metric) -> Side {
    match metric {
        Metric::LatencyP50 | Metric::LatencyP95 => Side::AtMost,
        Metric::Egress | Metric::Ingress => Side::AtLeast,
    }
}

/// More available is better where the intervals do not touch.
fn by_availability(subjects: &[u32], findings: &BTreeMap<(Kind, u32), Found>, policy: &Policy) -> Vec<RankInterval> {
    let bounds: Vec<Option<(u32, u32)>> = subjects
        .iter()
        .map(|subject| {
            let found = findings.get(&(Kind::Term(Term::Availability), *subject))?;
            let enough = found.finding.groups >= policy.robust.minimum_groups.max(1);
            enough.then_some((found.finding.low_ppm, found.finding.high_ppm))
        })
        .collect();
    let better = |a: usize, b: usize| match (bounds[a], bounds[b]) {
        (Some((low, _)), Some((_, high))) => low > high,
        _ => false,
    };
    intervals(subjects, better)
}

fn combined(subjects: &[u32], orders: &[Vec<RankInterval>]) -> Vec<RankInterval> {
    let before = |order: &Vec<RankInterval>, a: usize, b: usize| order[a].worst < order[b].best;
    intervals(subjects, |a, b| {
        orders.iter().any(|order| before(order, a, b)) && !orders.iter().any(|order| before(order, b, a))
    })
}

fn intervals(subjects: &[u32], better: impl Fn(usize, usize) -> bool) -> Vec<RankInterval> {
    let n = subjects.len();
    let count = |found: usize| u32::try_from(found).unwrap_or(u32::MAX);
    (0..n)
        .map(|one| RankInterval {
            hoster: subjects[one],
            best: 1 + count((0..n).filter(|other| better(*other, one)).count()),
            worst: count(n - (0..n).filter(|other| better(one, *other)).count()),
        })
        .collect()
}

impl Places {
    /// Adds one round's places to every contract and region. A field of more hosters than places are told of gives none.
    pub(super) fn add(&mut self, ranks: &Ranks, at_s: u64, policy: &Policy) {
        for ((contract, _), field) in ranks {
            for (rank, units) in field.iter().zip(places::shares(field)) {
                let history = self.histories.entry((*contract, rank.hoster)).or_default();
                // Shares of a field sum to the whole by their definition.
                let _sum = history.add(Round { at_s, units }, &policy.ranking);
            }
        }
    }

    pub(super) fn of(&self, contract: u32, subject: u32) -> Option<&PlaceHistory> {
        self.histories.get(&(contract, subject))
    }

    /// Forgets the places in contracts that a hoster left, or that ended.
    pub(super) fn keep(&mut self, keeps: impl Fn(u32, u32) -> bool) {
        self.histories.retain(|(contract, subject), _| keeps(*contract, *subject));
    }
}
