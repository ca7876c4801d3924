//! What a standing is judged by, each with its two thresholds.

use serde::{Deserialize, Serialize};

use super::{Evidence, Range, Record, TermCounts};
use crate::policy::{PPM, QualificationPolicy, Threshold};
use crate::share;

/// One thing that a standing is judged by. The order is the order of weight: the first that asks for a step down is its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Share of storage proofs that were valid.
    Integrity,
    /// Share of probes that were served.
    Availability,
    /// Share of promises that are kept.
    Promises,
    /// Share of probes within the promised latency.
    Latency,
    /// Share of transfers with the promised speed.
    Bandwidth,
    /// Probes and storage proofs since registration.
    Audits,
    /// Epochs since registration.
    Age,
    /// Epochs in suspension.
    Suspension,
}

/// A criterion beside its thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionLine {
    /// The criterion.
    pub criterion: Criterion,
    /// Lower end of what is known: parts per million of a share, else a count. Absent where nothing is known.
    pub low: Option<u64>,
    /// Upper end of what is known.
    pub high: Option<u64>,
    /// At least so much to enter; absent where it asks for nothing.
    pub enter: Option<u64>,
    /// Below this one leaves (at or above it for [`Criterion::Suspension`]); absent where it never asks for a step down.
    pub leave: Option<u64>,
    /// Whether it lets a hoster enter.
    pub enters: bool,
    /// Whether it asks for a step down.
    pub leaves: bool,
    /// How far the lower end is above `enter`; negative where it is missing so much.
    pub to_enter: Option<i64>,
    /// How far the upper end is above `leave`; negative where it is below.
    pub to_leave: Option<i64>,
    /// It is printed and decides nothing yet.
    pub observed_only: bool,
}

impl Criterion {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Availability => "availability",
            Self::Promises => "promises",
            Self::Latency => "latency",
            Self::Bandwidth => "bandwidth",
            Self::Audits => "audits",
            Self::Age => "age",
            Self::Suspension => "suspension",
        }
    }

    /// Whether its values are shares in parts per million; else they are counts.
    pub fn is_share(self) -> bool {
        !matches!(self, Self::Audits | Self::Age | Self::Suspension)
    }
}

/// Every criterion that has a say in a record's standing, by weight.
pub(super) fn lines(record: &Record, evidence: &Evidence, policy: &QualificationPolicy) -> Vec<CriterionLine> {
    // A promise that is kept costs nobody its standing, however little was promised.
    let promised = evidence.promised;
    let availability = policy.availability.at_most(promised.availability_ppm);
    let latency = policy.latency.at_most(promised.latency_ppm);
    let bandwidth = policy.bandwidth.at_most(promised.bandwidth_ppm);
    let shares = [
        (Criterion::Integrity, evidence.integrity, policy.integrity, policy.require_integrity),
        (Criterion::Availability, evidence.availability, availability, true),
        (Criterion::Promises, promises(&evidence.terms), policy.promises, false),
        (Criterion::Latency, evidence.latency, latency, false),
        (Criterion::Bandwidth, evidence.bandwidth, bandwidth, false),
    ];
    let age = evidence.epoch.saturating_sub(record.registered_epoch);
    let counts = [
        (Criterion::Audits, evidence.audits, u64::from(policy.vetting_audits)),
        (Criterion::Age, age, u64::from(policy.vetting_epochs)),
    ];
    let mut lines: Vec<CriterionLine> = shares
        .into_iter()
        .map(|(criterion, range, threshold, needed)| share(criterion, range, threshold, needed))
        .collect();
    lines.extend(counts.into_iter().map(|(criterion, value, enter)| count(criterion, value, enter)));
    if record.standing == super::Standing::Suspended {
        lines.push(suspension(evidence.epoch.saturating_sub(record.since_epoch), policy));
    }
    for line in &mut lines {
        line.observed_only = policy.observed.contains(&line.criterion);
    }
    lines
}

/// Unproven promises are neither kept nor broken: the interval reaches over them.
fn promises(terms: &TermCounts) -> Option<Range> {
    let [meets, fails, unproven] = [terms.meets, terms.fails, terms.unproven].map(u64::from);
    let all = meets + fails + unproven;
    Some(Range::new(share::ppm(meets, all)?, PPM.saturating_sub(share::ppm(fails, all)?)))
}

fn share(criterion: Criterion, range: Option<Range>, threshold: Threshold, needed: bool) -> CriterionLine {
    let (low, high) = (range.map(|range| u64::from(range.low_ppm)), range.map(|range| u64::from(range.high_ppm)));
    let (enter, leave) = (u64::from(threshold.enter), u64::from(threshold.leave));
    CriterionLine {
        criterion,
        low,
        high,
        enter: Some(enter),
        leave: Some(leave),
        enters: low.map_or(!needed, |low| low >= enter),
        leaves: high.is_some_and(|high| high < leave),
        to_enter: low.map(|low| distance(low, enter)),
        to_leave: high.map(|high| distance(high, leave)),
        observed_only: false,
    }
}

fn count(criterion: Criterion, value: u64, enter: u64) -> CriterionLine {
    CriterionLine {
        criterion,
        low: Some(value),
        high: Some(value),
        enter: Some(enter),
        leave: None,
        enters: value >= enter,
        leaves: false,
        to_enter: Some(distance(value, enter)),
        to_leave: None,
        observed_only: false,
    }
}

fn suspension(epochs: u64, policy: &QualificationPolicy) -> CriterionLine {
    let most = u64::from(policy.suspended_epochs);
    CriterionLine {
        criterion: Criterion::Suspension,
        low: Some(epochs),
        high: Some(epochs),
        enter: None,
        leave: Some(most),
        enters: true,
        leaves: epochs >= most,
        to_enter: None,
        to_leave: Some(distance(most, epochs)),
        observed_only: false,
    }
}

fn distance(value: u64, threshold: u64) -> i64 {
    let difference = i128::from(value) - i128::from(threshold);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
