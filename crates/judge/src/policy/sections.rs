//! The sections of a policy, with the values of the profile `public`.

use serde::{Deserialize, Serialize};

use crate::qualification::Criterion;

/// How blocks and epochs are made of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimePolicy {
    /// Seconds between blocks.
    pub block_s: u32,
    /// Blocks of one epoch: evidence is evaluated and standings change at its end. A day among strangers.
    pub epoch_blocks: u32,
}

/// What makes two attesters independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupRule {
    /// Another IPv4 /24 or IPv6 /48.
    IpPrefix,
    /// Another declared operator. For networks of one's own, where all share a prefix.
    Operator,
}

/// Who sits in a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CommitteePolicy {
    /// Attesters of one performance challenge: 5 by the seed, 7 in a lab, 31 among strangers.
    pub size: u32,
    /// What makes two attesters independent.
    pub group: GroupRule,
    /// Share of rounds that a second, larger committee repeats.
    pub audit_ppm: u32,
}

/// When a promise is kept, broken or unproven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlaPolicy {
    /// What a promise must be exceeded by before it is MEETS: insurance against a quiet lie for one hoster.
    pub slack_ppm: u32,
    /// Smallest correlation of probes of one group that is believed.
    pub icc_ppm: u32,
    /// Least guarantee that makes sense to promise.
    pub min_guarantee_ppm: u32,
    /// Largest guarantee that a committee may be asked to prove.
    pub max_guarantee_ppm: u32,
    /// Probes that one attester makes of one hoster in one round.
    pub probes_per_round: u32,
    /// Seconds from one round of a hoster to the next.
    pub round_s: u64,
    /// Payload bytes of one probe.
    pub probe_bytes: u64,
    /// Days after which a promise that is still unproven is called unprovable and refused beforehand.
    pub max_days: u32,
}

/// Availability and its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServicePolicy {
    /// Availability that is promised where a plan names none.
    pub availability_ppm: u32,
    /// Fewest counted probes before a window has an availability.
    pub min_probes: u32,
}

/// Places and their history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RankingPolicy {
    /// Seconds after which a round counts half: 14 days.
    pub half_life_s: u64,
    /// Rounds kept of one hoster in one contract.
    pub rounds_kept: u32,
}

/// One tier of pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayTier {
    /// Least rank score ([`crate::places::PlaceShares::score_ppm`]) of the tier.
    pub from_score_ppm: u32,
    /// What the tier is paid, relative to the contract's price.
    pub factor_ppm: u32,
}

/// What a place is paid. Nobody's price has a say in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PayPolicy {
    /// From the lowest tier, whose score is 0, up. Both columns strictly grow.
    pub tiers: Vec<PayTier>,
}

/// A value that must be reached to enter, and a lower one below which one leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// At least so much to enter or to return.
    pub enter: u32,
    /// Below this one leaves. Less than `enter`.
    pub leave: u32,
}

impl Threshold {
    /// The same, both values lower by what a promise asks for less than `enter`.
    pub fn at_most(self, promised_ppm: Option<u32>) -> Self {
        let less = promised_ppm.map_or(0, |promised| self.enter.saturating_sub(promised));
        Self { enter: self.enter - less, leave: self.leave.saturating_sub(less) }
    }
}

/// When a hoster enters and leaves each standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualificationPolicy {
    /// Epochs since registration before probation can end (21 days).
    pub vetting_epochs: u32,
    /// Audits (probes and storage proofs that count) before probation can end.
    pub vetting_audits: u32,
    /// Share of probes that were answered.
    pub availability: Threshold,
    /// Share of storage proofs that were valid.
    pub integrity: Threshold,
    /// Share of probes within the promised latency.
    pub latency: Threshold,
    /// Share of transfers with the promised speed.
    pub bandwidth: Threshold,
    /// Share of a hoster's promises (terms of contracts) that do not FAIL.
    pub promises: Threshold,
    /// Fewest epochs in a standing before it changes again.
    pub dwell_epochs: u32,
    /// Epochs between the notice of a step down and the step.
    pub notice_epochs: u32,
    /// Epochs in [`crate::qualification::Standing::Suspended`] after which a hoster is out.
    pub suspended_epochs: u32,
    /// Epochs after which somebody who is out may begin again.
    pub readmit_epochs: u32,
    /// Of how many hosters of a contract one may be on probation.
    pub probation_one_of: u32,
    /// While fewer hosters than this are qualified in the whole network, the quota of probation does not hold.
    pub founding_hosters: u32,
    /// Whether nobody enters without storage proofs. Evidence from outside a ledger has none.
    pub require_integrity: bool,
    /// Criteria that are evaluated and printed, and decide nothing yet.
    pub observed: Vec<Criterion>,
}

/// What hosters say about themselves. It may lower a score, never raise it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelfReportPolicy {
    /// Share of its capacity that a hoster may claim as load of others: the used value is at most `upper / (1 - slack)`.
    pub slack_ppm: u32,
    /// Factor from which a claim deviates.
    pub deviation_ppm: u32,
    /// So many deviating epochs ...
    pub deviating_epochs: u32,
    /// ... among so many raise the flag.
    pub of_epochs: u32,
    /// Least squared cosine of two hosters' request counts.
    pub cos2_ppm: u32,
    /// Largest factor of a total beside the median of the three.
    pub total_factor: u32,
    /// Blocks between two regular reports.
    pub every_blocks: u32,
    /// Blocks within which a demanded report must come.
    pub answer_blocks: u32,
}

/// How many requests are harvested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HarvestPolicy {
    /// Requests after which the harvest is complete.
    pub requests: u32,
    /// Seconds after which it ends all the same.
    pub seconds: u32,
}

/// The benchmark at registration and when it is run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPolicy {
    /// Attesters of one benchmark.
    pub attesters: u32,
    /// How far the 24 h median may be from the baseline.
    pub band_ppm: u32,
    /// Consecutive rounds outside the band before a benchmark is asked for.
    pub rounds: u32,
    /// Seconds before another one may be asked for.
    pub min_interval_s: u64,
}

/// When one more job fits, and the price that draws capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapacityPolicy {
    /// Largest predicted utilisation (95th percentile) of any resource.
    pub max_utilisation_ppm: u32,
    /// Utilisation of the pool that the price moves towards.
    pub target_ppm: u32,
    /// Largest change of the price in one epoch.
    pub max_step_ppm: u32,
    /// Fewest runs of a job before its cost is known.
    pub min_runs: u32,
}

/// The performance map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatePolicy {
    /// Farthest that a coordinate may move in one epoch, in microseconds.
    pub max_move_us: u32,
    /// A suggested hoster must be nearer by at least this share.
    pub min_gain_ppm: u32,
}
