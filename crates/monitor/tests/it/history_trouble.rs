//! Torn logs, callers that give up, stores that fail.

use std::collections::BTreeSet;
use std::future::Future;
use std::task::{Context, Waker};

use peermark_monitor::history::FILE;

use crate::history_fixture::{failure, open, success, tamper};

/// A power cut that tears the log leaves a beginning of the chain that verifies and goes on.
#[tokio::test]
async fn a_torn_log_leaves_a_sound_beginning() {
    let source = tempfile::tempdir().unwrap();
    let history = open(source.path()).await;
    for at in 0..60 {
        history.append(success("disk", at, at as i64)).await.unwrap();
    }
    let (file, log) = (source.path().join(FILE), source.path().join(format!("{FILE}-wal")));
    let whole = std::fs::read(&log).unwrap();
    let mut lengths = Vec::new();
    // The log begins anew after each checkpoint, so what is valid of it may end before the file does.
    for cut in (0..=40).map(|part| whole.len() * part / 40) {
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(&file, copy.path().join(FILE)).unwrap();
        std::fs::write(copy.path().join(format!("{FILE}-wal")), &whole[..cut]).unwrap();
        let torn = open(copy.path()).await;
        let verified = torn.verify().await.unwrap();
        assert!(verified.is_sound(), "cut at {cut}: {:?}", verified.faults);
        lengths.push(verified.records);
        assert_eq!(torn.append(success("disk", 100, 1)).await.unwrap().seq, verified.records + 1);
        assert!(torn.verify().await.unwrap().is_sound());
    }
    assert_eq!(lengths.last(), Some(&60), "the whole log has everything");
    assert!(lengths.is_sorted() && lengths[0] < 58 && lengths.iter().collect::<BTreeSet<_>>().len() > 4, "{lengths:?}");
}

/// Whoever gives up waiting may come again with the same attempt: it is there once, whether or not it was stored before.
#[tokio::test]
async fn an_append_that_was_given_up_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    let mut expected = 0;
    for polls in 0..40 {
        let new = success("disk", polls, polls as i64);
        {
            let mut append = Box::pin(history.append(new.clone()));
            let mut context = Context::from_waker(Waker::noop());
            // Polled a few times with time in between for the connection's thread to answer, then dropped.
            for _ in 0..polls {
                if append.as_mut().poll(&mut context).is_ready() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
        let again = history.append(new).await.unwrap();
        expected = again.seq;
        assert_eq!(again.value, Some(polls as i64));
        assert_eq!(history.latest("disk").attempt.unwrap().seq, expected);
    }
    let page = history.since("disk", 0, 1_000).await.unwrap();
    assert!(history.verify().await.unwrap().is_sound());
    // An append that was ready was told so; asking again then is another attempt.
    assert_eq!(page.attempts.len() as u64, expected);
    let mut values: Vec<_> = page.attempts.iter().map(|attempt| attempt.value.unwrap()).collect();
    values.dedup();
    assert!(values.into_iter().eq(0..40), "each is there, in order");
}

#[tokio::test]
async fn after_closing_appending_fails_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    history.append(success("disk", 1, 1)).await.unwrap();
    history.clone().close().await;
    let error = history.append(success("disk", 2, 2)).await.unwrap_err();
    assert!(!error.may_pass() && !error.is_full() && !error.is_damage(), "{error:?}");
    // What is in memory can still be asked for.
    assert_eq!(history.latest("disk").success.unwrap().value, Some(1));
    assert_eq!(history.head().seq, 1);
}

/// One damaged record is left out and said; the monitor starts with the others.
#[tokio::test]
async fn a_damaged_record_does_not_keep_the_monitor_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let history = open(directory.path()).await;
    for at in 0..5 {
        history.append(success("disk", at, at as i64)).await.unwrap();
    }
    history.append(failure("disk", 6)).await.unwrap();
    history.append(success("clock", 7, 1)).await.unwrap();
    history.close().await;
    // One that cannot be unpacked, one that is no record.
    tamper(directory.path(), "UPDATE record SET sealed = x'00' WHERE seq = 5").await;
    tamper(directory.path(), "UPDATE record SET sealed = x'00', base = NULL WHERE seq = 6").await;
    let history = open(directory.path()).await;
    assert_eq!(history.unreadable(), 2);
    let memory = history.latest("disk");
    assert_eq!((memory.success.unwrap().seq, memory.attempt.unwrap().seq), (4, 4));
    assert_eq!(history.latest("clock").success.unwrap().seq, 7);
    assert_eq!(history.append(success("disk", 8, 1)).await.unwrap().seq, 8);
    let verified = history.verify().await.unwrap();
    assert!(!verified.is_sound() && verified.records > 5, "{verified:?}");
}

#[tokio::test]
async fn a_damaged_head_does_not_either() {
    for sealed in ["x'00'", "x'00', base = NULL"] {
        let directory = tempfile::tempdir().unwrap();
        let history = open(directory.path()).await;
        for at in 0..5 {
            history.append(success("disk", at, at as i64)).await.unwrap();
        }
        history.close().await;
        tamper(directory.path(), &format!("UPDATE record SET sealed = {sealed} WHERE seq = 5")).await;
        let history = open(directory.path()).await;
        assert!(history.unreadable() >= 1);
        assert_eq!(history.append(success("disk", 8, 8)).await.unwrap().seq, 6);
        assert_eq!(history.latest("disk").success.unwrap().value, Some(8));
        history.close().await;
        let history = open(directory.path()).await;
        assert_eq!(history.append(success("disk", 9, 9)).await.unwrap().seq, 7);
        let verified = history.verify().await.unwrap();
        assert!(!verified.is_sound() && verified.head == 7, "{verified:?}");
    }
}
