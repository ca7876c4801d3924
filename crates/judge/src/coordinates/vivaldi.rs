//! Vivaldi coordinates in fixed point.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::fixed::Fixed;
use crate::policy::CoordinatePolicy;

/// Dimensions of a coordinate, without its height.
pub const DIMENSIONS: usize = 8;

/// Constants of Serf (`coordinate/config.go`), times in milliseconds here.
const CORRECTION: Fixed = Fixed::from_ratio(1, 4);
const ERROR_MAX: Fixed = Fixed::from_ratio(3, 2);
const HEIGHT_MIN: Fixed = Fixed::from_ratio(1, 100);
const NEAR_ZERO: Fixed = Fixed::from_ratio(1, 1_000);
const GRAVITY_RHO: Fixed = Fixed::from_int(150_000);
const ADJUSTMENT_SAMPLES: usize = 20;
const FILTER_SAMPLES: usize = 3;
/// Peers whose last lags are remembered.
const MAX_PEERS: usize = 1_024;
/// A lag beyond this says nothing about distance: Serf refuses more than ten seconds.
const MAX_LAG_US: u64 = 10_000_000;

/// Where a node is, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coordinate {
    /// The place.
    pub position: [Fixed; DIMENSIONS],
    /// What every way from here has in common: the access line.
    pub height: Fixed,
    /// Correction from recent samples.
    pub adjustment: Fixed,
    /// How sure it is: 0 is sure, 1.5 is the beginning.
    pub error: Fixed,
}

/// The estimate of where a node is, with what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimator {
    at: Coordinate,
    adjustments: VecDeque<Fixed>,
    filters: BTreeMap<u64, VecDeque<u64>>,
}

/// Why a snapshot was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// It moved too far since the last one.
    #[error("moved {moved_us} us in one epoch, more than {most_us}")]
    Moved {
        /// How far.
        moved_us: u64,
        /// How far it may.
        most_us: u32,
    },
    /// A number that no node has.
    #[error("out of range: heights and errors are not negative, and nothing is ten seconds away")]
    Range,
}

impl Default for Coordinate {
    fn default() -> Self {
        Self { position: [Fixed::ZERO; DIMENSIONS], height: HEIGHT_MIN, adjustment: Fixed::ZERO, error: ERROR_MAX }
    }
}

impl Coordinate {
    /// The predicted round trip to another node, microseconds.
    pub fn distance_us(&self, other: &Self) -> u64 {
        let raw = self.raw_distance(other);
        let adjusted = raw + self.adjustment + other.adjustment;
        let distance = if adjusted > Fixed::ZERO { adjusted } else { raw };
        u64::try_from(distance.times(1_000).floor()).unwrap_or(0)
    }

    /// How far the place and the height are from another, microseconds.
    pub fn moved_us(&self, other: &Self) -> u64 {
        let moved = self.magnitude(other) + (self.height - other.height).abs();
        u64::try_from(moved.times(1_000).floor()).unwrap_or(0)
    }

    fn raw_distance(&self, other: &Self) -> Fixed {
        self.magnitude(other) + self.height + other.height
    }

    /// Distance of the places. Sums of squares are taken in wide integers: a square of ten seconds leaves the range.
    fn magnitude(&self, other: &Self) -> Fixed {
        let squares = self.position.iter().zip(&other.position).map(|(a, b)| {
            let difference = u128::from((*a - *b).raw().unsigned_abs() >> 8);
            difference * difference
        });
        let root = squares.fold(0_u128, u128::saturating_add).isqrt();
        Fixed::from_raw(i64::try_from(root << 8).unwrap_or(i64::MAX))
    }

    /// Moves away from `other` by `force` milliseconds (towards it where negative). Where both are at one place the axis of `tie` decides.
    fn push(&mut self, other: &Self, force: Fixed, tie: u64) {
        let magnitude = self.magnitude(other);
        if magnitude > NEAR_ZERO {
            for (mine, theirs) in self.position.iter_mut().zip(other.position) {
                *mine = *mine + (*mine - theirs).over(magnitude) * force;
            }
            self.height = (self.height + (self.height + other.height) * force.over(magnitude)).max(HEIGHT_MIN);
        } else {
            let axis = &mut self.position[(tie % DIMENSIONS as u64) as usize];
            *axis = if (tie / DIMENSIONS as u64).is_multiple_of(2) { *axis + force } else { *axis - force };
        }
    }

    fn is_possible(&self) -> bool {
        let most = Fixed::from_int(10_000);
        let near = self.position.iter().chain([&self.height, &self.adjustment]).all(|number| number.abs() <= most);
        near && self.height >= Fixed::ZERO && self.error >= Fixed::ZERO && self.error <= ERROR_MAX
    }
}

impl Estimator {
    /// A node that knows nothing yet. It begins within half a millisecond of the origin, at a place of its own that follows from `node`: nodes
    /// that all begin at one point would spread along one line only.
    pub fn new(node: u64) -> Self {
        let mut at = Coordinate::default();
        let mut state = node;
        for axis in &mut at.position {
            state = scattered(state);
            // 31 bits of 2^-32 milliseconds, half of them below zero.
            *axis = Fixed::from_raw((state >> 32) as i64 - (1 << 31));
        }
        Self { at, adjustments: VecDeque::new(), filters: BTreeMap::new() }
    }

    /// Where the node is, as far as it knows.
    pub fn coordinate(&self) -> &Coordinate {
        &self.at
    }

    /// Takes one round trip to a peer that says where it is. The median of the last three to that peer counts. Lags beyond ten seconds, and
    /// places where nobody can be, change nothing; says whether it was taken.
    pub fn observe(&mut self, peer: u64, place: &Coordinate, lag_us: u64) -> bool {
        if lag_us > MAX_LAG_US || !place.is_possible() {
            return false;
        }
        let Some(lag_us) = self.filtered(peer, lag_us) else { return false };
        // Below 2^24: the cast to milliseconds is exact to the microsecond.
        let lag = Fixed::from_ratio(i64::try_from(lag_us).unwrap_or(i64::MAX), 1_000).max(NEAR_ZERO);
        let before = self.at;
        self.pull(peer, place, lag);
        self.adjust(place, lag);
        self.gravitate(peer);
        if !self.at.is_possible() {
            self.at = before;
        }
        true
    }

    fn filtered(&mut self, peer: u64, lag_us: u64) -> Option<u64> {
        if self.filters.len() >= MAX_PEERS && !self.filters.contains_key(&peer) {
            return None;
        }
        let last = self.filters.entry(peer).or_default();
        last.push_back(lag_us);
        if last.len() > FILTER_SAMPLES {
            last.pop_front();
        }
        let mut sorted: Vec<u64> = last.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    fn pull(&mut self, peer: u64, place: &Coordinate, lag: Fixed) {
        let distance = Fixed::from_ratio(i64::try_from(self.at.distance_us(place)).unwrap_or(i64::MAX), 1_000);
        let wrongness = (distance - lag).abs().over(lag);
        let both = (self.at.error + place.error).max(NEAR_ZERO);
        let weight = self.at.error.over(both);
        let step = CORRECTION * weight;
        self.at.error = (step * wrongness + self.at.error * (Fixed::ONE - step)).min(ERROR_MAX);
        let force = step * (lag - distance);
        self.at.push(place, force, peer);
    }

    fn adjust(&mut self, place: &Coordinate, lag: Fixed) {
        self.adjustments.push_back(lag - self.at.raw_distance(place));
        if self.adjustments.len() > ADJUSTMENT_SAMPLES {
            self.adjustments.pop_front();
        }
        let sum = self.adjustments.iter().fold(Fixed::ZERO, |sum, sample| sum + *sample);
        self.at.adjustment = sum.over_int(2 * ADJUSTMENT_SAMPLES as i64);
    }

    /// Drifts back to the origin, so that all maps have one middle.
    fn gravitate(&mut self, tie: u64) {
        let origin = Coordinate::default();
        let ratio = self.at.raw_distance(&origin).over(GRAVITY_RHO);
        // Serf counts in seconds: the square of a ratio is seconds there, a thousand of ours.
        let force = -(ratio * ratio).times(1_000);
        if force < Fixed::ZERO {
            self.at.push(&origin, force, tie);
        }
    }
}

/// One step of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
fn scattered(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Checks the snapshot that a node puts on the ledger in an epoch: it may not have moved farther than the policy allows since the last one. A first
/// snapshot has nothing to have moved from.
///
/// # Errors
/// [`SnapshotError`].
pub fn accept_snapshot(
    last: Option<&Coordinate>,
    next: &Coordinate,
    policy: &CoordinatePolicy,
) -> Result<(), SnapshotError> {
    if !next.is_possible() {
        return Err(SnapshotError::Range);
    }
    let moved_us = last.map_or(0, |last| next.moved_us(last));
    if moved_us > u64::from(policy.max_move_us) {
        return Err(SnapshotError::Moved { moved_us, most_us: policy.max_move_us });
    }
    Ok(())
}
