//! How well a place matches what is asked for, and an index over many places.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use peermark_core::region::Geohash;

use crate::Id;

mod wanted;

pub(crate) use wanted::Wanted;

/// How a hoster's place matches the areas of a plan, the best of all of them (S58).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// In the neighbourhood: cut to the area's digits it is one of the 8 cells around, or its radius reaches the area.
    Near = 1,
    /// In a cell within the area.
    Within = 2,
    /// The very cell.
    Exact = 3,
}

/// Classes from the best to the worst.
pub(crate) const CLASSES: [Match; 3] = [Match::Exact, Match::Within, Match::Near];

/// Largest radius of a place, in cells of its own precision.
pub const MAX_RADIUS: u8 = 4;

/// How a place with a radius, in cells of its own precision, matches areas; `None` where it does not. A place with fewer digits than an
/// area never matches it: it may be anywhere in its larger cell.
pub fn region_match(place: &Geohash, radius: u8, areas: &[Geohash]) -> Option<Match> {
    let one = |area: &Geohash| {
        if place == area {
            return Some(Match::Exact);
        }
        let cut = place.cut(area.precision())?;
        if cut == *area {
            return Some(Match::Within);
        }
        let reaches = || reach(place, radius).iter().any(|cell| cell == area);
        (cut.neighbours().contains(area) || reaches()).then_some(Match::Near)
    };
    areas.iter().filter_map(one).max()
}

/// Cells of all precisions that the radius of a place reaches, without those around its own: they match anyway.
pub(crate) fn reach(place: &Geohash, radius: u8) -> Vec<Geohash> {
    if radius == 0 {
        return Vec::new();
    }
    let around = place.around(radius.min(MAX_RADIUS));
    let mut cells: Vec<Geohash> = (1..=place.precision())
        .flat_map(|precision| around.iter().filter_map(move |cell| cell.cut(precision)))
        .filter(|cell| place.cut(cell.precision()).is_some_and(|own| !own.around(1).contains(cell)))
        .collect();
    cells.sort();
    cells.dedup();
    cells
}

/// Many places, by cell: areas are matched against all of them by a few ranges.
#[derive(Clone, Debug, Default)]
pub struct RegionIndex {
    /// Places by precision and cell, sorted.
    own: BTreeMap<u8, Vec<(u32, Id)>>,
    /// Cells that a radius reaches, sorted, with the place that it belongs to.
    area: BTreeMap<u8, Vec<(u32, Id, Geohash)>>,
}

/// What matches, the best first.
#[derive(Clone, Debug, Default)]
pub struct Matches<'i> {
    ranges: [Vec<&'i [(u32, Id)]>; 3],
    reached: Vec<Id>,
}

impl RegionIndex {
    /// The index of these places, each with its radius.
    pub fn new(places: impl IntoIterator<Item = (Id, Geohash, u8)>) -> Self {
        let mut index = Self::default();
        for (id, place, radius) in places {
            for cell in reach(&place, radius) {
                index.area.entry(cell.precision()).or_default().push((cell.number(), id, place.clone()));
            }
            index.own.entry(place.precision()).or_default().push((place.number(), id));
        }
        index.own.values_mut().for_each(|places| places.sort_unstable());
        index.area.values_mut().for_each(|places| places.sort_unstable());
        index
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.own.values().map(Vec::len).sum()
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// All places that match these areas, each once, in its best class. Takes a few binary searches for each area and precision;
    /// what is found is not copied.
    pub fn matches(&self, areas: &[Geohash]) -> Matches<'_> {
        let wanted = Wanted::new(areas);
        let mut found = Matches::default();
        for (slot, class) in CLASSES.into_iter().enumerate() {
            for cells in wanted.of(class) {
                let places = self.own.get(&cells.precision).map_or(&[][..], Vec::as_slice);
                found.ranges[slot].extend(slice(places, &cells.numbers, |place| place.0));
            }
        }
        for area in areas {
            let number = area.number();
            let places = self.area.get(&area.precision()).map_or(&[][..], Vec::as_slice);
            let places = slice(places, &(number..=number), |place| place.0).unwrap_or(&[]);
            let new = places.iter().filter(|(_, _, place)| region_match(place, 0, areas).is_none());
            found.reached.extend(new.map(|(_, id, _)| *id));
        }
        found.reached.sort_unstable();
        found.reached.dedup();
        found
    }
}

/// The part of a sorted list whose keys are in a range; `None` where it is empty.
fn slice<'p, P>(places: &'p [P], numbers: &RangeInclusive<u32>, key: impl Fn(&P) -> u32) -> Option<&'p [P]> {
    let first = places.partition_point(|place| key(place) < *numbers.start());
    let end = places.partition_point(|place| key(place) <= *numbers.end());
    places.get(first..end).filter(|places| !places.is_empty())
}

impl Matches<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ranges.iter().flatten().map(|range| range.len()).sum::<usize>() + self.reached.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of a class.
    pub fn of(&self, class: Match) -> impl Iterator<Item = Id> + '_ {
        let slot = CLASSES.iter().position(|other| *other == class).unwrap_or_default();
        let reached = if class == Match::Near { self.reached.as_slice() } else { &[] };
        self.ranges[slot].iter().flat_map(|range| range.iter().map(|place| place.1)).chain(reached.iter().copied())
    }

    /// All of them, the best first.
    pub fn iter(&self) -> impl Iterator<Item = (Id, Match)> + '_ {
        CLASSES.into_iter().flat_map(|class| self.of(class).map(move |id| (id, class)))
    }
}

#[cfg(test)]
mod tests;
