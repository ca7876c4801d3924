use proptest::prelude::*;

use super::*;

const SCALES: [Scale; 2] = [Scale::LatencyUs, Scale::ThroughputBps];

/// What falls into one bucket is told apart by what falls into the others.
#[test]
fn a_quantile_lies_within_its_bucket() {
    let mut one = SparseHistogram::new(Scale::LatencyUs);
    (0..10).for_each(|_| one.record(40_000));
    let bounds = one.quantile(500_000).unwrap();
    let mut other = one.clone();
    (0..3).for_each(|_| other.record(100));
    let (a, b) = (one.interpolated(500_000).unwrap(), other.interpolated(500_000).unwrap());
    assert!(bounds.low <= b && b < bounds.high && bounds.low <= a && a < bounds.high && a != b, "{a} {b}");
    assert_eq!(SparseHistogram::new(Scale::LatencyUs).interpolated(500_000), None);
}

#[test]
fn the_scales_have_the_ends_that_the_format_names() {
    assert_eq!((Scale::LatencyUs.edge(0), Scale::LatencyUs.edge(BUCKETS)), (1_000, 65_536_000));
    assert_eq!((Scale::ThroughputBps.edge(0), Scale::ThroughputBps.edge(BUCKETS)), (16_000, 1_048_576_000));
    for scale in SCALES {
        for index in 0..BUCKETS {
            let (low, high) = (scale.edge(index), scale.edge(index + 1));
            assert!(low < high && (high - low) * 8 <= low, "at most 12.5 % wide: {low} to {high}");
        }
    }
}

#[test]
fn an_edge_belongs_to_the_side_that_keeps_it() {
    for index in 1..BUCKETS {
        let edge = Scale::LatencyUs.edge(index);
        assert_eq!((Scale::LatencyUs.bucket(edge), Scale::LatencyUs.bucket(edge + 1)), (index - 1, index));
        let edge = Scale::ThroughputBps.edge(index);
        assert_eq!((Scale::ThroughputBps.bucket(edge - 1), Scale::ThroughputBps.bucket(edge)), (index - 1, index));
    }
    for scale in SCALES {
        assert_eq!((scale.bucket(0), scale.bucket(u64::MAX)), (0, BUCKETS - 1));
    }
}

#[test]
fn a_threshold_within_a_bucket_is_judged_by_the_edge_that_is_harder_to_keep() {
    assert_eq!(Scale::LatencyUs.judged_at(200_000), Some(192_000));
    assert_eq!(Scale::LatencyUs.judged_at(192_000), Some(192_000));
    assert_eq!(Scale::LatencyUs.judged_at(900), None, "no bucket is surely below it");
    assert_eq!(Scale::ThroughputBps.judged_at(100_000_000), Some(106_496_000));
    assert_eq!(Scale::ThroughputBps.judged_at(106_496_000), Some(106_496_000));
    assert_eq!(Scale::ThroughputBps.judged_at(2_000_000_000), None);
    let mut values = SparseHistogram::new(Scale::LatencyUs);
    for value in [150_000, 192_000, 195_000, 203_000, 230_000] {
        values.record(value);
    }
    assert_eq!(values.keeping(200_000), Kept { kept: 2, unclear: 2, all: 5 });
    assert_eq!(values.keeping(192_000), Kept { kept: 2, unclear: 0, all: 5 });
    assert_eq!(values.keeping(200_000).share_ppm(), Some(400_000));
}

#[test]
fn what_is_beyond_the_scale_keeps_no_threshold() {
    let mut late = SparseHistogram::new(Scale::LatencyUs);
    late.record(90_000_000);
    assert_eq!(late.keeping(80_000_000), Kept { kept: 0, unclear: 1, all: 1 });
    assert_eq!(late.quantile(500_000), Some(Bounds { low: Scale::LatencyUs.edge(127), high: u64::MAX }));
    let mut slow = SparseHistogram::new(Scale::ThroughputBps);
    slow.record(3);
    assert_eq!(slow.keeping(16_000), Kept { kept: 0, unclear: 1, all: 1 }, "may be anything below the second edge");
}

#[test]
fn there_is_one_way_to_write_a_histogram() {
    let refused = |counts: &[(u8, u32)]| SparseHistogram::from_counts(Scale::LatencyUs, counts.to_vec()).unwrap_err();
    assert_eq!(refused(&[(128, 1)]), HistogramError::NoSuchBucket { index: 128 });
    assert_eq!(refused(&[(3, 1), (3, 1)]), HistogramError::Order { previous: 3, index: 3 });
    assert_eq!(refused(&[(3, 1), (2, 1)]), HistogramError::Order { previous: 3, index: 2 });
    assert_eq!(refused(&[(3, 0)]), HistogramError::Empty { index: 3 });
    let large = SparseHistogram::from_counts(Scale::LatencyUs, vec![(3, 65_536)]).unwrap();
    assert_eq!(large.check_report(), Err(HistogramError::TooMany { index: 3, count: 65_536, most: 65_535 }));
    let mut latency = SparseHistogram::new(Scale::LatencyUs);
    assert_eq!(latency.merge(&SparseHistogram::new(Scale::ThroughputBps)), Err(HistogramError::OtherScale));
    assert!(serde_json::from_str::<SparseHistogram>(r#"{"scale":"latency_us","counts":[[1,0]]}"#).is_err());
    assert!(serde_json::from_str::<SparseHistogram>(r#"{"scale":"latency_us","counts":[],"x":1}"#).is_err());
}

#[test]
fn a_full_counter_stays_full() {
    let mut values = SparseHistogram::from_counts(Scale::LatencyUs, vec![(3, u32::MAX)]).unwrap();
    values.merge(&values.clone()).unwrap();
    assert_eq!(values.counts(), [(3, u32::MAX)]);
}

fn histogram(values: &[u64]) -> SparseHistogram {
    let mut histogram = SparseHistogram::new(Scale::LatencyUs);
    values.iter().for_each(|value| histogram.record(*value));
    histogram
}

proptest! {
    #[test]
    fn every_value_is_within_its_bucket(value in 0u64..2_000_000_000) {
        for scale in SCALES {
            let mut histogram = SparseHistogram::new(scale);
            histogram.record(value);
            let Bounds { low, high } = histogram.quantile(500_000).unwrap();
            prop_assert!((low..=high).contains(&value));
        }
    }

    #[test]
    fn merging_is_counting_both(one in prop::collection::vec(0u64..90_000_000, 0..40), two in prop::collection::vec(0u64..90_000_000, 0..40)) {
        let both = histogram(&[one.clone(), two.clone()].concat());
        let (mut ab, mut ba) = (histogram(&one), histogram(&two));
        ab.merge(&histogram(&two)).unwrap();
        ba.merge(&histogram(&one)).unwrap();
        prop_assert_eq!(&ab, &both);
        prop_assert_eq!(&ba, &both);
        prop_assert_eq!(serde_json::from_str::<SparseHistogram>(&serde_json::to_string(&both).unwrap()).unwrap(), both);
    }

    #[test]
    fn kept_and_unclear_enclose_the_truth(values in prop::collection::vec(0u64..90_000_000, 1..60), threshold in 0u64..90_000_000) {
        let truth = values.iter().filter(|value| **value <= threshold).count() as u64;
        let found = histogram(&values).keeping(threshold);
        prop_assert!(found.kept <= truth && truth <= found.kept + found.unclear);
        let edge = Scale::LatencyUs.edge((threshold % 127) as u8 + 1);
        let truth = values.iter().filter(|value| **value <= edge).count() as u64;
        prop_assert_eq!(histogram(&values).keeping(edge), Kept { kept: truth, unclear: 0, all: values.len() as u64 });
    }

    #[test]
    fn a_quantile_s_bucket_holds_the_value_of_that_rank(mut values in prop::collection::vec(0u64..90_000_000, 1..60), q in 0u32..=1_000_000) {
        let found = histogram(&values).quantile(q).unwrap();
        values.sort_unstable();
        let rank = (values.len() * q as usize).div_ceil(1_000_000).max(1);
        prop_assert!((found.low..=found.high).contains(&values[rank - 1]));
    }
}
