//! Who does the work: those that qualify first, then chance among them, recomputable by everybody (R79-R85, S57-S60).
//!
//! A search names roles and terms. Hosters of the best matching regions come first: their own cell is asked for, lies in one that is
//! asked for, is next to one; those that work abroad come last. Within such a class chance decides, with a weight of at most 4 : 1 by
//! measured tier. All providers of one task are different people of different operators and networks; where the first picks leave a
//! role without anybody, the search goes back and tries others.

mod candidates;
mod draws;
mod qualify;
mod region;
mod search;

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::region::Geohash;
use serde::{Deserialize, Serialize};

pub(crate) use candidates::{CellKey, CellKind};
pub use draws::Draws;
pub(crate) use region::{CLASSES, Wanted, reach};
pub use region::{MAX_RADIUS, Match, Matches, RegionIndex, region_match};

use crate::item::component::{Performance, Timing};
use crate::item::user::Role;
use crate::{Amount, Height, Id};

/// What a task asks of its providers. The default asks nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Where a hoster must be, or an attester should be; empty for anywhere.
    pub regions: Vec<Geohash>,
    /// What a hoster must have been measured to keep in these regions (R79-R82).
    pub performances: Vec<Performance>,
    /// First block of the work.
    pub from: Height,
    /// First block after it; `None` for an open end.
    pub until: Option<Height>,
    /// When the hosting is active, from `from` on; always where empty.
    pub timings: Vec<Timing>,
    /// Pay per block and contract; `None` where it does not matter: challenges.
    pub price: Option<Amount>,
    /// Bytes that a hoster must have free.
    pub bytes: u64,
    /// Sponsor of the plan and publisher of the feed: nobody hosts, encodes or judges for itself.
    pub parties: BTreeSet<Id>,
}

/// A search for providers.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// What the task is about: the contract, hoster or feed. Part of the draw.
    pub about: Id,
    /// How many of each role.
    pub wanted: Vec<(Role, u32)>,
    /// What they must be.
    pub terms: Terms,
    /// Providers that stay: new ones are other people of other operators, and they count for the quota of newcomers.
    pub kept: Vec<(Role, Id)>,
    /// Nobody of these: who failed before. Others of their operators may come.
    pub avoid: BTreeSet<Id>,
}

/// Who was found, by role, in the order of the places.
pub type Team = BTreeMap<Role, Vec<Id>>;

/// Why a task cannot be staffed now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The role that lacks most.
    pub role: Role,
    /// How many of it are wanted.
    pub wanted: u32,
    /// How many qualify, before they are told apart by operator.
    pub found: u32,
    /// How many were passed over, by reason.
    pub reasons: BTreeMap<String, u64>,
}

/// Why somebody does not qualify.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum Reason {
    /// It does not offer this role.
    Role {},
    /// It is paused, or its signer suspended.
    Paused {},
    /// Its offer does not cover the time of the work.
    Schedule {},
    /// It holds as many tasks as it takes.
    Capacity {},
    /// It has too few bytes free.
    Storage {
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// It is somewhere else, and does not work there.
    Region {},
    /// It works for more.
    Price {
        /// What it asks per block and contract.
        asked: Amount,
    },
    /// Too many failures.
    Reputation {
        /// Its own.
        reputation: i64,
        /// Least.
        floor: i64,
    },
    /// It is measured to break what is asked.
    Performance {
        /// In which region.
        region: Geohash,
    },
    /// It is not given new work.
    Standing {
        /// What it is.
        standing: peermark_judge::qualification::Standing,
    },
    /// It is the sponsor or the publisher.
    Party {},
}

#[cfg(test)]
mod tests;
