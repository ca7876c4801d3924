//! Areas as ranges of numbers: all cells of one precision within a cell lie side by side.

use std::ops::RangeInclusive;

use peermark_core::region::{Geohash, MAX_PRECISION};

use super::Match;

/// Cells of one precision, from the first to the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub(crate) precision: u8,
    pub(crate) numbers: RangeInclusive<u32>,
}

/// Cells by class. No cell is in two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    exact: Vec<Cells>,
    within: Vec<Cells>,
    near: Vec<Cells>,
}

impl Wanted {
    /// The cells that match these areas.
    pub(crate) fn new(areas: &[Geohash]) -> Self {
        let around: Vec<Geohash> = areas.iter().flat_map(Geohash::neighbours).collect();
        let mut wanted = Self::default();
        for precision in 1..=u8::try_from(MAX_PRECISION).unwrap_or(u8::MAX) {
            let exact = joined(areas.iter().filter(|area| area.precision() == precision), precision);
            let within = joined(areas.iter().filter(|area| area.precision() <= precision), precision);
            let near = joined(around.iter().filter(|area| area.precision() <= precision), precision);
            let all = |ranges: Vec<(u32, u32)>| {
                ranges.into_iter().map(move |(first, last)| Cells { precision, numbers: first..=last })
            };
            wanted.near.extend(all(without(near, &within)));
            wanted.within.extend(all(without(within, &exact)));
            wanted.exact.extend(all(exact));
        }
        wanted
    }

    /// The cells of a class.
    pub(crate) fn of(&self, class: Match) -> &[Cells] {
        match class {
            Match::Exact => &self.exact,
            Match::Within => &self.within,
            Match::Near => &self.near,
        }
    }
}

/// Ranges of cells of `precision` within these cells: sorted, disjoint.
fn joined<'a>(cells: impl Iterator<Item = &'a Geohash>, precision: u8) -> Vec<(u32, u32)> {
    let range = |cell: &Geohash| {
        let deeper = 5 * u32::from(precision - cell.precision());
        (cell.number() << deeper, (cell.number() << deeper) + ((1 << deeper) - 1))
    };
    let mut ranges: Vec<(u32, u32)> = cells.map(range).collect();
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// The parts of sorted disjoint ranges that are in none of the others.
fn without(ranges: Vec<(u32, u32)>, others: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut left = Vec::with_capacity(ranges.len());
    let mut others = others.iter().copied().peekable();
    for (first, last) in ranges {
        // Numbers have at most 30 bits, so one more always fits.
        let mut next = first;
        while let Some(&(start, end)) = others.peek() {
            if start > last {
                break;
            }
            if end >= next {
                if start > next {
                    left.push((next, start - 1));
                }
                next = end + 1;
            }
            if end > last {
                // It may reach into the next range too.
                break;
            }
            others.next();
        }
        if next <= last {
            left.push((next, last));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::without;

    type Ranges = &'static [(u32, u32)];

    #[test]
    fn what_others_have_is_left_out() {
        let cases: [(Ranges, Ranges); 7] = [
            (&[(0, 9)], &[]),
            (&[(0, 9)], &[(0, 9)]),
            (&[(5, 9), (20, 29)], &[(0, 6), (8, 22), (25, 25), (29, 40)]),
            (&[(5, 9), (12, 13), (20, 29)], &[(7, 24)]),
            (&[(5, 9)], &[(0, 1), (2, 4), (10, 11)]),
            (&[(0, 0), (2, 2), (4, 9)], &[(2, 4), (6, 6), (8, 8)]),
            (&[(3, 30)], &[(4, 4), (6, 8), (10, 30)]),
        ];
        for (ranges, others) in cases {
            let within = |sets: &[(u32, u32)], at| sets.iter().any(|(first, last)| (*first..=*last).contains(&at));
            let left = without(ranges.to_vec(), others);
            for at in 0..50 {
                let expected = within(ranges, at) && !within(others, at);
                assert_eq!(within(&left, at), expected, "{at} of {ranges:?} without {others:?}: {left:?}");
            }
        }
    }
}
