//! How far apart two cells are at least, and how long light takes: who answers faster is not where it says.

use super::Geohash;
use super::grid::Bounds;

/// Fixed point of sines and cosines.
const ONE: i128 = 1 << 60;
/// Pi in that fixed point, and pi in millionths of a degree.
const PI: i128 = 3_622_009_729_038_561_421;
const PI_MICRO_DEGREES: i128 = 180_000_000;
/// Steps of an angle to which a distance is rounded down: 0.01 degrees, about 1.1 km.
const STEP: i64 = 10_000;
/// Least radius of the earth, at the poles (WGS 84), metres.
const RADIUS_M: i128 = 6_356_752;
/// How far light goes in glass fibre in a microsecond, metres: two thirds of the way in a vacuum.
const METRES_PER_US: u64 = 200;

/// Metres between the nearest points of two cells at least, rounded down; 0 where they may touch.
pub fn least_distance_m(one: &Geohash, other: &Geohash) -> u64 {
    let (one, other) = (one.bounds(), other.bounds());
    let centres = angle(centre(one), centre(other));
    let between = centres - reach(one) - reach(other);
    if between <= 0 {
        return 0;
    }
    let metres = i128::from(between) * PI / PI_MICRO_DEGREES * RADIUS_M / ONE;
    u64::try_from(metres).unwrap_or_default()
}

/// Microseconds that light in fibre takes from one cell to the other and back at least: 1 ms for each 100 km.
pub fn least_round_trip_us(one: &Geohash, other: &Geohash) -> u64 {
    2 * least_distance_m(one, other) / METRES_PER_US
}

fn centre(cell: Bounds) -> (i64, i64) {
    (cell.south.midpoint(cell.north), cell.west.midpoint(cell.east))
}

/// No point of a cell is farther from its centre than half its height and half its width together.
fn reach(cell: Bounds) -> i64 {
    (cell.north - cell.south) / 2 + (cell.east - cell.west) / 2 + 2
}

/// The angle between two points at least, millionths of a degree, rounded down to a step: the spherical law of cosines.
fn angle(one: (i64, i64), other: (i64, i64)) -> i64 {
    let times = |a: i128, b: i128| a * b / ONE;
    let level = times(sine(one.0), sine(other.0));
    let turned = times(times(cosine(one.0), cosine(other.0)), cosine(one.1 - other.1));
    // Rounding errors of the products and series are far below this.
    let sought = level + turned + (1 << 20);
    let (mut low, mut high) = (0, 180_000_000 / STEP);
    while low < high {
        let middle = (low + high + 1) / 2;
        if cosine(middle * STEP) >= sought { low = middle } else { high = middle - 1 }
    }
    low * STEP
}

fn sine(micro_degrees: i64) -> i128 {
    cosine(micro_degrees - 90_000_000)
}

/// Cosine by its series, after bringing the angle to at most a right one.
fn cosine(micro_degrees: i64) -> i128 {
    let mut angle = i128::from(micro_degrees.rem_euclid(360_000_000));
    if angle > PI_MICRO_DEGREES {
        angle = 2 * PI_MICRO_DEGREES - angle;
    }
    let mirrored = angle > PI_MICRO_DEGREES / 2;
    if mirrored {
        angle = PI_MICRO_DEGREES - angle;
    }
    let x = angle * PI / PI_MICRO_DEGREES;
    let square = x * x / ONE;
    let (mut sum, mut term) = (ONE, ONE);
    for n in 1..=12 {
        term = -(term * square / ONE) / ((2 * n - 1) * 2 * n);
        sum += term;
    }
    if mirrored { -sum } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_is_the_cosine() {
        for degrees in (-400_i64..=400).step_by(7) {
            let expected = (degrees as f64).to_radians().cos();
            let found = cosine(degrees * 1_000_000) as f64 / ONE as f64;
            assert!((found - expected).abs() < 1e-12, "{degrees}: {found} {expected}");
        }
    }
}
