//! Servers that fail: each costs its own row, and nothing of it is written down for another.

use std::time::Duration;

use peermark_core::{Culprit, FailureClass, Outcome};
use peermark_dht::scheduler::round::{RoundEnd, Skip};
use peermark_dht::scheduler::{CallOptions, Notice, SchedulerOptions};

use crate::scheduler_fixture::{Cluster, Fault, LONG, complete, quick};

const GOOD: Fault = Fault::None;

/// Deadlines that a hanging server uses up without keeping the test for long.
fn short(rounds: u64) -> SchedulerOptions {
    let (timeout, readiness_timeout) = (Duration::from_millis(700), Duration::from_millis(500));
    SchedulerOptions { calls: CallOptions { timeout, readiness_timeout }, ..quick(rounds) }
}

/// A fault, whether it makes the server offline, and what it is as an observation.
const FAULTS: [(Fault, bool, FailureClass); 5] = [
    (Fault::Hangs, true, FailureClass::Timeout),
    (Fault::Garbage, true, FailureClass::Protocol),
    (Fault::Floats, true, FailureClass::Protocol),
    (Fault::Breaks, true, FailureClass::Protocol),
    (Fault::Legacy, false, FailureClass::Protocol),
];

#[tokio::test]
async fn a_server_that_fails_to_publish_costs_its_own_turn() {
    for (fault, offline, class) in FAULTS {
        // By name it publishes first.
        let cluster = Cluster::start(&[
            ("0-bad", "af", "default", fault),
            ("1-good", "us", "default", GOOD),
            ("2-good", "ap", "default", GOOD),
        ])
        .await;
        let evidence = cluster.evidence().await;
        let done = cluster.begin(short(3), Some(evidence)).end().await;
        let ends: Vec<_> = done.rounds().iter().map(|round| round.end).collect();
        assert_eq!(ends, [RoundEnd::ProvideFailed, RoundEnd::Complete, RoundEnd::Complete], "{fault:?}");
        let bad = cluster.members[0].id;
        assert_eq!(cluster.is_offline(bad).await, offline, "{fault:?}");
        let rows = cluster.rows().await;
        assert!(rows.iter().all(|row| row.row.node != bad), "{fault:?}: it measured nothing");
        let (provides, others) = (rows.iter().filter(|row| row.provide).count(), rows.len());
        assert_eq!((provides, others), (2, 4), "{fault:?}");
        assert_eq!(failures_of(&cluster, "0-bad", "dht.provide").await, [(class, Culprit::Peer)], "{fault:?}");
        assert_eq!(failures_of(&cluster, "1-good", "dht.provide").await, [], "{fault:?}");
        let said = done.told.iter().any(
            |notice| matches!(notice, Notice::Failed { call: "/provide", peer_id, offline: said, .. } if peer_id == "0-bad" && *said == offline),
        );
        assert!(said, "{fault:?}: {:?}", done.told);
    }
}

#[tokio::test]
async fn servers_that_fail_to_look_up_cost_nobody_elses_row() {
    let mut servers = vec![("0-good", "eu", "default", GOOD), ("1-good", "us", "default", GOOD)];
    let names = ["4-bad", "5-bad", "6-bad", "7-bad", "8-bad"];
    for (name, (fault, ..)) in names.iter().zip(FAULTS) {
        // In the region of a good one: a region is no unit of failure.
        servers.push((name, "us", "default", fault));
    }
    servers.push(("2-slow", "za", "default", Fault::Slow(Duration::from_millis(200))));
    servers.push(("9-dead", "zb", "default", Fault::Dead));
    let cluster = Cluster::start(&servers).await;
    let evidence = cluster.evidence().await;
    let done = cluster.begin(short(2), Some(evidence)).end().await;
    assert_eq!(complete(&done.told), 2);
    let rows = cluster.rows().await;
    let looked_up =
        |peer: usize| rows.iter().filter(|row| !row.provide && row.row.node == cluster.members[peer].id).count();
    assert_eq!((looked_up(0), looked_up(1), looked_up(7)), (1, 1, 2), "good ones and the slow one");
    for (place, (name, (fault, offline, class))) in (2..).zip(names.iter().zip(FAULTS)) {
        assert_eq!(looked_up(place), 0, "{fault:?}");
        assert_eq!(cluster.is_offline(cluster.members[place].id).await, offline, "{fault:?}");
        assert_eq!(failures_of(&cluster, name, "dht.retrieve").await[0], (class, Culprit::Peer), "{fault:?}");
    }
    assert!(cluster.is_offline(cluster.members[8].id).await, "a dead one is not ready");
    for good in [0, 1, 7] {
        assert!(!cluster.is_offline(cluster.members[good].id).await);
    }
}

#[tokio::test]
async fn a_server_that_does_not_even_say_whether_it_is_ready_takes_no_part() {
    for fault in [Fault::HangsWhenAsked, Fault::NotReady, Fault::Dead] {
        let cluster = Cluster::start(&[
            ("0-bad", "af", "default", fault),
            ("1-good", "us", "default", GOOD),
            ("2-good", "ap", "default", GOOD),
        ])
        .await;
        let done = cluster.schedule(short(2)).await;
        assert_eq!(complete(&done.told), 2, "{fault:?}");
        let ready: Vec<_> = done.rounds().iter().map(|round| (round.live, round.ready)).collect();
        assert_eq!(ready, [(3, 2), (2, 2)], "{fault:?}: it is offline after the first round");
        assert_eq!(cluster.rows().await.len(), 4, "{fault:?}");
    }
}

#[tokio::test]
async fn who_is_offline_is_written_down_also_when_the_round_is_skipped() {
    let cluster = Cluster::start(&[("a", "eu", "default", Fault::Dead), ("b", "us", "default", GOOD)]).await;
    let done = cluster.schedule(quick(1)).await;
    assert!(done.told.contains(&Notice::Skipped(Skip::FewerThanTwo { live: 2, ready: 1 })));
    assert!(cluster.is_offline(cluster.members[0].id).await);
    // Its next heartbeat brings it back.
    cluster.tables.heartbeat(cluster.members[0].id, cluster.clock.wall_ms()).await.unwrap();
    assert!(!cluster.is_offline(cluster.members[0].id).await);
}

#[tokio::test]
async fn a_clock_three_minutes_behind_keeps_its_server_out_and_is_said() {
    const SKEW_MS: u64 = 180_000;
    let cluster = Cluster::start(&[
        ("a", "eu", "default", GOOD),
        ("b", "us", "default", GOOD),
        ("skewed", "ap", "default", GOOD),
    ])
    .await;
    let skewed = &cluster.members[2];
    let beat = async || {
        let its_now_ms = cluster.clock.wall_ms() - SKEW_MS;
        cluster.tables.heartbeat(skewed.id, its_now_ms).await.unwrap();
    };
    beat().await;
    let running = cluster.begin(SchedulerOptions { rounds: None, ..quick(0) }, None);
    running.until("two rounds", |told| complete(told) >= 2).await;
    let is_said = |told: &[Notice]| {
        let words: Vec<String> = told.iter().map(ToString::to_string).collect();
        words.iter().any(|words| words.contains("skewed") && words.contains("clock is behind"))
    };
    assert!(!is_said(&running.told.lock()), "old heartbeats alone are those of a server that is gone");
    beat().await;
    running.until("the skew is said", is_said).await;
    let rounds = complete(&running.told.lock());
    running.until("the others go on", |told| complete(told) >= rounds + 2).await;
    running.stop.cancel();
    running.end().await;
    assert!(skewed.calls.lock().is_empty());
    assert!(cluster.rows().await.iter().all(|row| row.row.node != skewed.id));
}

#[tokio::test]
async fn of_two_rows_with_one_address_the_newer_is_used() {
    let cluster = Cluster::start(&[("a", "eu", "default", GOOD), ("b", "us", "default", GOOD)]).await;
    // The server restarted within two minutes: its former row looks alive.
    let former = cluster.members[0].id;
    let restarted = cluster.register("a-restarted", "eu", "default", cluster.members[0].address).await;
    assert!(restarted > former);
    let running = cluster.begin(quick(2), None);
    tokio::time::timeout(LONG, running.end()).await.unwrap();
    let filter = peermark_store::dht::MeasuredFilter { until_ms: u64::MAX, ..Default::default() };
    let rows = cluster.tables.measured(&filter, 100).await.unwrap();
    assert_eq!(rows.len(), 4, "one provide and one lookup per round");
    assert!(rows.iter().all(|row| row.row.node != former));
}

async fn failures_of(cluster: &Cluster, subject: &str, kind: &str) -> Vec<(FailureClass, Culprit)> {
    let mut failures = Vec::new();
    for stored in cluster.store.series_of("scheduler").await.unwrap() {
        if stored.series.subject == subject && stored.series.kind == kind {
            assert_eq!(stored.series.observer, "scheduler");
            for sample in cluster.store.observations(stored.id, 0..100, 100).await.unwrap() {
                if let Outcome::Failed { class, culprit } = sample.outcome {
                    failures.push((class, culprit));
                }
            }
        }
    }
    failures
}
