//! The scheduler and our own servers, over one database.

use std::sync::atomic::Ordering;
use std::time::Duration;

use peermark_core::FailureClass;
use peermark_dht::scheduler::round::RoundEnd;
use peermark_dht::scheduler::{CallOptions, Fleets, SchedulerOptions};
use peermark_store::dht::MeasuredFilter;

use crate::scheduler_fixture::{Cluster, quick};
use crate::server_measure::{Script, TOOK_NS};
use crate::server_rig::{Rig, Setup, until};

/// Servers of fleet `rust` in these regions, each with a routing table of its own size, that have sent a heartbeat.
async fn servers(cluster: &Cluster, regions: &[&str]) -> Vec<Rig> {
    let mut rigs = Vec::new();
    for (number, region) in regions.iter().enumerate() {
        let mut setup = Setup { store: Some(cluster.tables.clone()), clock: cluster.clock.clone(), ..Setup::default() };
        setup.config.region = Some((*region).to_owned());
        let rig = setup.start().await.unwrap();
        rig.measure.table.store(200 + number, Ordering::SeqCst);
        rigs.push(rig);
    }
    let fleets = ["rust".to_owned()];
    let live = async || cluster.tables.live_nodes(&fleets, cluster.clock.wall_ms()).await.unwrap().len();
    until("all have a heartbeat", async || live().await == regions.len()).await;
    rigs
}

#[tokio::test]
async fn rounds_over_servers_of_ours_bring_what_the_servers_measured() {
    let cluster = Cluster::start(&[]).await;
    let rigs = servers(&cluster, &["ap", "eu", "us"]).await;
    rigs[2].measure.follow(Script::Fail(FailureClass::NotFound, "not found"));
    let fleets = Fleets::mixed(vec!["rust".into()]);
    let done = cluster.schedule(SchedulerOptions { fleets, ..quick(3) }).await;
    let ends: Vec<_> = done.rounds().iter().map(|round| round.end).collect();
    assert_eq!(ends, [RoundEnd::Complete, RoundEnd::Complete, RoundEnd::ProvideFailed]);
    let filter = MeasuredFilter { until_ms: u64::MAX, ..MeasuredFilter::default() };
    let rows = cluster.tables.measured(&filter, 100).await.unwrap();
    assert_eq!((rows.iter().filter(|row| row.provide).count(), rows.len()), (3, 7));
    for measured in rows {
        let by = rigs.iter().position(|rig| rig.server.node_id() == Some(measured.row.node)).unwrap();
        assert_eq!((measured.row.rt_size, measured.row.duration_ns), (200 + by as i32, TOOK_NS));
        assert_eq!(measured.row.error.as_deref(), (by == 2).then_some("not found"));
        assert_eq!(measured.row.step, if measured.provide { "provide" } else { "" });
        assert!(measured.row.cid.starts_with("Qm"), "the scheduler's own CID");
    }
    let keys: Vec<_> = rigs.iter().map(|rig| rig.measure.keys.lock().clone()).collect();
    assert_eq!(keys[0][..2], keys[1][..2], "all were asked about the same records");
}

#[tokio::test]
async fn a_server_whose_lookup_never_ends_is_offline_and_the_others_go_on() {
    let cluster = Cluster::start(&[]).await;
    let rigs = servers(&cluster, &["ap", "eu", "us"]).await;
    rigs[2].measure.follow(Script::Hang);
    let calls = CallOptions { timeout: Duration::from_millis(2_500), ..CallOptions::default() };
    let fleets = Fleets::mixed(vec!["rust".into()]);
    let done = cluster.schedule(SchedulerOptions { fleets, calls, ..quick(2) }).await;
    let ready: Vec<_> = done.rounds().iter().map(|round| (round.ready, round.end)).collect();
    assert_eq!(ready, [(3, RoundEnd::Complete), (2, RoundEnd::Complete)]);
    assert!(cluster.is_offline(rigs[2].server.node_id().unwrap()).await);
}
