//! One versioned set of numbers by which evidence becomes statements: every threshold of the evaluation stands here and nowhere else.
//!
//! A verdict names the policy's name and version, so that an old epoch is judged again by its own rules. All values are integers: shares
//! and factors in parts per million, times in seconds, epochs or rounds. [`Policy::validate`] refuses what contradicts itself.

mod defaults;
mod sections;
#[cfg(test)]
mod tests;
mod validate;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use sections::{
    CapacityPolicy, CommitteePolicy, CoordinatePolicy, GroupRule, HarvestPolicy, PayPolicy, PayTier,
    QualificationPolicy, RankingPolicy, RawPolicy, SelfReportPolicy, ServicePolicy, SlaPolicy, Threshold, TimePolicy,
};

use crate::alert::Rule;
use crate::robust::Settings;
use crate::verdict::{Probing, Terms};

/// One million: the whole of every share in a policy.
pub const PPM: u32 = 1_000_000;

/// Every number that the evaluation uses. Made by a profile ([`Policy::seed`], [`Policy::lab`], [`Policy::public`]) or read from a
/// file, where an absent value is the one of [`Policy::public`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What the policy is called; printed with its version beside every verdict.
    pub name: String,
    /// Grows with every change.
    pub version: u32,
    /// How blocks and epochs are made of seconds.
    pub time: TimePolicy,
    /// Who sits in a committee and what makes two of them independent.
    pub committee: CommitteePolicy,
    /// The joint fit, trust and the filter against collusion.
    pub robust: Settings,
    /// When a promise is kept, broken or unproven.
    pub sla: SlaPolicy,
    /// Availability, its budget and windows.
    pub service: ServicePolicy,
    /// Places and their history.
    pub ranking: RankingPolicy,
    /// What a place is paid.
    pub pay: PayPolicy,
    /// When a hoster enters and leaves each standing.
    pub qualification: QualificationPolicy,
    /// What hosters say about themselves.
    pub self_report: SelfReportPolicy,
    /// How many requests are harvested before probing.
    pub harvest: HarvestPolicy,
    /// The benchmark at registration and when it is run again.
    pub raw: RawPolicy,
    /// When one more job fits, and the price that draws capacity.
    pub capacity: CapacityPolicy,
    /// The performance map.
    pub coordinates: CoordinatePolicy,
    /// Thresholds that make tasks. At most [`Policy::MAX_ALERTS`].
    pub alerts: Vec<Rule>,
}

/// Why a policy was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Not the TOML of a policy.
    #[error("not a policy: {detail}")]
    Syntax {
        /// What the reader says, with line and column.
        detail: String,
    },
    /// A value that contradicts its meaning or another value.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field's path, such as `qualification.availability`.
        field: String,
        /// What is wrong.
        reason: String,
    },
}

impl Policy {
    /// Most alert rules in a policy.
    pub const MAX_ALERTS: usize = 64;

    /// The seed's profile: committees of five.
    pub fn seed() -> Self {
        Self {
            name: "seed".to_owned(),
            committee: CommitteePolicy { size: 5, ..CommitteePolicy::default() },
            ..Self::lab()
        }
    }

    /// A network of one's own: committees of seven, grouped by declared operator, short waiting times.
    pub fn lab() -> Self {
        Self {
            name: "lab".to_owned(),
            committee: CommitteePolicy { size: 7, group: GroupRule::Operator, ..CommitteePolicy::default() },
            qualification: QualificationPolicy {
                vetting_epochs: 6,
                vetting_audits: 20,
                dwell_epochs: 2,
                notice_epochs: 1,
                suspended_epochs: 24,
                readmit_epochs: 24,
                ..QualificationPolicy::default()
            },
            time: TimePolicy { epoch_blocks: 100, ..TimePolicy::default() },
            ..Self::public()
        }
    }

    /// A network of strangers: committees of 31, grouped by address prefix.
    pub fn public() -> Self {
        Self {
            name: "public".to_owned(),
            version: 1,
            time: TimePolicy::default(),
            committee: CommitteePolicy::default(),
            robust: Settings::default(),
            sla: SlaPolicy::default(),
            service: ServicePolicy::default(),
            ranking: RankingPolicy::default(),
            pay: PayPolicy::default(),
            qualification: QualificationPolicy::default(),
            self_report: SelfReportPolicy::default(),
            harvest: HarvestPolicy::default(),
            raw: RawPolicy::default(),
            capacity: CapacityPolicy::default(),
            coordinates: CoordinatePolicy::default(),
            alerts: Rule::usual(),
        }
    }

    /// Reads and checks a policy in TOML.
    ///
    /// # Errors
    /// Unknown or malformed fields, and everything that [`Policy::validate`] refuses.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text).map_err(|error| PolicyError::Syntax { detail: error.to_string() })?;
        policy.validate()?;
        Ok(policy)
    }

    /// The policy in TOML, complete, so that it reads back as the same policy.
    ///
    /// # Errors
    /// Never for a policy that is valid.
    pub fn to_toml(&self) -> Result<String, PolicyError> {
        toml::to_string(self).map_err(|error| PolicyError::Syntax { detail: error.to_string() })
    }

    /// Refuses values out of range, thresholds in the wrong order and alert rules that could never clear.
    ///
    /// # Errors
    /// The first field that is wrong, with the reason.
    pub fn validate(&self) -> Result<(), PolicyError> {
        validate::policy(self)
    }

    /// `name/version`, as verdicts print it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.name, self.version)
    }

    /// How a promised share is judged.
    pub fn terms(&self, guarantee_ppm: u32) -> Terms {
        Terms { guarantee_ppm, minimum_groups: self.robust.minimum_groups, icc_floor_ppm: self.sla.icc_ppm }
    }

    /// How the network measures, where so many independent groups may be drawn.
    pub fn probing(&self, pool: u32) -> Probing {
        Probing {
            committee: self.committee.size,
            pool,
            probes_per_attester: self.sla.probes_per_round,
            round_s: self.sla.round_s,
            probe_bytes: self.sla.probe_bytes,
            icc_ppm: self.sla.icc_ppm,
            minimum_groups: self.robust.minimum_groups,
            pooled_s: u64::from(self.sla.max_days) * 86_400,
        }
    }

    /// Seconds of one epoch.
    pub fn epoch_s(&self) -> u64 {
        u64::from(self.time.block_s).saturating_mul(u64::from(self.time.epoch_blocks))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::public()
    }
}
