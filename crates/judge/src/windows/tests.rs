use peermark_core::EvidenceClass;
use proptest::prelude::*;

use super::*;
use crate::outcome::ProbeOutcome;
use crate::policy::ServicePolicy;

fn row(outcome: ProbeOutcome, n: u64) -> Row {
    let mut row = Row { reports: 1, ..Row::default() };
    row.outcomes.add(outcome, n);
    row
}

fn statement(windows: &Windows, window: Window, now_s: u64) -> WindowStatement {
    windows.statement(window, now_s, &Promise::default(), &ServicePolicy::default())
}

/// R95: what percentage of time are services available, over an hour, a day and thirty days.
#[test]
fn each_window_has_its_own_availability() {
    let mut windows = Windows::default();
    let day = 86_400;
    windows.record(0, &row(ProbeOutcome::Refused, 100)).unwrap();
    windows.record(10 * day, &row(ProbeOutcome::NoData, 50)).unwrap();
    windows.record(10 * day + 7_200, &row(ProbeOutcome::Ok, 150)).unwrap();
    let now = 10 * day + 7_200;
    let availability = Window::ALL.map(|window| statement(&windows, window, now).availability_ppm);
    assert_eq!(availability, [Some(1_000_000), Some(750_000), Some(500_000)]);
    assert_eq!(statement(&windows, Window::Hour, now + 2 * 3_600).availability_ppm, None, "nothing was measured");
}

/// R97: root causes ranked, error budget and burn rate.
#[test]
fn causes_are_ranked_and_the_budget_burns() {
    let mut windows = Windows::default();
    for (outcome, n) in [
        (ProbeOutcome::Ok, 960),
        (ProbeOutcome::Slow, 20),
        (ProbeOutcome::BlockTimeout, 15),
        (ProbeOutcome::NoData, 5),
        (ProbeOutcome::AttesterFault, 40),
    ] {
        windows.record(100, &row(outcome, n)).unwrap();
    }
    let promise = Promise { availability_ppm: Some(990_000), ..Promise::default() };
    let said = windows.statement(Window::Day, 100, &promise, &ServicePolicy::default());
    assert_eq!((said.counted, said.failed, said.excluded), (1_000, 20, 40));
    assert_eq!(said.availability_ppm, Some(980_000));
    let causes: Vec<_> = said.causes.iter().map(|cause| (cause.outcome, cause.share_ppm)).collect();
    let expected = [
        (ProbeOutcome::AttesterFault, 500_000),
        (ProbeOutcome::Slow, 250_000),
        (ProbeOutcome::BlockTimeout, 187_500),
        (ProbeOutcome::NoData, 62_500),
    ];
    assert_eq!(causes, expected);
    let budget = Budget { promised_ppm: 990_000, allowed: 10, failed: 20, burn_ppm: 2_000_000 };
    assert_eq!(said.budget, Some(budget), "twice as many failed as may");
    let all = Promise { availability_ppm: Some(1_000_000), ..Promise::default() };
    let said = windows.statement(Window::Day, 100, &all, &ServicePolicy::default());
    assert_eq!(said.budget.map(|budget| budget.burn_ppm), Some(u64::MAX), "nothing may fail, and something did");
}

/// R96: how are the services performing, against what was promised.
#[test]
fn promised_latency_and_speed_are_judged_by_edges() {
    let mut windows = Windows::default();
    let mut report = row(ProbeOutcome::Ok, 4);
    report.outcomes.add(ProbeOutcome::ConnectTimeout, 1);
    for us in [50_000, 100_000, 150_000, 210_000] {
        report.latency.record(us);
    }
    report.throughput.record(50_000_000);
    report.throughput.record(200_000_000);
    windows.record(5, &report).unwrap();
    let promise = Promise { latency_us: Some(200_000), throughput_bps: Some(106_496_000), availability_ppm: None };
    let said = windows.statement(Window::Hour, 5, &promise, &ServicePolicy::default());
    let latency = KeptTerm { promised: 200_000, judged_at: Some(192_000), kept_ppm: Some(600_000), of: 5, unclear: 0 };
    assert_eq!(said.latency.map(|term| KeptTerm { unclear: 0, ..term }), Some(latency), "who fails keeps no latency");
    let throughput = said.throughput.unwrap();
    assert_eq!((throughput.judged_at, throughput.kept_ppm), (Some(106_496_000), Some(500_000)));
    assert_eq!(throughput.of, 2, "of transfers only those that took place");
    assert_eq!(said.availability_ppm, None, "five probes are too few");
}

/// R65: results are kept per (hoster, region, window), and regions are never added up.
#[test]
fn regions_have_rows_of_their_own() {
    let mut book = WindowBook::default();
    let key = |hoster, region: &str| RowKey { hoster, region: region.to_owned(), class: EvidenceClass::Working };
    book.record(key(1, "u33"), 10, &row(ProbeOutcome::Ok, 30)).unwrap();
    book.record(key(1, "k3v"), 10, &row(ProbeOutcome::NoData, 30)).unwrap();
    book.record(key(2, "u33"), 10, &row(ProbeOutcome::Ok, 30)).unwrap();
    assert_eq!(of_one(&book, EvidenceClass::Working), [("k3v", Some(0)), ("u33", Some(1_000_000))]);
    assert_eq!(book.iter().count(), 3);
    assert!(book.get(&key(2, "k3v")).is_none());
}

fn of_one(book: &WindowBook, class: EvidenceClass) -> Vec<(&str, Option<u32>)> {
    let rows = book.of_hoster(1, class);
    rows.map(|(region, windows)| (region, statement(windows, Window::Hour, 10).availability_ppm)).collect()
}

/// R6: classes of evidence are never mixed in one aggregate.
#[test]
fn classes_have_rows_of_their_own() {
    let mut book = WindowBook::default();
    for (class, outcome) in [
        (EvidenceClass::Raw, ProbeOutcome::Ok),
        (EvidenceClass::Working, ProbeOutcome::Refused),
        (EvidenceClass::OffChain, ProbeOutcome::NoData),
    ] {
        book.record(RowKey { hoster: 1, region: "u33".to_owned(), class }, 10, &row(outcome, 20)).unwrap();
    }
    assert_eq!(of_one(&book, EvidenceClass::Raw), [("u33", Some(1_000_000))]);
    assert_eq!(of_one(&book, EvidenceClass::Working), [("u33", Some(0))]);
    assert_eq!(of_one(&book, EvidenceClass::SelfReport), []);
}

#[test]
fn what_is_too_old_or_of_the_wrong_scale_is_refused_and_changes_nothing() {
    let mut windows = Windows::default();
    windows.record(100 * 86_400, &row(ProbeOutcome::Ok, 1)).unwrap();
    let before = windows.clone();
    let error = windows.record(1, &row(ProbeOutcome::Ok, 1)).unwrap_err();
    assert_eq!(error, WindowError::TooOld { at_s: 1, from_s: 28 * 216_000 });
    let wrong = Row { latency: SparseHistogram::new(Scale::ThroughputBps), ..Row::default() };
    let source = HistogramError::OtherScale;
    assert_eq!(windows.record(100 * 86_400, &wrong), Err(WindowError::Histogram { field: "latency", source }));
    assert_eq!(windows, before);
}

proptest! {
    #[test]
    fn the_order_of_reports_does_not_matter(mut reports in prop::collection::vec((0u64..200_000, 0usize..10, 1u64..9), 1..40), at in 0usize..40) {
        let record = |reports: &[(u64, usize, u64)]| {
            let mut windows = Windows::default();
            for (at_s, outcome, n) in reports {
                // What is too old for the hour is in the others.
                windows.record(*at_s, &row(ProbeOutcome::ALL[*outcome], *n)).unwrap();
            }
            windows
        };
        let one = record(&reports);
        let middle = at % reports.len();
        reports.rotate_left(middle);
        reports.reverse();
        prop_assert_eq!(record(&reports), one);
    }
}
