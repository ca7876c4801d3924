//! Where the ticks go and what they say.

use crate::format;

/// A tick: where, and its label.
pub type Tick = (f64, String);

/// Round values from 0 to `limit`, at most `most` steps.
pub fn linear(limit: f64, most: usize) -> Vec<f64> {
    if !(limit.is_finite() && limit > 0.0) {
        return vec![0.0];
    }
    let rough = limit / most.max(1) as f64;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|factor| factor * decade).find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * decade);
    (0..=most).map(|index| index as f64 * step).take_while(|value| *value <= limit * 1.000_001).collect()
}

/// Round values of a logarithmic axis over nanoseconds, labelled: decades, with 2 and 5 between them where there is room.
pub fn logarithmic(from: f64, to: f64, most: usize) -> Vec<Tick> {
    let decades = |factors: &[f64]| -> Vec<f64> {
        let first = from.log10().floor() as i32;
        let last = to.log10().ceil() as i32;
        (first..=last)
            .flat_map(|exponent| factors.iter().map(move |factor| factor * 10f64.powi(exponent)))
            .filter(|value| (from..=to).contains(value))
            .collect()
    };
    let dense = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].into_iter().map(decades);
    let values = dense.into_iter().find(|values| values.len() <= most).unwrap_or_else(|| decades(&[1.0]));
    let stride = values.len().div_ceil(most.max(1)).max(1);
    values.into_iter().step_by(stride).map(|value| (value, round_duration(value))).collect()
}

/// The label of a round duration: `20 ms`, not `20.0 ms`.
pub fn round_duration(ns: f64) -> String {
    let quantity = format::duration(ns.round() as u64);
    let number = if quantity.number.contains('.') {
        quantity.number.trim_end_matches('0').trim_end_matches('.')
    } else {
        &quantity.number
    };
    format!("{number} {}", quantity.unit)
}

/// The label of a round number: `0.5`, `20`, `1,000`.
pub fn round_number(value: f64) -> String {
    if value.fract() == 0.0 { format::count(value as u64) } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_ticks_are_round_and_few() {
        assert_eq!(linear(98.0, 2), [0.0, 50.0]);
        assert_eq!(linear(100.0, 2), [0.0, 50.0, 100.0]);
        assert_eq!(linear(62.0, 10), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(linear(0.0, 4), [0.0]);
        assert_eq!(linear(f64::NAN, 4), [0.0]);
    }

    #[test]
    fn logarithmic_ticks_fit_their_room() {
        let labels =
            |from, to, most| logarithmic(from, to, most).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(1e6, 1e8, 8), ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms"]);
        assert_eq!(labels(1e5, 1e10, 6), ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
        assert!(labels(1.0, 1e12, 4).len() <= 4);
    }
}
