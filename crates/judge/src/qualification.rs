//! Whether a hoster may be given work: a state machine with different thresholds to enter and to leave.
//!
//! Every epoch [`step`] takes a hoster's record and its evidence and gives the next record with what happened. Nobody falls more than one
//! step in an epoch, before every step down a notice names the epoch in which it is due and the criterion that asks for it, and who
//! recovers before then stays. Evidence is an interval: one enters when its lower end is high enough and leaves only when its upper
//! end is too low, so that too few probes move nobody. A disputed epoch moves nobody either.

mod criteria;
mod explain;
mod machine;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::policy::{PPM, QualificationPolicy};

pub use criteria::{Criterion, CriterionLine};
pub use explain::{Explanation, Need, Way, explain};
pub use machine::{Step, readmit, step};

/// What a hoster is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Not yet proven: one of three hosters of a contract may be.
    Probation,
    /// Full work.
    Qualified,
    /// Full work for what it has, nothing new.
    Grace,
    /// Loses what it has when it can be replaced.
    Suspended,
    /// Gone. May begin again on probation after a time.
    Out,
}

/// What is kept of one hoster between epochs. The ledger keeps and hashes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its standing.
    pub standing: Standing,
    /// The epoch in which it was registered (or readmitted).
    pub registered_epoch: u64,
    /// The epoch since which it has this standing.
    pub since_epoch: u64,
    /// The last epoch that was taken into account.
    pub last_epoch: u64,
    /// A step down that is announced.
    pub notice: Option<Notice>,
}

/// The announcement of a step down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Where the step leads.
    pub to: Standing,
    /// What asks for it.
    pub reason: Criterion,
    /// The epoch in which it was given.
    pub given_epoch: u64,
    /// The epoch in which the step is taken, unless the hoster has recovered.
    pub due_epoch: u64,
}

/// An interval in which a share lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// Lower end, parts per million.
    pub low_ppm: u32,
    /// Upper end, parts per million.
    pub high_ppm: u32,
}

/// How many of a hoster's promises are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TermCounts {
    /// Promises that are kept.
    pub meets: u32,
    /// Promises that are broken.
    pub fails: u32,
    /// Promises of which nothing can be said yet.
    pub unproven: u32,
}

/// The shares that are promised, parts per million: a criterion asks for no more than its promise does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Promised {
    /// Share of probes that are served.
    pub availability_ppm: Option<u32>,
    /// Share of probes within the promised latency.
    pub latency_ppm: Option<u32>,
    /// Share of transfers with the promised speed; of two directions the lower one.
    pub bandwidth_ppm: Option<u32>,
}

/// What is known of one hoster at the end of an epoch. What is not known is absent, never 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evidence {
    /// The epoch that ended.
    pub epoch: u64,
    /// Probes and storage proofs that count, since registration.
    pub audits: u64,
    /// Share of probes that were served.
    pub availability: Option<Range>,
    /// Share of storage proofs that were valid.
    pub integrity: Option<Range>,
    /// Share of probes within the promised latency.
    pub latency: Option<Range>,
    /// Share of transfers with the promised speed.
    pub bandwidth: Option<Range>,
    /// Verdicts on its promises.
    pub terms: TermCounts,
    /// What is promised.
    pub promised: Promised,
    /// The evaluation of this epoch is disputed: nothing may follow from it.
    pub disputed: bool,
}

/// What happened in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A step down was announced.
    Noticed {
        /// The announcement.
        notice: Notice,
    },
    /// An announced step is no longer due.
    Withdrawn {
        /// The announcement.
        notice: Notice,
    },
    /// The standing changed.
    Moved {
        /// From.
        from: Standing,
        /// To.
        to: Standing,
        /// What asked for it; absent for a step up.
        reason: Option<Criterion>,
    },
    /// The epoch is disputed: nothing changes, and notices are due as much later.
    Frozen,
}

impl Standing {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probation => "probation",
            Self::Qualified => "qualified",
            Self::Grace => "grace",
            Self::Suspended => "suspended",
            Self::Out => "out",
        }
    }

    /// Whether it may be given new work without a quota.
    pub fn is_full(self) -> bool {
        self == Self::Qualified
    }

    /// One step down; `None` from the last.
    pub fn down(self) -> Option<Self> {
        match self {
            Self::Qualified => Some(Self::Grace),
            Self::Probation | Self::Grace => Some(Self::Suspended),
            Self::Suspended => Some(Self::Out),
            Self::Out => None,
        }
    }

    /// One step up by merit; `None` from the best, and from [`Standing::Out`], which is left by [`readmit`] alone.
    pub fn up(self) -> Option<Self> {
        match self {
            Self::Probation | Self::Grace => Some(Self::Qualified),
            Self::Suspended => Some(Self::Grace),
            Self::Qualified | Self::Out => None,
        }
    }
}

impl Record {
    /// Somebody who registered in `epoch`.
    pub fn registered(epoch: u64) -> Self {
        Self {
            standing: Standing::Probation,
            registered_epoch: epoch,
            since_epoch: epoch,
            last_epoch: epoch,
            notice: None,
        }
    }
}

impl Range {
    /// An interval; ends in the wrong order are exchanged, and neither is above one.
    pub fn new(a_ppm: u32, b_ppm: u32) -> Self {
        let (a, b) = (a_ppm.min(PPM), b_ppm.min(PPM));
        Self { low_ppm: a.min(b), high_ppm: a.max(b) }
    }
}

/// Whether a contract with these hosters may have one more of this standing: anybody qualified, and of every `probation_one_of`
/// places one for somebody on probation. The rest get nothing new.
///
/// While fewer than `founding_hosters` are qualified in the whole network, the quota does not hold: nobody could ever prove anything.
pub fn may_join(
    candidate: Standing,
    members: &[Standing],
    places: u32,
    qualified_in_network: u32,
    policy: &QualificationPolicy,
) -> bool {
    match candidate {
        Standing::Qualified => true,
        Standing::Probation if qualified_in_network < policy.founding_hosters => true,
        Standing::Probation => {
            let on_probation = members.iter().filter(|member| **member == Standing::Probation).count();
            let quota = places / policy.probation_one_of.max(1);
            u32::try_from(on_probation).is_ok_and(|taken| taken < quota)
        }
        Standing::Grace | Standing::Suspended | Standing::Out => false,
    }
}
