//! The benchmark at registration, and when it is run again because the hoster is no longer what it was.

use peermark_core::EvidenceClass;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::{PPM, RawPolicy};

/// Most benchmarks kept of one hoster; the first and the newest ones stay.
pub const MAX_KEPT: usize = 256;

/// Why a benchmark is run (R16-R20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawReason {
    /// First registration.
    Registration,
    /// The ledger asks because working performance changed.
    ChainRequest,
    /// The user says that its hardware changed.
    Hardware,
    /// The user says that it moved.
    Location,
    /// Another reason, by a number that users agree on.
    Other(u16),
}

/// One benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Number of the benchmark of this hoster, from 1.
    pub version: u32,
    /// Why it was run.
    pub reason: RawReason,
    /// When, in seconds since the evidence's epoch.
    pub at_s: u64,
    /// Median latency, microseconds.
    pub latency_p50_us: u64,
    /// Median egress, bits per second.
    pub egress_p50_bps: u64,
    /// How busy the host said to be, parts per million; absent where it did not say.
    pub host_load_ppm: Option<u32>,
}

/// All benchmarks of one hoster, none ever changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Baselines(Vec<Baseline>);

/// What the detector remembers of one metric of one hoster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    /// Consecutive rounds outside the band.
    pub rounds: u32,
    /// The last round that was looked at.
    pub last_round: Option<u64>,
    /// When a benchmark was last asked for, or run.
    pub asked_s: Option<u64>,
}

/// Evidence of different classes does not add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{found:?} evidence where {expected:?} is added up")]
pub struct ClassMixed {
    /// The class of the aggregate.
    pub expected: EvidenceClass,
    /// The class that came.
    pub found: EvidenceClass,
}

/// Lets evidence into an aggregate of one class only.
///
/// # Errors
/// [`ClassMixed`].
pub fn same_class(expected: EvidenceClass, found: EvidenceClass) -> Result<(), ClassMixed> {
    if expected == found { Ok(()) } else { Err(ClassMixed { expected, found }) }
}

impl Baselines {
    /// Appends a benchmark with the next version. Beyond [`MAX_KEPT`] the second oldest goes: the first and the newest stay.
    pub fn append(&mut self, baseline: Baseline) -> u32 {
        let version = self.0.last().map_or(1, |newest| newest.version.saturating_add(1));
        self.0.push(Baseline { version, ..baseline });
        if self.0.len() > MAX_KEPT {
            self.0.remove(1);
        }
        version
    }

    /// The newest: what the hoster was measured at, at registration or since.
    pub fn newest(&self) -> Option<&Baseline> {
        self.0.last()
    }

    /// All that are kept, the oldest first.
    pub fn all(&self) -> &[Baseline] {
        &self.0
    }
}

/// A value relative to its baseline in parts per million, rounded down; `None` where the baseline is 0.
pub fn ratio_ppm(value: u64, baseline: u64) -> Option<u64> {
    let ratio = (u128::from(value) * u128::from(PPM)).checked_div(u128::from(baseline))?;
    Some(u64::try_from(ratio).unwrap_or(u64::MAX))
}

impl Detector {
    /// Looks at the 24 h median of one round and says whether a benchmark is to be asked for: outside the band around the baseline in so many
    /// consecutive rounds, and at most once in the policy's interval. A round without a median neither counts nor breaks the row.
    pub fn look(&mut self, round: u64, now_s: u64, median: Option<u64>, baseline: u64, policy: &RawPolicy) -> bool {
        if self.last_round.is_some_and(|last| round <= last) {
            return false;
        }
        self.last_round = Some(round);
        let Some(ratio) = median.and_then(|median| ratio_ppm(median, baseline)) else { return false };
        let (low, high) = (PPM.saturating_sub(policy.band_ppm), PPM.saturating_add(policy.band_ppm));
        let outside = !(u64::from(low)..=u64::from(high)).contains(&ratio);
        self.rounds = if outside { self.rounds.saturating_add(1) } else { 0 };
        let waited = self.asked_s.is_none_or(|asked| now_s.saturating_sub(asked) >= policy.min_interval_s);
        if self.rounds < policy.rounds || !waited {
            return false;
        }
        self.rounds = 0;
        self.asked_s = Some(now_s);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(reason: RawReason, at_s: u64) -> Baseline {
        Baseline { version: 0, reason, at_s, latency_p50_us: 1, egress_p50_bps: 1, host_load_ppm: None }
    }

    /// R16, R18, R19, R20, R21: every reason appends a version; the newest is the baseline.
    #[test]
    fn benchmarks_are_appended_whatever_the_reason() {
        let mut all = Baselines::default();
        let reasons = [
            RawReason::Registration,
            RawReason::ChainRequest,
            RawReason::Hardware,
            RawReason::Location,
            RawReason::Other(7),
        ];
        for (at, reason) in (0..).zip(reasons) {
            assert_eq!(all.append(baseline(reason, at)), at as u32 + 1);
        }
        assert_eq!(all.newest().map(|newest| (newest.version, newest.reason)), Some((5, RawReason::Other(7))));
        assert_eq!(all.all().len(), 5);
        (0..300).for_each(|at| _ = all.append(baseline(RawReason::ChainRequest, at)));
        assert_eq!(
            (all.all().len(), all.all()[0].version, all.newest().map(|newest| newest.version)),
            (256, 1, Some(305))
        );
    }

    /// R17, R21: asked for when the median is outside +-30 % in three consecutive rounds, at most once a day.
    #[test]
    fn a_benchmark_is_asked_for_after_three_rounds_outside() {
        let policy = RawPolicy::default();
        let asks = |medians: &[Option<u64>], hours: u64| {
            let mut detector = Detector::default();
            let looked = (0..).zip(medians);
            let asked =
                looked.map(|(round, median)| detector.look(round, round * hours * 3_600, *median, 100, &policy));
            asked.collect::<Vec<bool>>()
        };
        let outside = [Some(131), Some(69), Some(131), Some(131), Some(131), Some(131)];
        assert_eq!(asks(&outside, 1), [false, false, true, false, false, false], "once a day");
        assert_eq!(asks(&outside, 24), [false, false, true, false, false, true]);
        assert_eq!(asks(&[Some(131), Some(131), Some(130), Some(131), Some(131)], 1), [false; 5]);
        assert_eq!(asks(&[Some(131), None, Some(131), None, Some(131)], 1), [false, false, false, false, true]);
        let mut detector = Detector { rounds: 2, last_round: Some(4), asked_s: None };
        assert!(!detector.look(4, 0, Some(1), 100, &policy), "a round counts once");
        assert!(!detector.look(5, 0, Some(1), 0, &policy), "nothing to compare with");
    }

    /// R6: classes of evidence are never mixed.
    #[test]
    fn classes_do_not_mix() {
        let all = [EvidenceClass::Raw, EvidenceClass::Working, EvidenceClass::OffChain, EvidenceClass::SelfReport];
        for a in all {
            for b in all {
                assert_eq!(same_class(a, b).is_ok(), a == b);
            }
        }
    }
}
