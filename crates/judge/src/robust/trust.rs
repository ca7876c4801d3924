//! Reputation of groups: the share of reports that agreed, the older the less (beta reputation with forgetting, Jøsang & Ismail,
//! Bled eConference 2002).

use serde::{Deserialize, Serialize};

use crate::fixed::Fixed;

use super::Settings;
use super::select::FULL_WEIGHT;

/// Good and bad reports of one group, with their remaining weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reputation {
    good: Fixed,
    bad: Fixed,
}

impl Reputation {
    /// That of a group that nobody knows: as if it had `prior` good reports.
    pub(super) fn new(prior: u32) -> Self {
        Self { good: Fixed::from_int(i32::try_from(prior.max(1)).unwrap_or(i32::MAX)), bad: Fixed::ZERO }
    }

    /// One more report.
    pub(super) fn add(&mut self, is_good: bool, settings: &Settings) {
        let kept = Fixed::from_ppm(settings.forgetting_ppm.into());
        self.good = self.good * kept;
        self.bad = self.bad * kept;
        let side = if is_good { &mut self.good } else { &mut self.bad };
        *side = *side + Fixed::ONE;
    }

    /// Share of good reports, in millionths.
    pub(super) fn trust_ppm(self) -> u32 {
        let share = self.good.over(self.good + self.bad).clamp(Fixed::ZERO, Fixed::ONE);
        share.to_ppm() as u32
    }

    /// Weight in medians: ((trust - 1/2) / (1/2))^2, in millionths; nothing at a trust of one half and below.
    pub(super) fn weight_ppm(self) -> u32 {
        let above = u64::from(self.trust_ppm().saturating_sub(FULL_WEIGHT / 2)) * 2;
        (above * above / u64::from(FULL_WEIGHT)) as u32
    }
}
