//! The collusion filter: what is left of the reports when hosters and groups are explained is noise, unless some groups lie together.
//!
//! Honest deviations, standardised, are a random matrix whose largest singular value is known (Marchenko & Pastur 1967; Bai & Yin
//! 1993): about the root of the entries per hoster plus the root of the entries per group. A bloc that pushes the same hosters the
//! same way adds a pattern of rank one, which the largest singular vector finds. Its projections fall into two camps then. Fixed
//! start, fixed number of iterations and integers make it the same everywhere.

mod power;

use crate::fixed::Fixed;

use super::polish::{Prior, polish};
use super::select::{deviation, low_median};
use super::table::{Cell, Table};
use super::{Deviation, Settings};
use power::dominant;

/// Bits behind the point of a standardised deviation.
const ENTRY_BITS: u32 = 16;

/// A bloc has at least this many members: one group alone is not a bloc.
const SMALLEST_BLOC: usize = 2;

/// Least standard deviation of the scores of honest groups that is believed: one half.
const LEAST_SPREAD: Fixed = Fixed::from_ratio(1, 2);

/// One group in a bloc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) group: u32,
    pub(super) pattern: u32,
    pub(super) distance: Fixed,
}

/// What the filter found.
#[derive(Clone, Debug, Default)]
pub(super) struct Collusion {
    /// Ascending by group.
    pub(super) members: Vec<Member>,
    /// Share of the smaller camp, in millionths, where it is the largest of all patterns.
    pub(super) split_ppm: u32,
    /// Standardised deviations with the members left out of every estimate, beside the table's cells.
    pub(super) entries: Vec<i32>,
}

struct Camps {
    members: Vec<Member>,
    split_ppm: u32,
}

/// Looks for blocs among the deviations in `table`, of which each has its noise relative to a single report's. `weights` are of the
/// groups before anything is known about blocs.
pub(super) fn collusion(
    (table, noises): (&Table, &[Fixed]),
    weights: &[u32],
    effects: &[Fixed],
    settings: &Settings,
) -> Collusion {
    let mut weights = weights.to_vec();
    let mut typical = noises.to_vec();
    let typical = low_median(&mut typical).unwrap_or(Fixed::ONE);
    let noises: Vec<Fixed> = noises.iter().map(|noise| noise.over(typical)).collect();
    let standardised = |weights: &[u32]| standardised(table, &noises, weights, effects, settings);
    let mut found = Collusion { entries: standardised(&weights), ..Collusion::default() };
    // A group that measured few hosters agrees with itself; that says nothing about others.
    let mut active: Vec<bool> =
        (0..table.groups()).map(|group| table.column(group).len() >= settings.bloc_hosters as usize).collect();
    for pattern in 0..settings.patterns {
        let Some(mut camps) = camps(table, &found.entries, &active, pattern, settings) else { break };
        // A bloc moves the estimates against which it is found. Seen from estimates without it, it stands out more clearly.
        let mut without = weights.clone();
        camps.members.iter().for_each(|member| without[member.group as usize] = 0);
        let entries = standardised(&without);
        if let Some(clearer) = self::camps(table, &entries, &active, pattern, settings) {
            camps = clearer;
        }
        for member in &camps.members {
            weights[member.group as usize] = 0;
            active[member.group as usize] = false;
        }
        found.entries = standardised(&weights);
        found.split_ppm = found.split_ppm.max(camps.split_ppm);
        found.members.extend(camps.members);
    }
    found.members.sort_unstable_by_key(|member| member.group);
    found
}

/// Deviations of every cell in standard deviations, clipped, with [`ENTRY_BITS`] behind the point.
fn standardised(table: &Table, noises: &[Fixed], weights: &[u32], effects: &[Fixed], settings: &Settings) -> Vec<i32> {
    let prior = Prior { effects, hosters: &vec![0; effects.len()], unknown: 0 };
    let fit = polish(table, weights, prior, settings);
    let clip = Fixed::from_ppm(settings.residual_clip_ppm.into());
    let entry = |(cell, noise): (&Cell, &Fixed)| {
        let hoster = cell.hoster as usize;
        let Some(level) = fit.levels[hoster] else { return 0 };
        let deviation = (cell.value - level - fit.effects[cell.group as usize]).over(fit.spreads[hoster] * *noise);
        (deviation.clamp(-clip, clip).raw() >> (32 - ENTRY_BITS)) as i32
    };
    table.cells.iter().zip(noises).map(entry).collect()
}

/// The two camps along the strongest pattern of the active groups; `None` where it may be noise.
fn camps(table: &Table, entries: &[i32], active: &[bool], pattern: u32, settings: &Settings) -> Option<Camps> {
    let found = dominant(table, entries, active, settings.iterations)?;
    if found.strength <= found.edge * Fixed::from_ppm(settings.edge_ppm.into()) {
        return None;
    }
    let mut scores = found.scores;
    scores.sort_unstable_by_key(|(group, score)| (*score, *group));
    let values: Vec<Fixed> = scores.iter().map(|(_, score)| *score).collect();
    let cut = best_cut(&values)?;
    let (low, high) = values.split_at(cut);
    let (low_centre, high_centre) = (middle(low)?, middle(high)?);
    let (smaller, larger, own, centre) = if low.len() <= high.len() {
        (&scores[..cut], high, high_centre, low_centre)
    } else {
        (&scores[cut..], low, low_centre, high_centre)
    };
    // The spread of those who may be honest: liars may agree to the last digit. Honest scores are about one standard deviation wide.
    let spread = deviation(&mut larger.to_vec(), own)?.max(LEAST_SPREAD);
    if (centre - own).abs() <= spread * Fixed::from_ppm(settings.camps_ppm.into()) || smaller.len() < SMALLEST_BLOC {
        return None;
    }
    let limit = spread * Fixed::from_ppm(settings.member_ppm.into());
    let beyond = smaller.iter().filter(|(_, score)| (*score - own).abs() > limit);
    let members = beyond
        .map(|(group, score)| Member { group: *group, pattern, distance: (*score - own).abs().over(spread) })
        .collect();
    Some(Camps { members, split_ppm: (smaller.len() as u64 * 1_000_000 / values.len() as u64) as u32 })
}

fn middle(values: &[Fixed]) -> Option<Fixed> {
    low_median(&mut values.to_vec())
}

/// Where to cut `sorted` values in two so that the halves lie closest around their means (2-means in one dimension, solved exactly):
/// the number of values in the lower part. `None` for fewer than two values.
fn best_cut(sorted: &[Fixed]) -> Option<usize> {
    let count = sorted.len() as i128;
    // Sixteen bits are dropped so that squares of sums fit.
    let value = |fixed: &Fixed| i128::from(fixed.raw() >> 16);
    let total: i128 = sorted.iter().map(value).sum();
    let mut below = 0;
    let mut best: Option<(i128, usize)> = None;
    for cut in 1..sorted.len() {
        below += value(&sorted[cut - 1]);
        let apart = (below * count - total * cut as i128) / count;
        let between = ((apart * apart) << 16) / (cut as i128 * (count - cut as i128));
        if best.is_none_or(|(most, _)| between > most) {
            best = Some((between, cut));
        }
    }
    best.map(|(_, cut)| cut)
}

/// The largest deviations of one group, the largest first.
pub(super) fn evidence(table: &Table, entries: &[i32], group: u32, rows: u32) -> Vec<Deviation> {
    let deviation = |index: &u32| Deviation {
        hoster: table.cells[*index as usize].hoster,
        residual: Fixed::from_raw(i64::from(entries[*index as usize]) << (32 - ENTRY_BITS)),
    };
    let mut found: Vec<Deviation> = table.column(group as usize).iter().map(deviation).collect();
    found.sort_unstable_by_key(|row| (std::cmp::Reverse(row.residual.abs()), row.hoster));
    found.truncate(rows as usize);
    found
}

#[cfg(test)]
mod tests;
