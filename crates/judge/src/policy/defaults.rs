//! The values of the profile `public`.

use super::PPM;
use super::sections::{
    CapacityPolicy, CommitteePolicy, CoordinatePolicy, GroupRule, HarvestPolicy, PayPolicy, PayTier,
    QualificationPolicy, RankingPolicy, RawPolicy, SelfReportPolicy, ServicePolicy, SlaPolicy, Threshold, TimePolicy,
};

impl Default for TimePolicy {
    fn default() -> Self {
        Self { block_s: 6, epoch_blocks: 14_400 }
    }
}

impl Default for CommitteePolicy {
    fn default() -> Self {
        Self { size: 31, group: GroupRule::IpPrefix, audit_ppm: 50_000 }
    }
}

impl Default for SlaPolicy {
    fn default() -> Self {
        Self {
            slack_ppm: 0,
            icc_ppm: 50_000,
            min_guarantee_ppm: 500_000,
            max_guarantee_ppm: 999_900,
            probes_per_round: 10,
            round_s: 3_600,
            probe_bytes: 65_536,
            max_days: 30,
        }
    }
}

impl Default for ServicePolicy {
    fn default() -> Self {
        Self { availability_ppm: 950_000, min_probes: 20 }
    }
}

impl Default for RankingPolicy {
    fn default() -> Self {
        Self { half_life_s: 14 * 86_400, rounds_kept: 256 }
    }
}

impl Default for PayPolicy {
    fn default() -> Self {
        let tier = |from_score_ppm, factor_ppm| PayTier { from_score_ppm, factor_ppm };
        Self { tiers: vec![tier(0, 700_000), tier(333_333, 850_000), tier(600_000, PPM), tier(800_000, 1_150_000)] }
    }
}

impl Default for QualificationPolicy {
    fn default() -> Self {
        let threshold = |enter, leave| Threshold { enter, leave };
        Self {
            vetting_epochs: 21,
            vetting_audits: 100,
            availability: threshold(980_000, 950_000),
            integrity: threshold(995_000, 980_000),
            latency: threshold(950_000, 900_000),
            bandwidth: threshold(950_000, 900_000),
            promises: threshold(950_000, 800_000),
            dwell_epochs: 3,
            notice_epochs: 2,
            suspended_epochs: 30,
            readmit_epochs: 60,
            probation_one_of: 3,
            founding_hosters: 3,
            require_integrity: true,
            observed: Vec::new(),
        }
    }
}

impl Default for SelfReportPolicy {
    fn default() -> Self {
        Self {
            slack_ppm: 250_000,
            deviation_ppm: 1_250_000,
            deviating_epochs: 3,
            of_epochs: 5,
            cos2_ppm: 640_000,
            total_factor: 3,
            every_blocks: 600,
            answer_blocks: 5,
        }
    }
}

impl Default for HarvestPolicy {
    fn default() -> Self {
        Self { requests: 50, seconds: 60 }
    }
}

impl Default for RawPolicy {
    fn default() -> Self {
        Self { attesters: 5, band_ppm: 300_000, rounds: 3, min_interval_s: 86_400 }
    }
}

impl Default for CapacityPolicy {
    fn default() -> Self {
        Self { max_utilisation_ppm: 800_000, target_ppm: 700_000, max_step_ppm: 125_000, min_runs: 20 }
    }
}

impl Default for CoordinatePolicy {
    fn default() -> Self {
        Self { max_move_us: 50_000, min_gain_ppm: 200_000 }
    }
}
