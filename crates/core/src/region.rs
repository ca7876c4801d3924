//! Regions of the earth as geohashes, in whole numbers: every machine finds the same cells, neighbours and distances.

mod distance;
mod grid;
mod names;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use distance::{least_distance_m, least_round_trip_us};
pub use grid::{Bounds, cover};
pub use names::{Named, named, names};

/// The 32 digits, in their order. `a`, `i`, `l` and `o` are none.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// Most digits: a cell of about 1.2 by 0.6 km.
pub const MAX_PRECISION: usize = 6;

/// A cell of the earth: 1 to [`MAX_PRECISION`] digits, each five bits, longitude and latitude in turn. <https://en.wikipedia.org/wiki/Geohash>
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Geohash(String);

/// Why a text is no geohash.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("not a geohash: {text:?} (1 to {MAX_PRECISION} of 0-9 and b-z without i, l and o)")]
pub struct GeohashError {
    /// What was given, cut.
    pub text: String,
}

impl Geohash {
    /// Its digits, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many digits it has, 1 to [`MAX_PRECISION`].
    pub fn precision(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    /// Its digits as a number, five bits each.
    pub fn number(&self) -> u32 {
        let digit = |byte| DIGITS.iter().position(|digit| *digit == byte).unwrap_or_default();
        self.0.bytes().fold(0, |number, byte| number << 5 | u32::try_from(digit(byte)).unwrap_or_default())
    }

    /// The cell of a number with so many digits; `None` where it has more, or a number of digits that no cell has.
    pub fn of_number(number: u32, precision: u8) -> Option<Self> {
        let fits = (1..=MAX_PRECISION).contains(&usize::from(precision)) && number >> (5 * u32::from(precision)) == 0;
        let digit = |place: u8| char::from(DIGITS[(number >> (5 * u32::from(place)) & 31) as usize]);
        fits.then(|| Self((0..precision).rev().map(digit).collect()))
    }

    /// The cell of so many digits around this one; `None` where it has fewer itself.
    pub fn cut(&self, precision: u8) -> Option<Self> {
        self.0.get(..usize::from(precision)).filter(|digits| !digits.is_empty()).map(|digits| Self(digits.to_owned()))
    }

    /// Whether this cell lies in `other`, or is it.
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl FromStr for Geohash {
    type Err = GeohashError;

    fn from_str(text: &str) -> Result<Self, GeohashError> {
        let lower = text.to_ascii_lowercase();
        let fits = (1..=MAX_PRECISION).contains(&lower.len()) && lower.bytes().all(|byte| DIGITS.contains(&byte));
        if fits { Ok(Self(lower)) } else { Err(GeohashError { text: text.chars().take(32).collect() }) }
    }
}

impl TryFrom<String> for Geohash {
    type Error = GeohashError;

    fn try_from(text: String) -> Result<Self, GeohashError> {
        text.parse()
    }
}

impl From<Geohash> for String {
    fn from(hash: Geohash) -> Self {
        hash.0
    }
}

impl fmt::Display for Geohash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;
