//! What one group measured of one hoster over the epochs.

use serde::{Deserialize, Serialize};

use crate::fixed::Fixed;
use crate::robust::select::FULL_WEIGHT;

/// Weight of a report of this epoch.
const REPORT: u32 = 1 << 16;

/// Weight below which a mean is not used.
const LEAST: u32 = REPORT / 4;

/// Weight below which a pair is forgotten: after six half-lives.
const FORGOTTEN: u32 = REPORT / 64;

/// Decaying weights and sums of the reports of a group about a hoster, and of their deviations from the epochs' estimates. Encoded as a
/// row of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub(crate) struct Pair {
    pub(crate) hoster: u32,
    pub(crate) group: u32,
    level_weight: u32,
    residual_weight: u32,
    level_sum: i64,
    residual_sum: i64,
}

type Row = (u32, u32, u32, u32, i64, i64);

impl Pair {
    pub(super) fn new(hoster: u32, group: u32) -> Self {
        Self { hoster, group, level_weight: 0, residual_weight: 0, level_sum: 0, residual_sum: 0 }
    }

    pub(super) fn key(&self) -> (u32, u32) {
        (self.hoster, self.group)
    }

    /// Adds a report: what moves the pooled level, if anything, and what counts as evidence on collusion.
    pub(super) fn add(&mut self, level: Option<Fixed>, residual: Fixed) {
        if let Some(level) = level {
            self.level_weight = self.level_weight.saturating_add(REPORT);
            self.level_sum = self.level_sum.saturating_add(level.raw());
        }
        self.residual_weight = self.residual_weight.saturating_add(REPORT);
        self.residual_sum = self.residual_sum.saturating_add(residual.raw());
    }

    /// Adds the reports of another pair.
    pub(super) fn join(&mut self, other: &Self) {
        self.level_weight = self.level_weight.saturating_add(other.level_weight);
        self.residual_weight = self.residual_weight.saturating_add(other.residual_weight);
        self.level_sum = self.level_sum.saturating_add(other.level_sum);
        self.residual_sum = self.residual_sum.saturating_add(other.residual_sum);
    }

    pub(super) fn level(&self) -> Option<Fixed> {
        mean(self.level_sum, self.level_weight)
    }

    /// How much the mean counts beside one of reports of this epoch, in millionths: less than all where every report is old.
    pub(super) fn level_recency(&self) -> Option<u32> {
        self.level()?;
        Some((u64::from(self.level_weight.min(REPORT)) * u64::from(FULL_WEIGHT) / u64::from(REPORT)) as u32)
    }

    pub(super) fn residual(&self) -> Option<Fixed> {
        mean(self.residual_sum, self.residual_weight)
    }

    /// Standard deviation of the mean residual relative to that of a single report, where the path between the two varies as much as
    /// one report: the root of (1 + 1/k) / 2 for k reports.
    pub(super) fn residual_noise(&self) -> Option<Fixed> {
        self.residual()?;
        let reports = i64::from(self.residual_weight);
        Some(Fixed::from_ratio(reports + i64::from(REPORT), 2 * reports).sqrt())
    }

    /// What is left of it; `None` where that is too little to keep.
    pub(super) fn decayed(&self, level: Fixed, residual: Fixed) -> Option<Self> {
        let pair = Self {
            level_weight: decayed_weight(self.level_weight, level),
            residual_weight: decayed_weight(self.residual_weight, residual),
            level_sum: decayed_sum(self.level_sum, level),
            residual_sum: decayed_sum(self.residual_sum, residual),
            ..*self
        };
        (pair.level_weight.max(pair.residual_weight) >= FORGOTTEN).then_some(pair)
    }
}

impl From<Row> for Pair {
    fn from((hoster, group, level_weight, residual_weight, level_sum, residual_sum): Row) -> Self {
        Self { hoster, group, level_weight, residual_weight, level_sum, residual_sum }
    }
}

impl From<Pair> for Row {
    fn from(pair: Pair) -> Self {
        (pair.hoster, pair.group, pair.level_weight, pair.residual_weight, pair.level_sum, pair.residual_sum)
    }
}

/// The mean of values whose weights add up to `weight`; `None` where that is next to nothing.
fn mean(sum: i64, weight: u32) -> Option<Fixed> {
    (weight >= LEAST).then(|| Fixed::from_ratio(sum, weight.into()) * Fixed::from_raw(i64::from(REPORT)))
}

fn decayed_weight(weight: u32, kept: Fixed) -> u32 {
    decayed_sum(weight.into(), kept) as u32
}

fn decayed_sum(sum: i64, kept: Fixed) -> i64 {
    (Fixed::from_raw(sum) * kept).raw()
}
