//! What may be said. Integers throughout; names as in the evidence, in their order.

use serde::{Deserialize, Serialize};

use super::{Fit, Term};
use crate::places::PlaceShares;
use crate::qualification::{Event, Explanation, Record};
use crate::robust::{Dispute, FlagReason};
use crate::self_report::Mismatch;
use crate::verdict::{ShareFinding, Verdict};
use crate::windows::WindowStatement;

/// What is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Median of latency, microseconds.
    LatencyP50,
    /// 95th percentile of latency, microseconds.
    LatencyP95,
    /// Median speed of transfers from the hoster, bits per second.
    Egress,
    /// Median speed of uploads to it, bits per second.
    Ingress,
}

/// Everything that may be said of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Name and version of the policy.
    pub policy: String,
    /// The job's name.
    pub job: String,
    /// First second of the evidence.
    pub from_s: u64,
    /// Last second of the evidence.
    pub to_s: u64,
    /// Number of the last epoch.
    pub epoch: u64,
    /// Measurements that were judged.
    pub measurements: u64,
    /// Measurements from outside the job's regions, which were not.
    pub elsewhere: u64,
    /// Attesters that measured.
    pub attesters: u32,
    /// Independent groups among them.
    pub groups: u32,
    /// Estimates that are disputed in the last epoch: earlier verdicts stand.
    pub disputes: Vec<DisputeLine>,
    /// By name.
    pub hosters: Vec<HosterStatement>,
    /// By name.
    pub contracts: Vec<ContractStatement>,
    /// Groups whose voice does not count.
    pub flags: Vec<FlagLine>,
    /// What every epoch decided of hosters that it measured or of which anything changed, by epoch and hoster.
    pub epochs: Vec<EpochLine>,
}

/// An estimate about which nobody can tell who is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisputeLine {
    /// What is estimated.
    pub metric: Metric,
    /// Why.
    pub dispute: Dispute,
}

/// Everything about one hoster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HosterStatement {
    /// Who.
    pub hoster: String,
    /// What it asks for; beside the rank, never in it.
    pub price: Option<u64>,
    /// Whether it may be given the job.
    pub fit: Fit,
    /// Its standing.
    pub record: Record,
    /// Why, how far each threshold is, and what would change it.
    pub explanation: Explanation,
    /// By contract and region.
    pub placements: Vec<Placement>,
    /// Places across all its contracts, of each those in the region in which they are worst.
    pub places: Option<PlaceShares>,
    /// What it says about itself, beside what was measured, by contract.
    pub claims: Vec<ClaimLine>,
}

/// One hoster in one contract, seen from one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The contract.
    pub contract: String,
    /// The region.
    pub region: String,
    /// Every metric that was measured.
    pub estimates: Vec<MetricEstimate>,
    /// Every promise of the job.
    pub terms: Vec<TermFinding>,
    /// Hour, day and month.
    pub windows: Vec<WindowStatement>,
}

/// What is known of one metric, in its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricEstimate {
    /// The metric.
    pub metric: Metric,
    /// The estimate over all epochs, the older the less. Of egress it and its interval are no more than what counts of the hoster's claim.
    pub value: u64,
    /// Lower end of its 95 % interval; absent below the fewest groups.
    pub low: Option<u64>,
    /// Upper end.
    pub high: Option<u64>,
    /// Independent groups behind it.
    pub groups: u32,
    /// Values of groups that count, of the days over which probes are pooled: of what is older little is left in the estimate.
    pub samples: u64,
    /// Rounds of those values.
    pub rounds: u64,
}

/// A verdict on one promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermFinding {
    /// The promise.
    pub term: Term,
    /// Its level: microseconds or bits per second; absent for availability.
    pub level: Option<u64>,
    /// The share that is promised, parts per million.
    pub guarantee_ppm: u32,
    /// The level that MEETS asks for, which is harder by the policy's slack; absent where it is the promised one.
    pub meets_level: Option<u64>,
    /// What may be said of it. Of a dispute: the finding without it, with the verdict DISPUTED.
    pub finding: ShareFinding,
    /// The verdict of the last epoch without a dispute, which stands while one lasts.
    pub standing: Verdict,
    /// Probes behind it.
    pub probes: u64,
    /// Values too near to the level to tell, which count as not kept.
    pub unclear: u64,
    /// Rounds of those probes.
    pub rounds: u64,
}

/// The hosters of one contract beside each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractStatement {
    /// The contract.
    pub contract: String,
    /// The region; every region has its own ranks.
    pub region: String,
    /// From the best to the worst; hosters with equal intervals are ties, by name.
    pub ranks: Vec<RankLine>,
    /// Whether they were compared with one another: of more than [`super::MAX_COMPARED`] all are a tie without places.
    pub compared: bool,
    /// Self-reports of the same contract that do not agree, by index in `reports`.
    pub mismatches: Vec<Mismatch>,
    /// The hosters whose last self-reports were compared.
    pub reports: Vec<String>,
    /// Pairs of which the dearer hoster ranks below the cheaper one.
    pub inversions: Vec<InversionLine>,
}

/// A hoster that asks for more than one that ranks above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InversionLine {
    /// Who asks for more.
    pub paid_more: String,
    /// Who ranks above.
    pub ranks_above: String,
}

/// A hoster's rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankLine {
    /// Who.
    pub hoster: String,
    /// Best rank that the evidence allows, 1 for the best.
    pub best: u32,
    /// Worst rank that it allows.
    pub worst: u32,
    /// How often which place, over the contract's rounds.
    pub places: Option<PlaceShares>,
    /// What the contract pays it, relative to its price, parts per million: what its places pay in the region in which they are worst.
    pub pay_factor_ppm: u32,
    /// What it asks for; beside the rank, never in it.
    pub price: Option<u64>,
}

/// A claim beside what was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimLine {
    /// The contract.
    pub contract: String,
    /// Claimed capacity, bits per second.
    pub egress_bps: u64,
    /// What counts of it: a claim lowers what is known and never raises it above what could have been used by others.
    pub used_bps: Option<u64>,
    /// The claim of the last epoch deviates from what was measured.
    pub deviates: bool,
    /// Enough of the last epochs deviated.
    pub flagged: bool,
}

/// A group without a voice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagLine {
    /// The group: an address prefix or an operator.
    pub group: String,
    /// Its attesters.
    pub attesters: Vec<String>,
    /// The estimate in which it was flagged.
    pub metric: Metric,
    /// Why.
    pub reason: FlagReason,
    /// Its largest deviations.
    pub evidence: Vec<Flagged>,
}

/// One row of evidence against a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flagged {
    /// The contract.
    pub contract: String,
    /// The hoster.
    pub hoster: String,
    /// The region.
    pub region: String,
    /// Mean deviation, thousandths of a standard deviation of honest groups.
    pub deviation_milli: i64,
}

/// What one epoch decided about one hoster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochLine {
    /// The epoch.
    pub epoch: u64,
    /// Who.
    pub hoster: String,
    /// The record after it.
    pub record: Record,
    /// What happened.
    pub events: Vec<Event>,
    /// The worst verdict on every promise over contracts and regions.
    pub verdicts: Vec<(Term, Verdict)>,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 4] = [Self::LatencyP50, Self::LatencyP95, Self::Egress, Self::Ingress];

    /// The name in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LatencyP50 => "latency p50",
            Self::LatencyP95 => "latency p95",
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }
}
