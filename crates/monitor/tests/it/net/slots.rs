//! Slots: a throughput test that both ends agree on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use peermark_core::{Culprit, FailureClass};
use peermark_http::Server;
use peermark_monitor::client::{Access, BASE, MonitorClient, ServiceError};
use peermark_monitor::slots::{Guard, NetworkClass, SlotGrant, SlotRequest, Slots, SlotsConfig, router};
use peermark_monitor::task::Task;
use peermark_monitor::tasks::iperf::{Iperf, IperfConfig, IperfRow};
use serde_json::json;

use super::{assert_fits, failure, listens, run, until};

/// The network class of a node of which a test can be told to have it.
#[derive(Default)]
struct Class(Arc<AtomicUsize>);

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

impl NetworkClass for Class {
    fn try_hold(&self, _: Duration) -> Option<Guard> {
        let taken = self.0.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
        taken.ok().map(|_| Box::new(Held(self.0.clone())) as Guard)
    }
}

struct Other {
    url: String,
    held: Arc<AtomicUsize>,
    slots: Arc<Slots>,
    server: Server,
}

impl Other {
    async fn start(change: impl FnOnce(&mut SlotsConfig), token: Option<&str>) -> Self {
        let mut config = SlotsConfig { enabled: true, gap_s: 0, ..SlotsConfig::default() };
        change(&mut config);
        let class = Class::default();
        let held = class.0.clone();
        let slots = Slots::new(config, "12D3KooWother".into(), Arc::new(class));
        let app = Router::new().nest(BASE, router(slots.clone()));
        let server = Server::start("127.0.0.1:0".parse().unwrap(), app, token.map(Arc::from), false).await.unwrap();
        Self { url: format!("http://{}", server.address()), held, slots, server }
    }

    async fn ask(&self, runs: u32, seconds_each: u32) -> Result<SlotGrant, ServiceError> {
        let remote = MonitorClient::new(&Access::anonymous(&self.url, Duration::from_secs(10))).unwrap();
        remote.post("/slots", &SlotRequest { runs, seconds_each }).await
    }

    fn held(&self) -> bool {
        self.held.load(Ordering::SeqCst) == 1
    }
}

#[track_caller]
fn status(asked: Result<SlotGrant, ServiceError>) -> u16 {
    match asked {
        Err(ServiceError::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

fn quick(url: &str) -> IperfConfig {
    IperfConfig { targets: vec![url.into()], seconds: 1, omit_seconds: 0, ..IperfConfig::default() }
}

#[tokio::test]
async fn a_test_in_a_slot_holds_the_network_of_both_and_lets_it_go() {
    let other = Other::start(|_| (), None).await;
    let task = Iperf::new(quick(&other.url)).unwrap();
    let measuring = tokio::spawn(async move { (run(&task).await, task) });
    until("the other node holds its network class", async || other.held()).await;
    assert_eq!(status(other.ask(1, 1).await), 409, "one at a time");
    let (report, task) = measuring.await.unwrap();
    let report = report.unwrap();
    assert_fits(&task, &report.result);
    let rows: Vec<IperfRow> = serde_json::from_value(report.result).unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(row.error.is_empty() && row.upload_speed > 0.0 && row.download_speed > 0.0, "{row:?}");
        assert_eq!(row.target, other.url);
    }
    until("the slot ends with its last run", async || !other.held() && !other.slots.is_open()).await;
}

#[tokio::test]
async fn a_slot_that_nobody_uses_ends_by_its_deadline_and_with_its_owner() {
    let other = Other::start(|_| (), None).await;
    let grant = other.ask(1, 1).await.unwrap();
    assert!(listens(grant.port) && grant.expires_in_ms >= 1000, "{grant:?}");
    until("nobody listens after the deadline", async || !listens(grant.port) && !other.held()).await;

    let grant = other.ask(1, 60).await.unwrap();
    assert!(listens(grant.port) && other.held());
    let held = other.held.clone();
    let Other { slots, server, .. } = other;
    server.shutdown().await;
    drop(slots);
    until("killed on drop", async || !listens(grant.port) && held.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_slot_is_given_back_by_who_has_it_and_not_granted_again_at_once() {
    let other = Other::start(|config| config.gap_s = 60, None).await;
    let grant = other.ask(4, 10).await.unwrap();
    let monitor = MonitorClient::new(&Access::anonymous(&other.url, Duration::from_secs(10))).unwrap();
    let gone = |answer| matches!(answer, Err(ServiceError::Refused { status: 404, .. }));
    assert!(gone(monitor.delete(&format!("/slots/{}", grant.id + 1)).await) && other.held());
    assert!(other.slots.close("192.0.2.1".parse().unwrap(), grant.id).is_err(), "not by others");
    monitor.delete(&format!("/slots/{}", grant.id)).await.unwrap();
    until("nothing is held any more", async || !other.held() && !listens(grant.port)).await;
    assert!(gone(monitor.delete(&format!("/slots/{}", grant.id)).await), "once");
    assert_eq!(status(other.ask(1, 1).await), 429);
}

#[tokio::test]
async fn a_test_that_fails_gives_its_slot_back() {
    let other = Other::start(|_| (), None).await;
    let task = Iperf::new(IperfConfig { program: "iperf3-that-nobody-has".into(), ..quick(&other.url) }).unwrap();
    assert_eq!(failure(run(&task).await).failure.code, "program_missing");
    until("the slot ended long before its deadline", async || !other.held()).await;
}

#[tokio::test]
async fn who_is_busy_or_serves_nobody_is_to_blame() {
    let other = Other::start(|_| (), None).await;
    other.held.store(1, Ordering::SeqCst);
    assert_eq!(status(other.ask(1, 1).await), 409, "its own test");
    let finding = failure(run(&Iperf::new(quick(&other.url)).unwrap()).await);
    assert_eq!((finding.failure.code, finding.failure.class), ("slot_busy", FailureClass::Busy));
    assert_eq!(finding.failure.culprit, Culprit::Peer);

    let off = Other::start(|config| config.enabled = false, None).await;
    assert_eq!(status(off.ask(1, 1).await), 403);
    let finding = failure(run(&Iperf::new(quick(&off.url)).unwrap()).await);
    assert_eq!((finding.failure.code, finding.failure.culprit), ("slot_refused", Culprit::Peer));

    let missing = Other::start(|config| config.program = "iperf3-that-nobody-has".into(), None).await;
    assert_eq!(status(missing.ask(1, 1).await), 503);
    assert!(!missing.held(), "nothing is held for a server that did not start");

    let locked = Other::start(|_| (), Some("secret")).await;
    let finding = failure(run(&Iperf::new(quick(&locked.url)).unwrap()).await);
    assert_eq!(finding.failure.code, "slot_refused");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "secret").unwrap();
    let config = IperfConfig { token_file: Some(file.path().into()), udp: false, ..quick(&locked.url) };
    run(&Iperf::new(config).unwrap()).await.unwrap();

    let gone = format!("http://127.0.0.1:{}", super::free_port());
    let task = Iperf::new(quick(&gone)).unwrap();
    assert_eq!(failure(run(&task).await).failure.code, "monitor_absent");
    assert!(task.about().failures.iter().all(|failure| !failure.advice.is_empty()));
}

#[tokio::test]
async fn requests_are_bounded_and_typed() {
    let other = Other::start(|config| config.longest_s = 30, None).await;
    for (runs, seconds) in [(0, 1), (9, 1), (1, 0), (4, 10), (8, u32::MAX)] {
        assert_eq!(status(other.ask(runs, seconds).await), 400, "{runs} runs of {seconds} s");
    }
    let remote = MonitorClient::new(&Access::anonymous(&other.url, Duration::from_secs(10))).unwrap();
    for body in [json!({}), json!({"runs": 1}), json!({"runs": 1, "seconds_each": 1, "port": 22}), json!([])] {
        assert_eq!(status(remote.post("/slots", &body).await), 400, "{body}");
    }
    assert_eq!(status(remote.post("/slots", &json!({ "runs": "9".repeat(10_000) })).await), 400);
    assert!(!other.held());
}
