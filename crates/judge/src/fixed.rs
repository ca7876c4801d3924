//! Numbers with a fixed point, for everything that is signed or hashed: the same on every machine.
//!
//! A [`Fixed`] is a 64-bit integer that counts 2^-32 (Q32.32): from about -2.1 to 2.1 thousand million in steps of 2.3e-10. All
//! arithmetic saturates at the ends of the range instead of wrapping, so that absurd evidence gives an absurd but ordered number and
//! never a panic. Logarithms and powers are made of integer squarings and square roots; no function of the platform's mathematical
//! library is involved, whose last digits differ.

mod logarithm;

use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

use serde::{Deserialize, Serialize};

/// Bits behind the point.
const FRACTION_BITS: u32 = 32;

/// Parts per million in one.
const PPM: i64 = 1_000_000;

/// A number of the form n / 2^32. Written as the integer n where it is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fixed(i64);

impl Fixed {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(1 << FRACTION_BITS);
    /// The lowest number.
    pub const MIN: Self = Self(i64::MIN);
    /// The highest number.
    pub const MAX: Self = Self(i64::MAX);

    /// The number `raw` / 2^32.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// The integer behind the number: the number times 2^32.
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// A whole number.
    pub const fn from_int(value: i32) -> Self {
        Self((value as i64) << FRACTION_BITS)
    }

    /// `numerator` / `denominator`, rounded towards zero; saturates, also where the denominator is 0.
    pub const fn from_ratio(numerator: i64, denominator: i64) -> Self {
        quotient((numerator as i128) << FRACTION_BITS, denominator as i128)
    }

    /// A number of millionths, rounded towards zero.
    pub const fn from_ppm(ppm: i64) -> Self {
        Self::from_ratio(ppm, PPM)
    }

    /// The number in millionths, rounded down; saturates.
    pub const fn to_ppm(self) -> i64 {
        narrow((self.0 as i128 * PPM as i128) >> FRACTION_BITS)
    }

    /// The whole number at or below.
    pub const fn floor(self) -> i64 {
        self.0 >> FRACTION_BITS
    }

    /// This divided by `other`, rounded towards zero; saturates, also where `other` is 0.
    pub const fn over(self, other: Self) -> Self {
        quotient((self.0 as i128) << FRACTION_BITS, other.0 as i128)
    }

    /// This divided by a whole number, rounded towards zero; saturates where it is 0.
    pub const fn over_int(self, count: i64) -> Self {
        quotient(self.0 as i128, count as i128)
    }

    /// This times a whole number.
    pub const fn times(self, count: i64) -> Self {
        Self(narrow(self.0 as i128 * count as i128))
    }

    /// Distance from zero.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// The root, rounded down; zero for what is below zero.
    pub const fn sqrt(self) -> Self {
        if self.0 <= 0 {
            return Self::ZERO;
        }
        Self(((self.0 as u128) << FRACTION_BITS).isqrt() as i64)
    }

    /// Logarithm to base 2 of a count, such as nanoseconds or bits per second, exact to 2^-31; `None` for 0.
    pub fn log2(value: u64) -> Option<Self> {
        logarithm::log2(value)
    }

    /// Logarithm to base 2 of `numerator` / `denominator`; `None` where either is 0.
    pub fn log2_ratio(numerator: u64, denominator: u64) -> Option<Self> {
        Some(Self::log2(numerator)? - Self::log2(denominator)?)
    }

    /// Two to the power of this, relative error below 2^-30 where the result is above 1; saturates.
    pub fn exp2(self) -> Self {
        logarithm::exp2(self)
    }

    /// Two to the power of this as a count, rounded down; saturates. The inverse of [`Fixed::log2`].
    pub fn exp2_count(self) -> u64 {
        logarithm::exp2_count(self)
    }
}

/// Nearest value of the type.
const fn narrow(wide: i128) -> i64 {
    if wide > i64::MAX as i128 {
        i64::MAX
    } else if wide < i64::MIN as i128 {
        i64::MIN
    } else {
        wide as i64
    }
}

const fn quotient(numerator: i128, denominator: i128) -> Fixed {
    if denominator == 0 {
        return match numerator {
            0 => Fixed::ZERO,
            above if above > 0 => Fixed::MAX,
            _ => Fixed::MIN,
        };
    }
    Fixed(narrow(numerator / denominator))
}

impl Add for Fixed {
    type Output = Self;

    /// Saturating sum.
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Fixed {
    type Output = Self;

    /// Saturating difference.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul for Fixed {
    type Output = Self;

    /// Saturating product, rounded down.
    fn mul(self, other: Self) -> Self {
        Self(narrow((i128::from(self.0) * i128::from(other.0)) >> FRACTION_BITS))
    }
}

impl Neg for Fixed {
    type Output = Self;

    /// The other side of zero; saturates.
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Display for Fixed {
    /// As a decimal, six digits behind the point unless the format asks for others (at most nine), rounded to the nearest, halves away
    /// from zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(6).min(9);
        let scale = 10_u128.pow(digits as u32);
        let scaled = (u128::from(self.0.unsigned_abs()) * scale + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS;
        let number =
            if digits == 0 { scaled.to_string() } else { format!("{}.{:0digits$}", scaled / scale, scaled % scale) };
        f.pad_integral(self.0 >= 0 || scaled == 0, "", &number)
    }
}

#[cfg(test)]
mod tests;
