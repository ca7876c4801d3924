//! What is judged: rows that are neutral to where they came from.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::fixed::Fixed;
use crate::histogram::{Kept, Scale, SparseHistogram};
use crate::outcome::OutcomeCounts;
use crate::self_report::SelfReport;

/// What one attester says about one hoster of one contract in one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// When the round ended, in seconds since the evidence's epoch.
    pub at_s: u64,
    /// The round's number, one for all attesters of a committee.
    pub round: u64,
    /// The contract.
    pub contract: String,
    /// Who is measured.
    pub hoster: String,
    /// Who measured.
    pub attester: String,
    /// The attester's address, by whose prefix it is grouped among strangers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// Who runs the attester, by whom it is grouped in a network of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// Where the attester is: a geohash or a name.
    pub region: String,
    /// How probes ended.
    pub outcomes: OutcomeCounts,
    /// Time to the first byte of probes that were served, microseconds.
    pub latency_us: Values,
    /// Speed of transfers from the hoster, bits per second.
    pub egress_bps: Values,
    /// Speed of uploads to the hoster under its contract, bits per second.
    pub ingress_bps: Values,
    /// Verified bytes.
    #[serde(default)]
    pub bytes: u64,
    /// Storage proofs that were asked for.
    #[serde(default)]
    pub proofs: u64,
    /// Those that were valid.
    #[serde(default)]
    pub proofs_valid: u64,
}

/// Measured values: as a report on a ledger carries them, or one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Counted in buckets of at most 12.5 %.
    Counted(SparseHistogram),
    /// Exact values in any order.
    Exact(Vec<u64>),
}

/// What a hoster says about itself in one contract, for the time since its last claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// When it was made, in seconds since the evidence's epoch.
    pub at_s: u64,
    /// The contract.
    pub contract: String,
    /// Who says so.
    pub hoster: String,
    /// Capacity that it claims to send with, bits per second.
    #[serde(default)]
    pub egress_bps: Option<u64>,
    /// Traffic of the contract.
    #[serde(default)]
    pub report: Option<SelfReport>,
}

/// What a hoster asks for. Printed beside its rank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Who.
    pub hoster: String,
    /// Its price for the job, in the smallest unit of whatever currency.
    pub price: u64,
}

/// Everything that is known, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// What attesters measured.
    pub measurements: Vec<Measurement>,
    /// What hosters say about themselves.
    pub claims: Vec<Claim>,
    /// What hosters ask for; of several of one hoster the lowest counts.
    pub offers: Vec<Offer>,
}

impl Measurement {
    /// Whether it says how the hoster served; a storage proof alone does not.
    pub(super) fn has_probes(&self) -> bool {
        let values = [&self.latency_us, &self.egress_bps, &self.ingress_bps];
        self.outcomes.counted() > 0 || values.into_iter().any(|values| !values.is_empty())
    }
}

impl Values {
    /// No values.
    pub fn none() -> Self {
        Self::Exact(Vec::new())
    }

    /// How many.
    pub fn len(&self) -> u64 {
        match self {
            Self::Counted(histogram) => histogram.len(),
            Self::Exact(values) => values.len() as u64,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether they are known by their buckets alone.
    pub fn is_counted(&self) -> bool {
        matches!(self, Self::Counted(_))
    }

    /// How many keep a threshold of the scale: at most so many microseconds, or at least so many bits per second. Of counted values
    /// only those in buckets that surely do.
    pub fn keeping(&self, scale: Scale, threshold: u64) -> Kept {
        match self {
            Self::Counted(histogram) => histogram.keeping(threshold),
            Self::Exact(values) => {
                let keeps = |value: &&u64| match scale {
                    Scale::LatencyUs => **value <= threshold,
                    Scale::ThroughputBps => **value >= threshold,
                };
                Kept { kept: values.iter().filter(keeps).count() as u64, unclear: 0, all: values.len() as u64 }
            }
        }
    }

    /// The `q`-quantile (parts per million) on the scale of the robust estimate; `None` without values. Values counted in one
    /// bucket are spread over it.
    pub fn quantile_log2(&self, q_ppm: u32) -> Option<Fixed> {
        let value = match self {
            Self::Counted(histogram) => histogram.interpolated(q_ppm)?,
            Self::Exact(values) => {
                let n = u64::try_from(values.len()).ok()?;
                let million = u128::from(crate::policy::PPM);
                let rank = (u128::from(n) * u128::from(q_ppm)).div_ceil(million).clamp(1, u128::from(n.max(1)));
                let mut values = values.clone();
                let index = usize::try_from(rank - 1).ok().filter(|index| *index < values.len())?;
                *values.select_nth_unstable(index).1
            }
        };
        Fixed::log2(value.max(1))
    }

    /// The values as a report on a ledger carries them; `None` where they are counted on another scale.
    pub fn histogram(&self, scale: Scale) -> Option<SparseHistogram> {
        match self {
            Self::Counted(histogram) => (histogram.scale() == scale).then(|| histogram.clone()),
            Self::Exact(values) => {
                let mut histogram = SparseHistogram::new(scale);
                for value in values {
                    histogram.record(*value);
                }
                Some(histogram)
            }
        }
    }
}
