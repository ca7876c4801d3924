//! Transactions about feeds and plans.

use serde::{Deserialize, Serialize};

use crate::item::component::{Dataset, Performance, Region, Resources, Timing};
use crate::item::plan::{ProgramItem, Until};
use crate::{Amount, Digest, Height, Id, Key, Signature};

/// How a transaction names a component: an id from 0 on, or one that comes in the same list of this transaction: -1 is its first.
pub type Reference = i64;

/// Components that come with a transaction. Each is stored unless the same content is there already (S46).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Components {
    /// New feeds; datasets refer to them as -1, -2, ...
    pub feeds: Vec<FeedDraft>,
    /// Datasets.
    pub datasets: Vec<Dataset<Reference>>,
    /// Performances.
    pub performances: Vec<Performance>,
    /// Timings.
    pub timings: Vec<Timing>,
    /// Regions.
    pub regions: Vec<Region>,
    /// Resources.
    pub resources: Vec<Resources>,
}

/// A feed with its newest version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedDraft {
    /// Its public key.
    pub key: Key,
    /// The version.
    pub version: VersionDraft,
}

/// A signed length of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionDraft {
    /// Chunks.
    pub length: u64,
    /// Bytes of all chunks.
    pub bytes: u64,
    /// Root over all chunks.
    pub root: Digest,
    /// The feed key's signature over all of it.
    pub signature: Signature,
}

/// Feeds to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feeds {
    /// The feeds. One that is there already gets the version.
    pub feeds: Vec<FeedDraft>,
}

/// A newer version of a feed, or a corrected root signature (S31).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedUpdate {
    /// The feed.
    pub feed: Id,
    /// The version.
    pub version: VersionDraft,
}

/// A new plan of the signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishPlan {
    /// Components that come with it.
    pub components: Components,
    /// First block.
    pub from: Height,
    /// When it ends.
    #[serde(default)]
    pub until: Until,
    /// What is wanted.
    pub program: Vec<ProgramDraft>,
    /// Weight in the queues.
    pub importance: u32,
    /// Pay per block and contract.
    pub price: Amount,
    /// Money that is put aside for it now.
    pub deposit: Amount,
}

/// An item of a program, or the programs of other plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramDraft {
    /// An item.
    Item(ProgramItem<Reference>),
    /// Copies of the programs of these plans.
    Plans(Vec<Id>),
}

/// Changes of a plan by its sponsor. Contracts whose item stays are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdatePlan {
    /// The plan.
    pub plan: Id,
    /// Components that come with it.
    pub components: Components,
    /// A new end.
    pub until: Option<Until>,
    /// Items to add at the end.
    pub add: Vec<ProgramItem<Reference>>,
    /// Items to remove, by their place.
    pub remove: Vec<u32>,
    /// More money that is put aside.
    pub deposit: Amount,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanAt {
    /// The plan.
    pub plan: Id,
}
