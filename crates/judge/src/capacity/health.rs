//! How well a feed's sets are hosted, computed by anybody for themselves, without the ledger.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::policy::PPM;
use crate::share;

/// Replicas of a healthy chunk.
const REPLICAS: u64 = 3;

/// One hoster of a set, as somebody sees it now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosted {
    /// Whether it can be reached.
    pub reachable: bool,
    /// Chunks (by index) that it delivered when asked.
    pub chunks: BTreeSet<u64>,
}

/// How well one set is hosted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetHealth {
    /// Hosters that can be reached.
    pub reachable: u64,
    /// Chunks that somebody delivers.
    pub retrievable: u64,
    /// Chunks of the set.
    pub chunks: u64,
    /// Deliverers of the chunk that has the fewest.
    pub min_replicas: u64,
    /// Mean over chunks of `min(1, replicas / 3)`, parts per million, rounded down.
    pub health_ppm: u32,
}

/// How well a feed's sets are hosted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmHealth {
    /// Every set, in the order given.
    pub sets: Vec<SetHealth>,
    /// The set (by position) with the least health, the first of several; absent without sets.
    pub worst: Option<usize>,
}

/// The health of sets: for each its chunks and its hosters.
pub fn swarm_health(sets: &[(BTreeSet<u64>, Vec<Hosted>)]) -> SwarmHealth {
    let sets: Vec<SetHealth> = sets.iter().map(|(chunks, hosters)| set_health(chunks, hosters)).collect();
    let worst = sets.iter().enumerate().min_by_key(|(at, set)| (set.health_ppm, *at)).map(|(at, _)| at);
    SwarmHealth { sets, worst }
}

fn set_health(chunks: &BTreeSet<u64>, hosters: &[Hosted]) -> SetHealth {
    let live = || hosters.iter().filter(|hoster| hoster.reachable);
    let replicas: Vec<u64> =
        chunks.iter().map(|chunk| live().filter(|hoster| hoster.chunks.contains(chunk)).count() as u64).collect();
    let whole = REPLICAS.saturating_mul(replicas.len() as u64);
    let held: u64 = replicas.iter().map(|replicas| (*replicas).min(REPLICAS)).sum();
    SetHealth {
        reachable: live().count() as u64,
        retrievable: replicas.iter().filter(|replicas| **replicas > 0).count() as u64,
        chunks: replicas.len() as u64,
        min_replicas: replicas.iter().min().copied().unwrap_or(0),
        // A set without chunks lacks nothing.
        health_ppm: share::ppm(held, whole).unwrap_or(PPM),
    }
}
