use peermark_core::Seed;
use proptest::prelude::*;
use rand_distr::{Distribution, Exp1};

use super::*;

const DEADLINE: u64 = 10_000;

/// Successes per slice, with failures.
type Plan = Vec<(Vec<u64>, u64)>;

fn slices(plan: &[(Vec<u64>, u64)]) -> Vec<Slice> {
    plan.iter()
        .enumerate()
        .map(|(index, (values, censored))| {
            let mut slice = Slice::starting_at(index as u64);
            values.iter().for_each(|value| slice.histogram.record(*value));
            slice.censored = *censored;
            slice
        })
        .collect()
}

fn plans() -> impl Strategy<Value = Plan> {
    prop::collection::vec((prop::collection::vec(1..DEADLINE, 0..40), 0..4u64), 0..70)
}

fn levels() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![0.5, 0.75, 0.9, 0.95, 0.99])
}

/// `n` independent exponential values of mean 1000 in 48 slices.
fn independent(n: u64, seed: u64) -> Vec<Slice> {
    let mut rng = Seed(seed).stream("test");
    let mut found = slices(&vec![(vec![], 0); 48]);
    for index in 0..n {
        let exponential: f64 = Exp1.sample(&mut rng);
        found[(index * 48 / n) as usize].histogram.record((exponential * 1_000.0) as u64);
    }
    found
}

fn point(slices: &[Slice], q: f64) -> Option<(u64, bool)> {
    estimate(slices, q, DEADLINE, 0.95).quantile.map(|found| (found.value, found.censored))
}

proptest! {
    #[test]
    fn order_within_a_slice_does_not_matter(plan in plans(), q in levels()) {
        let mut reversed = plan.clone();
        reversed.iter_mut().for_each(|(values, _)| values.reverse());
        prop_assert_eq!(estimate(&slices(&plan), q, DEADLINE, 0.95), estimate(&slices(&reversed), q, DEADLINE, 0.95));
    }

    #[test]
    fn larger_values_never_lower_a_percentile(plan in plans(), q in levels(), more in 1..50usize) {
        let before = slices(&plan);
        if let Some((value, _)) = point(&before, q) {
            let mut grown = plan;
            grown.push((vec![value.max(1); more], 0));
            let after = point(&slices(&grown), q);
            prop_assert!(after.is_some_and(|(later, _)| later >= value), "{after:?} < {value}");
        }
    }

    #[test]
    fn merging_neighbours_leaves_the_estimate(plan in plans(), q in levels()) {
        let before = slices(&plan);
        let mut merged: Vec<Slice> = Vec::new();
        for (index, slice) in before.iter().enumerate() {
            if index % 3 == 0 { merged.push(slice.clone()) } else { merged.last_mut().unwrap().absorb(slice) }
        }
        prop_assert_eq!(point(&before, q), point(&merged, q));
    }

    #[test]
    fn failing_more_never_lowers_a_percentile(plan in plans(), q in levels(), chosen in any::<prop::sample::Index>()) {
        let before = point(&slices(&plan), q);
        if !plan.is_empty() && let Some((value, censored)) = before {
            let mut worse = plan.clone();
            let (values, failures) = &mut worse[chosen.index(plan.len())];
            // Every success of one slice becomes a failure.
            *failures += values.len() as u64;
            values.clear();
            let (later, later_censored) = point(&slices(&worse), q).unwrap();
            prop_assert!(later >= value && later_censored >= censored);
        }
    }

    #[test]
    fn ends_enclose_the_estimate_and_whatever_is_absent_has_a_reason(plan in plans(), q in levels()) {
        let found = estimate(&slices(&plan), q, DEADLINE, 0.95);
        match found.quantile {
            None => prop_assert!(found.absent.is_some()),
            Some(quantile) => {
                prop_assert!(quantile.value <= DEADLINE);
                prop_assert!(quantile.low.is_none_or(|low| low <= quantile.value));
                prop_assert!(quantile.high.is_none_or(|high| high >= quantile.value));
                prop_assert_eq!(found.absent.is_some(), quantile.high.is_none());
                prop_assert!(!quantile.censored || quantile.high.is_none());
            }
        }
    }
}

#[test]
fn sample_sizes_are_those_of_the_textbook() {
    for (q, needed) in [(0.5, 6), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2_995), (0.9999, 29_956)] {
        assert_eq!(needed_samples(q, 0.95), needed, "{q}");
    }
    let found = estimate(&independent(298, 1), 0.99, DEADLINE, 0.95);
    assert_eq!(found.quantile, None);
    assert_eq!(found.absent.unwrap().to_string(), "too few values: n=298, at least 299 needed");
    assert!(estimate(&independent(299, 1), 0.99, DEADLINE, 0.95).quantile.is_some());
}

#[test]
fn independent_values_give_the_interval_of_order_statistics() {
    let found = estimate(&independent(10_000, 3), 0.9, DEADLINE, 0.95).quantile.unwrap();
    let (low, high) = (found.low.unwrap() as f64, found.high.unwrap() as f64);
    assert!(low < 2_302.6 && 2_302.6 < high, "{found:?}");
    // 2 * 1.96 * sqrt(q (1 - q) / n) / density = 118.
    assert!((90.0..160.0).contains(&(high - low)), "{found:?}");
}

#[test]
fn a_percentile_among_failures_is_the_deadline() {
    let plan: Plan = (0..48).map(|_| ((1..=100).map(|v| v * 10).collect(), 30)).collect();
    let found = estimate(&slices(&plan), 0.9, DEADLINE, 0.95);
    let quantile = found.quantile.unwrap();
    assert_eq!((quantile.value, quantile.high, quantile.censored), (DEADLINE, None, true));
    assert_eq!(quantile.low, Some(DEADLINE));
    assert_eq!(found.absent, Some(Absent::AmongFailures));
    assert!(!estimate(&slices(&plan), 0.5, DEADLINE, 0.95).quantile.unwrap().censored);
}

#[test]
fn a_drift_has_an_estimate_but_no_interval() {
    let plan: Plan = (0..48).map(|i| ((0..100).map(|v| 1_000 + i * 100 + v).collect(), 0)).collect();
    let found = estimate(&slices(&plan), 0.5, DEADLINE, 0.95);
    let quantile = found.quantile.unwrap();
    assert_eq!((quantile.low, quantile.high), (None, None));
    assert!(found.absent.unwrap().to_string().starts_with("too autocorrelated"), "{:?}", found.absent);
}

#[test]
fn one_slice_has_an_estimate_but_no_interval() {
    let plan: Plan = vec![((1..=1_000).collect(), 0)];
    let found = estimate(&slices(&plan), 0.5, DEADLINE, 0.95);
    assert!(found.quantile.is_some_and(|quantile| quantile.low.is_none() && quantile.high.is_none()));
    assert!(matches!(found.absent, Some(Absent::TooFewSlices { slices: 1, .. })));
}

#[test]
fn equal_values_give_the_bucket_itself() {
    let plan: Plan = (0..48).map(|_| (vec![5_000; 100], 0)).collect();
    let found = estimate(&slices(&plan), 0.99, DEADLINE, 0.95).quantile.unwrap();
    assert!(found.low.unwrap() <= 5_000 && 5_000 <= found.high.unwrap());
    assert!(found.high.unwrap() - found.low.unwrap() < 50, "{found:?}");
}

#[test]
fn questions_outside_the_method_are_refused() {
    let data = independent(1_000, 5);
    for (q, confidence) in [(0.1, 0.95), (1.0, 0.95), (f64::NAN, 0.95), (0.5, 1.0), (0.5, 0.0)] {
        let found = estimate(&data, q, DEADLINE, confidence);
        assert_eq!((found.quantile, found.absent), (None, Some(Absent::Unsupported)), "{q} {confidence}");
    }
    assert_eq!(estimate(&[], 0.5, DEADLINE, 0.95).absent, Some(Absent::TooFewValues { n: 0, needed: 6 }));
}
