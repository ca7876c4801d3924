//! What was appended is read back, now and after a restart.

use peermark_core::sealed::{Sealed, SigningKey};
use peermark_core::{Outcome, Unit};
use peermark_monitor::attempt::{Attempt, Said, Status};
use peermark_monitor::history::{HistoryError, MAX_RESULT_BYTES, NewAttempt, TREND};
use peermark_monitor::task::Past;
use peermark_testkit::fake_clock::START_WALL_MS;
use serde_json::json;

use crate::history_fixture::{NODE, failure, open, options, skipped, success, tamper};

fn said(attempt: &Attempt) -> (u64, Status, Option<i64>) {
    (attempt.seq, attempt.status, attempt.value)
}

#[tokio::test]
async fn every_attempt_reads_back_whole() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let finding = Said { code: "off".into(), ..failure("clock", 0).failure.unwrap() };
    let news = [
        NewAttempt { findings: vec![finding.clone(), finding], ..success("clock", 1_000, -1_234_567) },
        failure("clock", 2_000),
        skipped("clock", 3_000),
        NewAttempt {
            result: Some(json!([0.1, 1e300, null, {"z": 1, "a": "\u{e4}"}])),
            ..success("clock", 4_000, i64::MIN)
        },
        NewAttempt { duration_ns: u64::MAX, bytes: 0, ..success("clock", 5_000, i64::MAX) },
    ];
    let mut appended = Vec::new();
    for new in news.clone() {
        appended.push(history.append(new).await.unwrap());
    }
    for (at, (attempt, new)) in appended.iter().zip(&news).enumerate() {
        assert_eq!(attempt.seq, at as u64 + 1);
        let same = NewAttempt {
            task: attempt.task.clone(),
            unit: new.unit,
            trigger: attempt.trigger,
            attempt: attempt.attempt,
            intended_ms: attempt.intended_ms,
            started_ms: attempt.started_ms,
            ended_ms: attempt.ended_ms,
            duration_ns: attempt.duration_ns,
            status: attempt.status,
            failure: attempt.failure.clone(),
            skipped: attempt.skipped.clone(),
            findings: attempt.findings.clone(),
            value: attempt.value,
            bytes: attempt.bytes,
            result: attempt.result.clone(),
        };
        assert_eq!(&same, new);
    }
    let read = history.since("clock", 0, 100).await.unwrap();
    assert!(!read.truncated);
    assert!(read.attempts.iter().eq(appended.iter().map(AsRef::as_ref)));
    assert!(history.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn attempts_are_observations_of_the_node_about_itself() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    for new in [success("clock", 1_000, -5), failure("clock", 2_000), skipped("clock", 3_000)] {
        history.append(new).await.unwrap();
    }
    let store = history.store();
    let run = store.run(&format!("monitor-{NODE}")).await.unwrap();
    assert_eq!((run.record.kind.as_str(), run.record.started_wall_ms), ("monitor", 0));
    let series = store.series_of(&run.record.id).await.unwrap();
    // Those of the rollups are there before they are needed: a full file has no room for them.
    let kinds: Vec<_> = series.iter().map(|series| series.series.kind.as_str()).collect();
    assert_eq!(kinds, ["monitor.clock", "monitor.clock.below-zero", "monitor.clock.failed"]);
    let described = &series[0].series;
    assert_eq!(
        (described.kind.as_str(), described.observer.as_str(), described.subject.as_str()),
        ("monitor.clock", NODE, NODE)
    );
    assert_eq!(described.unit, Unit::Nanoseconds);
    let samples = store.observations(series[0].id, 0..u64::MAX, 10).await.unwrap();
    // Nothing was tried by the third, so nothing was observed.
    assert_eq!(samples.len(), 2);
    assert_eq!((samples[0].seq, samples[0].value, samples[0].outcome), (1, -5, Outcome::Ok));
    let start_ns = START_WALL_MS * 1_000_000;
    assert_eq!(
        (samples[0].started_ns - start_ns, samples[0].ended_ns - start_ns),
        (990_000_000, 1_000_250_000),
        "times count from 1970"
    );
    assert_eq!((samples[1].seq, samples[1].outcome.is_ok()), (2, false));
    assert!(store.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn a_restart_remembers_the_latest_of_each_task() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    assert_eq!(history.head().seq, 0);
    for at in 0..40 {
        history.append(success("disk", at * 1_000, at as i64)).await.unwrap();
    }
    history.append(failure("disk", 50_000)).await.unwrap();
    history.append(failure("iperf", 51_000)).await.unwrap();
    history.append(skipped("iperf", 52_000)).await.unwrap();
    let before = (history.latest("disk"), history.latest("iperf"), history.head());
    assert_eq!(before.0.trend.len(), TREND);
    assert_eq!(before.0.trend.back(), Some(&39));
    assert_eq!(before.0.success.as_ref().unwrap().seq, 40);
    assert_eq!(before.0.attempt.as_ref().unwrap().seq, 41);
    assert_eq!((before.1.success.as_ref(), before.1.attempt.as_ref().unwrap().seq), (None, 43));
    history.close().await;

    let history = open(directory.path()).await;
    assert_eq!((history.latest("disk"), history.latest("iperf"), history.head()), before);
    assert_eq!(history.tasks(), ["disk", "iperf"]);
    assert_eq!(history.latest_successes().len(), 1);
    assert_eq!(history.latest("other").attempt, None);
    assert_eq!(history.append(success("disk", 60_000, 1)).await.unwrap().seq, 44);
    let verified = history.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
    assert_eq!((verified.records, verified.head), (44, 44));
    let past = history.successes("disk", 3).await;
    let values: Vec<_> =
        past.iter().map(|(ended_ms, result)| (ended_ms - START_WALL_MS, result["value"].clone())).collect();
    assert_eq!(values, [(38_000, json!(38)), (39_000, json!(39)), (60_000, json!(1))]);
}

#[tokio::test]
async fn pages_are_the_newest_of_the_time_oldest_first() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let news = (0..10).map(|at| success("disk", at * 1_000, at as i64)).collect();
    history.append_all(news).await.unwrap();
    history.append(success("other", 9_500, 0)).await.unwrap();
    let page = history.since("disk", START_WALL_MS + 4_000, 3).await.unwrap();
    assert!(page.truncated);
    assert!(page.attempts.iter().map(said).eq([8, 9, 10].map(|seq| (seq, Status::Ok, Some(seq as i64 - 1)))));
    let page = history.since("disk", START_WALL_MS + 7_000, 3).await.unwrap();
    assert_eq!((page.attempts.len(), page.truncated), (3, false));
    assert_eq!(history.since("disk", START_WALL_MS + 60_000, 3).await.unwrap().attempts, []);
    let page = history.since("disk", 0, u32::MAX).await.unwrap();
    assert_eq!((page.attempts.len(), page.truncated), (10, false));
}

/// Results of 40 KB each are as many as fit into 4 MiB, the newest ones; so are records.
#[tokio::test]
async fn pages_are_bounded_in_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let text = "x".repeat(40_000);
    let long = |at: u64| NewAttempt { result: Some(json!(text)), ..success("disk", at, 1) };
    history.append_all((0..250).map(long).collect()).await.unwrap();
    let page = history.since("disk", 0, 10_000).await.unwrap();
    assert!(page.truncated && (90..=105).contains(&page.attempts.len()), "{}", page.attempts.len());
    assert_eq!(page.attempts.last().unwrap().seq, 250);
    assert!(page.attempts.is_sorted_by_key(|attempt| attempt.seq));
    let records = history.records(0, 10_000).await.unwrap();
    assert!(records[0].seq == 1 && (90..=105).contains(&records.len()), "{}", records.len());
    assert!(history.verify().await.unwrap().is_sound());
}

/// Files of before begin at midnight of their first day and go on so.
#[tokio::test]
async fn a_run_that_began_at_midnight_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).await.close().await;
    tamper(directory.path(), &format!("UPDATE run SET started_wall_ms = {START_WALL_MS}")).await;
    let history = open(directory.path()).await;
    history.append(success("clock", 1_000, -5)).await.unwrap();
    let store = history.store();
    let series = store.series_of(&format!("monitor-{NODE}")).await.unwrap();
    assert_eq!(store.observations(series[0].id, 0..u64::MAX, 10).await.unwrap()[0].started_ns, 990_000_000);
    assert!(history.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn records_can_be_checked_by_whoever_has_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    for at in 0..5 {
        history.append(success("disk", at, 1)).await.unwrap();
    }
    let signer = SigningKey::from_seed([7; 32]).public();
    assert_eq!(history.head().signer, signer.to_string());
    let mut chain = peermark_core::sealed::Chain::new("monitor", "test", signer);
    for record in history.records(1, 100).await.unwrap() {
        chain.accept(&Sealed::decode(&record.sealed).unwrap()).unwrap();
    }
    assert_eq!(chain.next(), 6);
    assert_eq!(history.records(4, 1).await.unwrap()[0].seq, 4);
}

#[tokio::test]
async fn who_waits_hears_of_each_number() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let mut changes = history.changes();
    assert_eq!(*changes.borrow_and_update(), 0);
    history.append(success("disk", 1, 1)).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(*changes.borrow_and_update(), 1);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let fits = NewAttempt { result: Some(json!("x".repeat(MAX_RESULT_BYTES - 2))), ..success("disk", 1, 1) };
    history.append(fits.clone()).await.unwrap();
    let long = NewAttempt { result: Some(json!("x".repeat(MAX_RESULT_BYTES - 1))), ..fits.clone() };
    let error = history.append(long).await.unwrap_err();
    assert!(matches!(error, HistoryError::ResultTooLong { bytes } if bytes == MAX_RESULT_BYTES + 1), "{error:?}");
    assert!(!error.may_pass());
    let wordy = Said { detail: "x".repeat(20_000), ..failure("disk", 1).failure.unwrap() };
    let error = history.append(NewAttempt { findings: vec![wordy], ..fits.clone() }).await.unwrap_err();
    assert!(matches!(error, HistoryError::Seal { .. }) && !error.may_pass(), "{error:?}");
    for contradiction in [
        NewAttempt { value: None, ..success("disk", 1, 1) },
        NewAttempt { result: None, ..success("disk", 1, 1) },
        NewAttempt { failure: None, ..failure("disk", 1) },
        NewAttempt { skipped: None, ..skipped("disk", 1) },
        NewAttempt { status: Status::Ok, ..failure("disk", 1) },
        NewAttempt { task: "monitor.pruned".into(), ..success("disk", 1, 1) },
        NewAttempt { task: String::new(), ..success("disk", 1, 1) },
    ] {
        let error = history.append(contradiction).await.unwrap_err();
        assert!(matches!(error, HistoryError::Contradiction { .. }), "{error:?}");
    }
    assert_eq!(history.head().seq, 1);
    assert_eq!(history.append(success("disk", 2, 1)).await.unwrap().seq, 2);
    assert!(history.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn many_at_once_are_one_chain() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let appends = (0..64).map(|at| {
        let history = history.clone();
        tokio::spawn(async move { history.append(success("disk", at, 1)).await.unwrap().seq })
    });
    let mut seqs = Vec::new();
    for append in appends.collect::<Vec<_>>() {
        seqs.push(append.await.unwrap());
    }
    seqs.sort_unstable();
    assert!(seqs.into_iter().eq(1..=64));
    assert!(history.verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn two_monitors_never_share_a_history() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let other = peermark_monitor::history::History::open(directory.path(), options(crate::history_fixture::config()));
    let error = other.await.err().unwrap();
    assert!(matches!(error, HistoryError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("monitor.db"), "{error}");
    drop(history);
    open(directory.path()).await;
}
