//! Reachability and dial-back between real nodes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use libp2p::PeerId;
use peermark_core::{Clock, Culprit};
use peermark_http::Server;
use peermark_monitor::client::{Access, BASE, MonitorClient, ServiceError};
use peermark_monitor::dialback::{DialState, Dialback, DialbackAnswer, DialbackConfig, DialbackRequest, router};
use peermark_monitor::task::{NodeFacts, Task};
use peermark_monitor::tasks::reachability::{Reachability, ReachabilityConfig, ReachabilityResult};
use peermark_node::{Node, NodeConfig};
use peermark_probe::clock::MonotonicClock;
use peermark_testkit::FakeClock;
use serde_json::json;
use tempfile::TempDir;

use super::{assert_fits, failure, free_port, run_within};

const TIME: Duration = Duration::from_secs(30);

async fn node(listen: &[&str]) -> (Node, TempDir) {
    let directory = TempDir::new().unwrap();
    let config = NodeConfig {
        data: directory.path().into(),
        api: "127.0.0.1:0".parse().unwrap(),
        listen: listen.iter().map(|address| address.parse().unwrap()).collect(),
        ..NodeConfig::default()
    };
    (Node::start(config, None).await.unwrap(), directory)
}

async fn helper(config: DialbackConfig, clock: Arc<dyn Clock>) -> (Server, String) {
    let dialback = Dialback::new(config, "12D3KooWhelper".into(), clock);
    let app = Router::new().nest(BASE, router(dialback));
    let server = Server::start("127.0.0.1:0".parse().unwrap(), app, None, false).await.unwrap();
    let url = format!("http://{}", server.address());
    (server, url)
}

/// A helper that may dial this machine, as tests have to.
fn own() -> DialbackConfig {
    DialbackConfig { allow: vec!["127.0.0.1".parse().unwrap()], ..DialbackConfig::default() }
}

fn facts(node: &Node) -> NodeFacts {
    let addresses = node.addresses().iter().map(ToString::to_string).collect();
    NodeFacts { id: node.peer_id().to_string(), addresses, ..NodeFacts::default() }
}

fn task(helpers: &[&str]) -> Reachability {
    let helpers = helpers.iter().map(ToString::to_string).collect();
    Reachability::new(ReachabilityConfig { helpers, ..ReachabilityConfig::default() }).unwrap()
}

#[tokio::test]
async fn a_node_is_dialled_back_over_tcp_and_quic_on_both_families() {
    let listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1", "/ip6/::1/tcp/0", "/ip6/::1/udp/0/quic-v1"];
    let (node, _directory) = node(&listen).await;
    let clock = Arc::new(MonotonicClock::new());
    // The helper is asked over IPv4: it has to be told that ::1 is the asker's too.
    let allowing = DialbackConfig { allow: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()], ..own() };
    let (_server, url) = helper(allowing, clock.clone()).await;
    let gone = format!("http://127.0.0.1:{}", free_port());
    let task = task(&[&gone, &url]);
    let report = run_within(&task, TIME, facts(&node)).await.unwrap();
    assert_fits(&task, &report.result);
    assert_eq!((report.value, report.findings), (0, vec![]));
    let result: ReachabilityResult = serde_json::from_value(report.result).unwrap();
    let kinds: Vec<(&str, Option<bool>)> = result.kinds.iter().map(|(kind, reach)| (kind.as_str(), *reach)).collect();
    let yes = Some(true);
    assert_eq!(kinds, [("ip4/quic", yes), ("ip4/tcp", yes), ("ip6/quic", yes), ("ip6/tcp", yes)]);
    assert!(result.addresses.iter().all(|reach| reach.handshake_ns > Some(0)), "{result:?}");
    assert!(result.helpers[0].error.is_some(), "a helper that is gone is told and not held against the node");
    assert_eq!(result.helpers[1].seen_from.as_deref(), Some("127.0.0.1"));

    let (_strict, url) = helper(own(), clock).await;
    let report = run_within(&self::task(&[&url]), TIME, facts(&node)).await.unwrap();
    let result: ReachabilityResult = serde_json::from_value(report.result).unwrap();
    assert_eq!((result.kinds["ip4/tcp"], result.kinds["ip6/tcp"]), (Some(true), None), "not its own is not tried");
    assert_eq!(report.findings, [], "a family over which nobody was asked is no fault of the node");
}

#[tokio::test]
async fn a_monitor_alone_asks_the_nodes_api_who_it_is() {
    let (node, _directory) = node(&["/ip4/127.0.0.1/tcp/0"]).await;
    let (_server, url) = helper(own(), Arc::new(MonotonicClock::new())).await;
    // As `monitor run` knows it: a key of its own, and where the node's API is.
    let own = PeerId::random().to_string();
    let alone = |api: String| NodeFacts { id: own.clone(), api: Some(api), ..NodeFacts::default() };
    let report = run_within(&task(&[&url]), TIME, alone(format!("http://{}", node.api_address()))).await.unwrap();
    assert_eq!((report.value, &report.findings), (0, &vec![]));
    let result: ReachabilityResult = serde_json::from_value(report.result).unwrap();
    assert_eq!(result.kinds["ip4/tcp"], Some(true), "{result:?}");

    let down = alone(format!("http://127.0.0.1:{}", free_port()));
    assert_eq!(failure(run_within(&task(&[&url]), TIME, down).await).failure.code, "node_unasked");
    let unfit = ReachabilityConfig { peer: Some("nobody".into()), ..ReachabilityConfig::default() };
    assert_eq!(Reachability::new(unfit).unwrap_err().key, "reachability.peer");
}

#[tokio::test]
async fn closed_ports_and_strangers_are_findings() {
    let (other, _directory) = node(&["/ip4/127.0.0.1/tcp/0"]).await;
    let closed = format!("/ip4/127.0.0.1/tcp/{}", free_port());
    let addresses = vec![closed.clone(), other.addresses()[0].to_string()];
    let me = NodeFacts { id: PeerId::random().to_string(), addresses, ..NodeFacts::default() };
    let (_server, url) = helper(own(), Arc::new(MonotonicClock::new())).await;
    let report = run_within(&task(&[&url]), TIME, me).await.unwrap();
    let codes: Vec<&str> = report.findings.iter().map(|found| found.failure.code).collect();
    assert_eq!((report.value, codes), (2, vec!["unreachable", "wrong_peer"]));
    assert!(report.findings[0].detail.contains(&closed) && report.findings[0].detail.contains("refused"));
}

#[tokio::test]
async fn without_helpers_or_identity_nothing_is_said_of_the_node() {
    let (node, _directory) = node(&["/ip4/127.0.0.1/tcp/0"]).await;
    let gone = format!("http://127.0.0.1:{}", free_port());
    let finding = failure(run_within(&task(&[&gone]), TIME, facts(&node)).await);
    assert_eq!((finding.failure.code, finding.failure.culprit), ("no_helper", Culprit::ThirdParty));
    let (_server, url) = helper(own(), Arc::new(MonotonicClock::new())).await;
    assert_eq!(failure(run_within(&task(&[&url]), TIME, NodeFacts::default()).await).failure.code, "no_identity");
    assert!(task(&[]).configured().is_err());
    let unfit = ReachabilityConfig { addresses: vec!["/dns4/x/tcp/1".into()], ..ReachabilityConfig::default() };
    assert_eq!(Reachability::new(unfit).unwrap_err().key, "reachability.addresses");
}

#[tokio::test]
async fn dial_back_is_no_tool_against_others() {
    let clock = Arc::new(FakeClock::new());
    let (_server, url) = helper(DialbackConfig::default(), clock.clone()).await;
    let remote = MonitorClient::new(&Access::anonymous(&url, TIME)).unwrap();
    let request = |addresses: &[&str]| DialbackRequest {
        peer: PeerId::random().to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    };
    let status = async |body: serde_json::Value| match remote.post::<DialbackAnswer>("/dialback", &body).await {
        Err(ServiceError::Refused { status, .. }) => status,
        other => panic!("{other:?}"),
    };
    // What is refused does not count for the rate.
    let nine = vec!["/ip4/127.0.0.1/tcp/1"; 9];
    assert_eq!(status(serde_json::to_value(request(&nine)).unwrap()).await, 400);
    assert_eq!(status(serde_json::to_value(request(&[])).unwrap()).await, 400);
    for body in [json!({}), json!({"peer": "x", "addresses": ["/ip4/127.0.0.1/tcp/1"]}), json!("x".repeat(100_000))] {
        assert!([400, 413].contains(&status(body).await));
    }
    // Its own loopback neither, even for who asks from there: behind a proxy that is everybody.
    let foreign = ["/ip4/192.0.2.1/tcp/4001", "/dns4/localhost/tcp/4001", "/ip4/127.0.0.1/udp/1/quic-v1"];
    let answer: DialbackAnswer = remote.post("/dialback", &request(&foreign)).await.unwrap();
    assert!(answer.dials.iter().all(|dial| dial.outcome == DialState::NotTried), "{answer:?}");

    let again = serde_json::to_value(request(&foreign)).unwrap();
    assert_eq!(status(again.clone()).await, 429);
    clock.advance(Duration::from_secs(29));
    assert_eq!(status(again.clone()).await, 429);
    clock.advance(Duration::from_secs(1));
    remote.post::<DialbackAnswer>("/dialback", &again).await.unwrap();

    let (_off, url) = helper(DialbackConfig { enabled: false, ..DialbackConfig::default() }, clock).await;
    let off =
        MonitorClient::new(&Access::anonymous(&url, TIME)).unwrap().post::<DialbackAnswer>("/dialback", &again).await;
    assert!(matches!(off, Err(ServiceError::Refused { status: 403, .. })), "{off:?}");
}
