//! The robust estimate: what hosters really deliver, though some of those who measure them lie.
//!
//! Every report is a number on a logarithmic scale, and the model is `report = hoster + group + pair + noise`. A group is what counts
//! as one voice: attesters behind one address prefix or of one operator are collapsed to their median, so that a thousand identities
//! of one owner say as much as one. Medians fit hosters and groups together, because a group measures many hosters: its own slow or
//! fast link is found and removed. What remains is remembered over epochs, and a bloc that lies in the same direction shows as one
//! large singular value of the matrix of what remains.
//!
//! Everything is integers and comparisons, in an order that does not depend on the order of the reports, so that anybody can compute
//! the same bytes from the same evidence. Nothing here is a sanction: a flag removes a voice from the estimate and names its evidence.

mod estimate;
mod history;
mod interval;
mod polish;
mod select;
mod settings;
mod spectral;
mod table;
mod trust;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fixed::Fixed;
pub use history::{History, Voice};
pub(crate) use interval::{faults, next_binomial};
pub use settings::Settings;

/// What one attester says about one hoster: the logarithm to base 2 of a latency, a rate or another positive number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Observation {
    /// The hoster, or the hoster in one region: any dense number that keeps its meaning from epoch to epoch.
    pub hoster: u32,
    /// The attester.
    pub attester: u32,
    /// What it measured, [`Fixed::log2`] of a count in the unit of the metric.
    pub value: Fixed,
}

/// The evidence of one epoch about one metric, in any order, duplicates included.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// Number of the epoch, higher than that of any epoch before; what is remembered decays by the difference.
    pub number: u64,
    /// Number of hosters there are; every observation's is below.
    pub hosters: u32,
    /// The group of every attester. Groups are dense numbers that keep their meaning from epoch to epoch.
    pub groups: &'a [u32],
    /// Groups that evidence from elsewhere excludes, in any order.
    pub barred: &'a [u32],
    /// Whether values are as they were measured. Values that were counted in buckets are equal by themselves, which tells nothing of copies.
    pub exact: bool,
    /// What was admitted: signed, assigned, inside its window, physically possible.
    pub observations: &'a [Observation],
}

/// Lower and upper end, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Lower end.
    pub low: Fixed,
    /// Upper end.
    pub high: Fixed,
}

/// An estimate of one hoster, on the scale of the observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Weighted median of the voices, their own effect removed; ties go to the lower value.
    pub value: Fixed,
    /// 95 % interval by order statistics, widened by what is unknown about the common level of all groups; `None` below the minimum
    /// number of groups.
    pub interval: Option<Bounds>,
    /// Without any assumption on the liars' values: while at most a third of the voices lie, this holds at least one honest value on
    /// either side. `None` below four groups.
    pub bracket: Option<Bounds>,
    /// Robust standard deviation of the voices: 1.4826 times their median distance from the value.
    pub spread: Fixed,
    /// Voices with any weight.
    pub groups: u32,
}

/// What is known about one hoster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HosterFit {
    /// From this epoch's reports alone; `None` without any that counts.
    pub now: Option<Estimate>,
    /// From all epochs, the older the less; `None` without any that counts.
    pub pooled: Option<Estimate>,
}

/// What is known about one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupFit {
    /// How much higher it measures than the median group does.
    pub effect: Fixed,
    /// Share of its reports that agreed with the estimate, the older the less, in millionths.
    pub trust_ppm: u32,
    /// Its weight in a median, in millionths of a fully trusted voice; 0 where it is flagged.
    pub weight_ppm: u32,
}

/// Why a group was given no weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum FlagReason {
    /// Too many of its reports disagreed with the estimate.
    Trust {
        /// Share that agreed, in millionths.
        trust_ppm: u32,
    },
    /// It deviates together with others.
    Collusion {
        /// Number of the pattern, from 0 for the strongest.
        pattern: u32,
        /// Distance from those who do not, in robust standard deviations.
        distance: Fixed,
    },
    /// Most of its reports equal another group's to the last digit, which is rare in the pool: it repeats instead of measuring.
    Copied {
        /// Share of such reports, in millionths.
        share_ppm: u32,
    },
    /// Evidence from elsewhere excludes it.
    Barred,
}

/// What a group said about one hoster beyond what its own effect explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deviation {
    /// The hoster.
    pub hoster: u32,
    /// Mean deviation over the remembered epochs in standard deviations of honest ones, clipped.
    pub residual: Fixed,
}

/// A voice that does not count, with the evidence for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// The group.
    pub group: u32,
    /// Why.
    pub reason: FlagReason,
    /// Its largest deviations, at most [`Settings::evidence_rows`], the largest first.
    pub evidence: Vec<Deviation>,
}

/// Why nobody can tell who is right. While it stands, earlier verdicts stand and sanctions rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum Dispute {
    /// More weight was flagged than the estimate is designed to bear.
    FlaggedWeight {
        /// Share of the weight, in millionths.
        share_ppm: u32,
    },
    /// The groups fall into two camps of about the same size.
    EvenSplit {
        /// Share of the smaller camp, in millionths.
        share_ppm: u32,
    },
}

/// Everything that one epoch says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of the epoch.
    pub epoch: u64,
    /// By number of the hoster.
    pub hosters: Vec<HosterFit>,
    /// By number of the group.
    pub groups: Vec<GroupFit>,
    /// Groups without weight, ascending.
    pub flags: Vec<Flag>,
    /// Whether and why the circuit breaker is on.
    pub dispute: Option<Dispute>,
}

/// What cannot be evaluated at all; the history is unchanged then. Displays as a sentence fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RobustError {
    /// An observation names an attester that has no group.
    #[error("attester {attester} has no group: there are {attesters} attesters")]
    UnknownAttester {
        /// The attester.
        attester: u32,
        /// Attesters there are.
        attesters: usize,
    },
    /// An observation names a hoster beyond the number of hosters.
    #[error("hoster {hoster} is unknown: there are {hosters} hosters")]
    UnknownHoster {
        /// The hoster.
        hoster: u32,
        /// Hosters there are.
        hosters: u32,
    },
    /// More hosters than arrays are made for.
    #[error("{hosters} hosters are too many: at most {limit}")]
    TooManyHosters {
        /// Hosters there are said to be.
        hosters: u32,
        /// The most there may be.
        limit: u32,
    },
    /// Group numbers are not dense.
    #[error("group {group} is out of range: numbers of groups are below {limit}")]
    GroupOutOfRange {
        /// The group.
        group: u32,
        /// First number that is too high.
        limit: u32,
    },
    /// The epoch is not after the last one that was evaluated.
    #[error("epoch {epoch} is not after epoch {last}, which was evaluated already")]
    StaleEpoch {
        /// The epoch.
        epoch: u64,
        /// The last one.
        last: u64,
    },
}

/// Estimates every hoster from one epoch's reports and from what `history` remembers, and adds the epoch to `history`.
///
/// # Errors
/// [`RobustError`] where the evidence names what there is not; `history` is unchanged then.
pub fn evaluate(history: &mut History, epoch: &Epoch<'_>, settings: &Settings) -> Result<Evaluation, RobustError> {
    estimate::evaluate(history, epoch, settings)
}

#[cfg(test)]
mod tests;
