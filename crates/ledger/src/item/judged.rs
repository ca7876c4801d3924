//! What the judge found at the end of an epoch. Every epoch adds a version to the record of a topic, so a record's history is the
//! history of the finding.

use peermark_core::region::Geohash;
use peermark_judge::alert::AlertEvent;
use peermark_judge::case::{
    ClaimLine, DisputeLine, FlagLine, InversionLine, MetricEstimate, RankLine, Term, TermFinding,
};
use peermark_judge::places::PlaceShares;
use peermark_judge::qualification::{Event, Explanation, Record};
use peermark_judge::verdict::Verdict;
use peermark_judge::windows::WindowStatement;
use serde::{Deserialize, Serialize};

use crate::Id;

/// What is judged together: all contracts of plans that ask for the same performance in the same area.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobKey {
    /// Where: `None` where plans ask for no area.
    pub area: Option<Geohash>,
    /// The performance component; `None` where plans ask for none, which is judged by the policy's own minimum.
    pub performance: Option<Id>,
}

/// A finding, and by what it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding<T> {
    /// Name and version of the judge's policy.
    pub policy: String,
    /// Version of the rules of which this is only what they would have said; `None` where they hold. Nothing follows from what is
    /// observed.
    pub observed: Option<u32>,
    /// What was judged.
    pub job: JobKey,
    /// The epoch.
    pub epoch: u64,
    /// What was found.
    pub found: T,
}

/// Estimates of one hoster in one feed, seen from one region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimates {
    /// The region.
    pub region: String,
    /// Every metric that was measured.
    pub metrics: Vec<MetricEstimate>,
    /// Hour, day and month with causes and budget.
    pub windows: Vec<WindowStatement>,
}

/// Whether a hoster keeps what its contract promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractVerdict {
    /// The contract.
    pub contract: Id,
    /// The region.
    pub region: String,
    /// Every promise.
    pub terms: Vec<TermFinding>,
}

/// The hosters of a contract beside each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks {
    /// The region.
    pub region: String,
    /// From the best to the worst; equal intervals are ties.
    pub ranks: Vec<RankLine>,
    /// Who asks for more than somebody who ranks above.
    pub inversions: Vec<InversionLine>,
    /// Findings about self-reports that do not agree.
    pub mismatches: u32,
}

/// A hoster's standing after an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualified {
    /// The record, with a step down that is announced.
    pub record: Record,
    /// What happened.
    pub events: Vec<Event>,
    /// The worst verdict on every promise.
    pub verdicts: Vec<(Term, Verdict)>,
    /// Why, and how far each threshold is.
    pub explanation: Explanation,
    /// Places over all its contracts.
    pub places: Option<PlaceShares>,
    /// What it says about itself.
    pub claims: Vec<ClaimLine>,
}

/// Flags of one group in one epoch.
pub type Flag = FlagLine;

/// A dispute.
pub type Dispute = DisputeLine;

/// An alert.
pub type Alert = AlertEvent;
