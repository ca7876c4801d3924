//! A job under judgement: everything that is carried from epoch to epoch.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::closing::Heard;
use super::docket::{Docket, Row, Seated};
use super::order::{Places, Ranks};
use super::pool::{Found, Kind, Measure, Pool};
use super::watch::Watches;
use super::{AlertLine, CaseError, Claim, EpochLine, Job, Measurement, Metric, Term};
use crate::policy::Policy;
use crate::qualification::{self, Record};
use crate::robust::{self, Epoch, Evaluation, History};
use crate::verdict::{Terms, Verdict};

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
    /// By subject.
    pub(super) heard: BTreeMap<u32, Heard>,
    /// By hoster.
    pub(super) records: Vec<Record>,
    /// The evidence of the last epoch, by hoster.
    pub(super) evidence: Vec<qualification::Evidence>,
    pub(super) audits: Vec<u64>,
    /// The last verdict without a dispute.
    pub(super) standing: BTreeMap<(Term, u32), Verdict>,
    pub(super) places: Places,
    pub(super) claims: Claims,
    watches: Watches,
}

/// The last epoch, and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) epoch: u64,
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
        self.note(sitting, &rows);
        self.estimate(epoch, &rows, policy)?;
        self.pool.add(epoch, &rows, &Measure { job, policy, evaluations: &self.evaluations });
        let pooled = pooled_epochs(policy);
        self.pool.age(epoch.saturating_add(1).saturating_sub(pooled));
        self.hear(&rows);
        let findings = self.findings(policy, job);
        let disputed = self.is_disputed();
        if !disputed {
            for ((kind, subject), found) in &findings {
                if let Kind::Term(term) = kind {
                    self.standing.insert((*term, *subject), found.finding.verdict);
                }
            }
            let ranks = self.ranks(&findings, policy, job);
            self.places.add(&ranks, sitting.end_s, policy);
            let (docket, places) = (&self.docket, &mut self.places);
            places.keep(|contract, subject| {
                let hoster = docket.subjects.get(subject).map(|subject| subject.hoster);
                docket.members.get(&contract).is_some_and(|of| hoster.is_some_and(|one| of.hosters.contains(&one)))
            });
        }
        self.claims.epoch(sitting.claims, &self.evaluations, &self.docket, policy);
        let lines = self.step(epoch, &findings, disputed, policy, job);
        // While nobody can tell who is right, nothing is done to anybody.
        let alerts = if disputed { Vec::new() } else { self.watch(sitting, &rows, policy, job) };
        Ok(Some(Ruling { lines, alerts }))
    }

    /// What was kept of groups that are one from now on becomes what is kept of that one.
    fn unite(&mut self, united: &BTreeMap<u32, u32>) {
        if united.is_empty() {
            return;
        }
        self.pool.unite(united);
        for history in self.histories.values_mut() {
            united.iter().for_each(|(from, into)| history.unite(*from, *into));
        }
    }

    fn note(&mut self, sitting: &Sitting<'_>, rows: &[Row<'_>]) {
        let times = || rows.iter().map(|row| row.measurement.at_s);
        let (from_s, to_s) = (times().min().unwrap_or(0), times().max().unwrap_or(0));
        let (here, all) = (rows.len() as u64, sitting.measurements.len() as u64);
        let before = self.last.unwrap_or(Last { epoch: 0, end_s: 0, from_s, to_s, measurements: 0, elsewhere: 0 });
        self.last = Some(Last {
            epoch: sitting.number,
            end_s: sitting.end_s,
            from_s: before.from_s.min(from_s),
            to_s: before.to_s.max(to_s),
            measurements: before.measurements.saturating_add(here),
            elsewhere: before.elsewhere.saturating_add(all.saturating_sub(here)),
        });
        let hosters = self.docket.hosters.len();
        self.records.resize_with(hosters, || Record::registered(sitting.number));
        self.evidence.resize_with(hosters, qualification::Evidence::default);
        self.audits.resize(hosters, 0);
        for row in rows {
            let Some(hoster) = self.docket.subjects.get(row.subject).map(|subject| subject.hoster as usize) else {
                continue;
            };
            let seen = row.measurement.outcomes.counted().saturating_add(row.measurement.proofs);
            if let Some(audits) = self.audits.get_mut(hoster) {
                *audits = audits.saturating_add(seen);
            }
        }
    }

    fn estimate(&mut self, epoch: u64, rows: &[Row<'_>], policy: &Policy) -> Result<(), CaseError> {
        for metric in Metric::ALL {
            let observations = super::voices::observations(rows, metric);
            if observations.is_empty() {
                continue;
            }
            let input = Epoch {
                number: epoch,
                hosters: u32::try_from(self.docket.subjects.len()).unwrap_or(u32::MAX),
                groups: self.docket.groups.of_attesters(),
                barred: &[],
                observations: &observations,
            };
            let history = self.histories.entry(metric).or_default();
            let evaluation = robust::evaluate(history, &input, &policy.robust)
                .map_err(|source| CaseError::Robust { epoch, source })?;
            self.evaluations.insert(metric, evaluation);
        }
        Ok(())
    }

    /// Groups that are flagged in any estimate: who lies about one thing is believed about none.
    pub(super) fn flagged(&self) -> BTreeSet<u32> {
        let flags = self.evaluations.values().flat_map(|evaluation| &evaluation.flags);
        flags.map(|flag| self.docket.groups.now(flag.group)).collect()
    }

    /// Whether nobody can tell who is right: earlier verdicts stand and sanctions rest.
    pub fn is_disputed(&self) -> bool {
        self.evaluations.values().any(|evaluation| evaluation.dispute.is_some())
    }

    pub(super) fn findings(&self, policy: &Policy, job: &Job) -> BTreeMap<(Kind, u32), Found> {
        self.findings_in(&self.pool, policy, job)
    }

    /// What is found of every kind and subject in a pool.
    pub(super) fn findings_in(&self, pool: &Pool, policy: &Policy, job: &Job) -> BTreeMap<(Kind, u32), Found> {
        let (flagged, disputed) = (self.flagged(), self.is_disputed());
        let counts = |group: u32| !flagged.contains(&group);
        let kinds = kinds(policy, job);
        let mut findings = BTreeMap::new();
        // What was measured too long ago says nothing any more, neither good nor bad.
        for subject in (0..self.docket.subjects.len() as u32).filter(|subject| pool.rounds(*subject) > 0) {
            for (kind, terms) in &kinds {
                findings.insert((*kind, subject), pool.find(*kind, subject, terms, counts, disputed));
            }
        }
        findings
    }

    pub(super) fn ranks(&self, findings: &BTreeMap<(Kind, u32), Found>, policy: &Policy, job: &Job) -> Ranks {
        super::order::ranks(&self.docket, job, &self.histories, findings, policy)
    }

    fn watch(&mut self, sitting: &Sitting<'_>, rows: &[Row<'_>], policy: &Policy, job: &Job) -> Vec<AlertLine> {
        let mut pool = Pool::default();
        pool.add(sitting.number, rows, &Measure { job, policy, evaluations: &self.evaluations });
        let findings = self.findings_in(&pool, policy, job);
        let inversions = self.contracts(&self.findings(policy, job), &super::closing::prices(job, &[]), policy, job);
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
