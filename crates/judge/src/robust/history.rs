//! What is remembered from epoch to epoch.

mod pair;

use serde::{Deserialize, Serialize};

use crate::fixed::Fixed;

use super::Settings;
use super::polish::Fit;
use super::select::FULL_WEIGHT;
use super::table::{Cell, Table};
use super::trust::Reputation;
pub(super) use pair::Pair;

/// Share of copies in the median group above which they mean nothing, in millionths. A third of copiers make every third report of the
/// honest one of two equal ones.
const COMMON_COPIES_PPM: u32 = 400_000;

/// Original reports that a new group starts with: as many copies make it a copier.
const ORIGINAL_REPORTS: u32 = 10;

/// What is remembered from epoch to epoch about one metric: integers only, in one order, so that a ledger can carry and hash it. Its
/// size follows the pairs of hosters and groups measured within about six half-lives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    last: Option<u64>,
    groups: Vec<GroupRecord>,
    hosters: u32,
    /// Ascending by hoster, then by group.
    pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GroupRecord {
    pub(super) reputation: Reputation,
    /// Whether its reports were its own: those that equal another group's to the last digit were not.
    pub(super) originality: Reputation,
    pub(super) effect: Fixed,
    /// In medians, in millionths; 0 where the group is flagged.
    pub(super) weight_ppm: u32,
}

/// What one group says about one hoster over all epochs, its own effect removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// The group.
    pub group: u32,
    /// The level it measured, on the scale of the observations.
    pub level: Fixed,
    /// How much it counts by what is known of its group and by its age, in millionths of a trusted voice of the last epoch.
    pub weight_ppm: u32,
    /// How much it counts by its age alone.
    pub recency_ppm: u32,
}

impl History {
    /// Number of the last epoch; `None` before the first.
    pub fn last_epoch(&self) -> Option<u64> {
        self.last
    }

    /// What every group that counts says about a hoster over all epochs, ascending by group. Empty for an unknown hoster.
    pub fn voices(&self, hoster: u32) -> Vec<Voice> {
        let first = self.pairs.partition_point(|pair| pair.hoster < hoster);
        let row = self.pairs[first..].iter().take_while(|pair| pair.hoster == hoster);
        row.filter_map(|pair| {
            let group = self.groups.get(pair.group as usize).filter(|group| group.weight_ppm > 0)?;
            let recency_ppm = pair.level_recency()?;
            let weight = u64::from(group.weight_ppm) * u64::from(recency_ppm) / u64::from(FULL_WEIGHT);
            Some(Voice {
                group: pair.group,
                level: pair.level()? - group.effect,
                weight_ppm: weight as u32,
                recency_ppm,
            })
        })
        .collect()
    }

    /// Forgets what was measured of a hoster: it declared a move or new hardware. What is known about groups stays.
    pub fn forget(&mut self, hoster: u32) {
        self.pairs.retain(|pair| pair.hoster != hoster);
    }

    /// Makes what is remembered of one group part of what is remembered of another: they turned out to be one. Of the two reputations the
    /// worse one stays.
    pub fn unite(&mut self, from: u32, into: u32) {
        let record = |group: u32| self.groups.get(group as usize).copied();
        if let (Some(gone), Some(kept)) = (record(from), record(into)) {
            let worse = |a: Reputation, b: Reputation| if b.trust_ppm() < a.trust_ppm() { b } else { a };
            self.groups[into as usize] = GroupRecord {
                reputation: worse(kept.reputation, gone.reputation),
                originality: worse(kept.originality, gone.originality),
                weight_ppm: kept.weight_ppm.min(gone.weight_ppm),
                effect: kept.effect,
            };
        }
        self.pairs.iter_mut().filter(|pair| pair.group == from).for_each(|pair| pair.group = into);
        self.pairs.sort_by_key(Pair::key);
        self.pairs.dedup_by(|next, kept| {
            let same = next.key() == kept.key();
            if same {
                kept.join(next);
            }
            same
        });
    }

    pub(super) fn groups(&self) -> &[GroupRecord] {
        &self.groups
    }

    pub(super) fn groups_mut(&mut self) -> &mut [GroupRecord] {
        &mut self.groups
    }

    pub(super) fn effects(&self) -> Vec<Fixed> {
        self.groups.iter().map(|group| group.effect).collect()
    }

    /// The history as it stands at the beginning of epoch `number`, with room for all hosters and groups.
    pub(super) fn at(&self, number: u64, hosters: u32, groups: usize, settings: &Settings) -> Self {
        let gap = self.last.map_or(0, |last| i64::try_from(number - last).unwrap_or(i64::MAX));
        let kept = |half_life: u32| Fixed::from_ratio(-gap, half_life.into()).exp2();
        let (level, residual) = (kept(settings.level_half_life_epochs), kept(settings.residual_half_life_epochs));
        let newcomer = GroupRecord {
            reputation: Reputation::new(settings.prior_reports),
            originality: Reputation::new(ORIGINAL_REPORTS),
            effect: Fixed::ZERO,
            weight_ppm: FULL_WEIGHT,
        };
        let mut records = self.groups.clone();
        records.resize(groups.max(records.len()), newcomer);
        let pairs = self.pairs.iter().filter_map(|pair| pair.decayed(level, residual)).collect();
        Self { last: Some(number), groups: records, hosters: hosters.max(self.hosters), pairs }
    }

    /// Adds one epoch's reports. Those beyond the outlier limit do not move the pooled level. Evidence on collusion is relative to what
    /// was fitted, so that a hoster that changes is none; there, reports beyond the limit count as if they lay at it.
    pub(super) fn absorb(&mut self, table: &Table, copies: &[bool], fit: &Fit, settings: &Settings) {
        let limit = Fixed::from_ppm(settings.outlier_ppm.into());
        let mut merged = Vec::with_capacity(self.pairs.len() + table.cells.len());
        let mut old = self.pairs.iter().copied().peekable();
        for hoster in 0..table.hosters() {
            let Some(level) = fit.levels[hoster] else { continue };
            let reach = fit.spreads[hoster] * limit;
            for index in table.row_range(hoster) {
                let cell = table.cells[index];
                let key = (cell.hoster, cell.group);
                while let Some(pair) = old.next_if(|pair| pair.key() < key) {
                    merged.push(pair);
                }
                let mut pair =
                    old.next_if(|pair| pair.key() == key).unwrap_or_else(|| Pair::new(cell.hoster, cell.group));
                let group = cell.group as usize;
                let beyond = cell.value - level - fit.effects[group];
                let agrees = beyond.abs() <= reach;
                pair.add(agrees.then_some(cell.value), fit.effects[group] + beyond.clamp(-reach, reach));
                self.groups[group].reputation.add(agrees, settings);
                self.groups[group].originality.add(!copies[index], settings);
                merged.push(pair);
            }
        }
        merged.extend(old);
        self.pairs = merged;
    }

    /// Share of copies among the reports of each group, in millionths, where it is a majority; nothing where copies are common in the
    /// whole pool, as with values that were rounded.
    pub(super) fn copied_ppm(&self) -> Vec<Option<u32>> {
        let shares = self.groups.iter().map(|group| FULL_WEIGHT - group.originality.trust_ppm());
        let mut sorted: Vec<u32> = shares.clone().collect();
        sorted.sort_unstable();
        let common = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        shares.map(|share| (common <= COMMON_COPIES_PPM && share > FULL_WEIGHT / 2).then_some(share)).collect()
    }

    /// Number of hosters that each group measured.
    pub(super) fn measured(&self) -> Vec<u32> {
        let mut measured = vec![0; self.groups.len()];
        self.pairs.iter().filter(|pair| pair.residual().is_some()).for_each(|pair| measured[pair.group as usize] += 1);
        measured
    }

    /// Mean reports of every pair without outliers, and how recent they are: the weight of a report of this epoch is full.
    pub(super) fn level_table(&self) -> (Table, Vec<u32>) {
        let recency = self.pairs.iter().filter_map(Pair::level_recency).collect();
        (self.table(Pair::level), recency)
    }

    /// Mean deviations of every pair from the epochs' estimates, and how much noise each holds relative to a single report.
    pub(super) fn residual_table(&self) -> (Table, Vec<Fixed>) {
        let noises = self.pairs.iter().filter_map(Pair::residual_noise).collect();
        (self.table(Pair::residual), noises)
    }

    fn table(&self, value: impl Fn(&Pair) -> Option<Fixed>) -> Table {
        let cell = |pair: &Pair| Some(Cell { hoster: pair.hoster, group: pair.group, value: value(pair)? });
        Table::new(self.pairs.iter().filter_map(cell).collect(), self.hosters as usize, self.groups.len())
    }
}
