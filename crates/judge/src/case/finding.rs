//! What is found of every promise, and what is remembered of it from epoch to epoch.

use std::collections::{BTreeMap, BTreeSet};

use super::court::Case;
use super::pool::{Found, Kind, Pool};
use super::{Job, Term};
use crate::policy::Policy;
use crate::verdict::{Doubt, Terms, Verdict};

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
pub(super) struct Memo {
    grounds: Option<Judging>,
    pub(super) findings: Findings,
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

impl Case {
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
    pub(super) fn refreshed(
        &mut self,
        changed: BTreeSet<u32>,
        policy: &Policy,
        job: &Job,
    ) -> (Findings, BTreeSet<u32>) {
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
