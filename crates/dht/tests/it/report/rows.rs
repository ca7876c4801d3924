//! Figures of rows, derived again from what was written.

use std::net::Ipv4Addr;

use peermark_dht::report::{self, DhtReport, LatencyFigures, ReportOptions, Span, TableRule};
use peermark_judge::proportion::wilson;
use peermark_store::dht::{DhtStore, MeasurementRow, RoundRows};

use super::fixture::{self, FROM_MS, LOOKUPS, PLACES, PROVIDES, WEEK_MS, filled, week};

fn entry<'a>(report: &'a DhtReport, fleet: &str, region: Option<&str>, operation: &str) -> &'a LatencyFigures {
    let found = report
        .latencies
        .iter()
        .find(|row| row.fleet == fleet && row.region.as_deref() == region && row.operation == operation);
    found.unwrap_or_else(|| panic!("{operation} of {fleet} in {region:?}"))
}

/// The value of rank `ceil(q n)`; failures rank above every success.
fn exact<'a>(rows: impl Iterator<Item = &'a MeasurementRow>, q: f64) -> u64 {
    let mut values: Vec<u64> = rows.map(|row| if row.error.is_some() { u64::MAX } else { row.duration_ns }).collect();
    values.sort_unstable();
    values[(q * values.len() as f64).ceil() as usize - 1]
}

/// Two digits of the histogram.
fn close(found: u64, expected: u64) -> bool {
    found >= expected && (found - expected) as f64 <= 0.01 * expected as f64
}

#[tokio::test]
async fn figures_are_those_of_the_rows() {
    let filled = filled(false).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    for place in &PLACES {
        for (provide, operation, n) in [(true, "provide", PROVIDES), (false, "retrieve", LOOKUPS)] {
            let found = entry(&report, place.fleet, Some(place.region), operation);
            let rows = || filled.of(provide, place, false);
            let failed = rows().filter(|row| row.error.is_some()).count() as u64;
            assert_eq!((found.n, found.n_before, found.failed), (n as u64, n as u64, failed));
            for (q, percentile) in [(0.5, found.p50), (0.9, found.p90)] {
                let (percentile, expected) = (percentile.unwrap(), exact(rows(), q));
                assert!(close(percentile.value, expected), "{operation} {q}: {} is not {expected}", percentile.value);
                // 160 rows with failures among them may leave the upper end of p90 open.
                assert!(percentile.low.unwrap() < expected && percentile.high.is_none_or(|high| expected < high));
                assert!(!percentile.censored && (percentile.high.is_some() || (provide && q == 0.9)));
            }
            let boxes = found.boxes.unwrap();
            for (q, level) in [(0.05, boxes.p5), (0.25, boxes.p25), (0.5, boxes.p50), (0.75, boxes.p75)] {
                assert!(close(level.unwrap(), exact(rows(), q)), "box at {q}");
            }
            let share = found.failed_share.as_ref().unwrap();
            let plain = wilson(failed, n as u64, 0.95).unwrap();
            assert_eq!(share.ratio, failed as f64 / n as f64);
            assert!(share.respects_bursts && share.low <= share.ratio && share.ratio <= share.high);
            assert!(share.high - share.low >= 0.8 * (plain.high - plain.low));
            let (_, last) = *found.cdf.last().unwrap();
            assert!((last - (1.0 - share.ratio)).abs() < 1e-9, "a distribution ends where failures begin");
            assert!(found.cdf.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1));
        }
    }
    // 640 lookups bear p99 with 26 failures among them: it lies at the deadline.
    let p99 = entry(&report, "default", Some("af-south-1"), "retrieve").p99.unwrap();
    assert!(p99.censored && p99.value == 180_000_000_000 && p99.high.is_none());
    // 160 provides do not.
    assert_eq!(entry(&report, "default", Some("af-south-1"), "provide").p99, None);
}

#[tokio::test]
async fn a_composite_stands_for_several_regions_only() {
    let filled = filled(false).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    let all = PLACES.iter().filter(|place| place.fleet == "default").flat_map(|place| filled.of(false, place, false));
    let composite = entry(&report, "default", None, "retrieve");
    assert_eq!(composite.n, 3 * LOOKUPS as u64);
    assert!(close(composite.p50.unwrap().value, exact(all, 0.5)));
    assert_eq!(report.latencies.iter().filter(|row| row.fleet == "optprov" && row.region.is_none()).count(), 0);
    let one = ReportOptions { fleets: vec!["optprov".to_owned()], ..week() };
    let report = report::read(&filled.store, &one).await.unwrap();
    assert_eq!(report.latencies.iter().map(|row| row.fleet.as_str()).collect::<Vec<_>>(), ["optprov", "optprov"]);
}

#[tokio::test]
async fn only_the_region_that_changed_is_called_different() {
    let filled = filled(false).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    for place in &PLACES {
        let found = entry(&report, place.fleet, Some(place.region), "retrieve").change_p50.as_ref().unwrap();
        let truth = place.median_ms.1 / place.median_ms.0;
        let expected =
            exact(filled.of(false, place, false), 0.5) as f64 / exact(filled.of(false, place, true), 0.5) as f64;
        assert!((found.ratio / expected - 1.0).abs() < 0.02, "{}: {} is not {expected}", place.region, found.ratio);
        assert!(found.low < found.ratio && found.ratio < found.high);
        let is_different = ["better", "worse"].contains(&found.verdict.as_str());
        assert_eq!(is_different, truth != 1.0, "{}: {found:?}", place.region);
    }
    let slower = entry(&report, "default", Some("us-east-2"), "retrieve");
    assert_eq!(slower.change_p50.as_ref().unwrap().verdict, "worse");
}

#[tokio::test]
async fn rows_with_small_tables_are_set_apart_and_counted() {
    let filled = filled(false).await;
    let count = |provide: bool, least: i32| {
        let week = filled.rows.iter().filter(|(kind, .., row)| *kind == provide && row.created_ms >= FROM_MS);
        week.filter(|(.., row)| row.rt_size < least).count() as u64
    };
    let read = async |rule| report::read(&filled.store, &ReportOptions { rule, ..week() }).await.unwrap();
    let own = read(TableRule::Own).await;
    assert_eq!((own.rows.set_apart_provides, own.rows.set_apart_retrievals, own.rows.least_provide), (0, 0, 20));
    let probelab = read(TableRule::ProbeLab).await;
    assert!(count(false, 201) > 100);
    assert_eq!(probelab.rows.set_apart_provides, count(true, 191));
    assert_eq!(probelab.rows.set_apart_retrievals, count(false, 201));
    assert_eq!(probelab.rows.counted + count(true, 191) + count(false, 201), probelab.rows.read);
    let warning = probelab.warnings.iter().find(|warning| warning.contains("set apart")).unwrap();
    assert!(warning.contains(&format!("{} retrievals below 201", count(false, 201))), "{warning}");
    let asked = read(TableRule::AtLeast { provide: 0, retrieve: 210 }).await;
    assert_eq!((asked.rows.set_apart_provides, asked.rows.set_apart_retrievals), (0, count(false, 210)));
}

#[tokio::test]
async fn a_lab_pools_its_regions_and_keeps_small_tables() {
    let filled = filled(true).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    assert!(report.regions_are_labels);
    assert!(report.latencies.iter().all(|row| row.region.is_none()));
    assert_eq!(entry(&report, "default", None, "retrieve").n, 3 * LOOKUPS as u64);
    assert_eq!(report.rows.least_provide, 1);
    assert!(report.warnings[0].starts_with("regions are labels, no distance"));
}

#[tokio::test]
async fn errors_are_counted_by_their_words() {
    let filled = filled(false).await;
    let report = report::read(&filled.store, &week()).await.unwrap();
    let lookups: Vec<_> = report.errors.iter().filter(|error| error.operation == "retrieve").collect();
    assert_eq!(lookups.len(), 1);
    let failed = filled.of(false, &PLACES[0], false).filter(|row| row.error.is_some()).count() as u64;
    assert_eq!((lookups[0].error.as_str(), lookups[0].count), ("not found", failed));
    assert_eq!(lookups[0].share, failed as f64 / (3 * LOOKUPS) as f64);
}

#[tokio::test]
async fn an_empty_period_says_so_without_a_number() {
    let filled = filled(false).await;
    let later = Span::new(FROM_MS + 10 * WEEK_MS, FROM_MS + 11 * WEEK_MS).unwrap();
    for fleets in [Vec::new(), vec!["default".to_owned()]] {
        let options = ReportOptions { fleets, ..ReportOptions::new(later) };
        let report = report::read(&filled.store, &options).await.unwrap();
        assert_eq!(report.latencies.iter().map(|row| row.n).collect::<Vec<_>>(), [0, 0]);
        assert!(report.warnings.contains(&"the period has no rows".to_owned()));
        let text = format!("{}{}", report::text(&report), report::html(&report));
        assert!(!text.contains("NaN") && !text.contains("inf ") && text.contains("n/a"));
    }
    assert!(Span::new(5, 5).is_err() && Span::new(6, 5).is_err());
}

#[tokio::test]
async fn what_is_beyond_the_bound_is_said() {
    let filled = filled(false).await;
    let bounded = |max_rows| ReportOptions { max_rows, ..week() };
    let all = filled.rows.len() as u64;
    let report = report::read(&filled.store, &bounded(all)).await.unwrap();
    assert!(report.rows.complete && report.rows.read + report.rows.counted_before == all);
    let report = report::read(&filled.store, &bounded(1_000)).await.unwrap();
    assert_eq!((report.rows.read, report.rows.counted_before, report.rows.complete), (1_000, 0, false));
    assert!(report.warnings.iter().any(|warning| warning.contains("more rows or traces than one report reads")));
}

#[tokio::test]
async fn steps_of_other_systems_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let store = DhtStore::open_sqlite(&directory.path().join("store.db")).await.unwrap();
    let scheduler = fixture::scheduler(&store).await;
    let node = fixture::server(&store, "cid.contact", "eu", Ipv4Addr::new(192, 0, 2, 9)).await;
    let provide = |step: &str| MeasurementRow {
        node,
        rt_size: 100,
        duration_ns: 1_000_000,
        cid: String::new(),
        error: None,
        step: step.to_owned(),
        created_ms: FROM_MS + 5,
    };
    let provides = ["provide", "announce", "availability"].map(provide).to_vec();
    let round = RoundRows { batch: "1".to_owned(), provides, ..RoundRows::default() };
    store.write_round(scheduler, &round).await.unwrap();
    let report = report::read(&store, &week()).await.unwrap();
    assert_eq!((report.rows.read, report.rows.counted, report.rows.other_steps), (3, 1, 2));
    let entry = entry(&report, "cid.contact", Some("eu"), "provide");
    assert_eq!((entry.n, entry.p50, entry.boxes), (1, None, None));
    assert!(entry.notes.iter().any(|note| note == "p50: too few values: n=1, at least 6 needed"));
}
