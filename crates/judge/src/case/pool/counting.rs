//! What one measurement says of every kind.

use std::collections::BTreeMap;

use super::{Counts, Kind};
use crate::case::docket::Row;
use crate::case::{Job, Metric, Term};
use crate::fixed::Fixed;
use crate::policy::Policy;
use crate::robust::Evaluation;
use crate::verdict::Levels;

/// By what the rows of an epoch are counted.
#[derive(Clone, Copy)]
pub(in crate::case) struct Measure<'m> {
    pub(in crate::case) epoch: u64,
    pub(in crate::case) job: &'m Job,
    pub(in crate::case) policy: &'m Policy,
    pub(in crate::case) evaluations: &'m BTreeMap<Metric, Evaluation>,
}

impl Measure<'_> {
    /// Whether nobody can tell who is right about a term in this epoch: what was said of it then proves nothing later either.
    fn is_disputed(&self, term: Term) -> bool {
        let evaluation = term.metric().and_then(|metric| self.evaluations.get(&metric));
        evaluation.is_some_and(|found| found.dispute.is_some() && found.epoch == self.epoch)
    }

    /// How much higher a group measures than the median group, in doublings of what a term is about.
    fn effect(&self, term: Term, group: u32) -> Fixed {
        let evaluation = term.metric().and_then(|metric| self.evaluations.get(&metric));
        let fit = evaluation.and_then(|evaluation| evaluation.groups.get(group as usize));
        fit.map_or(Fixed::ZERO, |fit| fit.effect)
    }
}

/// What one measurement says about every kind.
pub(super) fn counts(row: &Row<'_>, measure: &Measure<'_>) -> Vec<(Kind, Counts)> {
    let measured = row.measurement;
    let whole = |met: u64, of: u64| Counts { sure: met, kept: met, maybe: met, of, unclear: 0 };
    let outcomes = &measured.outcomes;
    let mut all = vec![
        (Kind::Term(Term::Availability), whole(outcomes.served(), outcomes.counted())),
        (Kind::Integrity, whole(measured.proofs_valid.min(measured.proofs), measured.proofs)),
    ];
    let values = [
        (Term::Latency, &measured.latency_us),
        (Term::Egress, &measured.egress_bps),
        (Term::Ingress, &measured.ingress_bps),
    ];
    all.extend(values.map(|(term, values)| (Kind::Values(term), whole(values.len(), values.len()))));
    // Failed probes have no latency and keep no promise of one; of transfers only those that took place are judged.
    let levels = [
        (Term::Latency, &measured.latency_us, outcomes.failed()),
        (Term::Egress, &measured.egress_bps, 0),
        (Term::Ingress, &measured.ingress_bps, 0),
    ];
    for (term, values, failed) in levels {
        let (Some(level), Some(scale)) = (measure.job.level(term), term.scale()) else { continue };
        if measure.is_disputed(term) {
            continue;
        }
        let levels = Levels::new(level, scale, measure.effect(term, row.group), measure.policy.sla.slack_ppm);
        let (fair, easy) = (values.keeping(scale, levels.fair), values.keeping(scale, levels.easy));
        all.push((
            Kind::Term(term),
            Counts {
                sure: values.keeping(scale, levels.hard).kept,
                kept: fair.kept,
                maybe: easy.kept.saturating_add(easy.unclear),
                of: fair.all.saturating_add(failed),
                unclear: fair.unclear,
            },
        ));
    }
    all.retain(|(_, counts)| counts.of > 0);
    all
}
