//! What rounds measure and write down.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use peermark_core::{FailureClass, Outcome};
use peermark_dht::scheduler::round::{RoundEnd, Skip};
use peermark_dht::scheduler::{Fleets, Notice, SchedulerError, SchedulerOptions};

use crate::scheduler_fixture::{Cluster, Fault, complete, quick, rounds};

const GOOD: Fault = Fault::None;

#[tokio::test]
async fn each_of_n_servers_publishes_once_in_n_rounds_and_the_others_look_up() {
    let cluster = Cluster::start(&[
        ("c", "eu", "default", GOOD),
        ("a", "us", "default", GOOD),
        ("b", "ap", "default", GOOD),
        ("other", "eu", "another", GOOD),
    ])
    .await;
    let done = cluster.schedule(SchedulerOptions { probes: 2, ..quick(6) }).await;
    assert_eq!((done.summary.unwritten, done.summary.metrics.written()), (0, 6));
    let rows = cluster.rows().await;
    let provides: Vec<_> = rows.iter().filter(|row| row.provide).collect();
    let publishers: Vec<_> = provides.iter().map(|row| row.row.node).collect();
    assert_eq!(publishers[..3].iter().collect::<HashSet<_>>().len(), 3, "{publishers:?}");
    assert_eq!(publishers[..3], publishers[3..], "the turns come round");
    for provide in provides {
        let found: Vec<_> = rows.iter().filter(|row| !row.provide && row.row.cid == provide.row.cid).collect();
        assert_eq!(found.len(), 4, "two others, two probes each");
        assert!(found.iter().all(|row| row.row.node != provide.row.node && row.row.error.is_none()));
        assert_eq!((provide.row.step.as_str(), provide.row.duration_ns), ("provide", 2_000_000));
        assert!(provide.row.cid.starts_with("Qm"));
    }
    assert!(cluster.members[3].calls.lock().is_empty(), "a server of another fleet is left alone");
}

#[tokio::test]
async fn a_provide_that_failed_is_written_down_and_nothing_is_looked_up() {
    let cluster = Cluster::start(&[("a", "eu", "default", Fault::CannotPublish), ("b", "us", "default", GOOD)]).await;
    let done = cluster.schedule(quick(1)).await;
    assert_eq!(done.rounds()[0].end, RoundEnd::ProvideFailed);
    let rows = cluster.rows().await;
    assert_eq!((rows.len(), rows[0].provide), (1, true));
    assert_eq!(rows[0].row.error.as_deref(), Some("context deadline exceeded"));
    assert!(!cluster.is_offline(cluster.members[0].id).await, "it answered");
}

#[tokio::test]
async fn one_fleet_publishes_and_another_looks_up() {
    let cluster = Cluster::start(&[
        ("a", "eu", "go", GOOD),
        ("b", "us", "go", GOOD),
        ("c", "eu", "rust", GOOD),
        ("d", "us", "rust", GOOD),
    ])
    .await;
    let fleets = Fleets::pair(vec!["go".into()], vec!["rust".into()]);
    cluster.schedule(SchedulerOptions { fleets, ..quick(4) }).await;
    let mut counts = BTreeMap::new();
    for row in cluster.rows().await {
        *counts.entry((row.provide, row.fleet)).or_insert(0) += 1;
    }
    assert_eq!(counts, [((false, "rust".to_owned()), 8), ((true, "go".to_owned()), 4)].into());
}

#[tokio::test]
async fn the_only_server_that_looks_up_does_not_publish() {
    let cluster = Cluster::start(&[("a", "eu", "x", GOOD), ("b", "eu", "y", GOOD)]).await;
    let fleets = Fleets::pair(vec!["x".into(), "y".into()], vec!["x".into()]);
    cluster.schedule(SchedulerOptions { fleets, ..quick(3) }).await;
    assert_eq!(*cluster.members[0].calls.lock().iter().filter(|call| *call == "provide").collect::<Vec<_>>(), [""; 0]);
    assert_eq!(cluster.rows().await.len(), 6);
}

#[tokio::test]
async fn it_is_watched_when_the_last_region_sees_a_record() {
    let late = Duration::from_millis(500);
    let cluster = Cluster::start(&[
        ("a", "af", "default", GOOD),
        ("b", "us", "default", Fault::Late(late)),
        ("c", "eu", "default", GOOD),
    ])
    .await;
    let evidence = cluster.evidence().await;
    let options = SchedulerOptions { visible_within: Some(Duration::from_secs(20)), ..quick(1) };
    let done = cluster.begin(options, Some(evidence)).end().await;
    let visible = done.rounds()[0].visible.clone().unwrap();
    assert_eq!((visible.regions, visible.unseen.len()), (2, 0));
    let last_ns = visible.last_ns.unwrap();
    assert!(u128::from(last_ns) >= late.as_nanos(), "{last_ns}");
    // Asked every 200 ms until it found it, and each of these questions is no row.
    let asked = cluster.members[1].calls.lock().iter().filter(|call| call.starts_with("retrieve")).count();
    assert!((3..=5).contains(&asked), "{asked}");
    assert_eq!(cluster.rows().await.len(), 3);
    let seen = visible_observations(&cluster).await;
    assert_eq!(seen["region:us"], seen["network"], "the last region decides");
    assert_eq!(seen["region:us"], (Outcome::Ok, last_ns as i64));
    assert!(seen["region:eu"].1 < last_ns as i64 && seen["region:eu"].0.is_ok());
}

#[tokio::test]
async fn a_region_that_never_sees_a_record_is_a_failure() {
    let never = Fault::Late(Duration::from_secs(3600));
    let cluster = Cluster::start(&[("a", "eu", "default", GOOD), ("b", "us", "default", never)]).await;
    let evidence = cluster.evidence().await;
    let options = SchedulerOptions { visible_within: Some(Duration::from_millis(300)), ..quick(1) };
    let done = cluster.begin(options, Some(evidence)).end().await;
    assert_eq!(done.rounds()[0].visible.clone().unwrap().unseen, ["us"]);
    let seen = visible_observations(&cluster).await;
    for subject in ["region:us", "network"] {
        assert_eq!(seen[subject].0.class(), Some(FailureClass::NotFound), "{subject:?}");
    }
}

async fn visible_observations(cluster: &Cluster) -> BTreeMap<String, (Outcome, i64)> {
    let mut seen = BTreeMap::new();
    for stored in cluster.store.series_of("scheduler").await.unwrap() {
        if stored.series.kind == "dht.visible" {
            let samples = cluster.store.observations(stored.id, 0..10, 10).await.unwrap();
            assert_eq!((samples.len(), stored.series.subject_region.as_str()), (1, ""), "no geohash is known");
            seen.insert(stored.series.subject, (samples[0].outcome, samples[0].value));
        }
    }
    seen
}

#[tokio::test]
async fn what_would_be_silence_is_said() {
    let cluster = Cluster::start(&[("a", "eu", "default", GOOD)]).await;
    let fleets = Fleets::mixed(vec!["defualt".into()]);
    let done = cluster.schedule(SchedulerOptions { fleets, ..quick(3) }).await;
    let unknown = Notice::NoSuchFleet { fleet: "defualt".into(), existing: vec!["default".into()] };
    assert_eq!(done.told, [unknown, Notice::Skipped(Skip::NoNodes)], "each once");
    assert_eq!(done.summary.metrics.skipped(), 3);

    let done = cluster.schedule(quick(3)).await;
    assert_eq!(done.told, [Notice::Skipped(Skip::FewerThanTwo { live: 1, ready: 1 })]);

    let none = SchedulerOptions { fleets: Fleets::mixed(Vec::new()), ..quick(1) };
    let stop = tokio_util::sync::CancellationToken::new();
    let tell = std::sync::Arc::new(|_| {});
    let (tables, clock) = (cluster.tables.clone(), std::sync::Arc::clone(&cluster.clock));
    let error = peermark_dht::scheduler::run(none, tables, None, clock, tell, stop).await.unwrap_err();
    assert!(matches!(error, SchedulerError::NoFleets), "{error:?}");
}

#[tokio::test]
async fn a_stop_keeps_what_was_measured_and_waits_for_nobody() {
    let cluster = Cluster::start(&[
        ("a", "eu", "default", GOOD),
        ("b", "us", "default", GOOD),
        ("c", "us", "default", Fault::Hangs),
    ])
    .await;
    let running = cluster.begin(SchedulerOptions { rounds: None, ..quick(0) }, None);
    let by = tokio::time::Instant::now() + crate::scheduler_fixture::LONG;
    let asked = |member: usize| cluster.members[member].calls.lock().iter().any(|call| call.starts_with("retrieve"));
    while !(asked(1) && asked(2)) {
        assert!(tokio::time::Instant::now() < by);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop.cancel();
    let began = tokio::time::Instant::now();
    let done = running.end().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(complete(&done.told), 0);
    assert_eq!(rounds(&done.told).map(|round| round.end).collect::<Vec<_>>(), [RoundEnd::Stopped]);
    assert!(cluster.rows().await.iter().any(|row| row.provide), "the provide had ended");
    assert!(!cluster.is_offline(cluster.members[2].id).await, "what a stop cut off is nobody's failure");
}

#[tokio::test]
async fn two_schedulers_over_the_same_servers_keep_apart() {
    let cluster = Cluster::start(&[("a", "eu", "default", GOOD), ("b", "us", "default", GOOD)]).await;
    let one = cluster.begin(quick(5), None);
    let two = cluster.begin(SchedulerOptions { seed: peermark_core::Seed(2), ..quick(5) }, None);
    let (one, two) = tokio::join!(one.end(), two.end());
    assert_ne!(one.summary.scheduler, two.summary.scheduler);
    let rows = cluster.rows().await;
    for scheduler in [one.summary.scheduler, two.summary.scheduler] {
        let provides = rows.iter().filter(|row| row.provide && row.scheduler == scheduler).count();
        assert_eq!(provides, 5);
    }
    assert_eq!(rows.len(), 20);
}
