//! Old attempts become rollups, and the chain says so.

use std::sync::Arc;

use peermark_core::sealed::{Draft, NO_PREVIOUS, Sealed, SigningKey};
use peermark_core::{ByteSize, Culprit, FailureClass};
use peermark_monitor::attempt::Said;
use peermark_monitor::config::HistoryConfig;
use peermark_monitor::desk::DayRollup;
use peermark_monitor::history::{History, HistoryOptions, NewAttempt};
use peermark_testkit::FakeClock;
use peermark_testkit::fake_clock::START_WALL_MS;
use serde_json::json;

use crate::history_fixture::{DAY_MS, config, failure, open, options, skipped, success, tamper};

/// Ten days of one attempt every two hours with values -6 to 5, and one failure and one skipped attempt a day.
async fn ten_days(history: &History) {
    for day in 0..10 {
        let mut news: Vec<_> =
            (0..12).map(|part| success("clock", day * DAY_MS + part * 7_200_000, part as i64 - 6)).collect();
        news.push(failure("clock", day * DAY_MS + DAY_MS - 2));
        news.push(skipped("clock", day * DAY_MS + DAY_MS - 1));
        history.append_all(news).await.unwrap();
    }
}

async fn assert_sound(history: &History) {
    let verified = history.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
}

#[tokio::test]
async fn old_attempts_become_one_rollup_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    ten_days(&history).await;
    assert_eq!(history.days("clock").await.unwrap(), []);
    let now_ms = START_WALL_MS + 10 * DAY_MS;
    let report = history.prune(now_ms).await.unwrap();
    assert_eq!((report.records, report.upto, report.by_size), (98, 98, false));
    let days = history.days("clock").await.unwrap();
    let expected =
        |day| DayRollup { day_ms: START_WALL_MS + day * DAY_MS, ok: 12, failed: 1, values: Some([-6, -1, 5]) };
    assert_eq!(days, (0..7).map(expected).collect::<Vec<_>>());
    let page = history.since("clock", 0, 1_000).await.unwrap();
    assert_eq!((page.attempts.len(), page.attempts[0].seq), (3 * 14, 99));
    assert_eq!(history.head().seq, 141, "one record says what was pruned");
    let verified = history.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
    assert_eq!((verified.records, verified.pruned_upto, verified.kept), (43, 98, 0));
    assert!(verified.rollups > 0);

    // Nothing is old any more, so nothing is written.
    assert_eq!(history.prune(now_ms).await.unwrap().records, 0);
    assert_eq!(history.head().seq, 141);
    history.close().await;
    let history = open(directory.path()).await;
    assert_eq!(history.days("clock").await.unwrap().len(), 7);
    assert_sound(&history).await;
    assert!(history.store().verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_day_may_become_old_in_parts_and_rollups_go_in_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    ten_days(&history).await;
    for hour in (75..=10 * 24).step_by(5) {
        history.prune(START_WALL_MS + hour * 3_600_000).await.unwrap();
        assert_sound(&history).await;
    }
    let days = history.days("clock").await.unwrap();
    assert_eq!(days.len(), 7);
    assert!(days.iter().all(|day| (day.ok, day.failed, day.values) == (12, 1, Some([-6, -1, 5]))), "{days:?}");

    // Rollups are kept for ten days: those of days 0 to 4 are over by the fifteenth.
    for day in 10..=15 {
        history.append(success("clock", day * DAY_MS, 1)).await.unwrap();
    }
    history.prune(START_WALL_MS + 15 * DAY_MS).await.unwrap();
    let days = history.days("clock").await.unwrap();
    assert_eq!(
        days.iter().map(|day| (day.day_ms - START_WALL_MS) / DAY_MS).collect::<Vec<_>>(),
        [5, 6, 7, 8, 9, 10, 11]
    );
    assert_sound(&history).await;
}

#[tokio::test]
async fn the_latest_success_stays_however_old() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    history.append(success("cpu-suite", 5 * DAY_MS, 77)).await.unwrap();
    history.append(failure("cpu-suite", 5 * DAY_MS + 1)).await.unwrap();
    ten_days(&history).await;
    history.prune(START_WALL_MS + 10 * DAY_MS).await.unwrap();
    history.close().await;
    let history = open(directory.path()).await;
    assert_eq!(history.latest("cpu-suite").success.unwrap().value, Some(77));
    let verified = history.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
    assert_eq!(verified.kept, 1);
    assert_eq!(
        history.days("cpu-suite").await.unwrap().iter().map(|day| (day.ok, day.failed)).collect::<Vec<_>>(),
        [(0, 1)]
    );

    // A newer one takes its place, and it is counted once.
    history.append(success("cpu-suite", 10 * DAY_MS, 78)).await.unwrap();
    history.prune(START_WALL_MS + 11 * DAY_MS).await.unwrap();
    assert_eq!(history.verify().await.unwrap().kept, 0);
    assert_eq!(
        history.days("cpu-suite").await.unwrap().iter().map(|day| (day.ok, day.failed)).collect::<Vec<_>>(),
        [(1, 1)]
    );
    assert_sound(&history).await;
}

/// A latest success that was kept goes when there is a newer one. What is sealed never goes back to it.
#[tokio::test]
async fn a_kept_success_that_goes_later_takes_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    history.append(success("cpu-suite", 1, 77)).await.unwrap();
    ten_days(&history).await;
    let now_ms = START_WALL_MS + 10 * DAY_MS;
    assert_eq!(history.prune(now_ms).await.unwrap().upto, 99);
    history.append(success("cpu-suite", 10 * DAY_MS, 78)).await.unwrap();
    assert_eq!(history.prune(now_ms).await.unwrap().upto, 1);
    let verified = history.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
    assert_eq!((verified.pruned_upto, verified.kept), (99, 0));
    history.close().await;
    assert_sound(&open(directory.path()).await).await;
}

/// A clock that leaps ahead makes nothing old until it has stayed there for a day.
#[tokio::test]
async fn a_leap_of_the_clock_gives_nothing_up() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new());
    let options = HistoryOptions { clock: clock.clone(), ..options(config()) };
    let history = History::open(directory.path(), options).await.unwrap();
    ten_days(&history).await;
    let leap_ms = 400 * DAY_MS;
    assert_eq!(history.prune(START_WALL_MS + leap_ms).await.unwrap().records, 0);
    // Attempts of the leap prove nothing.
    for at in 0..5 {
        history.append(success("clock", leap_ms + at, 1)).await.unwrap();
        clock.advance(std::time::Duration::from_hours(1));
        assert_eq!(history.prune(START_WALL_MS + leap_ms + at).await.unwrap().records, 0);
    }
    clock.advance(std::time::Duration::from_hours(24));
    assert_eq!(history.prune(START_WALL_MS + leap_ms).await.unwrap().records, 140);
    assert_sound(&history).await;
}

/// Whoever takes a kept record away, or puts another in its place, is found out.
#[tokio::test]
async fn kept_records_are_vouched_for() {
    let mut sealed = Vec::new();
    let changes = [
        ("DELETE FROM record WHERE seq = 1", "record 1: it was kept and is gone"),
        ("other domain", "record 1: it is of other in test"),
        ("other network", "record 1: it is of monitor in other"),
    ];
    for (change, fault) in changes {
        let directory = tempfile::tempdir().unwrap();
        let history = open(directory.path()).await;
        history.append(success("cpu-suite", 1, 77)).await.unwrap();
        ten_days(&history).await;
        history.prune(START_WALL_MS + 10 * DAY_MS).await.unwrap();
        assert_eq!(history.verify().await.unwrap().kept, 1);
        sealed.push(history.records(1, 1).await.unwrap().remove(0).sealed);
        history.close().await;
        let sql = if change.starts_with("other") {
            let original = Sealed::decode(sealed.last().unwrap()).unwrap();
            let draft = Draft {
                domain: if change.ends_with("domain") { "other" } else { "monitor" }.into(),
                network: if change.ends_with("network") { "other" } else { "test" }.into(),
                sequence: 1,
                previous: NO_PREVIOUS,
                payload: original.into_payload(),
            };
            let forged = Sealed::seal(&SigningKey::from_seed([7; 32]), draft).unwrap();
            let hex: String = forged.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            format!("UPDATE record SET base = NULL, sealed = x'{hex}' WHERE seq = 1")
        } else {
            change.to_owned()
        };
        tamper(directory.path(), &sql).await;
        let faults = open(directory.path()).await.verify().await.unwrap().faults;
        assert_eq!(faults, [fault], "{change}");
    }
}

#[tokio::test]
async fn the_oldest_go_where_there_is_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let config = HistoryConfig { max_size: ByteSize(2_000_000), ..config() };
    let history = History::open(directory.path(), options(config)).await.unwrap();
    let mut pruned = false;
    let mut noise = 1u64;
    for batch in 0..60 {
        let news = (0..50).map(|part| {
            // Text that does not compress.
            let text: String = (0..64)
                .map(|_| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    format!("{noise:016x}")
                })
                .collect();
            NewAttempt { result: Some(json!(text)), ..success("disk", batch * 50 + part, 1) }
        });
        history.append_all(news.collect()).await.unwrap();
        let report = history.prune(START_WALL_MS + 4_000).await.unwrap();
        pruned |= report.by_size;
        let size = history.store().size().await.unwrap();
        assert!(size.file_bytes <= 2_000_000, "{size:?}");
    }
    assert!(pruned);
    let days = history.days("disk").await.unwrap();
    let kept = history.since("disk", 0, 10_000).await.unwrap().attempts.len() as u64;
    assert_eq!(days.iter().map(|day| day.ok).sum::<u64>() + kept, 3_000);
    assert!(kept > 300, "{kept}");
    assert_sound(&history).await;
}

/// What is longer than there is room for fails as a full disk does, nothing else breaks, and pruning makes room.
#[tokio::test]
async fn a_full_history_refuses_until_it_is_pruned() {
    let directory = tempfile::tempdir().unwrap();
    let config = HistoryConfig { max_size: ByteSize(600_000), ..config() };
    let history = History::open(directory.path(), options(config)).await.unwrap();
    let mut noise = 1u64;
    let mut attempt = |at| {
        let text: String = (0..500)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                format!("{noise:016x}")
            })
            .collect();
        NewAttempt { result: Some(json!(text)), ..success("disk", at, 1) }
    };
    let mut stored = 0;
    let refused = loop {
        let new = attempt(stored);
        match history.append(new.clone()).await {
            Ok(_) => stored += 1,
            Err(error) => {
                assert!(error.is_full() && error.may_pass(), "{error:?}");
                break new;
            }
        }
        assert!(stored < 1_000, "it is never full");
    };
    assert_eq!(history.head().seq, stored);
    assert_sound(&history).await;
    let error = history.append(refused.clone()).await.unwrap_err();
    assert!(error.is_full(), "{error:?}");
    assert!(history.prune(START_WALL_MS).await.unwrap().by_size);
    let attempt = history.append(refused).await.unwrap();
    assert_eq!(attempt.seq, history.head().seq);
    assert_sound(&history).await;
    history.close().await;
    assert_sound(&open(directory.path()).await).await;
}

/// A clock that was a year ahead for an hour does not hold back what is old, nor lose anything.
#[tokio::test]
async fn a_wrong_clock_holds_nothing_back() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    for at in 0..10 {
        history.append(success("disk", at, 1)).await.unwrap();
    }
    history.append(success("disk", 365 * DAY_MS, 2)).await.unwrap();
    // An hour back, then on; and before the epoch.
    history.append(NewAttempt { intended_ms: 5, started_ms: 7, ended_ms: 6, ..success("disk", 0, 3) }).await.unwrap();
    for at in 1..10 {
        history.append(success("disk", at * DAY_MS, 4)).await.unwrap();
    }
    assert_sound(&history).await;
    let report = history.prune(START_WALL_MS + 10 * DAY_MS).await.unwrap();
    assert_eq!(report.upto, 18);
    assert_sound(&history).await;
    let days = history.days("disk").await.unwrap();
    // What a clock of 1970 said is older than any rollup that is kept.
    assert_eq!(days.iter().map(|day| day.ok).sum::<u64>(), 17);
    assert_eq!((days[0].day_ms, days[0].ok), (START_WALL_MS, 10));
}

#[tokio::test]
async fn whatever_is_changed_behind_its_back_is_found() {
    let changes = [
        ("UPDATE obs SET value = value + 1 WHERE seq = 120", "record 120: its observation says something else"),
        ("DELETE FROM obs WHERE seq = 120", "record 120: its observation says something else"),
        ("DELETE FROM record WHERE seq = 120", "record 121: records are missing"),
        ("UPDATE record SET status = 'ok' WHERE seq = 139", "record 139: its row says something else"),
        ("UPDATE record SET ended_ms = 1 WHERE seq = 120", "record 120: its row says something else"),
        (
            "UPDATE record SET sealed = (SELECT sealed FROM record WHERE seq = 119) WHERE seq = 120",
            "record 120: it has the number 119",
        ),
        (
            "UPDATE hist SET t1_ns = t1_ns + 1 WHERE t0_ns = (SELECT min(t0_ns) FROM hist)",
            "the rollups are not those that the last pruning signed",
        ),
        (
            "DELETE FROM hist WHERE t0_ns = (SELECT min(t0_ns) FROM hist)",
            "the rollups are not those that the last pruning signed",
        ),
        ("DELETE FROM record WHERE kind = 'monitor.pruned'", "record 99: records are missing"),
    ];
    for (sql, fault) in changes {
        let directory = tempfile::tempdir().unwrap();
        let history = open(directory.path()).await;
        ten_days(&history).await;
        history.prune(START_WALL_MS + 10 * DAY_MS).await.unwrap();
        history.append(success("clock", 10 * DAY_MS, 1)).await.unwrap();
        history.close().await;
        tamper(directory.path(), sql).await;
        let history = open(directory.path()).await;
        let verified = history.verify().await.unwrap();
        assert!(verified.faults.iter().any(|found| found.starts_with(fault)), "{sql}: {:?}", verified.faults);
    }
}

#[tokio::test]
async fn failures_of_a_day_keep_their_class() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let timeout = Said {
        code: "timeout".into(),
        class: FailureClass::Timeout,
        culprit: Culprit::Observer,
        detail: String::new(),
    };
    history.append(failure("iperf", 1)).await.unwrap();
    history.append(NewAttempt { failure: Some(timeout), ..failure("iperf", 2) }).await.unwrap();
    for day in 1..=5 {
        history.append(success("iperf", day * DAY_MS, 1)).await.unwrap();
    }
    history.prune(START_WALL_MS + 5 * DAY_MS).await.unwrap();
    let store = history.store();
    let series = store.series_of(&format!("monitor-{}", crate::history_fixture::NODE)).await.unwrap();
    let failed = series.iter().find(|series| series.series.kind == "monitor.iperf.failed").unwrap();
    let hists = store.hists(failed.id, 0..u64::MAX).await.unwrap();
    let classes: Vec<_> = hists.iter().map(|hist| (hist.class.unwrap(), hist.histogram.len())).collect();
    assert_eq!(classes, [(FailureClass::Busy, 1), (FailureClass::Timeout, 1)]);
    assert!(
        hists.iter().all(|hist| (10_000_000..10_500_000).contains(&hist.histogram.min())),
        "they keep how long they took"
    );
}
