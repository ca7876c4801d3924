//! Measured lags, and what they say about better hosters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::policy::{CoordinatePolicy, PPM};

/// Most pairs that a map holds.
const MAX_PAIRS: usize = 1 << 20;

/// One measured direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The newest lag, microseconds.
    pub lag_us: u64,
    /// When it was measured, in seconds since the evidence's epoch.
    pub at_s: u64,
}

/// Lags between nodes, by direction: from the one who measures to the one who answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LagMap {
    cells: BTreeMap<(u64, u64), Cell>,
}

/// A hoster that would be nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// The hoster of now.
    pub replace: u64,
    /// The nearer one.
    pub by: u64,
    /// Median lag of the hoster of now to those who would use it, microseconds.
    pub now_us: u64,
    /// Median lag of the nearer one.
    pub then_us: u64,
    /// How much of the lag would go, parts per million.
    pub gain_ppm: u32,
}

impl LagMap {
    /// Takes one measurement, as every proof of performance brings them. An older one than is known, one about oneself, and one for which
    /// there is no room change nothing; says whether it was taken.
    pub fn measured(&mut self, from: u64, to: u64, cell: Cell) -> bool {
        let known = self.cells.get(&(from, to));
        let is_newer = known.is_none_or(|known| cell.at_s >= known.at_s);
        let has_room = known.is_some() || self.cells.len() < MAX_PAIRS;
        let taken = from != to && is_newer && has_room;
        if taken {
            self.cells.insert((from, to), cell);
        }
        taken
    }

    /// The lag in one direction.
    pub fn lag(&self, from: u64, to: u64) -> Option<u64> {
        self.cells.get(&(from, to)).map(|cell| cell.lag_us)
    }

    /// The lesser of both directions, or the one that is known.
    pub fn symmetric(&self, a: u64, b: u64) -> Option<u64> {
        match (self.lag(a, b), self.lag(b, a)) {
            (Some(there), Some(back)) => Some(there.min(back)),
            (one, other) => one.or(other),
        }
    }

    /// Every direction, by who measured and who answered.
    pub fn iter(&self) -> impl Iterator<Item = ((u64, u64), Cell)> {
        self.cells.iter().map(|(pair, cell)| (*pair, *cell))
    }

    /// Median of the symmetric lags of a node to those of `users` that it has one to, the lower of the two in the middle; `None` without any.
    pub fn median_to(&self, node: u64, users: &[u64]) -> Option<u64> {
        let mut lags: Vec<u64> =
            users.iter().filter(|user| **user != node).filter_map(|user| self.symmetric(node, *user)).collect();
        lags.sort_unstable();
        lags.get(lags.len().checked_sub(1)? / 2).copied()
    }
}

/// For which hosters of a job there is one that is nearer to its users by the policy's share: the farthest hoster is offered the nearest
/// candidate, and so on; nobody is offered twice. Who was never measured is neither offered nor replaced.
pub fn suggestions(
    map: &LagMap,
    users: &[u64],
    current: &[u64],
    candidates: &[u64],
    policy: &CoordinatePolicy,
) -> Vec<Suggestion> {
    let by_lag = |nodes: &[u64]| {
        let mut found: Vec<(u64, u64)> =
            nodes.iter().filter_map(|node| Some((map.median_to(*node, users)?, *node))).collect();
        found.sort_unstable();
        found.dedup();
        found
    };
    let fresh: Vec<u64> = candidates.iter().copied().filter(|candidate| !current.contains(candidate)).collect();
    let pairs = by_lag(current).into_iter().rev().zip(by_lag(&fresh));
    let suggested = pairs.filter_map(|((now_us, replace), (then_us, by))| {
        let gain_ppm = crate::share::ppm(now_us.checked_sub(then_us)?, now_us)?;
        (gain_ppm >= policy.min_gain_ppm.clamp(1, PPM)).then_some(Suggestion { replace, by, now_us, then_us, gain_ppm })
    });
    suggested.collect()
}
