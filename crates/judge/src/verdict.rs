//! May it be said that a hoster keeps a promise? Three answers and a fourth: it does, it does not, the evidence allows neither, or the
//! witnesses contradict one another so much that nobody can tell.
//!
//! A promise is either a level ("at least 100 Mbit/s", judged by [`level`]) or a share ("below 200 ms in 99 % of requests", judged by
//! [`share`]). Both are judged at the worst end of what the evidence allows with up to a third of the voices lying.

mod levels;
mod needs;
mod shares;
mod wilson;

use serde::{Deserialize, Serialize};

use crate::fixed::Fixed;
use crate::robust::Estimate;
pub(crate) use levels::{Levels, hardened};
pub use needs::{Needs, Never, Probing, needed_probes, needs};
pub use shares::{Graded, ShareFinding, Tally, Terms, graded, share};
pub use wilson::{Share, wilson_high, wilson_low};

/// What may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "verdict")]
pub enum Verdict {
    /// The promise is kept.
    Meets,
    /// The promise is broken.
    Fails,
    /// The evidence allows neither.
    Unproven {
        /// What is missing.
        because: Doubt,
    },
    /// The circuit breaker is on: earlier verdicts stand.
    Disputed,
}

/// Why a promise is unproven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "doubt")]
pub enum Doubt {
    /// Nobody who counts measured it.
    NoEvidence,
    /// Too few independent groups.
    TooFewGroups {
        /// Groups there are.
        have: u32,
        /// Groups needed.
        needed: u32,
    },
    /// Too few probes for the guarantee.
    TooFewProbes {
        /// Independent probes there are.
        have: u64,
        /// Probes needed.
        needed: u64,
    },
    /// The interval holds values on both sides.
    TooClose,
    /// The hoster says itself that it can send less.
    OwnClaim {
        /// What counts of its claim, bits per second.
        bps: u64,
    },
}

/// Which side of a level is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Rates: at least the level.
    AtLeast,
    /// Latencies: at most the level.
    AtMost,
}

/// Whether a level is kept: whether both the interval of an estimate and what is certain while less than a third of its voices lie are
/// on the promised side. `threshold` is on the scale of the observations ([`Fixed::log2`]).
pub fn level(
    estimate: Option<&Estimate>,
    side: Side,
    threshold: Fixed,
    minimum_groups: u32,
    disputed: bool,
) -> Verdict {
    if disputed {
        return Verdict::Disputed;
    }
    let Some(estimate) = estimate else { return Verdict::Unproven { because: Doubt::NoEvidence } };
    let Some(interval) = estimate.interval else {
        return Verdict::Unproven { because: Doubt::TooFewGroups { have: estimate.groups, needed: minimum_groups } };
    };
    let bracket = estimate.bracket.unwrap_or(interval);
    let (low, high) = (interval.low.min(bracket.low), interval.high.max(bracket.high));
    let (sure, broken) = match side {
        Side::AtLeast => (low >= threshold, high < threshold),
        Side::AtMost => (high <= threshold, low > threshold),
    };
    match (sure, broken) {
        (true, _) => Verdict::Meets,
        (_, true) => Verdict::Fails,
        _ => Verdict::Unproven { because: Doubt::TooClose },
    }
}

#[cfg(test)]
mod tests;
