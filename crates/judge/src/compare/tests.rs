use peermark_core::Seed;
use proptest::prelude::*;

use super::*;

fn metric(a: &[f64], b: &[f64]) -> MetricRuns {
    MetricRuns {
        name: "fetch.p99".to_owned(),
        direction: Direction::LowerIsBetter,
        a: a.to_vec(),
        b: b.to_vec(),
        min_effect: DEFAULT_MIN_EFFECT,
    }
}

fn verdict(a: &[f64], b: &[f64]) -> Finding {
    compare(&[metric(a, b)]).remove(0)
}

#[test]
fn a_clear_change_has_a_direction() {
    let (slow, fast) = ([120.0, 121.0, 119.0, 122.0], [100.0, 101.0, 99.0, 100.5]);
    assert_eq!(verdict(&slow, &fast).verdict, Verdict::Better);
    assert_eq!(verdict(&fast, &slow).verdict, Verdict::Worse);
    let higher = MetricRuns { direction: Direction::HigherIsBetter, ..metric(&fast, &slow) };
    let finding = compare(&[higher]).remove(0);
    assert_eq!(finding.verdict, Verdict::Better);
    let effect = finding.effect.unwrap();
    assert!((effect.change - 0.2035).abs() < 0.001, "{effect:?}");
    assert!(effect.low < effect.change && effect.change < effect.high && effect.low > 0.17, "{effect:?}");
}

#[test]
fn welch_agrees_with_a_worked_example() {
    // Logarithms 1, 2, 3 and 3, 4, 8: means 2 and 5, variances 1 and 7, t = 3 / sqrt(8 / 3) = 1.8371, degrees = 2.56.
    let exp = |values: [f64; 3]| values.map(f64::exp);
    let finding = verdict(&exp([1.0, 2.0, 3.0]), &exp([3.0, 4.0, 8.0]));
    let degrees: f64 = (8.0_f64 / 3.0).powi(2) / ((1.0_f64 / 3.0).powi(2) / 2.0 + (7.0_f64 / 3.0).powi(2) / 2.0);
    assert!((degrees - 2.56).abs() < 1e-9);
    assert!((finding.effect.unwrap().change - (3.0_f64.exp() - 1.0)).abs() < 1e-9);
    let p_value = finding.p_value.unwrap();
    assert!((p_value - student_two_sided(1.837_117, 2.56)).abs() < 1e-6 && p_value > 0.15, "{p_value}");
}

#[test]
fn tight_arms_are_no_different_and_loose_ones_unknown() {
    assert_eq!(verdict(&[100.0, 101.0, 99.0, 100.0], &[100.5, 99.5, 100.0, 101.0]).verdict, Verdict::NoDifference);
    let loose = verdict(&[100.0, 150.0, 70.0], &[90.0, 160.0, 80.0]);
    assert_eq!(loose.verdict, Verdict::NotEnoughData);
    assert!(loose.reason.unwrap().contains("repeat more runs"));
    let small = verdict(&[100.0, 100.1, 99.9, 100.0], &[102.0, 102.1, 101.9, 102.0]);
    assert_eq!(small.verdict, Verdict::NoDifference, "a real change of 2 % is below 5 %");
}

#[test]
fn a_change_around_the_smallest_of_interest_is_open() {
    let finding = verdict(&[100.0, 101.5, 98.5, 100.0], &[104.0, 105.5, 102.5, 104.0]);
    assert_eq!(finding.verdict, Verdict::NotEnoughData);
    assert!(finding.reason.unwrap().contains("whether it reaches 5.000 %"));
}

#[test]
fn what_cannot_be_a_ratio_is_not_enough_data() {
    let ok = [1.0, 1.0, 1.0];
    for (a, b, reason) in [
        (&ok[..], &[1.0, 1.0][..], "arm B: 2 runs, at least 3 needed"),
        (&[0.0, 1.0, 1.0][..], &ok[..], "arm A: a run has the value 0, and ratios need values above 0"),
        (&[1.0, -2.0, 1.0][..], &ok[..], "arm A: a run has the value -2, and ratios need values above 0"),
        (&ok[..], &[1.0, f64::NAN, f64::INFINITY][..], "arm B: 2 of 3 runs have no value"),
        (&[][..], &[][..], "arm A: 0 runs, at least 3 needed"),
    ] {
        let finding = verdict(a, b);
        assert_eq!(
            (finding.verdict, finding.effect, finding.reason.as_deref()),
            (Verdict::NotEnoughData, None, Some(reason))
        );
    }
}

#[test]
fn runs_that_repeat_exactly_need_no_spread() {
    assert_eq!(verdict(&[7.0; 3], &[7.0; 3]).verdict, Verdict::NoDifference);
    assert_eq!(verdict(&[7.0; 3], &[8.0; 3]).verdict, Verdict::Worse);
}

#[test]
fn benjamini_hochberg_agrees_with_its_paper() {
    // The fifteen p values of Benjamini & Hochberg 1995, section 3.2: four discoveries at 5 %.
    let p_values = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
        1.0,
    ];
    assert_eq!(benjamini_hochberg(&p_values, 0.05), 0.0095);
    assert_eq!(benjamini_hochberg(&[], 0.05), 0.0);
    assert_eq!(benjamini_hochberg(&[0.2], 0.05), 0.0);
}

#[test]
fn one_weak_metric_among_many_is_no_discovery() {
    let weak = metric(&[100.0, 108.0, 92.0, 100.0], &[115.0, 124.0, 106.0, 115.0]);
    assert_eq!(compare(std::slice::from_ref(&weak))[0].verdict, Verdict::Worse);
    let nothing = metric(&[100.0, 130.0, 80.0, 100.0], &[101.0, 80.0, 130.0, 100.0]);
    let mut many = vec![nothing; 9];
    many.push(weak);
    let finding = compare(&many).remove(9);
    assert_eq!(finding.verdict, Verdict::NotEnoughData);
    assert!(finding.reason.unwrap().contains("among this many metrics"));
}

#[test]
fn identical_arms_are_rarely_called_different() {
    for runs in [3, 4, 5, 7, 10] {
        for noise in [
            RunNoise::Lognormal { sigma: 0.05 },
            RunNoise::Lognormal { sigma: 0.2 },
            RunNoise::Lognormal { sigma: 1.0 },
            RunNoise::HeavyTailed { sigma: 0.2 },
        ] {
            let found = false_alarm_rate(noise, runs, 1, 3_000, Seed(11));
            // 5 % and three standard errors of 3,000 replications.
            assert!(found.rate() <= 0.062, "{noise:?} {runs} runs: {}", found.rate());
        }
    }
    assert!(false_alarm_rate(RunNoise::Lognormal { sigma: 0.2 }, 5, 6, 1_000, Seed(12)).rate() <= 0.02);
    let steady = false_alarm_rate(RunNoise::Lognormal { sigma: 0.01 }, 5, 1, 1_000, Seed(13));
    assert_eq!(steady.alarms, 0);
    assert!(steady.no_difference > 950, "{steady:?}");
}

proptest! {
    #[test]
    fn swapping_the_arms_turns_the_verdict_around(a in prop::collection::vec(0.1..1e6f64, 3..8), b in prop::collection::vec(0.1..1e6f64, 3..8)) {
        let (there, back) = (verdict(&a, &b), verdict(&b, &a));
        let (effect, mirrored) = (there.effect.unwrap(), back.effect.unwrap());
        prop_assert!(((1.0 + effect.change) * (1.0 + mirrored.change) - 1.0).abs() < 1e-9);
        prop_assert!(effect.low <= effect.change && effect.change <= effect.high);
        prop_assert!(!(there.verdict == Verdict::Better && back.verdict == Verdict::Better));
    }

    #[test]
    fn the_unit_does_not_matter(a in prop::collection::vec(1.0..10.0f64, 3..6), b in prop::collection::vec(1.0..10.0f64, 3..6), unit in 1e-6..1e6f64) {
        let scaled = |values: &[f64]| values.iter().map(|value| value * unit).collect::<Vec<f64>>();
        let (plain, other) = (verdict(&a, &b), verdict(&scaled(&a), &scaled(&b)));
        prop_assert!((plain.effect.unwrap().change - other.effect.unwrap().change).abs() < 1e-6 * (1.0 + plain.effect.unwrap().change.abs()));
    }
}
