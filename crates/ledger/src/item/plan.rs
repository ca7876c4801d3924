//! Plans: what a sponsor wants hosted, where, how well, when.

use serde::{Deserialize, Serialize};

use crate::{Amount, Height, Id};

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Who pays.
    pub sponsor: Id,
    /// First block.
    pub from: Height,
    /// When it ends: whatever comes first (S43).
    pub until: Until,
    /// What is wanted: within an item all must hold, the items are added up (S44).
    pub program: Vec<ProgramItem>,
    /// Weight in the queues: more is staffed first.
    pub importance: u32,
    /// Pay per block and contract.
    pub price: Amount,
    /// Its contracts, in order.
    pub contracts: Vec<Id>,
    /// Where it is.
    pub status: PlanStatus,
    /// Paid so far.
    pub spent: Amount,
    /// Bytes that hosters served for it, as far as attesters confirm.
    pub traffic_bytes: u64,
}

/// When a plan ends. All absent: until it is cancelled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Until {
    /// First block after it.
    pub time: Option<Height>,
    /// Money that it may spend.
    pub budget: Option<Amount>,
    /// Bytes that it may serve.
    pub traffic_bytes: Option<u64>,
    /// Price of a block and contract above which it is paused, not ended.
    pub max_price: Option<Amount>,
}

/// Data, where, how well, when. `R` is how it refers to components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramItem<R = Id> {
    /// Datasets.
    pub datasets: Vec<R>,
    /// Region components; a hoster must be in one.
    pub regions: Vec<R>,
    /// What is asked of the hosting; `None` for nothing beyond hosting.
    pub performance: Option<R>,
    /// When it is active; always where empty.
    pub timings: Vec<R>,
}

/// Where a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Before its first block, or running.
    Active,
    /// Its sponsor holds it.
    Paused,
    /// The market's price is above the most that its sponsor pays.
    TooDear,
    /// It came to its end.
    Ended,
    /// Its sponsor ended it.
    Cancelled,
}
