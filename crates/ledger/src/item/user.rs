//! People: one identity with up to three roles.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::sealed::PublicKey;
use serde::{Deserialize, Serialize};

use crate::{Amount, Height, Id, Key, Ppm};

/// What a user does for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Makes an encoding of its own of each chunk for each hoster.
    Encoder,
    /// Stores and serves.
    Hoster,
    /// Measures and compares.
    Attester,
}

impl Role {
    /// The name under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Hoster => "hoster",
            Self::Attester => "attester",
        }
    }
}

/// One identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who signs its entries.
    pub address: PublicKey,
    /// Its key on the network.
    pub noise_key: Key,
    /// Its key for proofs of contact and encodings.
    pub signing_key: Key,
    /// The signing key before, as long as tasks may be under way that it signed for.
    pub old_key: Option<OldKey>,
    /// What it offers; `None` until it registers for work.
    pub form: Option<Form>,
    /// What it does.
    pub roles: BTreeSet<Role>,
    /// Until when it is left out; `None` where it is not paused.
    pub paused: Option<Pause>,
    /// Grades that it earned less those that it lost.
    pub reputation: i64,
    /// When it registered.
    pub since: Height,
}

/// A signing key that was replaced. It holds for a while, so that nobody can undo a signature that another already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldKey {
    /// The key.
    pub key: Key,
    /// First block in which it holds no longer.
    pub until: Height,
}

/// What a user offers, and when. `R` is how it refers to components: an id, or in a transaction a [`Reference`](crate::transaction::Reference).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form<R = Id> {
    /// First block of the offer.
    pub from: Height,
    /// First block after it; `None` for an open end.
    pub until: Option<Height>,
    /// When it works, relative to `from`; always where empty.
    pub timings: Vec<R>,
    /// Where it is: a region component with one geohash.
    pub region: R,
    /// Cells around its own, at its own precision, that count as its region too.
    pub radius: u8,
    /// What it promises; `None` for nothing.
    pub performance: Option<R>,
    /// What it has.
    pub resources: R,
    /// Plans of other regions that it takes (R84).
    pub foreign: Foreign<R>,
    /// Least pay per block and contract that it works for.
    pub min_price: Amount,
    /// Tasks that it takes at a time, by role.
    pub capacity: BTreeMap<Role, u32>,
    /// Who runs it, as it declares; a verdict never counts one operator twice.
    pub operator: String,
    /// First 24 bits of its IPv4 or 48 bits of its IPv6 address, as attesters found it: 3 or 6 bytes; empty where unknown.
    #[serde(default)]
    pub prefix: Vec<u8>,
    /// Share of its egress that measuring may use.
    #[serde(default)]
    pub measuring_share: Ppm,
}

/// Whether a hoster takes plans of other regions than its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreign<R = Id> {
    /// Only its own region.
    None,
    /// Its own and those of this region component, for at least this pay per block and contract.
    Regions {
        /// A region component.
        region: R,
        /// Least pay there.
        min_price: Amount,
    },
    /// Everywhere, for at least this pay.
    Any {
        /// Least pay abroad.
        min_price: Amount,
    },
}

/// Why a user holds a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the task of its name")]
pub enum Job {
    HostingSetup,
    HosterReplacement,
    Hosting,
    StorageChallenge,
    PerformanceChallenge,
    RawBenchmark,
    RootCheck,
}

/// A user that is left out for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// First block in which it is back; `None` where it stopped for good.
    pub until: Option<Height>,
    /// Who paused it.
    pub by: PausedBy,
}

/// Who paused a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedBy {
    /// Itself.
    User,
    /// The ledger, after a failure.
    Failure,
    /// An alert rule.
    Alert,
}
