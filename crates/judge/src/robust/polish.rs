//! The joint fit: weighted median polish (Tukey, Exploratory Data Analysis, 1977) of hosters and groups.

use crate::fixed::Fixed;

use super::Settings;
use super::select::{
    Weighted, cap_weights, deviation, low_median, reached, total_weight, weighted_deviation, weighted_median,
};
use super::table::Table;

/// A fitted table.
#[derive(Clone, Debug, Default)]
pub(super) struct Fit {
    /// Level of each hoster; `None` without a voice that counts.
    pub(super) levels: Vec<Option<Fixed>>,
    /// How much higher each group measures.
    pub(super) effects: Vec<Fixed>,
    /// Standard deviation of honest voices about each hoster.
    pub(super) spreads: Vec<Fixed>,
}

/// What a group's effect is drawn to, and how strongly: an effect found among as many hosters counts one half.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior<'a> {
    /// By group, what is known from before.
    pub(super) effects: &'a [Fixed],
    /// By group, among how many hosters that was found.
    pub(super) hosters: &'a [u32],
    /// Hosters that stand for a group about which nothing is known: with one hoster alone, what a group says about the hoster and
    /// what it says about itself are the same number.
    pub(super) unknown: u32,
}

/// Fits `table` in [`Settings::sweeps`] sweeps. `weights` are of the groups, 0 for those that do not count; their effects are fitted all
/// the same, so that what remains of them can be looked at.
pub(super) fn polish(table: &Table, weights: &[u32], prior: Prior<'_>, settings: &Settings) -> Fit {
    let mut fit = Fit { levels: Vec::new(), effects: prior.effects.to_vec(), spreads: Vec::new() };
    for _ in 0..settings.sweeps.max(1) {
        fit.levels = levels(table, weights, &fit.effects);
        move_effects(table, &mut fit, prior);
        recentre(table, weights, &mut fit.effects);
    }
    fit.levels = levels(table, weights, &fit.effects);
    fit.spreads = spreads(table, weights, &fit, settings);
    fit
}

fn levels(table: &Table, weights: &[u32], effects: &[Fixed]) -> Vec<Option<Fixed>> {
    let mut voices = Vec::new();
    let level = |hoster| {
        row_voices(table, weights, effects, hoster, &mut voices);
        cap_weights(&mut voices);
        weighted_median(&mut voices)
    };
    (0..table.hosters()).map(level).collect()
}

/// The voices of one hoster, effects removed, in `voices`; beside the cells of its row.
pub(super) fn row_voices(table: &Table, weights: &[u32], effects: &[Fixed], hoster: usize, voices: &mut Vec<Weighted>) {
    voices.clear();
    voices.extend(table.row(hoster).iter().map(|cell| {
        let group = cell.group as usize;
        Weighted { value: cell.value - effects[group], weight: weights[group] }
    }));
}

fn move_effects(table: &Table, fit: &mut Fit, prior: Prior<'_>) {
    let mut residuals = Vec::new();
    for group in 0..table.groups() {
        residuals.clear();
        let cells = table.column(group).iter().map(|index| table.cells[*index as usize]);
        residuals.extend(cells.filter_map(|cell| Some(cell.value - fit.levels[cell.hoster as usize]?)));
        let hosters = residuals.len() as i64;
        let Some(found) = low_median(&mut residuals) else { continue };
        let (before, known) = (prior.effects[group], i64::from(prior.hosters[group]) + i64::from(prior.unknown));
        fit.effects[group] = before + (found - before).times(hosters).over_int(hosters + known);
    }
}

/// Effects are relative to the median group that counts.
fn recentre(table: &Table, weights: &[u32], effects: &mut [Fixed]) {
    let mut voices = counting(table, weights, effects);
    let Some(middle) = weighted_median(&mut voices) else { return };
    for effect in effects {
        *effect = *effect - middle;
    }
}

/// Effects of the groups that count and measured something.
pub(super) fn counting(table: &Table, weights: &[u32], effects: &[Fixed]) -> Vec<Weighted> {
    (0..table.groups())
        .filter(|group| weights[*group] > 0 && !table.column(*group).is_empty())
        .map(|group| Weighted { value: effects[group], weight: weights[group] })
        .collect()
}

/// Voices about a hoster that stand for what the other hosters' voices say about the spread of its own.
const SPREAD_SHRINK_VOICES: i64 = 10;

/// The normal quantile of 90 %, inverted: what makes the 80th percentile of distances a standard deviation.
const NORMAL_EIGHTIETH: Fixed = Fixed::from_ppm(780_304);

/// Standard deviation of honest voices about each hoster.
///
/// Liars who stand far off widen a spread, liars who sit in the middle narrow it: it is the larger of what the median distance and the
/// 80th percentile say, drawn to the median hoster's, since few voices say little, and held near it.
fn spreads(table: &Table, weights: &[u32], fit: &Fit, settings: &Settings) -> Vec<Fixed> {
    let mut voices = Vec::new();
    let mut found = Vec::with_capacity(table.hosters());
    for hoster in 0..table.hosters() {
        row_voices(table, weights, &fit.effects, hoster, &mut voices);
        cap_weights(&mut voices);
        let spread = fit.levels[hoster].filter(|_| voices.len() > 1).and_then(|level| {
            let middle = weighted_deviation(&mut voices, level)?;
            let outer = reached(voices.iter(), total_weight(&voices) * 4 / 5)? * NORMAL_EIGHTIETH;
            Some(middle.max(outer))
        });
        found.push(spread.map(|spread| (spread, voices.len() as i64)));
    }
    let floor = Fixed::from_ppm(settings.spread_floor_ppm.into());
    let mut known: Vec<Fixed> = found.iter().flatten().map(|(spread, _)| *spread).collect();
    let typical = low_median(&mut known).unwrap_or(floor).max(floor);
    let highest = (typical * Fixed::from_ppm(settings.spread_cap_ppm.into())).max(floor);
    let drawn = |(spread, voices): (Fixed, i64)| {
        let sum = spread.times(voices) + typical.times(SPREAD_SHRINK_VOICES);
        sum.over_int(voices + SPREAD_SHRINK_VOICES).clamp(floor, highest)
    };
    found.into_iter().map(|found| found.map_or(typical, drawn)).collect()
}

/// Robust standard deviation of the effects of the groups that count, and how many they are.
pub(super) fn effect_spread(table: &Table, weights: &[u32], effects: &[Fixed]) -> (Fixed, u64) {
    let mut values: Vec<Fixed> = counting(table, weights, effects).iter().map(|voice| voice.value).collect();
    let count = values.len() as u64;
    let middle = low_median(&mut values).unwrap_or_default();
    (deviation(&mut values, middle).unwrap_or_default(), count)
}
