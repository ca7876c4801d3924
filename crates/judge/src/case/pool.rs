//! Probes that kept what was promised, summed over the epochs that may be pooled.

mod counting;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::docket::Row;
use super::{Metric, Term};
use crate::verdict::{Graded, ShareFinding, Terms, graded};
pub(super) use counting::Measure;
use counting::counts;

/// What is counted: the terms of a job, storage proofs, and the values from which estimates are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Kind {
    Term(Term),
    Integrity,
    /// Values of latency, egress or ingress; the term names which.
    Values(Term),
}

impl Kind {
    /// The values from which a metric is estimated.
    pub(super) fn behind(metric: Metric) -> Self {
        Self::Values(match metric {
            Metric::LatencyP50 | Metric::LatencyP95 => Term::Latency,
            Metric::Egress => Term::Egress,
            Metric::Ingress => Term::Ingress,
        })
    }
}

/// Probes of one group about one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// Surely kept it, with the policy's slack.
    sure: u64,
    /// Surely kept it.
    kept: u64,
    /// Kept it or are too near to tell.
    maybe: u64,
    /// All.
    of: u64,
    /// Too near to tell.
    unclear: u64,
}

/// Kind, subject and group.
type Key = (Kind, u32, u32);

/// What one epoch added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Added {
    epoch: u64,
    counts: Vec<(Key, Counts)>,
    /// Rounds by subject.
    rounds: Vec<(u32, u64)>,
}

/// Rounds in which one group had something of a kind to say about a subject: up to 64 rounds of an epoch, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Seen {
    epoch: u64,
    /// Which 64.
    part: u32,
    group: u32,
    bits: u64,
}

/// Sums by kind, subject and group, and what the epochs added that may still be pooled, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pool {
    counts: BTreeMap<Key, Counts>,
    epochs: VecDeque<Added>,
    /// Rounds by subject, whatever was measured.
    rounds: BTreeMap<u32, u64>,
    /// By kind and subject, the oldest first.
    seen: BTreeMap<(Kind, u32), VecDeque<Seen>>,
}

/// What is said of one kind about one subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) finding: ShareFinding,
    pub(super) probes: u64,
    pub(super) unclear: u64,
}

impl Counts {
    fn plus(&mut self, more: &Self) {
        self.sure = self.sure.saturating_add(more.sure);
        self.kept = self.kept.saturating_add(more.kept);
        self.maybe = self.maybe.saturating_add(more.maybe);
        self.of = self.of.saturating_add(more.of);
        self.unclear = self.unclear.saturating_add(more.unclear);
    }

    fn minus(&mut self, less: &Self) {
        self.sure = self.sure.saturating_sub(less.sure);
        self.kept = self.kept.saturating_sub(less.kept);
        self.maybe = self.maybe.saturating_sub(less.maybe);
        self.of = self.of.saturating_sub(less.of);
        self.unclear = self.unclear.saturating_sub(less.unclear);
    }
}

impl Pool {
    /// Adds an epoch.
    pub(super) fn add(&mut self, epoch: u64, rows: &[Row<'_>], measure: &Measure<'_>) {
        let mut rounds: BTreeMap<u32, BTreeSet<u64>> = BTreeMap::new();
        for row in rows {
            rounds.entry(row.subject).or_default().insert(row.measurement.round);
        }
        let mut sums: BTreeMap<Key, Counts> = BTreeMap::new();
        let mut seen: BTreeMap<(Kind, u32), BTreeMap<(u32, u32), u64>> = BTreeMap::new();
        for of_subject in rows.chunk_by(|a, b| a.subject == b.subject) {
            let numbers: Vec<u64> = rounds.get(&of_subject[0].subject).into_iter().flatten().copied().collect();
            for row in of_subject {
                let number = numbers.binary_search(&row.measurement.round).unwrap_or(0) as u32;
                for (kind, counts) in counts(row, measure) {
                    sums.entry((kind, row.subject, row.group)).or_default().plus(&counts);
                    let of_kind = seen.entry((kind, row.subject)).or_default();
                    *of_kind.entry((number / 64, row.group)).or_default() |= 1 << (number % 64);
                }
            }
        }
        for (key, parts) in seen {
            let parts = parts.into_iter().map(|((part, group), bits)| Seen { epoch, part, group, bits });
            self.seen.entry(key).or_default().extend(parts);
        }
        for (key, counts) in &sums {
            self.counts.entry(*key).or_default().plus(counts);
        }
        let rounds: Vec<(u32, u64)> = rounds.into_iter().map(|(subject, set)| (subject, set.len() as u64)).collect();
        for (subject, more) in &rounds {
            let sum = self.rounds.entry(*subject).or_default();
            *sum = sum.saturating_add(*more);
        }
        self.epochs.push_back(Added { epoch, counts: sums.into_iter().collect(), rounds });
    }

    /// Takes back what epochs before `first` added: those probes are too old. Returns of which subjects.
    pub(super) fn age(&mut self, first: u64) -> BTreeSet<u32> {
        let mut changed = BTreeSet::new();
        while self.epochs.front().is_some_and(|added| added.epoch < first) {
            let Some(aged) = self.epochs.pop_front() else { break };
            for (key, counts) in &aged.counts {
                let Some(sum) = self.counts.get_mut(key) else { continue };
                sum.minus(counts);
                if sum.of == 0 {
                    self.counts.remove(key);
                }
                let Some(seen) = self.seen.get_mut(&(key.0, key.1)) else { continue };
                while seen.front().is_some_and(|seen| seen.epoch < first) {
                    seen.pop_front();
                }
                if seen.is_empty() {
                    self.seen.remove(&(key.0, key.1));
                }
            }
            for (subject, less) in &aged.rounds {
                changed.insert(*subject);
                let Some(sum) = self.rounds.get_mut(subject) else { continue };
                *sum = sum.saturating_sub(*less);
                if *sum == 0 {
                    self.rounds.remove(subject);
                }
            }
        }
        changed
    }

    /// What groups added that are one from now on becomes what that one added.
    pub(super) fn unite(&mut self, united: &BTreeMap<u32, u32>) {
        let now = |(kind, subject, group): Key| (kind, subject, united.get(&group).copied().unwrap_or(group));
        let summed = |counts: &mut dyn Iterator<Item = (Key, Counts)>| {
            let mut sums: BTreeMap<Key, Counts> = BTreeMap::new();
            counts.for_each(|(key, counts)| sums.entry(now(key)).or_default().plus(&counts));
            sums
        };
        self.counts = summed(&mut std::mem::take(&mut self.counts).into_iter());
        for added in &mut self.epochs {
            added.counts = summed(&mut std::mem::take(&mut added.counts).into_iter()).into_iter().collect();
        }
        for seen in self.seen.values_mut().flatten() {
            seen.group = united.get(&seen.group).copied().unwrap_or(seen.group);
        }
    }

    /// What every group saw of a subject's availability: probes that were served, of how many.
    pub(super) fn served(&self, subject: u32) -> impl Iterator<Item = (u32, u64, u64)> {
        let kind = Kind::Term(Term::Availability);
        let of_subject = self.counts.range((kind, subject, 0)..=(kind, subject, u32::MAX));
        of_subject.map(|((_, _, group), sum)| (*group, sum.sure, sum.of))
    }

    /// Whether anything of a subject is pooled.
    pub(super) fn has(&self, subject: u32) -> bool {
        self.rounds.contains_key(&subject)
    }

    /// Rounds in which a group that counts had something of a kind to say about a subject.
    pub(super) fn rounds(&self, kind: Kind, subject: u32, counts: impl Fn(u32) -> bool) -> u64 {
        let mut rounds: BTreeMap<(u64, u32), u64> = BTreeMap::new();
        for seen in self.seen.get(&(kind, subject)).into_iter().flatten().filter(|seen| counts(seen.group)) {
            *rounds.entry((seen.epoch, seen.part)).or_default() |= seen.bits;
        }
        rounds.into_values().map(|bits| u64::from(bits.count_ones())).sum()
    }

    /// What groups that count had of a kind to say about a subject: probes or values.
    pub(super) fn heard(&self, kind: Kind, subject: u32, counts: impl Fn(u32) -> bool) -> u64 {
        let of_subject = self.counts.range((kind, subject, 0)..=(kind, subject, u32::MAX));
        of_subject.filter(|((_, _, group), _)| counts(*group)).map(|(_, sum)| sum.of).sum()
    }

    /// What may be said of a kind about a subject. A level inside a bucket of a histogram is nobody's fault.
    pub(super) fn find(
        &self,
        kind: Kind,
        subject: u32,
        terms: &Terms,
        counts: impl Fn(u32) -> bool + Copy,
        disputed: bool,
    ) -> Found {
        let of_subject = || self.counts.range((kind, subject, 0)..=(kind, subject, u32::MAX));
        let tallies: Vec<Graded> = of_subject()
            .map(|((_, _, group), sum)| {
                let Counts { sure, kept, maybe, of, .. } = *sum;
                Graded { group: *group, sure, kept, maybe, of }
            })
            .collect();
        let counted = || of_subject().filter(|((_, _, group), _)| counts(*group));
        Found {
            finding: graded(&tallies, counts, terms, disputed),
            probes: counted().map(|(_, sum)| sum.of).sum(),
            unclear: counted().map(|(_, sum)| sum.unclear).sum(),
        }
    }
}
