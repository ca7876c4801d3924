//! What every attester says about every subject in one epoch, as the robust estimate takes it.

use super::docket::Row;
use super::{Metric, Values};
use crate::histogram::{Scale, SparseHistogram};
use crate::robust::Observation;

impl Metric {
    /// Its scale.
    pub(super) fn scale(self) -> Scale {
        match self {
            Self::LatencyP50 | Self::LatencyP95 => Scale::LatencyUs,
            Self::Egress | Self::Ingress => Scale::ThroughputBps,
        }
    }

    /// Which quantile of an attester's values is its report, parts per million.
    fn quantile_ppm(self) -> u32 {
        match self {
            Self::LatencyP95 => 950_000,
            Self::LatencyP50 | Self::Egress | Self::Ingress => 500_000,
        }
    }

    pub(super) fn values<'a>(self, row: &Row<'a>) -> &'a Values {
        match self {
            Self::LatencyP50 | Self::LatencyP95 => &row.measurement.latency_us,
            Self::Egress => &row.measurement.egress_bps,
            Self::Ingress => &row.measurement.ingress_bps,
        }
    }
}

/// One observation per attester and subject of rows that are sorted by both. Values are merged within an attester only: merged across
/// attesters, one liar would own the tail.
pub(super) fn observations(rows: &[Row<'_>], metric: Metric) -> Vec<Observation> {
    let of_one = rows.chunk_by(|a, b| (a.subject, a.attester) == (b.subject, b.attester));
    of_one
        .filter_map(|rows| {
            let merged = merged(rows, metric)?;
            let value = merged.quantile_log2(metric.quantile_ppm())?;
            Some(Observation { hoster: rows[0].subject, attester: rows[0].attester, value })
        })
        .collect()
}

fn merged(rows: &[Row<'_>], metric: Metric) -> Option<Values> {
    let mut exact = Vec::new();
    let mut counted: Option<SparseHistogram> = None;
    for row in rows {
        match metric.values(row) {
            Values::Exact(values) => exact.extend_from_slice(values),
            Values::Counted(histogram) => match &mut counted {
                // Of another scale: not this metric. Admission refuses it, and here it says nothing.
                Some(sum) => drop(sum.merge(histogram)),
                None => counted = Some(histogram.clone()),
            },
        }
    }
    let Some(mut counted) = counted.filter(|counted| counted.scale() == metric.scale()) else {
        return Some(Values::Exact(exact));
    };
    exact.into_iter().for_each(|value| counted.record(value));
    Some(Values::Counted(counted))
}
