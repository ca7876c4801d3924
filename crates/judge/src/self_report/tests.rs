use proptest::prelude::*;

use super::metrics::{HostMetrics, rate_milli, rate_per_s};
use super::*;
use crate::policy::SelfReportPolicy;

const SEED: &str = "5x i=1(64kb), 10x i=232(70kb), 12x i=120(50kb)";

fn counted(counts: &[(u64, u64, u64)]) -> Vec<IndexCount> {
    counts.iter().map(|(index, count, size)| IndexCount { index: *index, count: *count, size: *size }).collect()
}

fn report(counts: &[(u64, u64, u64)]) -> SelfReport {
    let per_index = counted(counts);
    let egress = totals(&per_index).unwrap();
    SelfReport { egress, per_index, ..SelfReport::default() }
}

/// R54-R57: the compact form of the seed decodes, its totals follow: 27 requests, 1620 kb.
#[test]
fn the_compact_form_of_the_seed() {
    let read = parse_compact(SEED).unwrap();
    assert_eq!(read, counted(&[(1, 5, 64_000), (120, 12, 50_000), (232, 10, 70_000)]));
    assert_eq!(totals(&read), Ok(Traffic { chunks: 27, bytes: 1_620_000 }));
    assert_eq!(print_compact(&read), "5x i=1(64kb), 12x i=120(50kb), 10x i=232(70kb)");
    assert_eq!(parse_compact("5×i=1(64kb),10×i=232(70 kb)").unwrap().len(), 2);
    assert_eq!(parse_compact(""), Ok(vec![]));
    for wrong in ["5x i=1", "x i=1(1kb)", "5x j=1(1kb)", "5x i=1(1mb)", "5x i=+1(1kb)", "5x i=1(1kb),", "-5x i=1(1kb)"]
    {
        assert!(matches!(parse_compact(wrong), Err(CompactError::Entry { .. })), "{wrong}");
    }
    assert_eq!(parse_compact("1x i=1(1b), 2x i=1(1b)"), Err(CompactError::Twice { entry: 2, index: 1 }));
    assert!(parse_compact("99999999999999999999x i=1(1kb)").is_err());
}

/// R38, R39, R53, R58: totals in chunks and bytes are the sums of their parts, sizes are those that the tree proves.
#[test]
fn a_report_that_contradicts_itself_or_the_tree_is_refused() {
    let proven = [(1, 64_000), (120, 50_000)].into();
    let good = report(&[(1, 5, 64_000), (120, 12, 50_000)]);
    assert_eq!(good.check(&proven), Ok(()));
    let refused = |report: &SelfReport| report.check(&proven).unwrap_err();
    let wrong = refused(&report(&[(1, 5, 64_001)]));
    assert_eq!(wrong, ReportError::WrongSize { index: 1, said: 64_001, proven: 64_000 });
    assert_eq!(refused(&report(&[(7, 1, 1)])), ReportError::NotInContract { index: 7 });
    let twice = SelfReport { per_index: counted(&[(1, 1, 64_000), (1, 1, 64_000)]), ..SelfReport::default() };
    assert_eq!(refused(&twice), ReportError::Order { index: 1 });
    let inflated = SelfReport { egress: Traffic { chunks: 170, ..good.egress }, ..good.clone() };
    assert_eq!(refused(&inflated), ReportError::WrongTotal { what: "chunks", said: 170, sum: 17 });
    let absurd = SelfReport { per_index: counted(&[(1, u64::MAX, 64_000)]), ..SelfReport::default() };
    assert_eq!(refused(&absurd), ReportError::Overflow);
    let long = SelfReport { per_index: counted(&[(1, 1, 1); MAX_INDICES + 1]), ..SelfReport::default() };
    assert_eq!(refused(&long), ReportError::TooLong { count: MAX_INDICES + 1 });
}

/// R42: availability as intervals in which it was up.
#[test]
fn up_times_are_in_order_and_apart() {
    let up = |up: &[(u64, u64)]| SelfReport { up: up.to_vec(), ..SelfReport::default() };
    assert_eq!(up(&[(0, 10), (20, 30)]).check(&BTreeMap::new()), Ok(()));
    assert_eq!(up(&[(0, 10), (20, 30)]).up_s(5, 25), 10);
    for wrong in [&[(5, 5)][..], &[(0, 10), (10, 20)], &[(9, 3)], &[(20, 30), (0, 10)]] {
        assert!(matches!(up(wrong).check(&BTreeMap::new()), Err(ReportError::Interval { .. })));
    }
}

/// R62: the reports of all three hosters of one hosting are compared.
#[test]
fn one_of_three_that_claims_too_much_stands_out() {
    let policy = SelfReportPolicy::default();
    let honest = report(&[(1, 10, 100), (2, 5, 100)]);
    let similar = report(&[(1, 12, 100), (2, 4, 100)]);
    let liar = report(&[(1, 100, 100), (2, 50, 100)]);
    assert_eq!(compare_hosters(&[honest.clone(), similar.clone(), honest.clone()], &policy), Comparison::default());
    let found = compare_hosters(&[honest.clone(), liar.clone(), similar], &policy);
    let mismatch = Mismatch::Total { report: 1, field: Direction::Egress, bytes: 15_000, median: 1_600 };
    assert_eq!(found, Comparison { mismatches: vec![mismatch], suspects: vec![1] });
    assert_eq!(compare_hosters(&[honest.clone(), liar], &policy).suspects, [0; 0], "of two nobody can tell");
    assert_eq!(compare_hosters(&[honest], &policy), Comparison::default());
}

/// R63: pairwise squared cosine of at least 0.64, in whole numbers.
#[test]
fn requests_are_compared_by_their_angle() {
    let counts = |counts: &[(u64, u64)]| counts.iter().copied().collect::<BTreeMap<_, _>>();
    // Exactly 0.64: (4 * 1)^2 / ((4^2 + 3^2) * 1).
    let (a, b) = (counts(&[(1, 4), (2, 3)]), counts(&[(1, 1)]));
    assert!(cos2_at_least(&a, &b, 640_000));
    assert!(!cos2_at_least(&a, &b, 640_001));
    assert!(cos2_at_least(&counts(&[(1, u64::MAX), (2, u64::MAX)]), &counts(&[(1, 1), (2, 1)]), 999_990));
    assert!(!cos2_at_least(&counts(&[(1, 5)]), &counts(&[(2, 5)]), 1));
    assert!(cos2_at_least(&counts(&[]), &counts(&[]), 640_000));
    assert!(!cos2_at_least(&counts(&[]), &counts(&[(1, 1)]), 640_000));
    let policy = SelfReportPolicy::default();
    let (same, other) = (report(&[(1, 10, 10), (2, 1, 10)]), report(&[(1, 1, 10), (2, 10, 10)]));
    let found = compare_hosters(&[same.clone(), other, same], &policy);
    assert_eq!(found.suspects, [1]);
    assert_eq!(found.mismatches, [Mismatch::Requests { one: 0, other: 1 }, Mismatch::Requests { one: 1, other: 2 }]);
}

/// R61: a hoster cannot have served less than attesters asked for themselves.
#[test]
fn attesters_own_requests_are_a_lower_bound() {
    let asked = [(1, 4), (2, 3)].into();
    assert_eq!(tracer_shortfalls(&report(&[(1, 4, 10)]), &asked), [(2, 0, 3)]);
    assert_eq!(tracer_shortfalls(&report(&[(1, 400, 10), (2, 3, 10)]), &asked), []);
}

/// R61: a self-report may lower what counts, and raises it by no more than the slack.
#[test]
fn a_claim_lowers_and_hardly_raises() {
    let policy = SelfReportPolicy::default();
    assert_eq!(used_capacity(50, 300, &policy), 50);
    assert_eq!(used_capacity(3_000, 300, &policy), 400, "at most a third above what was measured");
    assert_eq!(used_capacity(u64::MAX, u64::MAX, &policy), u64::MAX);
    assert!(!deviates(125, 90, 100, &policy) && deviates(126, 90, 100, &policy));
    assert!(!deviates(72, 90, 100, &policy) && deviates(71, 90, 100, &policy));
    assert!(deviates(0, 90, 100, &policy) && !deviates(5, 0, 0, &policy));
    let mut history = ClaimHistory::default();
    let flags: Vec<bool> =
        [true, false, true, false, true, false, false].into_iter().map(|bad| history.add(bad, &policy)).collect();
    assert_eq!(flags, [false, false, false, false, true, false, false], "three of the last five");
}

/// R40: a regular report every 600 blocks and an answer within 5; what is missing is a violation.
#[test]
fn reports_are_regular_and_on_demand() {
    let policy = SelfReportPolicy::default();
    assert_eq!(missing(600, 0, None, &policy), None);
    assert_eq!(missing(601, 0, None, &policy), Some(Missing::Regular));
    assert_eq!(missing(105, 10, Some(100), &policy), None);
    assert_eq!(missing(106, 10, Some(100), &policy), Some(Missing::Demanded));
    assert_eq!(missing(106, 101, Some(100), &policy), None, "it was answered");
}

/// R43-R48: an absent metric is null, never 0; rates come from differences of counters.
#[test]
fn what_cannot_be_measured_is_null() {
    let text = serde_json::to_string(&HostMetrics::default()).unwrap();
    assert!(text.contains("\"pages_output_milli\":null"), "{text}");
    let read: HostMetrics = serde_json::from_str(r#"{"at_ms":5,"cpu":{"processor_ppm":0}}"#).unwrap();
    assert_eq!((read.cpu.processor_ppm, read.cpu.user_ppm), (Some(0), None));
    assert!(serde_json::from_str::<HostMetrics>(r#"{"cpus":{}}"#).is_err());
    assert_eq!(rate_per_s(Some(100), Some(400), 1_500), Some(200));
    assert_eq!(rate_milli(Some(1), Some(2), 10_000), Some(100));
    for (before, after, period) in
        [(None, Some(1), 5), (Some(1), None, 5), (Some(2), Some(1), 5), (Some(1), Some(2), 0)]
    {
        assert_eq!(rate_per_s(before, after, period), None);
    }
}

/// R47: the summary vector.
#[test]
fn the_summary_has_the_five_resources() {
    let mut host = HostMetrics::default();
    assert_eq!(host.summary(), metrics::HostSummary::default());
    host.mem.total_bytes = Some(8_000);
    host.mem.free_bytes = Some(2_000);
    host.hdd.free_ppm = Some(400_000);
    host.net.sent_bytes_per_s = Some(77);
    let summary = host.summary();
    assert_eq!((summary.mem_ppm, summary.hdd_ppm), (Some(750_000), Some(600_000)));
    assert_eq!((summary.egress_bytes_per_s, summary.ingress_bytes_per_s), (Some(77), None));
}

proptest! {
    #[test]
    fn compact_reads_back(counts in prop::collection::btree_map(0u64..100_000, (0u64..1_000, 0u64..200_000), 0..50)) {
        let counts: Vec<_> = counts.into_iter().map(|(index, (count, size))| (index, count, size)).collect();
        let counts = counted(&counts);
        prop_assert_eq!(parse_compact(&print_compact(&counts)).unwrap(), counts);
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _read = parse_compact(&text);
    }
}
