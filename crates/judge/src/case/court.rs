//! A job under judgement: everything that is carried from epoch to epoch.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::docket::{Docket, Row, Seated};
use super::order::{Grounds, MAX_COMPARED, Places, Ranks};
use super::pool::{Found, Kind, Measure, Pool};
use super::watch::Watches;
use super::{AlertLine, CaseError, Claim, DisputeLine, EpochLine, Job, Measurement, Metric, Term};
use crate::policy::Policy;
use crate::qualification::{self, Record};
use crate::robust::{self, Epoch, Evaluation, FlagReason, History, Observation};
use crate::verdict::{Doubt, Terms, Verdict};
use crate::windows::Windows;

/// A job under judgement, as it stands after an epoch: integers only, in one order, so that a ledger can carry and hash it. The same
/// epochs give the same case, whatever order the evidence of each comes in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub(super) docket: Docket,
    pub(super) last: Option<Last>,
    pub(super) histories: BTreeMap<Metric, History>,
    /// The last evaluation of every metric that was measured.
    pub(super) evaluations: BTreeMap<Metric, Evaluation>,
    pub(super) pool: Pool,
    /// What groups that counted when they measured say of each subject.
    pub(super) heard: BTreeMap<u32, Windows>,
    /// By hoster.
    pub(super) records: Vec<Record>,
    /// The evidence of the last epoch, by hoster.
    pub(super) evidence: Vec<qualification::Evidence>,
    /// Probes and storage proofs that count, by hoster and group.
    pub(super) audits: BTreeMap<(u32, u32), u64>,
    /// The last verdict without a dispute.
    pub(super) standing: BTreeMap<(Term, u32), Verdict>,
    pub(super) places: Places,
    pub(super) claims: Claims,
    watches: Watches,
    #[serde(skip)]
    memo: Memo,
}

/// What is found, by kind and subject.
pub(super) type Findings = BTreeMap<(Kind, u32), Found>;

/// By what is judged, beside what is pooled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judging {
    kinds: Vec<(Kind, Terms)>,
    flagged: BTreeSet<u32>,
    disputed: bool,
    capacities: BTreeMap<(u32, u32), u64>,
    level: Option<u64>,
}

/// What was found last, so that an epoch costs what it changes. It follows from the rest of a case: it is not stored, a copy begins without
/// it, and cases that differ in it are equal.
#[derive(Debug, Default)]
struct Memo {
    grounds: Option<Judging>,
    findings: Findings,
}

impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Memo {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Memo {}

/// The last epoch, and all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) epoch: u64,
    /// The first epoch of which probes are still pooled.
    pub(super) pooled_from: u64,
    pub(super) end_s: u64,
    pub(super) from_s: u64,
    pub(super) to_s: u64,
    pub(super) measurements: u64,
    pub(super) elsewhere: u64,
}

/// The evidence of one epoch, in any order.
#[derive(Clone, Copy, Debug)]
pub struct Sitting<'a> {
    /// Number of the epoch, higher than that of any before.
    pub number: u64,
    /// Its last second, since the evidence's epoch.
    pub end_s: u64,
    /// What attesters measured. What is named as its contract is what was measured together.
    pub measurements: &'a [&'a Measurement],
    /// What hosters say about themselves.
    pub claims: &'a [&'a Claim],
    /// The contracts, where they are parts of what is measured together; `None` where each is measured on its own.
    pub rosters: Option<&'a BTreeMap<String, Roster>>,
    /// Egress at registration, bits per second, by hoster.
    pub baselines: Option<&'a BTreeMap<String, u64>>,
}

/// The hosters of one contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// As what it is measured: the contract that measurements name.
    pub set: String,
    /// Who hosts it.
    pub hosters: BTreeSet<String>,
}

/// What an epoch decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// By hoster, in the order in which they were first measured.
    pub lines: Vec<EpochLine>,
    /// Alerts that were raised or cleared.
    pub alerts: Vec<AlertLine>,
    /// Pairs of hosters that were compared with one another.
    pub compared: u64,
}

fn compared(hosters: usize) -> u64 {
    if hosters > MAX_COMPARED { 0 } else { (hosters * hosters.saturating_sub(1) / 2) as u64 }
}

impl Case {
    /// Number of the last epoch that was judged; `None` before the first.
    pub fn last_epoch(&self) -> Option<u64> {
        self.last.map(|last| last.epoch)
    }

    /// Takes one epoch into account. One without measurements from the job's regions changes nothing, and there is no ruling.
    ///
    /// # Errors
    /// Too many measurements, or what the robust estimate refuses; what is in the case then is worth nothing, keep the one before.
    pub fn epoch(&mut self, sitting: &Sitting<'_>, policy: &Policy, job: &Job) -> Result<Option<Ruling>, CaseError> {
        let Seated { rows, united } = self.docket.seat(sitting.measurements, policy, job)?;
        if rows.is_empty() {
            return Ok(None);
        }
        self.unite(&united);
        let epoch = sitting.number;
        self.docket.enrol(&rows, sitting.rosters);
        self.note(sitting, &rows, policy);
        self.estimate(epoch, &rows, policy)?;
        self.pool.add(epoch, &rows, &Measure { epoch, job, policy, evaluations: &self.evaluations });
        let mut changed = self.pool.age(self.last.map_or(0, |last| last.pooled_from));
        changed.extend(rows.iter().map(|row| row.subject));
        self.hear(&rows);
        self.claims.epoch(epoch, sitting.claims, &self.evaluations, &self.docket, policy);
        let (findings, changed) = self.refreshed(changed, policy, job);
        let disputed = self.is_disputed(job);
        let mut ranks = Ranks::new();
        if !disputed {
            for subject in &changed {
                for term in Term::ALL {
                    if let Some(found) = findings.get(&(Kind::Term(term), *subject)) {
                        self.standing.insert((term, *subject), found.finding.verdict);
                    }
                }
            }
            ranks = self.ranks_of_measured(&rows, &findings, policy, job);
            self.places.add(&ranks, sitting.end_s, policy);
            // Without rosters nobody leaves.
            if sitting.rosters.is_some() {
                let (docket, places) = (&self.docket, &mut self.places);
                places.keep(|contract, subject| {
                    let hoster = docket.subjects.get(subject).map(|subject| subject.hoster);
                    docket.members.get(&contract).is_some_and(|of| hoster.is_some_and(|one| of.hosters.contains(&one)))
                });
            }
        }
        let compared = ranks.values().map(|field| compared(field.len())).sum();
        let lines = self.step((epoch, disputed), &findings, &changed, policy, job);
        // While nobody can tell who is right, nothing is done to anybody.
        let alerts = if disputed { Vec::new() } else { self.watch(sitting, &rows, ranks, policy, job) };
        self.memo.findings = findings;
        Ok(Some(Ruling { lines, alerts, compared }))
    }

    /// What was kept of groups that are one from now on becomes what is kept of that one.
    fn unite(&mut self, united: &BTreeMap<u32, u32>) {
        if united.is_empty() {
            return;
        }
        self.memo = Memo::default();
        self.pool.unite(united);
        for history in self.histories.values_mut() {
            united.iter().for_each(|(from, into)| history.unite(*from, *into));
        }
        for ((hoster, group), count) in std::mem::take(&mut self.audits) {
            let sum = self.audits.entry((hoster, self.docket.groups.now(group))).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    fn note(&mut self, sitting: &Sitting<'_>, rows: &[Row<'_>], policy: &Policy) {
        let times = || rows.iter().map(|row| row.measurement.at_s);
        let (from_s, to_s) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let (here, all) = (rows.len() as u64, sitting.measurements.len() as u64);
        let before = self.last.unwrap_or(Last { from_s, to_s, ..Last::default() });
        self.last = Some(Last {
            epoch: sitting.number,
            pooled_from: sitting.number.saturating_add(1).saturating_sub(pooled_epochs(policy)),
            end_s: sitting.end_s,
            from_s: before.from_s.min(from_s),
            to_s: before.to_s.max(to_s),
            measurements: before.measurements.saturating_add(here),
            elsewhere: before.elsewhere.saturating_add(all.saturating_sub(here)),
        });
        let hosters = self.docket.hosters.len();
        self.records.resize_with(hosters, || Record::registered(sitting.number));
        self.evidence.resize_with(hosters, qualification::Evidence::default);
        for row in rows {
            let Some(subject) = self.docket.subjects.get(row.subject) else { continue };
            let seen = row.measurement.outcomes.counted().saturating_add(row.measurement.proofs);
            let audits = self.audits.entry((subject.hoster, row.group)).or_default();
            *audits = audits.saturating_add(seen);
        }
    }

    fn estimate(&mut self, epoch: u64, rows: &[Row<'_>], policy: &Policy) -> Result<(), CaseError> {
        let all = Metric::ALL.map(|metric| (metric, super::voices::observations(rows, metric)));
        let measured: Vec<_> = all.into_iter().filter(|(_, observations)| !observations.is_empty()).collect();
        let mut found: BTreeMap<Metric, (History, Evaluation)> = BTreeMap::new();
        let evaluate = |case: &Self, metric: Metric, observations: &[Observation], barred: &[u32]| {
            let input = Epoch {
                number: epoch,
                hosters: u32::try_from(case.docket.subjects.len()).unwrap_or(u32::MAX),
                groups: case.docket.groups.of_attesters(),
                barred,
                exact: rows.iter().all(|row| !metric.values(row).is_counted()),
                observations,
            };
            let mut history = case.histories.get(&metric).cloned().unwrap_or_default();
            let evaluation = robust::evaluate(&mut history, &input, &policy.robust)
                .map_err(|source| CaseError::Robust { epoch, source })?;
            Ok::<_, CaseError>((history, evaluation))
        };
        for (metric, observations) in &measured {
            found.insert(*metric, evaluate(self, *metric, observations, &[])?);
        }
        // Who lies about one thing is believed about none: what each estimate found alone bars from all others.
        let old = self.telling().filter(|(metric, _)| !found.contains_key(metric));
        let new = found.iter().map(|(metric, (_, evaluation))| (*metric, evaluation));
        let alone: Vec<(Metric, BTreeSet<u32>)> = old
            .chain(new.filter(|(_, evaluation)| evaluation.dispute.is_none()))
            .map(|(metric, evaluation)| (metric, self.own_flags(evaluation).collect()))
            .collect();
        for (metric, observations) in &measured {
            let of = |own: bool| alone.iter().filter(move |(other, _)| (other == metric) == own).flat_map(|(_, of)| of);
            let own: BTreeSet<u32> = of(true).copied().collect();
            let barred: BTreeSet<u32> = of(false).filter(|group| !own.contains(group)).copied().collect();
            if !barred.is_empty() {
                let barred: Vec<u32> = barred.into_iter().collect();
                found.insert(*metric, evaluate(self, *metric, observations, &barred)?);
            }
        }
        for (metric, (history, evaluation)) in found {
            self.histories.insert(metric, history);
            self.evaluations.insert(metric, evaluation);
        }
        Ok(())
    }

    /// The last evaluation of every metric, as long as probes of its epoch are pooled and nobody disputes it. Where nobody can tell who is
    /// right, nobody is silenced.
    pub(super) fn telling(&self) -> impl Iterator<Item = (Metric, &Evaluation)> {
        let from = self.last.map_or(0, |last| last.pooled_from);
        let all = self.evaluations.iter().map(|(metric, evaluation)| (*metric, evaluation));
        all.filter(move |(_, evaluation)| evaluation.dispute.is_none() && evaluation.epoch >= from)
    }

    /// Groups that an evaluation flagged for what they said in it.
    fn own_flags(&self, evaluation: &Evaluation) -> impl Iterator<Item = u32> {
        let own = evaluation.flags.iter().filter(|flag| flag.reason != FlagReason::Barred);
        own.map(|flag| self.docket.groups.now(flag.group))
    }

    /// Groups that are flagged in any estimate: who lies about one thing is believed about none.
    pub(super) fn flagged(&self) -> BTreeSet<u32> {
        self.telling().flat_map(|(_, evaluation)| self.own_flags(evaluation)).collect()
    }

    /// Estimates of the last epoch of which nobody can tell who is right, and that the job asks for: earlier verdicts stand and sanctions
    /// rest. What nobody was promised freezes nothing, and what was not measured in the epoch is no dispute of it.
    pub(super) fn disputes(&self, job: &Job) -> Vec<DisputeLine> {
        let asked: BTreeSet<Metric> = job.terms().into_iter().filter_map(|(term, _)| term.metric()).collect();
        let here = self
            .evaluations
            .iter()
            .filter(|(metric, found)| asked.contains(metric) && Some(found.epoch) == self.last_epoch());
        here.filter_map(|(metric, found)| Some(DisputeLine { metric: *metric, dispute: found.dispute? })).collect()
    }

    /// Whether nobody can tell who is right about anything that the job asks for.
    pub fn is_disputed(&self, job: &Job) -> bool {
        !self.disputes(job).is_empty()
    }

    pub(super) fn findings(&self, policy: &Policy, job: &Job) -> Findings {
        self.findings_in(&self.pool, policy, job)
    }

    /// What is found of every kind and subject in a pool.
    pub(super) fn findings_in(&self, pool: &Pool, policy: &Policy, job: &Job) -> Findings {
        let mut findings = Findings::new();
        self.find(pool, 0..self.docket.subjects.len() as u32, &self.grounds(policy, job), &mut findings);
        findings
    }

    /// What is found of every kind and subject after an epoch that changed what is pooled of some, and the subjects of which something may
    /// be found that was not before. Everything else is as it was found then, unless what it is judged by changed too.
    fn refreshed(&mut self, changed: BTreeSet<u32>, policy: &Policy, job: &Job) -> (Findings, BTreeSet<u32>) {
        let grounds = self.grounds(policy, job);
        let mut findings = std::mem::take(&mut self.memo.findings);
        let changed = if self.memo.grounds.as_ref() == Some(&grounds) {
            changed
        } else {
            findings.clear();
            (0..self.docket.subjects.len() as u32).collect()
        };
        self.find(&self.pool, changed.iter().copied(), &grounds, &mut findings);
        self.memo.grounds = Some(grounds);
        (findings, changed)
    }

    fn grounds(&self, policy: &Policy, job: &Job) -> Judging {
        Judging {
            kinds: kinds(policy, job),
            flagged: self.flagged(),
            disputed: self.is_disputed(job),
            capacities: self.claims.capacities(&self.docket),
            level: job.level(Term::Egress),
        }
    }

    fn find(&self, pool: &Pool, subjects: impl Iterator<Item = u32>, by: &Judging, findings: &mut Findings) {
        let counts = |group: u32| !by.flagged.contains(&group);
        for subject in subjects {
            let Some(of) = self.docket.subjects.get(subject) else { continue };
            for (kind, terms) in &by.kinds {
                // What was measured too long ago says nothing any more, neither good nor bad.
                if !pool.has(subject) {
                    findings.remove(&(*kind, subject));
                    continue;
                }
                let mut found = pool.find(*kind, subject, terms, counts, by.disputed);
                let said = by.capacities.get(&(of.set, of.hoster)).filter(|_| *kind == Kind::Term(Term::Egress));
                if let (Some(said), Some(level), Verdict::Meets) = (said, by.level, found.finding.verdict)
                    && *said < level
                {
                    // Whoever says itself that it has less does not promise more.
                    found.finding.verdict = Verdict::Unproven { because: Doubt::OwnClaim { bps: *said } };
                }
                findings.insert((*kind, subject), found);
            }
        }
    }

    pub(super) fn ranks(&self, findings: &Findings, policy: &Policy, job: &Job) -> Ranks {
        self.ranks_in(self.docket.fields(), findings, policy, job)
    }

    fn ranks_in(
        &self,
        fields: BTreeMap<(u32, u32), Vec<u32>>,
        findings: &Findings,
        policy: &Policy,
        job: &Job,
    ) -> Ranks {
        let flagged = self.flagged();
        let (histories, pool) = (&self.histories, &self.pool);
        super::order::ranks(fields, &Grounds { job, histories, pool, flagged: &flagged, findings, policy })
    }

    /// Ranks in the contracts and regions in which the epoch measured anything of what ranks are made from.
    fn ranks_of_measured(&self, rows: &[Row<'_>], findings: &Findings, policy: &Policy, job: &Job) -> Ranks {
        let flagged = self.flagged();
        let heard = rows.iter().filter(|row| !flagged.contains(&row.group) && row.measurement.has_probes());
        let measured: BTreeSet<u32> = heard.map(|row| row.subject).collect();
        let mut fields = self.docket.fields();
        fields.retain(|_, subjects| subjects.iter().any(|subject| measured.contains(subject)));
        self.ranks_in(fields, findings, policy, job)
    }

    fn watch(
        &mut self,
        sitting: &Sitting<'_>,
        rows: &[Row<'_>],
        ranks: Ranks,
        policy: &Policy,
        job: &Job,
    ) -> Vec<AlertLine> {
        let mut pool = Pool::default();
        let epoch = sitting.number;
        pool.add(epoch, rows, &Measure { epoch, job, policy, evaluations: &self.evaluations });
        let findings = self.findings_in(&pool, policy, job);
        let inversions = self.contracts(ranks, &super::closing::prices(job, &[]), &BTreeMap::new(), policy);
        let values = super::watch::values(self, &findings, &inversions, sitting.baselines, policy);
        self.watches.look(&values, sitting, policy)
    }
}

/// What is looked at: the job's promises, and what a standing needs beside them.
fn kinds(policy: &Policy, job: &Job) -> Vec<(Kind, Terms)> {
    let mut kinds: Vec<(Kind, Terms)> =
        job.terms().into_iter().map(|(term, ppm)| (Kind::Term(term), policy.terms(ppm))).collect();
    if job.availability.is_none() {
        kinds.push((Kind::Term(Term::Availability), policy.terms(policy.service.availability_ppm)));
    }
    kinds.push((Kind::Integrity, policy.terms(policy.qualification.integrity.enter)));
    kinds
}

/// Epochs over which probes are pooled.
fn pooled_epochs(policy: &Policy) -> u64 {
    let seconds = u64::from(policy.sla.max_days).saturating_mul(86_400);
    seconds.div_ceil(policy.epoch_s().max(1)).max(1)
}
