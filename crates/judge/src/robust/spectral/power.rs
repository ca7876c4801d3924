//! The strongest pattern of a sparse matrix by power iteration.

use crate::fixed::Fixed;
use crate::robust::table::Table;

use super::ENTRY_BITS;

/// Bits behind the point of the entries of a unit vector.
const VECTOR_BITS: u32 = 30;

/// Where the iteration starts: any vector that no pattern is likely to be at right angles to.
const START: u64 = 0x9e37_79b9_7f4a_7c15;

/// The strongest pattern.
pub(super) struct Dominant {
    /// The largest singular value.
    pub(super) strength: Fixed,
    /// What it would be about if the matrix were independent standard normal noise.
    pub(super) edge: Fixed,
    /// Active groups with entries, ascending, and how far each follows the pattern, in standard deviations of noise.
    pub(super) scores: Vec<(u32, Fixed)>,
}

/// `None` for an empty matrix or one of zeros. Groups that are not active count as absent.
pub(super) fn dominant(table: &Table, entries: &[i32], active: &[bool], iterations: u32) -> Option<Dominant> {
    let mut left = vec![0_i64; table.groups()];
    let mut right: Vec<i64> = (0..table.hosters() as u64).map(start).collect();
    normalise(&mut right)?;
    let mut strength = 0;
    for _ in 0..iterations.max(1) {
        project_left(table, entries, active, &right, &mut left);
        strength = normalise(&mut left)?;
        project_right(table, entries, active, &left, &mut right);
        normalise(&mut right)?;
    }
    project_left(table, entries, active, &right, &mut left);
    let mut scores = Vec::new();
    let (mut count, mut seen) = (0_u64, vec![false; table.hosters()]);
    for group in (0..table.groups()).filter(|group| active[*group]) {
        let cells = table.column(group);
        count += cells.len() as u64;
        let mut support = 0_u128;
        for index in cells {
            let hoster = table.cells[*index as usize].hoster as usize;
            seen[hoster] = true;
            support += u128::from(right[hoster].unsigned_abs()).pow(2);
        }
        let norm = support.isqrt() as i64;
        if norm > 0 {
            scores.push((group as u32, Fixed::from_ratio(left[group], norm)));
        }
    }
    let hosters = seen.iter().filter(|seen| **seen).count() as u64;
    let root = |parts: u64| if parts == 0 { Fixed::ZERO } else { ratio(count, parts).sqrt() };
    let edge = root(hosters) + root(scores.len() as u64);
    Some(Dominant { strength: Fixed::from_raw(strength << (32 - VECTOR_BITS)), edge, scores })
}

fn ratio(numerator: u64, denominator: u64) -> Fixed {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Fixed::from_ratio(whole(numerator), whole(denominator))
}

/// SplitMix64 (Steele, Lea & Flood, OOPSLA 2014), as a number of either sign with [`VECTOR_BITS`] bits.
fn start(index: u64) -> i64 {
    let mut mixed = START.wrapping_mul(index + 1);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) as i64) >> (64 - VECTOR_BITS)
}

// Sums stay below 2^63: entries are below 2^19, the vector has length 2^30, so by Cauchy and Schwarz a sum over n entries is below
// 2^49 times the root of n, and there are fewer than 2^28 entries in a row of any table.

fn project_left(table: &Table, entries: &[i32], active: &[bool], right: &[i64], left: &mut [i64]) {
    for (group, value) in left.iter_mut().enumerate() {
        let product =
            |index: &u32| i64::from(entries[*index as usize]) * right[table.cells[*index as usize].hoster as usize];
        *value = if active[group] { table.column(group).iter().map(product).sum::<i64>() >> ENTRY_BITS } else { 0 };
    }
}

fn project_right(table: &Table, entries: &[i32], active: &[bool], left: &[i64], right: &mut [i64]) {
    right.fill(0);
    for (cell, entry) in table.cells.iter().zip(entries).filter(|(cell, _)| active[cell.group as usize]) {
        right[cell.hoster as usize] += i64::from(*entry) * left[cell.group as usize];
    }
    right.iter_mut().for_each(|value| *value >>= ENTRY_BITS);
}

/// Scales a vector to length one and says how long it was, with [`VECTOR_BITS`] bits behind the point; `None` for a vector of zeros.
fn normalise(vector: &mut [i64]) -> Option<i64> {
    let squares: u128 = vector.iter().map(|value| u128::from(value.unsigned_abs()).pow(2)).sum();
    let norm = squares.isqrt() as i64;
    if norm == 0 {
        return None;
    }
    for value in vector.iter_mut() {
        *value = ((i128::from(*value) << VECTOR_BITS) / i128::from(norm)) as i64;
    }
    Some(norm)
}
