//! Places over time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{MOST, WHOLE};
use crate::fixed::Fixed;
use crate::policy::{PPM, RankingPolicy};
use crate::share;

/// One round of one hoster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// When it was, in seconds since the evidence's epoch.
    pub at_s: u64,
    /// Share of the first place, the second, ... in units of [`WHOLE`], which they sum to.
    pub units: Vec<u32>,
}

/// The last rounds of one hoster in one contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlaceHistory {
    rounds: VecDeque<Round>,
}

/// How often which place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceShares {
    /// Share of the first place, the second, ... in parts per million, which sum to one million.
    pub places_ppm: Vec<u32>,
    /// Rounds behind them.
    pub rounds: u64,
    /// Those rounds as if all were new, in thousandths: old ones count less.
    pub effective_milli: u64,
    /// Mean position: one million for always first, 0 for always last, by the number of hosters in each round.
    pub score_ppm: u32,
}

/// Why a round was refused: its shares do not sum to [`WHOLE`], or it has more than [`MOST`] places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shares of {places} places sum to {sum}, not to {WHOLE}")]
pub struct RoundError {
    /// Places.
    pub places: usize,
    /// What they sum to.
    pub sum: u64,
}

/// Sums of weighted rounds.
#[derive(Default)]
struct Sums {
    places: Vec<u128>,
    score: u128,
    weight: u128,
    rounds: u64,
}

impl PlaceHistory {
    /// Adds a round and forgets the oldest beyond the policy's number.
    ///
    /// # Errors
    /// Shares that do not sum to the whole; nothing is added then.
    pub fn add(&mut self, round: Round, policy: &RankingPolicy) -> Result<(), RoundError> {
        let sum: u64 = round.units.iter().map(|unit| u64::from(*unit)).sum();
        if sum != u64::from(WHOLE) || round.units.len() > MOST {
            return Err(RoundError { places: round.units.len(), sum });
        }
        let at = self.rounds.partition_point(|other| other.at_s <= round.at_s);
        self.rounds.insert(at, round);
        while self.rounds.len() > usize::try_from(policy.rounds_kept).unwrap_or(usize::MAX) {
            self.rounds.pop_front();
        }
        Ok(())
    }

    /// The rounds that are kept, the oldest first.
    pub fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.rounds.iter()
    }

    /// Shares of places at second `now_s`; `None` without any round.
    pub fn shares(&self, now_s: u64, policy: &RankingPolicy) -> Option<PlaceShares> {
        across([self], now_s, policy)
    }
}

/// Shares of places over several contracts (sets): every round of any counts by its age. `None` without any round.
pub fn across<'a>(
    histories: impl IntoIterator<Item = &'a PlaceHistory>,
    now_s: u64,
    policy: &RankingPolicy,
) -> Option<PlaceShares> {
    let mut sums = Sums::default();
    for round in histories.into_iter().flat_map(PlaceHistory::rounds) {
        sums.add(round, now_s, policy.half_life_s);
    }
    sums.shares()
}

impl Sums {
    fn add(&mut self, round: &Round, now_s: u64, half_life_s: u64) {
        let weight = weight(now_s.saturating_sub(round.at_s), half_life_s);
        if self.places.len() < round.units.len() {
            self.places.resize(round.units.len(), 0);
        }
        let last = round.units.len().saturating_sub(1) as u128;
        for (place, units) in round.units.iter().enumerate() {
            let weighted = weight * u128::from(*units);
            self.places[place] += weighted;
            // Alone one is always first.
            let score = (u128::from(PPM) * (last - place as u128)).checked_div(last).unwrap_or(u128::from(PPM));
            self.score += weighted * score;
        }
        self.weight += weight;
        self.rounds += 1;
    }

    fn shares(self) -> Option<PlaceShares> {
        if self.rounds == 0 || self.weight == 0 {
            return None;
        }
        // Scaled so that the largest fits; relative size is all that matters to shares.
        let largest = self.places.iter().max().copied().unwrap_or(0);
        let shift = (128 - largest.leading_zeros()).saturating_sub(63);
        let weights: Vec<u64> = self.places.iter().map(|sum| u64::try_from(sum >> shift).unwrap_or(u64::MAX)).collect();
        let score = self.score / (self.weight * u128::from(WHOLE));
        let effective = self.weight * 1_000 / full_weight();
        Some(PlaceShares {
            places_ppm: share::apportion(PPM, &weights),
            rounds: self.rounds,
            effective_milli: u64::try_from(effective).unwrap_or(u64::MAX),
            score_ppm: u32::try_from(score).unwrap_or(PPM),
        })
    }
}

/// `2^(-age / half-life)` in units of 2^-32, at least one: the last rounds of somebody long idle still have an order.
fn weight(age_s: u64, half_life_s: u64) -> u128 {
    let bounded = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let age = Fixed::from_ratio(bounded(age_s).saturating_neg(), bounded(half_life_s).max(1));
    u128::try_from(age.exp2().raw()).unwrap_or(0).max(1)
}

fn full_weight() -> u128 {
    u128::try_from(Fixed::ONE.raw()).unwrap_or(1)
}
