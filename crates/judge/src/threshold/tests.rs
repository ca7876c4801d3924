use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Threshold {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    text.parse::<Threshold>().expect_err(text).to_string()
}

#[test]
fn the_documented_forms_are_read() {
    for (text, phase, op, metric, comparison, limit) in [
        ("fetch.p99<50ms", None, "fetch", Metric::P99, Comparison::Less, 5e7),
        ("upload.error_ratio<=0.1%", None, "upload", Metric::ErrorRatio, Comparison::LessOrEqual, 0.001),
        ("fetch.rate>=100", None, "fetch", Metric::Rate, Comparison::GreaterOrEqual, 100.0),
        ("fetch.rate > 0.5/s", None, "fetch", Metric::Rate, Comparison::Greater, 0.5),
        ("fetch.p50<=1.5ms", None, "fetch", Metric::P50, Comparison::LessOrEqual, 1.5e6),
        ("stress/upload.p90<20ms", Some("stress"), "upload", Metric::P90, Comparison::Less, 2e7),
        (" ramp-2 / block.get.max < 2 s ", Some("ramp-2"), "block.get", Metric::Max, Comparison::Less, 2e9),
        ("read_cold.p50<800us", None, "read_cold", Metric::P50, Comparison::Less, 8e5),
        ("fetch.error_ratio<=0", None, "fetch", Metric::ErrorRatio, Comparison::LessOrEqual, 0.0),
    ] {
        let phase = phase.map(str::to_owned);
        assert_eq!(read(text), Threshold { phase, op: op.to_owned(), metric, comparison, limit }, "{text}");
    }
}

#[test]
fn refusals_say_what_to_write() {
    assert_eq!(
        refusal("fetch.p95<50ms"),
        "unknown metric \"p95\", did you mean p99? (known: p50, p90, p99, max, error_ratio, rate)"
    );
    assert!(refusal("fetch.errors<1%").contains("did you mean error_ratio"));
    assert!(refusal("fetch.RATE>1").contains("did you mean rate"));
    assert!(refusal("fetch.p99").starts_with("no comparison"));
    assert!(refusal("fetch<5ms").starts_with("no metric"));
    assert!(refusal("/fetch.p99<5ms").starts_with("not a name: \"\""));
    assert!(refusal("fe tch.p99<5ms").starts_with("not a name: \"fe tch\""));
    for text in
        ["fetch.p99<50", "fetch.p99<-5ms", "fetch.p99<5 parsecs", "fetch.p99<", "fetch.p99<<5ms", "fetch.p99==5ms<"]
    {
        assert!(text.parse::<Threshold>().is_err(), "{text}");
    }
    assert_eq!(refusal("fetch.p99<50"), "not a limit for p99: \"50\" (write 50ms, 1.5s or 800us)");
    assert!(refusal("fetch.error_ratio<101%").contains("at most 100%"));
    assert!(refusal("fetch.rate>5ms").contains("100 or 100/s"));
    assert!(refusal("fetch.rate>.").starts_with("not a limit"));
}

#[test]
fn comparisons_hold_at_their_edges() {
    for (text, below, at, above) in [
        ("f.rate<2", true, false, false),
        ("f.rate<=2", true, true, false),
        ("f.rate>2", false, false, true),
        ("f.rate>=2", false, true, true),
    ] {
        let threshold = read(text);
        assert_eq!([1.0, 2.0, 3.0].map(|value| threshold.holds(value)), [below, at, above], "{text}");
        assert!(!threshold.holds(f64::NAN));
    }
}

#[test]
fn what_people_write_is_what_is_shown() {
    for text in [
        "fetch.p99<50ms",
        "upload.error_ratio<=0.1%",
        "fetch.rate>=100",
        "fetch.p50<=1.5ms",
        "stress/upload.p90<20ms",
        "fetch.max<2s",
        "fetch.error_ratio<=0",
    ] {
        assert_eq!(read(text).to_string(), text);
    }
}

fn names() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,8}"
}

fn thresholds() -> impl Strategy<Value = Threshold> {
    let comparisons = vec![Comparison::Less, Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual];
    let metrics = prop::sample::select(Metric::ALL.to_vec());
    (prop::option::of(names()), names(), metrics, prop::sample::select(comparisons), 0.0..=1.0f64, 0..12i32).prop_map(
        |(phase, op, metric, comparison, share, power)| {
            let scale = if metric.unit() == LimitUnit::Ratio { 1.0 } else { 10f64.powi(power) };
            Threshold { phase, op, metric, comparison, limit: share * scale }
        },
    )
}

proptest! {
    #[test]
    fn reading_anything_never_panics(text in ".{0,60}") {
        let _ = text.parse::<Threshold>();
    }

    #[test]
    fn reading_nearly_a_threshold_never_panics(text in "[a-z/. ]{0,10}\\.?(p99|rate|error_ratio)?[<>=]{0,3}[0-9.eE+-]{0,6}[a-z%/]{0,3}") {
        let _ = text.parse::<Threshold>();
    }

    #[test]
    fn what_is_written_reads_back_the_same(threshold in thresholds()) {
        prop_assert_eq!(threshold.to_string().parse(), Ok(threshold));
    }
}
