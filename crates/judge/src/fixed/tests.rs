use proptest::prelude::*;

use super::*;

fn close(found: Fixed, truth: f64, error: f64) -> bool {
    (found.raw() as f64 / 4_294_967_296.0 - truth).abs() <= error
}

#[test]
fn logarithms_of_powers_of_two_are_exact_and_others_are_close() {
    for whole in 0..64 {
        assert_eq!(Fixed::log2(1 << whole), Some(Fixed::from_int(whole)));
    }
    for value in [3, 5, 7, 10, 1_000, 65_535, 999_999_999, 1_000_000_007, u64::MAX] {
        assert!(close(Fixed::log2(value).unwrap(), (value as f64).log2(), 1e-9), "{value}");
    }
    assert_eq!(Fixed::log2(0), None);
    assert_eq!(Fixed::log2_ratio(1, 0), None);
    assert_eq!(Fixed::log2_ratio(3, 12), Some(Fixed::from_int(-2)));
}

#[test]
fn vectors_that_every_machine_must_reproduce() {
    // Digits of log2(3), log2(10) and 2^(1/2), rounded down, as in OEIS A020857, A020862 and A002193.
    assert_eq!(Fixed::log2(3).unwrap().raw(), 6_807_362_105);
    assert_eq!(Fixed::log2(10).unwrap().raw(), 14_267_572_527);
    assert_eq!(Fixed::from_ratio(1, 2).exp2().raw(), 6_074_000_999);
}

#[test]
fn the_ends_of_the_range_hold() {
    assert_eq!(Fixed::MAX + Fixed::ONE, Fixed::MAX);
    assert_eq!(Fixed::MIN - Fixed::ONE, Fixed::MIN);
    assert_eq!(Fixed::MAX * Fixed::from_int(-2), Fixed::MIN);
    assert_eq!(-Fixed::MIN, Fixed::MAX);
    assert_eq!(Fixed::ONE.over(Fixed::ZERO), Fixed::MAX);
    assert_eq!((-Fixed::ONE).over_int(0), Fixed::MIN);
    assert_eq!(Fixed::from_int(40).exp2(), Fixed::MAX);
    assert_eq!(Fixed::from_int(-40).exp2(), Fixed::ZERO);
    assert_eq!(Fixed::from_int(64).exp2_count(), u64::MAX);
    assert_eq!(Fixed::from_int(-1).exp2_count(), 0);
    assert_eq!(Fixed::from_int(63).exp2_count(), 1 << 63);
    assert_eq!(Fixed::from_int(-3).sqrt(), Fixed::ZERO);
}

#[test]
fn people_read_decimals() {
    assert_eq!(Fixed::from_ratio(-5, 4).to_string(), "-1.250000");
    assert_eq!(format!("{:.2}", Fixed::from_ratio(1, 3)), "0.33");
    assert_eq!(format!("{:.0}", Fixed::from_ratio(7, 2)), "4");
    assert_eq!(format!("{:8.1}", Fixed::from_ratio(-1, 100)), "     0.0");
    assert_eq!(Fixed::from_ppm(250_000).to_ppm(), 250_000);
    assert_eq!(serde_json::to_string(&Fixed::ONE).unwrap(), "4294967296");
}

proptest! {
    #[test]
    fn a_count_survives_logarithm_and_power(value in 1..u64::MAX) {
        let back = Fixed::log2(value).unwrap().exp2_count();
        prop_assert!(value.abs_diff(back) as f64 <= 1.0 + value as f64 * 1e-9, "{value} {back}");
    }

    #[test]
    fn arithmetic_is_that_of_numbers(a in -30_000..30_000i64, b in -30_000..30_000i64) {
        let (x, y) = (Fixed::from_ratio(a, 7), Fixed::from_ratio(b, 11));
        let (p, q) = (a as f64 / 7.0, b as f64 / 11.0);
        prop_assert!(close(x + y, p + q, 1e-8) && close(x - y, p - q, 1e-8) && close(x * y, p * q, 1e-4));
        if b.abs() > 100 {
            prop_assert!(close(x.over(y), p / q, 1e-6));
        }
        prop_assert!(close(x.abs().sqrt(), p.abs().sqrt(), 1e-4));
    }

    #[test]
    fn nothing_panics(a: i64, b: i64) {
        let (x, y) = (Fixed::from_raw(a), Fixed::from_raw(b));
        let all = [x + y, x - y, x * y, x.over(y), -x, x.abs(), x.sqrt(), x.exp2(), x.over_int(b), x.times(b), Fixed::from_ratio(a, b)];
        prop_assert!(all.iter().all(|value| !value.to_string().is_empty()));
        prop_assert!(x.exp2_count() > 0 || x < Fixed::ZERO);
    }

    #[test]
    fn more_has_the_higher_logarithm(a in 1..1_000_000u64, b in 1..1_000_000u64) {
        prop_assert_eq!(a.cmp(&b), Fixed::log2(a).cmp(&Fixed::log2(b)));
    }
}
