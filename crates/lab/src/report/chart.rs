//! The charts of a run.

mod timeline;

use peermark_judge::Quantile;
use peermark_page::chart::{Curve, Domain, DrawError, Shapes};

use super::wording;
use crate::result::OperationResult;

pub(crate) use timeline::{Width, timeline};

/// The latency distribution of one operation in one phase, on an axis that suits all `operations` of the run.
pub(crate) fn cdf(
    operation: &OperationResult,
    operations: &[OperationResult],
    slot: usize,
) -> Result<Shapes, DrawError> {
    let marks: Vec<[Mark; 3]> = operations.iter().map(marks).collect();
    let curves: Vec<Curve<'_>> = operations.iter().zip(&marks).map(|(one, marks)| curve(one, marks, slot)).collect();
    peermark_page::chart::cdf(
        &[curve(operation, &self::marks(operation), slot)],
        Domain::of(&curves),
        "latency from the intended start (log scale)",
    )
}

/// A percentile that is marked on the curve: its share and, where there is one, its value.
type Mark = (f64, Option<Quantile>);

fn marks(operation: &OperationResult) -> [Mark; 3] {
    let latency = &operation.latency_ns;
    [(0.5, latency.p50), (0.9, latency.p90), (0.99, latency.p99)]
        .map(|(share, percentile)| (share, percentile.map(wording::quantile)))
}

fn curve<'a>(operation: &'a OperationResult, marks: &'a [Mark], slot: usize) -> Curve<'a> {
    let is_censored = marks.iter().any(|(_, percentile)| percentile.is_some_and(|percentile| percentile.censored));
    Curve {
        points: &operation.cdf,
        percentiles: marks,
        deadline_ns: operation.deadline_ns,
        shows_deadline: wording::failures(operation) > 0 || is_censored,
        // Where not even the median is supported, the curve must not look as if it was.
        supported: operation.latency_ns.p50.is_some(),
        slot,
    }
}
