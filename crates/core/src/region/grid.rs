//! Cells as places in a grid.

use std::collections::BTreeSet;

use super::{Geohash, MAX_PRECISION};

/// A rectangle of the earth in millionths of a degree. `west` may be larger than `east`: then it crosses the antimeridian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Least latitude.
    pub south: i64,
    /// Longitude of the western edge.
    pub west: i64,
    /// Greatest latitude.
    pub north: i64,
    /// Longitude of the eastern edge.
    pub east: i64,
}

const TURN: i64 = 360_000_000;
const HALF_TURN: i64 = TURN / 2;

/// Place of a cell: column from the antimeridian eastwards, row from the south pole northwards, and how many of both there are.
#[derive(Clone, Copy, Debug)]
struct Place {
    column: u32,
    row: u32,
    columns: u32,
    rows: u32,
}

/// Bits of longitude and of latitude: they alternate, longitude first.
fn bits(precision: u8) -> (u32, u32) {
    let all = 5 * u32::from(precision);
    (all.div_ceil(2), all / 2)
}

impl Geohash {
    /// The cell of a point, latitude and longitude in millionths of a degree; `None` where there is no such point or no such
    /// precision. A point on an edge belongs to the cell north and east of it.
    pub fn of_micro_degrees(latitude: i64, longitude: i64, precision: u8) -> Option<Self> {
        let on_earth = latitude.abs() <= HALF_TURN / 2 && longitude.abs() <= HALF_TURN;
        if !on_earth || !(1..=MAX_PRECISION).contains(&usize::from(precision)) {
            return None;
        }
        let (columns, rows) = bits(precision);
        let column = ((longitude + HALF_TURN) << columns) / TURN % (1 << columns);
        let row = (((latitude + HALF_TURN / 2) << rows) / HALF_TURN).min((1 << rows) - 1);
        Some(Self::at(u32::try_from(column).ok()?, u32::try_from(row).ok()?, precision))
    }

    /// Its edges, rounded outwards.
    pub fn bounds(&self) -> Bounds {
        let place = self.place();
        let edge = |number: u32, of: u32, span: i64, up: bool| {
            let product = i64::from(number) * span;
            if up { (product + i64::from(of) - 1) / i64::from(of) } else { product / i64::from(of) }
        };
        Bounds {
            south: edge(place.row, place.rows, HALF_TURN, false) - HALF_TURN / 2,
            north: edge(place.row + 1, place.rows, HALF_TURN, true) - HALF_TURN / 2,
            west: edge(place.column, place.columns, TURN, false) - HALF_TURN,
            east: edge(place.column + 1, place.columns, TURN, true) - HALF_TURN,
        }
    }

    /// The cells around it: 8, or fewer at a pole, beyond which there are none. In the order of their digits.
    pub fn neighbours(&self) -> Vec<Self> {
        let mut all = self.around(1);
        all.retain(|cell| cell != self);
        all
    }

    /// Itself and all cells at most `radius` columns and rows away. In the order of their digits.
    pub fn around(&self, radius: u8) -> Vec<Self> {
        let place = self.place();
        let radius = u32::from(radius);
        let rows = place.row.saturating_sub(radius)..=place.row.saturating_add(radius).min(place.rows - 1);
        let span = (2 * radius + 1).min(place.columns);
        let first = place.column + place.columns - radius.min(place.columns);
        let cells: BTreeSet<Self> = rows
            .flat_map(|row| (0..span).map(move |step| ((first + step) % place.columns, row)))
            .map(|(column, row)| Self::at(column, row, self.precision()))
            .collect();
        cells.into_iter().collect()
    }

    fn place(&self) -> Place {
        let (column_bits, row_bits) = bits(self.precision());
        let number = self.number();
        let (mut column, mut row) = (0, 0);
        let all = column_bits + row_bits;
        for bit in 0..all {
            let value = number >> (all - 1 - bit) & 1;
            if bit % 2 == 0 { column = column << 1 | value } else { row = row << 1 | value }
        }
        Place { column, row, columns: 1 << column_bits, rows: 1 << row_bits }
    }

    fn at(column: u32, row: u32, precision: u8) -> Self {
        let (column_bits, row_bits) = bits(precision);
        let mut number = 0;
        let (mut columns_left, mut rows_left) = (column_bits, row_bits);
        for bit in 0..column_bits + row_bits {
            let (from, left) = if bit % 2 == 0 { (column, &mut columns_left) } else { (row, &mut rows_left) };
            *left -= 1;
            number = number << 1 | (from >> *left & 1);
        }
        // The bits of a place are those of a cell, so there always is one.
        Self::of_number(number, precision).unwrap_or(Self("s".into()))
    }
}

/// The cells of so many digits that a rectangle touches, each 32 that fill a larger one as that one. Empty where the rectangle is none.
/// In the order of their digits.
pub fn cover(area: Bounds, precision: u8) -> Vec<Geohash> {
    let corner =
        |latitude, longitude| Geohash::of_micro_degrees(latitude, longitude, precision).map(|cell| cell.place());
    let (Some(low), Some(high)) = (corner(area.south, area.west), corner(area.north, area.east)) else {
        return Vec::new();
    };
    if area.south > area.north {
        return Vec::new();
    }
    let span = (high.column + high.columns - low.column) % high.columns;
    let cells = (low.row..=high.row)
        .flat_map(|row| (0..=span).map(move |step| ((low.column + step) % low.columns, row)))
        .map(|(column, row)| Geohash::at(column, row, precision))
        .collect();
    merged(cells)
}

/// The same area with each 32 cells that fill a larger one as that one.
pub(super) fn merged(mut cells: BTreeSet<Geohash>) -> Vec<Geohash> {
    for precision in (1..u8::try_from(MAX_PRECISION).unwrap_or(u8::MAX)).rev() {
        let parents: BTreeSet<Geohash> = cells
            .iter()
            .filter(|cell| cell.precision() == precision + 1)
            .filter_map(|cell| cell.cut(precision))
            .collect();
        for parent in parents {
            let children = |cell: &&Geohash| cell.precision() == precision + 1 && cell.is_within(&parent);
            if cells.iter().filter(children).count() == 32 {
                cells.retain(|cell| !(cell.precision() == precision + 1 && cell.is_within(&parent)));
                cells.insert(parent);
            }
        }
    }
    cells.into_iter().collect()
}
