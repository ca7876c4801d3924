//! Ranks of the hosters of one contract in one region, and their places over time.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::pool::{Found, Kind, Pool};
use super::{Job, Metric, Term};
use crate::fixed::Fixed;
use crate::places::{self, PlaceHistory, Round};
use crate::policy::{PPM, Policy};
use crate::ranking::paired::{self, Contest, RankInterval, Win};
use crate::robust::{History, Voice};
use crate::verdict::{Side, Verdict};

/// Ranks by contract and region; the hoster of an interval is a subject.
pub(super) type Ranks = BTreeMap<(u32, u32), Vec<RankInterval>>;

/// Most hosters of one contract and region that are compared with one another. Of more, who is better stays open: comparing grows with the
/// square of their number, and a contract has three.
pub const MAX_COMPARED: usize = 128;

/// Places of every subject in every contract, by contract and subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Places {
    histories: BTreeMap<(u32, u32), PlaceHistory>,
}

/// Everything that ranks are made from.
#[derive(Clone, Copy)]
pub(super) struct Grounds<'g> {
    pub(super) job: &'g Job,
    pub(super) histories: &'g BTreeMap<Metric, History>,
    pub(super) pool: &'g Pool,
    pub(super) flagged: &'g BTreeSet<u32>,
    pub(super) findings: &'g BTreeMap<(Kind, u32), Found>,
    pub(super) policy: &'g Policy,
}

/// Ranks from what is promised: one hoster is better than another where it is better beyond chance in something that the job asks for or in
/// availability, and worse beyond chance in nothing. Who FAILS a promise that the other MEETS is better in nothing: fast answers to every
/// second request are no match for answers to all. A price has no say.
pub(super) fn ranks(fields: BTreeMap<(u32, u32), Vec<u32>>, grounds: &Grounds<'_>) -> Ranks {
    fields.into_iter().map(|(key, subjects)| (key, grounds.field(&subjects))).collect()
}

fn side(metric: Metric) -> Side {
    match metric {
        Metric::LatencyP50 | Metric::LatencyP95 => Side::AtMost,
        Metric::Egress | Metric::Ingress => Side::AtLeast,
    }
}

impl Grounds<'_> {
    fn field(&self, subjects: &[u32]) -> Vec<RankInterval> {
        if subjects.len() > MAX_COMPARED {
            return paired::rank(subjects, &[]);
        }
        let metrics = self.job.terms().into_iter().filter_map(|(term, _)| term.metric());
        let mut contests: Vec<Contest> = metrics
            .filter_map(|metric| Some(Contest::remembered(self.histories.get(&metric)?, subjects, side(metric))))
            .collect();
        let availability = contests.len();
        contests.push(self.availability(subjects));
        let bounds: Vec<Option<(u32, u32)>> = subjects.iter().map(|subject| self.bounds(*subject)).collect();
        // An hour in which a hoster was away is one event, however many groups saw it: intervals have to be apart too.
        let apart = |win: &Win| match (bounds[win.better], bounds[win.worse]) {
            (Some((low, _)), Some((_, high))) => low > high,
            _ => false,
        };
        let mut wins = paired::compare(subjects, &contests);
        wins.retain(|win| win.contest != availability || apart(win));
        wins.retain(|win| !self.breaks_what_the_other_keeps(subjects[win.better], subjects[win.worse]));
        paired::rank(subjects, &wins)
    }

    /// The share of probes that each group that counts was served.
    fn availability(&self, subjects: &[u32]) -> Contest {
        let voice = |(group, met, of): (u32, u64, u64)| {
            let bounded = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            let level = Fixed::from_ratio(bounded(met), bounded(of));
            Voice { group, level, weight_ppm: PPM, recency_ppm: PPM }
        };
        let of_subject = |subject: &u32| -> Vec<Voice> {
            let served = self.pool.served(*subject).filter(|(group, ..)| !self.flagged.contains(group));
            served.map(voice).collect()
        };
        Contest { voices: subjects.iter().map(of_subject).collect(), better: Side::AtLeast }
    }

    /// Whether a subject FAILS something promised that another MEETS.
    fn breaks_what_the_other_keeps(&self, one: u32, other: u32) -> bool {
        let verdict =
            |term, subject| self.findings.get(&(Kind::Term(term), subject)).map(|found| found.finding.verdict);
        self.job
            .terms()
            .into_iter()
            .any(|(term, _)| verdict(term, one) == Some(Verdict::Fails) && verdict(term, other) == Some(Verdict::Meets))
    }

    fn bounds(&self, subject: u32) -> Option<(u32, u32)> {
        let finding = self.findings.get(&(Kind::Term(Term::Availability), subject))?.finding;
        let enough = finding.groups >= self.policy.robust.minimum_groups.max(1);
        enough.then_some((finding.low_ppm, finding.high_ppm))
    }
}

impl Places {
    /// Adds one round's places to every contract and region whose hosters were compared.
    pub(super) fn add(&mut self, ranks: &Ranks, at_s: u64, policy: &Policy) {
        for ((contract, _), field) in ranks.iter().filter(|(_, field)| field.len() <= MAX_COMPARED) {
            for (rank, units) in field.iter().zip(places::shares(field)) {
                let history = self.histories.entry((*contract, rank.hoster)).or_default();
                // Shares of a field sum to the whole by their definition.
                let _sum = history.add(Round { at_s, units }, &policy.ranking);
            }
        }
    }

    /// Every history, by contract and subject.
    pub(super) fn all(&self) -> impl Iterator<Item = ((u32, u32), &PlaceHistory)> {
        self.histories.iter().map(|(key, history)| (*key, history))
    }

    pub(super) fn of(&self, contract: u32, subject: u32) -> Option<&PlaceHistory> {
        self.histories.get(&(contract, subject))
    }

    /// Forgets the places in contracts that a hoster left, or that ended.
    pub(super) fn keep(&mut self, keeps: impl Fn(u32, u32) -> bool) {
        self.histories.retain(|(contract, subject), _| keeps(*contract, *subject));
    }
}
