//! Places: who was first, second and third how often, where ties share places and everything sums to one.
//!
//! One round of a contract gives every hoster a share of every place, in whole units of [`WHOLE`]. A hoster's shares sum to the whole, and
//! so do the shares of a place. Rounds count half after the policy's half-life; histories of several contracts add up to the
//! history across sets. A price appears nowhere here.

mod history;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use history::{PlaceHistory, PlaceShares, Round, RoundError, across};

use crate::ranking::paired::RankInterval;
use crate::share;

/// Units of one place in one round: divisible by every number up to 16, so that ties divide it without rest.
pub const WHOLE: u32 = 720_720;

/// Most places. Of more hosters a place is one of so many equal parts of the order: the first sixteenth, the second and so on.
pub const MOST: usize = 16;

/// What one round says about one hoster, for the strict order of the seed: more components passed, then more available, then faster
/// (95th percentile), then more egress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundKey {
    /// Components of the plan that it passed.
    pub passed: u32,
    /// Share of probes that were served.
    pub availability_ppm: u32,
    /// 95th percentile of latency, microseconds; absent where nothing was served.
    pub latency_p95_us: Option<u64>,
    /// Bits per second that it sent.
    pub egress_bps: u64,
    /// SHA-256 of the challenge's id and the hoster's, which decides what is equal otherwise.
    pub tie: [u8; 32],
}

impl RoundKey {
    /// Better first. Equal only where two hosters are one.
    pub fn order(&self, other: &Self) -> Ordering {
        let latency = |key: &Self| key.latency_p95_us.unwrap_or(u64::MAX);
        other
            .passed
            .cmp(&self.passed)
            .then(other.availability_ppm.cmp(&self.availability_ppm))
            .then(latency(self).cmp(&latency(other)))
            .then(other.egress_bps.cmp(&self.egress_bps))
            .then(self.tie.cmp(&other.tie))
    }
}

/// The indices of hosters from the best to the worst: a strict order of one round.
pub fn strict_order(keys: &[RoundKey]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|a, b| keys[*a].order(&keys[*b]).then(a.cmp(b)));
    order
}

/// Shares of places of one round, by hoster and place, from what intervals of ranks allow: one hoster is better than another where its worst
/// rank is better than the other's best, and every order that agrees with that is as likely as any other.
///
/// Up to four hosters all orders are counted. Of more, hosters that cannot be told apart, directly or through others, share their
/// places evenly. Of more than [`MOST`] hosters the shares of a place sum to the hosters that it has room for, but for rounding.
pub fn shares(ranks: &[RankInterval]) -> Vec<Vec<u32>> {
    let better = |a: usize, b: usize| ranks[a].worst < ranks[b].best;
    match ranks.len() {
        0..=4 => by_orders(ranks.len(), better),
        5..=MOST => by_ties(ranks),
        _ => by_parts(ranks),
    }
}

/// Shares of places of a strict order: the whole of one place each.
pub fn strict_shares(order: &[usize]) -> Vec<Vec<u32>> {
    let mut shares = vec![vec![0; order.len()]; order.len()];
    for (place, hoster) in order.iter().enumerate() {
        if let Some(share) = shares.get_mut(*hoster).and_then(|row| row.get_mut(place)) {
            *share = WHOLE;
        }
    }
    shares
}

/// Counts every order of `n` (at most four) hosters in which nobody stands before one who is better.
fn by_orders(n: usize, better: impl Fn(usize, usize) -> bool) -> Vec<Vec<u32>> {
    let mut counts = vec![vec![0_u32; n]; n];
    let mut orders = 0_u32;
    let mut order: Vec<usize> = Vec::with_capacity(n);
    visit(n, &better, &mut order, &mut |order| {
        orders += 1;
        for (place, hoster) in order.iter().enumerate() {
            counts[*hoster][place] += 1;
        }
    });
    // Four hosters have 1, 2, 3, 4, 5, 6, 8, 12 or 24 orders, and the whole divides by each.
    let unit = WHOLE.checked_div(orders).unwrap_or(0);
    counts.into_iter().map(|row| row.into_iter().map(|count| count * unit).collect()).collect()
}

fn visit(n: usize, better: &impl Fn(usize, usize) -> bool, order: &mut Vec<usize>, found: &mut impl FnMut(&[usize])) {
    if order.len() == n {
        found(order);
        return;
    }
    for next in 0..n {
        let waits = |other: usize| !order.contains(&other) && other != next && better(other, next);
        if order.contains(&next) || (0..n).any(waits) {
            continue;
        }
        order.push(next);
        visit(n, better, order, found);
        order.pop();
    }
}

/// Overlapping intervals become ties.
fn by_ties(ranks: &[RankInterval]) -> Vec<Vec<u32>> {
    let n = ranks.len();
    let mut shares = vec![vec![0; n]; n];
    for (members, positions) in ties(ranks) {
        // At most sixteen: the cast is exact, and the whole divides by it.
        let unit = WHOLE / members.len() as u32;
        for hoster in members {
            shares[hoster][positions.clone()].fill(unit);
        }
    }
    shares
}

/// The same for more hosters than places: position `p` of `n` belongs to place `p * MOST / n`.
fn by_parts(ranks: &[RankInterval]) -> Vec<Vec<u32>> {
    let n = ranks.len();
    let mut shares = vec![vec![0; MOST]; n];
    for (members, positions) in ties(ranks) {
        let mut held = vec![0_u64; MOST];
        positions.for_each(|position| held[position * MOST / n] += 1);
        let row = share::apportion(WHOLE, &held);
        members.into_iter().for_each(|hoster| shares[hoster].clone_from(&row));
    }
    shares
}

/// Hosters that cannot be told apart, directly or through others, and the positions that they share.
fn ties(ranks: &[RankInterval]) -> Vec<(Vec<usize>, Range<usize>)> {
    let n = ranks.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|index| (ranks[*index].best, ranks[*index].worst, *index));
    let mut ties = Vec::new();
    let mut begin = 0;
    while begin < n {
        let mut worst = ranks[order[begin]].worst;
        let mut end = begin + 1;
        while end < n && ranks[order[end]].best <= worst {
            worst = worst.max(ranks[order[end]].worst);
            end += 1;
        }
        ties.push((order[begin..end].to_vec(), begin..end));
        begin = end;
    }
    ties
}
