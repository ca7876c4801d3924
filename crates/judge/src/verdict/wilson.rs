//! Wilson's bounds with integers.

use crate::fixed::Fixed;

/// The normal quantile of 95 %, 1.6449, squared.
const Z_SQUARED: Fixed = Fixed::from_ppm(2_705_543);

/// More trials than this count as this many, so that all products fit: a bound of so many differs from the share by less than 2^-12.
const MOST_TRIALS: u64 = 1 << 28;

/// A share with the number of independent trials behind it, which need not be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The share, between 0 and 1.
    pub ratio: Fixed,
    /// Independent trials.
    pub trials: Fixed,
}

impl Share {
    /// `met` of `of` trials that are worth `effective` independent ones. More met than trials counts as all.
    pub fn new(met: u64, of: u64, effective: Fixed) -> Self {
        let ratio = Fixed::from_raw(((u128::from(met.min(of)) << 32) / u128::from(of.max(1))) as i64);
        let most = Fixed::from_int(MOST_TRIALS as i32);
        Self { ratio, trials: if of == 0 { Fixed::ZERO } else { effective.clamp(Fixed::ZERO, most) } }
    }
}

/// Lower end of Wilson's score interval (1927), 95 % one-sided; 0 without trials.
pub fn wilson_low(share: Share) -> Fixed {
    let Some((centre, half, scale)) = score(share) else { return Fixed::ZERO };
    if share.ratio == Fixed::ZERO { Fixed::ZERO } else { ratio(centre - half, scale) }
}

/// Upper end of Wilson's score interval, 95 % one-sided; 1 without trials.
pub fn wilson_high(share: Share) -> Fixed {
    let Some((centre, half, scale)) = score(share) else { return Fixed::ONE };
    // Rounded up, as the lower end is rounded down.
    if share.ratio == Fixed::ONE {
        Fixed::ONE
    } else {
        (ratio(centre + half + 1, scale) + Fixed::from_raw(1)).min(Fixed::ONE)
    }
}

/// Centre, half width and what both are divided by: 2k + z^2, z sqrt(z^2 + 4 k (1 - k/n)) and 2 (n + z^2), with 32 bits behind the
/// point and k the number of successes.
fn score(share: Share) -> Option<(i128, i128, i128)> {
    if share.trials <= Fixed::ZERO {
        return None;
    }
    let wide = |fixed: Fixed| i128::from(fixed.raw());
    let hits = (wide(share.ratio) * wide(share.trials)) >> 32;
    let spread = (hits * (wide(Fixed::ONE) - wide(share.ratio))) >> 32;
    let under_root = (wide(Z_SQUARED) * (wide(Z_SQUARED) + 4 * spread)).max(0) as u128;
    let centre = 2 * hits + wide(Z_SQUARED);
    Some((centre, under_root.isqrt() as i128, 2 * (wide(share.trials) + wide(Z_SQUARED))))
}

fn ratio(numerator: i128, denominator: i128) -> Fixed {
    let ratio = (numerator << 32) / denominator;
    Fixed::from_raw(ratio.clamp(0, i128::from(Fixed::ONE.raw())) as i64)
}
