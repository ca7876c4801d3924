//! The estimates of an epoch, whom they flag, and whether anybody can tell who is right.

use std::collections::{BTreeMap, BTreeSet};

use super::court::Case;
use super::docket::Row;
use super::{CaseError, DisputeLine, Job, Metric};
use crate::policy::Policy;
use crate::robust::{self, Epoch, Evaluation, FlagReason, History, Observation};

impl Case {
    /// Estimates everything that was measured in an epoch.
    pub(super) fn estimate(&mut self, epoch: u64, rows: &[Row<'_>], policy: &Policy) -> Result<(), CaseError> {
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
}
