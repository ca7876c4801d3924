//! The reports of the hosters of one contract beside each other, and beside what attesters asked for themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SelfReport, Traffic};
use crate::policy::{PPM, SelfReportPolicy};

/// Two reports of one contract that do not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mismatch")]
pub enum Mismatch {
    /// A total is too far from the median of all.
    Total {
        /// Which report.
        report: usize,
        /// `ingress` or `egress`.
        field: Direction,
        /// Its bytes.
        bytes: u64,
        /// The median.
        median: u64,
    },
    /// What was asked for differs too much between two.
    Requests {
        /// Which report.
        one: usize,
        /// Which other.
        other: usize,
    },
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// In.
    Ingress,
    /// Out.
    Egress,
}

/// What comparing says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Everything that does not agree.
    pub mismatches: Vec<Mismatch>,
    /// Reports that most of the others contradict. With two reports nobody can tell who is wrong, and nobody is named.
    pub suspects: Vec<usize>,
}

/// Compares the self-reports of the hosters of one contract: totals within the policy's factor of the median, and requests with a squared
/// cosine of at least the policy's (both in whole numbers, without a division).
pub fn compare_hosters(reports: &[SelfReport], policy: &SelfReportPolicy) -> Comparison {
    let mut found = Comparison::default();
    if reports.len() < 2 {
        return found;
    }
    let mut against = vec![0_usize; reports.len()];
    for (field, pick) in FIELDS {
        let median = median(reports.iter().map(|report| pick(report).bytes).collect());
        for (report, bytes) in reports.iter().map(|report| pick(report).bytes).enumerate() {
            if is_far(bytes, median, policy.total_factor) {
                found.mismatches.push(Mismatch::Total { report, field, bytes, median });
                against[report] = against[report].max(reports.len() - 1);
            }
        }
    }
    let counts: Vec<BTreeMap<u64, u64>> = reports
        .iter()
        .map(|report| report.per_index.iter().map(|entry| (entry.index, entry.count)).collect())
        .collect();
    for one in 0..reports.len() {
        for other in one + 1..reports.len() {
            if !cos2_at_least(&counts[one], &counts[other], policy.cos2_ppm) {
                found.mismatches.push(Mismatch::Requests { one, other });
                against[one] += 1;
                against[other] += 1;
            }
        }
    }
    if reports.len() > 2 {
        found.suspects = (0..reports.len()).filter(|report| 2 * against[*report] > reports.len() - 1).collect();
        // All of three against each other: nobody stands out.
        if found.suspects.len() == reports.len() {
            found.suspects.clear();
        }
    }
    found
}

/// Whether the squared cosine of two lists of counts is at least `cos2_ppm` parts per million: `(a.b)^2 >= cos2 * (a.a) * (b.b)`, cross-multiplied.
/// Two empty lists agree; an empty one and another do not.
pub fn cos2_at_least(a: &BTreeMap<u64, u64>, b: &BTreeMap<u64, u64>, cos2_ppm: u32) -> bool {
    // Counts are scaled to 20 bits: at most 4096 products of 40 bits and their squares stay within 128. The angle does not depend on scale.
    let (a, b) = (scaled(a), scaled(b));
    let dot = |x: &BTreeMap<u64, u128>, y: &BTreeMap<u64, u128>| -> u128 {
        x.iter().filter_map(|(index, count)| Some(*count * *y.get(index)?)).sum()
    };
    let (ab, aa, bb) = (dot(&a, &b), dot(&a, &a), dot(&b, &b));
    if aa == 0 || bb == 0 {
        return aa == bb;
    }
    ab * ab * u128::from(PPM) >= u128::from(cos2_ppm) * aa * bb
}

/// Attesters know what they asked for themselves: indices of which the hoster reports fewer requests than attesters made, with both
/// counts. A hoster's report can be checked from below only.
pub fn tracer_shortfalls(report: &SelfReport, asked: &BTreeMap<u64, u64>) -> Vec<(u64, u64, u64)> {
    let said: BTreeMap<u64, u64> = report.per_index.iter().map(|entry| (entry.index, entry.count)).collect();
    let short = asked.iter().map(|(index, asked)| (*index, said.get(index).copied().unwrap_or(0), *asked));
    short.filter(|(_, said, asked)| said < asked).collect()
}

type Pick = fn(&SelfReport) -> Traffic;
const FIELDS: [(Direction, Pick); 2] =
    [(Direction::Ingress, |report| report.ingress), (Direction::Egress, |report| report.egress)];

/// More than `factor` times above or below the median.
fn is_far(bytes: u64, median: u64, factor: u32) -> bool {
    let (bytes, median, factor) = (u128::from(bytes), u128::from(median), u128::from(factor));
    bytes > median * factor || bytes * factor < median
}

/// The lower of the two in the middle.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

fn scaled(counts: &BTreeMap<u64, u64>) -> BTreeMap<u64, u128> {
    let largest = counts.values().max().copied().unwrap_or(0);
    let shift = (u64::BITS - largest.leading_zeros()).saturating_sub(20);
    let kept = counts.iter().take(super::MAX_INDICES);
    kept.map(|(index, count)| (*index, u128::from(count >> shift))).collect()
}
