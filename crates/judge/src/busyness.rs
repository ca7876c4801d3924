//! Swarm busyness: what customers ask for, harvested by an attester, so that its probes look like theirs.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::policy::HarvestPolicy;
use crate::share;

/// Most indices, and most coarse ranges, in one record.
pub const MAX_ENTRIES: usize = 4_096;

/// Most peers that one harvest remembers.
pub const MAX_PEERS: usize = 65_536;

/// What was asked for in one window. Peers are counted, never named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Busyness {
    /// Length of the window, seconds.
    pub window_s: u64,
    /// Requests for blocks within the contract's ranges.
    pub requests: u64,
    /// Different peers; of merged windows the sum, because who came twice cannot be known.
    pub unique_peers: u64,
    /// Requests by index, sorted, each index once.
    pub per_index: Vec<(u64, u64)>,
    /// Coarse announcements (first, length, how often), sorted. They cover huge ranges and prove little.
    pub want_ranges: Vec<(u64, u64, u64)>,
}

/// What a peer asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One block.
    Block {
        /// Its index.
        index: u64,
    },
    /// A range it would take.
    Want {
        /// The first index.
        first: u64,
        /// How many.
        length: u64,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts.
    Counted,
    /// The peer was counted before: one sample of each.
    Repeated,
    /// It is about something else than the contract.
    Outside,
    /// There is no room.
    Full,
}

/// A harvest in progress.
#[derive(Clone, Debug)]
pub struct Harvest {
    ranges: Vec<(u64, u64)>,
    peers: BTreeSet<u64>,
    per_index: BTreeMap<u64, u64>,
    wants: BTreeMap<(u64, u64), u64>,
    requests: u64,
}

/// Why a record was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BusynessError {
    /// Too long.
    #[error("more than {MAX_ENTRIES} entries")]
    TooLong,
    /// Out of order, twice, or counting nothing.
    #[error("entry {entry} is out of order, there twice or counts nothing")]
    Entry {
        /// Its number, from 0.
        entry: usize,
    },
    /// An index that the contract does not have.
    #[error("index {index} is not in the contract")]
    Outside {
        /// The index.
        index: u64,
    },
    /// The parts do not sum to the requests.
    #[error("the parts sum to {sum} requests, not {said}")]
    WrongTotal {
        /// What the record says.
        said: u64,
        /// What its parts sum to.
        sum: u64,
    },
}

impl Harvest {
    /// Begins a harvest of a contract's ranges (first and last index of each).
    pub fn new(ranges: &[(u64, u64)]) -> Self {
        let ranges = ranges.to_vec();
        Self { ranges, peers: BTreeSet::new(), per_index: BTreeMap::new(), wants: BTreeMap::new(), requests: 0 }
    }

    /// Takes one request. `peer` is a hash of the peer's id with the round's salt; it stays here.
    pub fn take(&mut self, peer: u64, asked: Asked) -> Taken {
        match asked {
            Asked::Block { index } if !contains(&self.ranges, index) => Taken::Outside,
            Asked::Block { index } => {
                if self.peers.contains(&peer) {
                    return Taken::Repeated;
                }
                if self.peers.len() >= MAX_PEERS
                    || (self.per_index.len() >= MAX_ENTRIES && !self.per_index.contains_key(&index))
                {
                    return Taken::Full;
                }
                self.peers.insert(peer);
                let count = self.per_index.entry(index).or_default();
                *count = count.saturating_add(1);
                self.requests = self.requests.saturating_add(1);
                Taken::Counted
            }
            Asked::Want { first, length } => {
                let last = first.saturating_add(length.saturating_sub(1));
                if length == 0 || !self.ranges.iter().any(|(from, to)| first <= *to && last >= *from) {
                    return Taken::Outside;
                }
                if self.wants.len() >= MAX_ENTRIES && !self.wants.contains_key(&(first, length)) {
                    return Taken::Full;
                }
                let count = self.wants.entry((first, length)).or_default();
                *count = count.saturating_add(1);
                Taken::Counted
            }
        }
    }

    /// Whether enough was harvested, or it has taken long enough.
    pub fn is_complete(&self, elapsed_s: u64, policy: &HarvestPolicy) -> bool {
        self.requests >= u64::from(policy.requests) || elapsed_s >= u64::from(policy.seconds)
    }

    /// What was asked for in `window_s` seconds.
    pub fn finish(self, window_s: u64) -> Busyness {
        Busyness {
            window_s,
            requests: self.requests,
            unique_peers: self.peers.len() as u64,
            per_index: self.per_index.into_iter().collect(),
            want_ranges: self.wants.into_iter().map(|((first, length), count)| (first, length, count)).collect(),
        }
    }
}

impl Busyness {
    /// Checks a record against itself and its contract's ranges.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self, ranges: &[(u64, u64)]) -> Result<(), BusynessError> {
        if self.per_index.len() > MAX_ENTRIES || self.want_ranges.len() > MAX_ENTRIES {
            return Err(BusynessError::TooLong);
        }
        let (mut sum, mut previous) = (0_u64, None);
        for (entry, (index, count)) in self.per_index.iter().copied().enumerate() {
            if count == 0 || previous.is_some_and(|previous| index <= previous) {
                return Err(BusynessError::Entry { entry });
            }
            if !contains(ranges, index) {
                return Err(BusynessError::Outside { index });
            }
            previous = Some(index);
            sum = sum.saturating_add(count);
        }
        let mut previous = None;
        for (entry, (first, length, count)) in self.want_ranges.iter().copied().enumerate() {
            if count == 0 || length == 0 || previous.is_some_and(|previous| (first, length) <= previous) {
                return Err(BusynessError::Entry { entry });
            }
            previous = Some((first, length));
        }
        if sum != self.requests || self.unique_peers > self.requests {
            return Err(BusynessError::WrongTotal { said: self.requests, sum });
        }
        Ok(())
    }

    /// Adds another window.
    pub fn merge(&mut self, other: &Self) {
        self.window_s = self.window_s.saturating_add(other.window_s);
        self.requests = self.requests.saturating_add(other.requests);
        self.unique_peers = self.unique_peers.saturating_add(other.unique_peers);
        let mut indices: BTreeMap<u64, u64> = self.per_index.iter().copied().collect();
        for (index, count) in &other.per_index {
            let sum = indices.entry(*index).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.per_index = indices.into_iter().collect();
        let wants = self.want_ranges.iter().chain(&other.want_ranges);
        let mut sums: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (first, length, count) in wants {
            let sum = sums.entry((*first, *length)).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.want_ranges = sums.into_iter().map(|((first, length), count)| (first, length, count)).collect();
    }

    /// Requests per 1000 minutes; absent for a window of no length.
    pub fn per_minute_milli(&self) -> Option<u64> {
        let rate = (u128::from(self.requests) * 60_000).checked_div(u128::from(self.window_s))?;
        u64::try_from(rate).ok()
    }

    /// Indices by how often they were asked for, the most popular first, with their shares of all requests in parts per million.
    pub fn popularity(&self) -> Vec<(u64, u32)> {
        let mut sorted = self.per_index.clone();
        sorted.sort_by_key(|(index, count)| (std::cmp::Reverse(*count), *index));
        let counts: Vec<u64> = sorted.iter().map(|(_, count)| *count).collect();
        let shares = share::apportion(crate::policy::PPM, &counts);
        sorted.into_iter().map(|(index, _)| index).zip(shares).collect()
    }

    /// Chooses `n` indices to probe as customers do: in proportion to what was harvested, or evenly over the contract's ranges where nothing was.
    /// `draw` gives a number below its argument.
    pub fn mimic(&self, ranges: &[(u64, u64)], n: usize, mut draw: impl FnMut(u64) -> u64) -> Vec<u64> {
        let weights: Vec<(u64, u64)> = match self.requests {
            0 => ranges.iter().map(|(first, last)| (*first, last.saturating_sub(*first).saturating_add(1))).collect(),
            _ => self.per_index.clone(),
        };
        let all = weights.iter().fold(0_u64, |sum, (_, weight)| sum.saturating_add(*weight));
        if all == 0 {
            return Vec::new();
        }
        let mut chosen = Vec::with_capacity(n);
        for _ in 0..n {
            let mut at = draw(all).min(all - 1);
            for (index, weight) in &weights {
                if at < *weight {
                    // A range begins at its first index; a harvested index has only itself.
                    chosen.push(if self.requests == 0 { index.saturating_add(at) } else { *index });
                    break;
                }
                at -= weight;
            }
        }
        chosen
    }
}

fn contains(ranges: &[(u64, u64)], index: u64) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&index))
}
