//! Logarithm and power to base 2 with integers.
//!
//! The logarithm's digits come from squaring: a number between 1 and 2 is at least the root of 2 exactly where its square is at least
//! 2 (Knuth, The Art of Computer Programming 1.2.2, exercise 28). The power multiplies the roots 2^(1/2), 2^(1/4), ... that the
//! fraction's digits name.

use super::{FRACTION_BITS, Fixed};

/// Bits behind the point of numbers between 1 and 2.
const UNIT_BITS: u32 = 62;

/// 2^(2^-(k+1)) for k from 0, with [`UNIT_BITS`] behind the point.
const ROOTS: [u64; FRACTION_BITS as usize] = roots();

const fn roots() -> [u64; FRACTION_BITS as usize] {
    let mut roots = [0; FRACTION_BITS as usize];
    let mut last = 2_u128 << UNIT_BITS;
    let mut k = 0;
    while k < roots.len() {
        last = (last << UNIT_BITS).isqrt();
        roots[k] = last as u64;
        k += 1;
    }
    roots
}

pub(super) fn log2(value: u64) -> Option<Fixed> {
    let whole = value.checked_ilog2()?;
    // One bit of headroom: the square of a number below 2 is below 4.
    let mut unit = if whole <= UNIT_BITS { value << (UNIT_BITS - whole) } else { value >> (whole - UNIT_BITS) };
    let mut fraction = 0_i64;
    for _ in 0..FRACTION_BITS {
        unit = ((u128::from(unit) * u128::from(unit)) >> UNIT_BITS) as u64;
        fraction <<= 1;
        if unit >= 2 << UNIT_BITS {
            unit >>= 1;
            fraction |= 1;
        }
    }
    Some(Fixed((i64::from(whole) << FRACTION_BITS) | fraction))
}

/// Two to the power of the part behind the point, between 1 and 2.
fn unit_power(exponent: Fixed) -> u64 {
    let fraction = exponent.0 as u32;
    let mut unit = 1_u64 << UNIT_BITS;
    for (k, root) in ROOTS.iter().enumerate() {
        if fraction >> (FRACTION_BITS as usize - 1 - k) & 1 == 1 {
            unit = ((u128::from(unit) * u128::from(*root)) >> UNIT_BITS) as u64;
        }
    }
    unit
}

pub(super) fn exp2(exponent: Fixed) -> Fixed {
    let whole = exponent.floor();
    if whole >= 31 {
        return Fixed::MAX;
    }
    // From UNIT_BITS to FRACTION_BITS behind the point, and `whole` to the left.
    let right = i64::from(UNIT_BITS - FRACTION_BITS) - whole;
    Fixed(if right >= 64 { 0 } else { (unit_power(exponent) >> right) as i64 })
}

pub(super) fn exp2_count(exponent: Fixed) -> u64 {
    match exponent.floor() {
        below if below < 0 => 0,
        whole @ 0..=62 => unit_power(exponent) >> (i64::from(UNIT_BITS) - whole),
        63 => unit_power(exponent) << 1,
        _ => u64::MAX,
    }
}
