//! What an epoch makes of every hoster's standing.

use std::collections::BTreeSet;

use super::court::Case;
use super::finding::Findings;
use super::pool::Kind;
use super::{EpochLine, Job, Term};
use crate::policy::Policy;
use crate::qualification::{self, Promised, Range, TermCounts};
use crate::verdict::Verdict;

impl Case {
    /// Every hoster's standing after the epoch. Evidence is as it was where nothing of a hoster changed.
    pub(super) fn step(
        &mut self,
        (epoch, disputed): (u64, bool),
        findings: &Findings,
        changed: &BTreeSet<u32>,
        policy: &Policy,
        job: &Job,
    ) -> Vec<EpochLine> {
        let mut lines = Vec::with_capacity(self.records.len());
        let flagged = self.flagged();
        let of_subject = |subject: &u32| self.docket.subjects.get(*subject).map(|of| of.hoster as usize);
        let changed: BTreeSet<usize> = changed.iter().filter_map(of_subject).collect();
        for hoster in 0..self.records.len() {
            let evidence = match self.evidence.get(hoster) {
                Some(before) if !changed.contains(&hoster) => qualification::Evidence { epoch, disputed, ..*before },
                _ => self.evidence_of(hoster, (epoch, disputed), findings, &flagged, policy, job),
            };
            let record = &self.records[hoster];
            let again = qualification::readmit(record, epoch, &policy.qualification).filter(|_| !disputed);
            let stepped = qualification::step(again.as_ref().unwrap_or(record), &evidence, &policy.qualification);
            lines.push(EpochLine {
                epoch,
                hoster: self.docket.hosters.name(hoster as u32).to_owned(),
                record: stepped.record.clone(),
                events: stepped.events,
                verdicts: self.worst(hoster as u32, findings, job),
            });
            self.records[hoster] = stepped.record;
            self.evidence[hoster] = evidence;
        }
        lines
    }

    fn evidence_of(
        &self,
        hoster: usize,
        (epoch, disputed): (u64, bool),
        findings: &Findings,
        flagged: &BTreeSet<u32>,
        policy: &Policy,
        job: &Job,
    ) -> qualification::Evidence {
        let range = |kind: Kind| self.range(hoster as u32, kind, findings, policy);
        let speeds = [Term::Egress, Term::Ingress].map(|term| range(Kind::Term(term)));
        qualification::Evidence {
            epoch,
            audits: self.audits_of(hoster as u32, flagged),
            availability: range(Kind::Term(Term::Availability)),
            integrity: range(Kind::Integrity),
            latency: range(Kind::Term(Term::Latency)),
            bandwidth: speeds.into_iter().flatten().reduce(worse),
            terms: self.term_counts(hoster as u32, findings, job),
            promised: promised(job),
            disputed,
        }
    }

    /// Probes and proofs of groups that count, of each no more than of the (lower) median group: audits cannot be bought by the dozen.
    fn audits_of(&self, hoster: u32, flagged: &BTreeSet<u32>) -> u64 {
        let of_hoster = self.audits.range((hoster, 0)..=(hoster, u32::MAX));
        let counts = of_hoster.filter(|((_, group), _)| !flagged.contains(group)).map(|(_, count)| *count);
        let mut counts: Vec<u64> = counts.filter(|count| *count > 0).collect();
        counts.sort_unstable();
        let Some(median) = counts.len().checked_sub(1).and_then(|last| counts.get(last / 2)).copied() else { return 0 };
        counts.into_iter().fold(0, |sum, count| sum.saturating_add(count.min(median)))
    }

    /// The worst interval over contracts and regions in which enough groups measured.
    fn range(&self, hoster: u32, kind: Kind, findings: &Findings, policy: &Policy) -> Option<Range> {
        let subjects = self.docket.of_hoster(hoster);
        let found = subjects.filter_map(|(subject, _)| findings.get(&(kind, subject)));
        let enough = found.filter(|found| found.finding.groups >= policy.robust.minimum_groups.max(1));
        enough.map(|found| Range::new(found.finding.low_ppm, found.finding.high_ppm)).reduce(worse)
    }

    fn term_counts(&self, hoster: u32, findings: &Findings, job: &Job) -> TermCounts {
        let mut counts = TermCounts::default();
        for (term, _) in job.terms() {
            for (subject, _) in self.docket.of_hoster(hoster) {
                match findings.get(&(Kind::Term(term), subject)).map(|found| found.finding.verdict) {
                    Some(Verdict::Meets) => counts.meets += 1,
                    Some(Verdict::Fails) => counts.fails += 1,
                    Some(_) => counts.unproven += 1,
                    None => {}
                }
            }
        }
        counts
    }

    /// The worst verdict on every promise over contracts and regions.
    fn worst(&self, hoster: u32, findings: &Findings, job: &Job) -> Vec<(Term, Verdict)> {
        let of_term = |term: Term| {
            let subjects = self.docket.of_hoster(hoster);
            let found = subjects.filter_map(|(subject, _)| findings.get(&(Kind::Term(term), subject)));
            found.map(|found| found.finding.verdict).min_by_key(super::fit::badness)
        };
        job.terms().into_iter().filter_map(|(term, _)| Some((term, of_term(term)?))).collect()
    }
}

fn promised(job: &Job) -> Promised {
    let speeds = [job.egress, job.ingress].into_iter().flatten();
    Promised {
        availability_ppm: job.availability.map(|availability| availability.guarantee_ppm),
        latency_ppm: job.latency.map(|latency| latency.guarantee_ppm),
        bandwidth_ppm: speeds.map(|speed| speed.guarantee_ppm).min(),
    }
}

fn worse(a: Range, b: Range) -> Range {
    Range { low_ppm: a.low_ppm.min(b.low_ppm), high_ppm: a.high_ppm.min(b.high_ppm) }
}
