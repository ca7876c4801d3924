//! Fleets of real servers on loopback, each answering what its test decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use parking_lot::Mutex;
use peermark_core::Clock;
use peermark_http::{Server, Tls};
use peermark_probe::clock::MonotonicClock;
use peermark_store::Store;
use peermark_testkit::Certificates;
use tokio_util::sync::CancellationToken;

use super::alert::AlertEvent;
use super::config::AlertRule;
use super::fixture::{Monitor, config, status, task};
use super::state::CellState;
use super::*;
use crate::desk::TaskState;

const DEADLINE: Duration = Duration::from_secs(30);

fn options(store: Option<Store>) -> FleetOptions {
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    FleetOptions { clock, store, alerts: None, insecure: false }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

/// A URL where nobody listens.
async fn nowhere() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn one_look_shows_the_worst_first_and_silence_as_a_state_of_its_own() {
    let good = Monitor::new(status("peer-good", vec![task("disk", TaskState::Ok, 3), task("clock", TaskState::Ok, 4)]));
    let bad = Monitor::new(status(
        "peer-bad",
        vec![task("disk", TaskState::Findings, 3), task("clock", TaskState::Failed, 4)],
    ));
    let (good, bad) = (good.serve(None, None).await, bad.serve(None, None).await);
    let config = config(&[good.url(), bad.url(), nowhere().await]);
    let fleet = Fleet::open(config, options(None)).await.unwrap();
    let execution = fleet.once(&CancellationToken::new()).await.unwrap();
    assert_eq!(execution.arrivals, 3);

    let document = fleet.document();
    let order: Vec<_> = document.nodes.iter().map(|node| (node.name.as_str(), node.state)).collect();
    assert_eq!(order, [("n2", CellState::Silent), ("n1", CellState::Failed), ("n0", CellState::Ok)]);
    assert_eq!(document.tasks, ["clock", "disk"], "the task that is doing worst comes first");
    assert_eq!((document.polls, document.failed_polls), (3, 1));
    assert!(document.is_bad());

    let text = terminal::render(&document);
    for expected in
        ["3 nodes: 1 silent, 1 failed, 1 ok", "n1    failed          ✗  !", "→ replace it", "no answer for 0 s"]
    {
        assert!(text.contains(expected), "{expected:?} in\n{text}");
    }
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!(json["schema"], "peermark.monitor-fleet/1");
    assert_eq!(serde_json::from_value::<FleetDocument>(json).unwrap(), document);
    let page = page::html(&document);
    assert!(page.contains("SMART says &lt;so&gt;") && !page.contains("<so>"));
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("src=\"http"));
    peermark_testkit::wellformed::check_references(&peermark_testkit::wellformed::tags(&page));
}

#[tokio::test]
async fn a_node_whose_runs_are_held_back_says_so_though_nothing_is_wrong() {
    let mut said = status("peer", vec![task("disk", TaskState::Ok, 3)]);
    let until_ms = said.now_ms + 3_600_000;
    said.paused = Some(crate::desk::Pause { until_ms, reason: "new disk".into() });
    let server = Monitor::new(said).serve(None, None).await;
    let fleet = Fleet::open(config(&[server.url()]), options(None)).await.unwrap();
    fleet.once(&CancellationToken::new()).await.unwrap();
    let document = fleet.document();
    assert_eq!((document.nodes[0].state, document.is_bad()), (CellState::Ok, false));
    let paused = format!("paused until {}", peermark_page::format::utc(until_ms));
    assert!(terminal::render(&document).contains(&format!("{paused}: new disk")));
    let page = page::html(&document);
    assert!(page.contains(&format!("<small>{paused}</small>")) && page.contains("new disk"), "{page}");
}

#[tokio::test]
async fn every_attempt_is_stored_once_also_by_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.db");
    let monitor =
        Monitor::new(status("peer", vec![task("disk", TaskState::Ok, 7), task("new", TaskState::Waiting, 0)]));
    let server = monitor.serve(None, None).await;
    let config = config(&[server.url()]);
    let stop = CancellationToken::new();
    for (newest, kept) in [(7, 7), (7, 0), (12, 5)] {
        monitor.status.lock().tasks[0] = task("disk", TaskState::Ok, newest);
        let store = Store::open(&path).await.unwrap();
        let fleet = Fleet::open(config.clone(), options(Some(store.clone()))).await.unwrap();
        fleet.once(&stop).await.unwrap();
        fleet.once(&stop).await.unwrap();
        assert_eq!(fleet.counts().kept.load(Ordering::Relaxed), kept);
        store.close().await;
    }
    assert_eq!(monitor.histories.load(Ordering::Relaxed), 2, "what is there is not asked for");

    let store = Store::open_existing(&path).await.unwrap();
    let series = store.series_of(RUN).await.unwrap();
    assert_eq!(series.len(), 1);
    let of = &series[0].series;
    assert_eq!((of.kind.as_str(), of.observer.as_str(), of.subject.as_str()), ("monitor.disk", "peer", "peer"));
    assert_eq!(of.class, peermark_core::EvidenceClass::SelfReport);
    let samples = store.observations(series[0].id, 0..u64::MAX, 100).await.unwrap();
    assert_eq!(samples.iter().map(|sample| sample.seq).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    assert_eq!(samples.iter().filter(|sample| sample.outcome != peermark_core::Outcome::Ok).count(), 2);
    assert_eq!((samples[3].value, samples[3].service_ns(), samples[3].slip_ns()), (4, 5_000_000, 5_000_000));
}

#[tokio::test]
async fn tokens_and_certificates_are_asked_for_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let token_file = directory.path().join("token");
    std::fs::write(&token_file, "secret\n").unwrap();
    let certificates = Certificates::new();
    let made = certificates.issue("127.0.0.1");
    let tls = Tls::from_pem_files(&made.chain, &made.key).unwrap();
    let server = Monitor::new(status("peer", vec![])).serve(Some("secret"), Some(tls)).await;
    let mut config = config(&[server.url(), server.url(), server.url()]);
    config.node[0].ca = Some(certificates.root());
    config.node[0].token_file = Some(token_file.clone());
    config.node[1].ca = Some(certificates.root());
    config.node[2].token_file = Some(token_file);
    let fleet = Fleet::open(config, options(None)).await.unwrap();
    fleet.once(&CancellationToken::new()).await.unwrap();
    let document = fleet.document();
    let error = |name: &str| document.nodes.iter().find(|node| node.name == name).unwrap().error.clone();
    assert_eq!(error("n0"), None);
    assert!(error("n1").unwrap().contains("401"), "{:?}", error("n1"));
    assert!(error("n2").unwrap().contains("unknown authority"), "{:?}", error("n2"));
}

/// A receiver that fails as often as told, then takes what comes.
async fn receiver(failures: u64) -> (Server, Arc<Mutex<Vec<alert::AlertNotice>>>, Arc<AtomicU64>) {
    let (taken, posts) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let handler = {
        let (taken, posts) = (Arc::clone(&taken), Arc::clone(&posts));
        move |notice: axum::Json<alert::AlertNotice>| async move {
            if posts.fetch_add(1, Ordering::Relaxed) < failures {
                return http::StatusCode::SERVICE_UNAVAILABLE;
            }
            taken.lock().push(notice.0);
            http::StatusCode::NO_CONTENT
        }
    };
    let router = Router::new().route("/hook", post(handler));
    (Server::start("127.0.0.1:0".parse().unwrap(), router, None, false).await.unwrap(), taken, posts)
}

#[tokio::test]
async fn a_receiver_is_told_once_when_it_begins_and_once_when_it_ends() {
    let monitor = Monitor::new(status("peer", vec![task("disk", TaskState::Failed, 1)]));
    let server = monitor.serve(None, None).await;
    let (hook, taken, posts) = receiver(1).await;
    let mut config = config(&[server.url()]);
    let rule =
        format!("name = \"disk\"\nstate = [\"failed\"]\nraise = [2, 2]\nclear = 2\nwebhook = \"{}/hook\"", hook.url());
    config.alert = vec![toml::from_str::<AlertRule>(&rule).unwrap()];
    let fleet = Fleet::open(config, options(None)).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (fleet, stop) = (fleet.clone(), stop.clone());
        async move { fleet.run(&stop).await }
    });
    until("the alert is told", || taken.lock().len() == 1).await;
    assert_eq!(fleet.document().alerts.len(), 1);
    let asked = monitor.asked.load(Ordering::Relaxed);
    until("it is asked again", || monitor.asked.load(Ordering::Relaxed) > asked).await;
    monitor.status.lock().tasks[0] = task("disk", TaskState::Ok, 2);
    until("the end is told", || fleet.counts().delivered.load(Ordering::Relaxed) == 2).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let told = taken.lock().clone();
    assert_eq!(told.iter().map(|notice| notice.event).collect::<Vec<_>>(), [AlertEvent::Raised, AlertEvent::Cleared]);
    let since_ms = told[0].raised.since_ms;
    let ids: Vec<_> = told.iter().map(|notice| notice.id.as_str()).collect();
    assert_eq!(ids, ["raised", "cleared"].map(|what| format!("disk/n0/disk/1/{since_ms}/{what}")));
    assert_eq!(posts.load(Ordering::Relaxed), 3, "one attempt failed, two notices were taken");
    assert_eq!(fleet.counts().given_up.load(Ordering::Relaxed), 0);
    assert!(fleet.document().alerts.is_empty());
}

/// A rule that raises and clears at once and tells this receiver.
fn at_once(name: &str, hook: &str) -> AlertRule {
    let rule = format!("name = {name:?}\nstate = [\"failed\"]\nraise = [1, 1]\nclear = 1\nwebhook = {hook:?}");
    toml::from_str(&rule).unwrap()
}

#[tokio::test]
async fn a_receiver_that_is_down_is_told_when_it_is_back_and_holds_up_nobody() {
    let monitor = Monitor::new(status("peer", vec![task("disk", TaskState::Failed, 1)]));
    let server = monitor.serve(None, None).await;
    // Longer away than any fixed number of attempts at one poll.
    let (late, late_taken, _) = receiver(5).await;
    let (prompt, prompt_taken, _) = receiver(0).await;
    let never = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let never = format!("http://{}/hook", never.local_addr().unwrap());
    let mut config = config(&[server.url()]);
    config.alert = vec![
        at_once("never", &never),
        at_once("late", &format!("{}/hook", late.url())),
        at_once("prompt", &format!("{}/hook", prompt.url())),
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alerts.json");
    let fleet =
        Fleet::open(config.clone(), FleetOptions { alerts: Some(file.clone()), ..options(None) }).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (fleet, stop) = (fleet.clone(), stop.clone());
        async move { fleet.run(&stop).await }
    });
    until("who is there is told", || prompt_taken.lock().len() == 1).await;
    assert!(late_taken.lock().is_empty());
    let asked = monitor.asked.load(Ordering::Relaxed);
    until("nodes are asked meanwhile", || monitor.asked.load(Ordering::Relaxed) > asked + 1).await;
    until("who comes back is told", || fleet.counts().delivered.load(Ordering::Relaxed) == 2).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(fleet.counts().given_up.load(Ordering::Relaxed), 0);
    let alerts = alert::Alerts::open(&config, Some(file)).unwrap();
    assert_eq!(alerts.owed().map(|notice| notice.raised.alert.as_str()).collect::<Vec<_>>(), ["never"]);
}

#[tokio::test]
async fn what_a_receiver_refuses_is_counted_and_not_tried_again() {
    let monitor = Monitor::new(status("peer", vec![task("disk", TaskState::Failed, 1)])).serve(None, None).await;
    let (hook, ..) = receiver(0).await;
    let mut config = config(&[monitor.url()]);
    config.alert = vec![at_once("r", &format!("{}/elsewhere?key=1", hook.url()))];
    let fleet = Fleet::open(config, options(None)).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (fleet, stop) = (fleet.clone(), stop.clone());
        async move { fleet.run(&stop).await }
    });
    until("it is given up", || fleet.counts().given_up.load(Ordering::Relaxed) == 1).await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_history_that_cannot_be_had_is_no_silence_and_mutes_no_alert() {
    let monitor = Monitor::new(status("peer", vec![task("disk", TaskState::Failed, 1)]));
    monitor.broken.store(true, Ordering::Relaxed);
    let server = monitor.serve(None, None).await;
    let (hook, taken, _) = receiver(0).await;
    let mut config = config(&[server.url()]);
    config.alert = vec![at_once("disk", &format!("{}/hook", hook.url()))];
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("fleet.db")).await.unwrap();
    let fleet = Fleet::open(config, options(Some(store.clone()))).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (fleet, stop) = (fleet.clone(), stop.clone());
        async move { fleet.run(&stop).await }
    });
    until("the alert is told", || taken.lock().len() == 1).await;
    let document = fleet.document();
    assert_eq!((document.failed_polls, document.nodes[0].state), (0, CellState::Failed));
    assert_eq!(document.nodes[0].error, None);
    let warning = document.nodes[0].warning.clone().unwrap();
    assert!(warning.contains("not kept") && warning.contains("HTTP 500"), "{warning}");
    assert!(fleet.counts().not_kept.load(Ordering::Relaxed) > 0);
    monitor.broken.store(false, Ordering::Relaxed);
    until("it is kept", || fleet.counts().kept.load(Ordering::Relaxed) == 1).await;
    until("nobody is warned any more", || fleet.document().nodes[0].warning.is_none()).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_long_history_is_fetched_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("fleet.db")).await.unwrap();
    let monitor = Monitor::new(status("peer", vec![task("disk", TaskState::Ok, 500)]));
    monitor.page.store(100, Ordering::Relaxed);
    let server = monitor.serve(None, None).await;
    let fleet = Fleet::open(config(&[server.url()]), options(Some(store.clone()))).await.unwrap();
    fleet.once(&CancellationToken::new()).await.unwrap();
    assert_eq!(fleet.counts().kept.load(Ordering::Relaxed), 500);
    // A page is less than the step back: it holds nothing new, and what is new comes after it.
    *monitor.status.lock() = status("peer", vec![task("disk", TaskState::Ok, 700)]);
    fleet.once(&CancellationToken::new()).await.unwrap();
    assert_eq!(fleet.counts().kept.load(Ordering::Relaxed), 700);
    store.close().await;
}

#[tokio::test]
async fn a_node_that_lost_its_history_is_stored_on_and_warned_of_for_a_day() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.db");
    let monitor = Monitor::new(status("peer", vec![task("disk", TaskState::Ok, 7)]));
    let server = monitor.serve(None, None).await;
    let config = config(&[server.url()]);
    let stop = CancellationToken::new();
    // Told by the same process, and by the next one.
    for (newest, kept) in [(&[7, 3, 4][..], 7 + 3 + 1), (&[2, 2], 2)] {
        let store = Store::open(&path).await.unwrap();
        let fleet = Fleet::open(config.clone(), options(Some(store.clone()))).await.unwrap();
        for newest in newest {
            *monitor.status.lock() = status("peer", vec![task("disk", TaskState::Ok, *newest)]);
            fleet.once(&stop).await.unwrap();
        }
        assert_eq!(fleet.counts().kept.load(Ordering::Relaxed), kept);
        let warning = fleet.document().nodes[0].warning.clone().unwrap();
        assert!(warning.contains("its history was lost"), "{warning}");
        store.close().await;
    }
    let store = Store::open_existing(&path).await.unwrap();
    let series = store.series_of(RUN).await.unwrap();
    let samples = store.observations(series[0].id, 0..u64::MAX, 100).await.unwrap();
    let numbers: Vec<_> = samples.iter().map(|sample| (sample.seq, sample.trace)).collect();
    let chains = (1..=7).chain(1..=4).chain(1..=2);
    assert_eq!(numbers, (1..=13).zip(chains).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_fleet_is_served_as_page_document_and_metrics() {
    let monitor = Monitor::new(status("peer", vec![task("disk", TaskState::Failed, 3)])).serve(None, None).await;
    let fleet = Fleet::open(config(&[monitor.url()]), options(None)).await.unwrap();
    fleet.once(&CancellationToken::new()).await.unwrap();
    let listen =
        server::FleetListen { address: "127.0.0.1:0".parse().unwrap(), token: None, allow_anonymous: false, tls: None };
    let served = server::start(fleet.clone(), listen).await.unwrap();
    let client = peermark_node::client::NodeClient::new(&served.url(), Default::default()).unwrap();
    let document: FleetDocument = client.get_json("/api/v1/fleet").await.unwrap();
    assert_eq!(document.nodes[0].state, CellState::Failed);
    assert!(client.get_text("/").await.unwrap().starts_with("<!DOCTYPE html>"));
    assert!(client.get_text("/rules.yaml").await.unwrap().starts_with("groups:"));
    let metrics = client.get_text("/metrics").await.unwrap();
    for expected in [
        "peermark_fleet_node_up{node=\"n0\"} 1\n",
        "peermark_fleet_task_success{node=\"n0\",task=\"disk\"} 0\n",
        "peermark_fleet_task_value{node=\"n0\",task=\"disk\"} 40\n",
        "peermark_fleet_polls_total 1\n",
    ] {
        assert!(metrics.contains(expected), "{expected:?} in\n{metrics}");
    }
    served.shutdown().await;
}

#[tokio::test]
async fn a_node_that_answers_with_rubbish_or_never_is_told_from_one_that_is_well() {
    let rubbish = Server::start("127.0.0.1:0".parse().unwrap(), Router::new(), None, false).await.unwrap();
    let never = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config(&[rubbish.url(), format!("http://{}", never.local_addr().unwrap())]);
    let fleet = Fleet::open(config, options(None)).await.unwrap();
    fleet.once(&CancellationToken::new()).await.unwrap();
    let document = fleet.document();
    let error = |name: &str| document.nodes.iter().find(|node| node.name == name).unwrap().error.clone().unwrap();
    assert!(error("n0").contains("HTTP 404"), "{}", error("n0"));
    assert!(error("n1").contains("within 1"), "{}", error("n1"));
}
