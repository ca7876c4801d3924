//! The parameters of the estimate.

use serde::{Deserialize, Serialize};

/// Parameters of the estimate, all integers, so that a policy can carry them and name its version in every verdict. The defaults are
/// those whose behaviour the adversary suite measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Fewest groups for an interval. Below six no 95 % interval of a median exists.
    pub minimum_groups: u32,
    /// Sweeps of the median polish.
    pub sweeps: u32,
    /// Distance in standard deviations from which on a report disagrees, in millionths.
    pub outlier_ppm: u32,
    /// Smallest standard deviation of a hoster's reports that is believed, in millionths of a doubling.
    pub spread_floor_ppm: u32,
    /// Largest standard deviation that is believed, in millionths of the median hoster's.
    pub spread_cap_ppm: u32,
    /// Share of the older reports' weight in a group's reputation that survives one more report, in millionths.
    pub forgetting_ppm: u32,
    /// Reports in agreement that a new group starts with.
    pub prior_reports: u32,
    /// Trust below which a group is flagged, in millionths.
    pub trust_floor_ppm: u32,
    /// Half-life of a report in the pooled estimate, epochs.
    pub level_half_life_epochs: u32,
    /// Half-life of a report in the evidence on collusion, epochs.
    pub residual_half_life_epochs: u32,
    /// Largest standardised deviation of a pair that counts, in millionths.
    pub residual_clip_ppm: u32,
    /// Hosters that a group must have measured before it can be said to deviate together with others.
    pub bloc_hosters: u32,
    /// Iterations towards the largest singular value.
    pub iterations: u32,
    /// Ratio to the largest singular value of pure noise from which on there may be a bloc, in millionths.
    pub edge_ppm: u32,
    /// Distance of the two camps from which on they are camps, in millionths of a robust standard deviation.
    pub camps_ppm: u32,
    /// Distance from the larger camp from which on a group is of the smaller one, in millionths of a robust standard deviation.
    pub member_ppm: u32,
    /// Blocs that are looked for, one after the other.
    pub patterns: u32,
    /// Share of the weight that may be flagged before the circuit breaker opens, in millionths.
    pub breaker_weight_ppm: u32,
    /// Share of the smaller camp from which on the circuit breaker opens, in millionths.
    pub breaker_split_ppm: u32,
    /// Deviations that are kept with a flag.
    pub evidence_rows: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            minimum_groups: 6,
            sweeps: 4,
            outlier_ppm: 3_500_000,
            spread_floor_ppm: 20_000,
            spread_cap_ppm: 1_250_000,
            forgetting_ppm: 990_000,
            prior_reports: 50,
            trust_floor_ppm: 850_000,
            level_half_life_epochs: 14,
            residual_half_life_epochs: 30,
            residual_clip_ppm: 4_000_000,
            bloc_hosters: 5,
            iterations: 60,
            edge_ppm: 1_250_000,
            camps_ppm: 3_000_000,
            member_ppm: 3_000_000,
            patterns: 3,
            breaker_weight_ppm: 333_333,
            breaker_split_ppm: 400_000,
            evidence_rows: 8,
        }
    }
}
