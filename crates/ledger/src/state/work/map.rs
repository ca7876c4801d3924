//! The performance map (S61-S63): who is how far from whom, as attesters measured and users say, and coordinates that predict the rest.
//!
//! Lags differ by direction and are compared by the lesser of both. Coordinates follow from what attesters measured alone, epoch by epoch,
//! and move by no more than the policy allows; they rank, and gate nobody. What gates is light: an answer that came faster than light
//! goes between where both say that they are was not measured, or not there.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::region::{Geohash, least_round_trip_us};
use peermark_judge::coordinates::{Cell, Coordinate, Estimator, LagMap, Suggestion, accept_snapshot, suggestions};
use peermark_judge::histogram::SparseHistogram;
use serde::{Deserialize, Serialize};

use super::super::State;
use crate::Id;
use crate::item::user::Role;
use crate::item::{Contract, Record};
use crate::outcome::Refusal;

/// The fastest answers but one in a hundred, by which it is told whether light could have brought them.
const FASTEST_PPM: u32 = 10_000;
/// The lag of a measurement.
const MEDIAN_PPM: u32 = 500_000;
/// Most pairs with a lag.
const MOST_PAIRS: usize = 1 << 20;
/// Epochs after which a lag that nobody measured again is forgotten.
const KEPT_EPOCHS: u64 = 720;
/// Most candidates that are looked at for a contract.
const MOST_CANDIDATES: usize = 1_024;

/// A lag, and by whom it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lag {
    /// The lag, and when it was measured.
    #[serde(flatten)]
    pub cell: Cell,
    /// The user says so itself. That replaces nothing that an attester measured, and makes nobody nearer.
    pub said: bool,
}

impl State {
    /// The newest lag from one user to another, microseconds.
    pub fn lag(&self, from: Id, to: Id) -> Option<u64> {
        self.lags.get(&(from, to)).map(|lag| lag.cell.lag_us)
    }

    /// The lesser of both directions, or the one that is known; what users say counts where nothing was measured.
    pub fn symmetric_lag(&self, one: Id, other: Id) -> Option<u64> {
        let both = || [(one, other), (other, one)].into_iter().filter_map(|pair| self.lags.get(&pair));
        let measured = both().filter(|lag| !lag.said).map(|lag| lag.cell.lag_us).min();
        measured.or_else(|| both().map(|lag| lag.cell.lag_us).min())
    }

    /// Where a user lies in the space of delays, as far as attesters measured it.
    pub fn coordinate_of(&self, user: Id) -> Option<&Coordinate> {
        self.estimators.get(&user).map(Estimator::coordinate)
    }

    /// Lags from a user to others, by id.
    pub fn lags_from(&self, user: Id) -> impl Iterator<Item = (Id, Lag)> + '_ {
        self.lags.range((user, 0)..=(user, Id::MAX)).map(|((_, to), lag)| (*to, *lag))
    }

    /// Hosters that would be nearer to those who measure from a contract's areas than the ones that it has (S62). Nothing follows from it
    /// by itself.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where `contract` is none.
    pub fn nearer(&self, contract: Id) -> Result<Vec<Suggestion>, Refusal> {
        let terms = self.terms_of(contract)?;
        let current = self.item::<Contract>(contract)?.active_hosters.clone();
        let is_there = |user: Id| {
            let home = self.home_of(user).ok().and_then(|home| home.into_iter().next());
            home.is_some_and(|home| terms.regions.is_empty() || terms.regions.iter().any(|area| home.is_within(area)))
        };
        let mut map = LagMap::default();
        let mut users = BTreeSet::new();
        for ((from, to), lag) in self.lags.iter().filter(|(_, lag)| !lag.said) {
            map.measured(*from, *to, lag.cell);
            if !users.contains(from) && is_there(*from) {
                users.insert(*from);
            }
        }
        let idle = self.idle.range((Role::Hoster, 0)..=(Role::Hoster, Id::MAX)).map(|((_, id), ())| *id);
        let qualifies =
            |id: &Id| self.does_not_qualify(*id, Role::Hoster, &terms).is_ok_and(|reasons| reasons.is_empty());
        let candidates: Vec<Id> = idle.filter(qualifies).take(MOST_CANDIDATES).collect();
        let users: Vec<Id> = users.into_iter().collect();
        Ok(suggestions(&map, &users, &current, &candidates, &self.policy().judge.coordinates))
    }

    /// Least time that light takes to where a user says that it is, and back; none to one that says nothing any more.
    pub(super) fn least_lag_us(&self, from: &Geohash, to: Id) -> u64 {
        let home = self.home_of(to).unwrap_or_default();
        home.first().map_or(0, |home| least_round_trip_us(from, home))
    }

    /// Whether answers came faster than light allows.
    pub(super) fn is_too_fast(&self, from: &Geohash, to: Id, latency: &SparseHistogram) -> bool {
        let least = self.least_lag_us(from, to);
        latency.quantile(FASTEST_PPM).is_some_and(|fastest| fastest.high < least)
    }

    /// Takes a lag. An older one than is known, what somebody says of what was measured, and one for which there is no room change nothing.
    pub(super) fn note_lag(&mut self, from: Id, to: Id, lag: Lag) -> bool {
        let known = self.lags.get(&(from, to));
        let counts = known.is_none_or(|known| (!lag.said, lag.cell.at_s) >= (!known.said, known.cell.at_s));
        let taken = from != to && counts && (known.is_some() || self.lags.len() < MOST_PAIRS);
        if taken && known != Some(&lag) {
            self.lags.put((from, to), lag);
        }
        taken
    }

    /// Takes what was measured in an epoch into the map, and moves the coordinates of both sides.
    pub(super) fn update_map(&mut self, ended: u64) -> Result<(), Refusal> {
        let block_s = u64::from(self.policy().block_seconds);
        let mut measured = Vec::new();
        let rows = self.observations.iter().skip_while(|(key, _)| key.epoch < ended);
        for (key, row) in rows.take_while(|(key, _)| key.epoch == ended) {
            if let Some(lag_us) = row.latency.interpolated(MEDIAN_PPM) {
                let at_s = self.item::<Record>(row.record)?.at.saturating_mul(block_s);
                measured.push((key.challenge, key.attester, key.hoster, Cell { lag_us, at_s }));
            }
        }
        measured.sort_unstable_by_key(|(challenge, attester, hoster, _)| (*challenge, *attester, *hoster));
        let mut moved: BTreeMap<Id, Estimator> = BTreeMap::new();
        for (_, attester, hoster, cell) in measured {
            if !self.note_lag(attester, hoster, Lag { cell, said: false }) {
                continue;
            }
            let lag_us = self.symmetric_lag(attester, hoster).unwrap_or(cell.lag_us);
            let [one, other] = [attester, hoster].map(|user| {
                let known = moved.get(&user).or_else(|| self.estimators.get(&user));
                known.cloned().unwrap_or_else(|| Estimator::new(user))
            });
            let (mut here, mut there) = (one.clone(), other.clone());
            here.observe(hoster, other.coordinate(), lag_us);
            there.observe(attester, one.coordinate(), lag_us);
            moved.extend([(attester, here), (hoster, there)]);
        }
        let policy = self.policy().judge.coordinates;
        for (user, estimator) in moved {
            let before = self.coordinate_of(user);
            match accept_snapshot(before, estimator.coordinate(), &policy) {
                Ok(()) => _ = self.estimators.put(user, estimator),
                Err(error) => self.emit_with("coordinateKept", &[user], error.to_string()),
            }
        }
        self.forget_lags(ended, block_s);
        Ok(())
    }

    fn forget_lags(&mut self, ended: u64, block_s: u64) {
        let oldest = self.epoch_span(ended.saturating_sub(KEPT_EPOCHS));
        let first = oldest.map_or(0, |span| span.first).saturating_mul(block_s);
        let old: Vec<(Id, Id)> =
            self.lags.iter().filter(|(_, lag)| lag.cell.at_s < first).map(|(pair, _)| *pair).collect();
        for pair in old {
            self.lags.take(&pair);
        }
    }
}
