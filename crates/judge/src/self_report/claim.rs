//! How far a claim may be believed.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::policy::{PPM, SelfReportPolicy};

/// In which of the last epochs a hoster's claim deviated from what was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimHistory {
    /// The newest last.
    deviated: VecDeque<bool>,
}

impl ClaimHistory {
    /// Takes one epoch into account and says whether the flag is up: enough of the last epochs deviated.
    pub fn add(&mut self, deviated: bool, policy: &SelfReportPolicy) -> bool {
        self.deviated.push_back(deviated);
        while self.deviated.len() > usize::try_from(policy.of_epochs).unwrap_or(usize::MAX) {
            self.deviated.pop_front();
        }
        self.is_flagged(policy)
    }

    /// Whether the flag is up.
    pub fn is_flagged(&self, policy: &SelfReportPolicy) -> bool {
        let deviating = self.deviated.iter().filter(|deviated| **deviated).count();
        policy.deviating_epochs > 0 && deviating >= usize::try_from(policy.deviating_epochs).unwrap_or(usize::MAX)
    }
}

/// What counts of a claim about capacity: the claim itself, at most `upper / (1 - slack)` of what was measured, where `upper` is the upper end
/// of the interval. Capacity that others used at the time cannot be measured, which is why it may be above `upper` at all. A claim
/// below what was measured lowers what counts.
pub fn used_capacity(claimed: u64, upper: u64, policy: &SelfReportPolicy) -> u64 {
    let rest = u128::from(PPM.saturating_sub(policy.slack_ppm)).max(1);
    let most = u128::from(upper) * u128::from(PPM) / rest;
    claimed.min(u64::try_from(most).unwrap_or(u64::MAX))
}

/// Whether a claim deviates from what was measured by more than the policy's factor, whichever end of the interval `low..=high` is taken. Where
/// nothing was measured nothing deviates.
pub fn deviates(claimed: u64, low: u64, high: u64, policy: &SelfReportPolicy) -> bool {
    if high == 0 {
        return false;
    }
    let (claimed, factor, one) = (u128::from(claimed), u128::from(policy.deviation_ppm), u128::from(PPM));
    claimed * one > u128::from(high) * factor || claimed * factor < u128::from(low) * one
}
