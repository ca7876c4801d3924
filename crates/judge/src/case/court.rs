//! A job under judgement: everything that is carried from epoch to epoch.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::docket::{Docket, Row, Seated};
use super::finding::{Findings, Memo};
use super::order::{Grounds, MAX_COMPARED, Places, Ranks};
use super::pool::{Kind, Measure, Pool};
use super::watch::Watches;
use super::{AlertLine, CaseError, Claim, EpochLine, Job, Measurement, Metric, Term};
use crate::policy::Policy;
use crate::qualification::{self, Record};
use crate::robust::{Evaluation, History};
use crate::verdict::Verdict;
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
    pub(super) memo: Memo,
}

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

/// Epochs over which probes are pooled.
fn pooled_epochs(policy: &Policy) -> u64 {
    let seconds = u64::from(policy.sla.max_days).saturating_mul(86_400);
    seconds.div_ceil(policy.epoch_s().max(1)).max(1)
}
