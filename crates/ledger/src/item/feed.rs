//! Feeds: append-only lists of chunks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Height, Id, Key, Signature};

/// A feed and what is known of its versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Its public key.
    pub key: Key,
    /// Who published it here.
    pub publisher: Id,
    /// Versions by their length in chunks.
    pub versions: BTreeMap<u64, Version>,
    /// Contracts over it.
    pub contracts: Vec<Id>,
}

impl Feed {
    /// Chunks of the newest version.
    pub fn length(&self) -> u64 {
        self.versions.keys().next_back().copied().unwrap_or(0)
    }
}

/// One signed length of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// Root over all chunks.
    pub root: Digest,
    /// Bytes of all chunks.
    pub bytes: u64,
    /// The feed key's signature.
    pub signature: Signature,
    /// When it was published.
    pub at: Height,
}
