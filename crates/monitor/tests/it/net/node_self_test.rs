//! The task `node-self-test` against real nodes, and against servers that do it wrong.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use libp2p::multiaddr::Protocol;
use peermark_core::{Culprit, FailureClass};
use peermark_http::Server;
use peermark_monitor::task::{NodeFacts, Report, Stop, Task};
use peermark_monitor::tasks::node_self_test::{NodeSelfTest, NodeSelfTestConfig, NodeSelfTestResult};
use peermark_node::{Node, NodeConfig};
use tempfile::TempDir;

use super::{assert_fits, failure, free_port, run_within};

async fn node(change: impl FnOnce(&mut NodeConfig)) -> (Node, String, TempDir) {
    let directory = TempDir::new().unwrap();
    let mut config = NodeConfig {
        data: directory.path().into(),
        api: "127.0.0.1:0".parse().unwrap(),
        dht_protocol: format!("/peermark-test/{}/kad/1.0.0", directory.path().display()),
        ..NodeConfig::default()
    };
    change(&mut config);
    let node = Node::start(config, None).await.unwrap();
    let url = format!("http://{}", node.api_address());
    (node, url, directory)
}

async fn test(api: &str, config: NodeSelfTestConfig) -> (Result<Report, Stop>, NodeSelfTest) {
    let task = NodeSelfTest::new(config).unwrap();
    let facts = NodeFacts { api: Some(api.into()), ..NodeFacts::default() };
    (run_within(&task, Duration::from_secs(60), facts).await, task)
}

#[tokio::test]
async fn a_node_puts_gets_and_deletes_and_another_finds_it() {
    let network = |config: &mut NodeConfig| config.dht_protocol = "/peermark-test/self-test/kad/1.0.0".into();
    let (node, url, _directory) = node(network).await;
    let hub = node.addresses()[0].clone().with(Protocol::P2p(node.peer_id()));
    let (_other, through, _its) = self::node(|config| {
        network(config);
        config.bootstrap = vec![hub];
    })
    .await;
    let config = NodeSelfTestConfig { through: Some(through), ..NodeSelfTestConfig::default() };
    let (report, task) = test(&url, config).await;
    let report = report.unwrap();
    assert_fits(&task, &report.result);
    assert_eq!(report.findings, vec![]);
    let result: NodeSelfTestResult = serde_json::from_value(report.result).unwrap();
    assert_eq!((result.bytes, result.api), (64 << 10, format!("{url}/api/archivist/v1")));
    for step in [&result.put, &result.get, &result.exists, &result.get_network, &result.find, &result.delete] {
        assert!(step.ns > Some(0) && step.reason.is_none(), "{step:?}");
    }
    assert!(result.provide.ns.is_none() && result.provide.reason.is_some(), "{:?}", result.provide);
    assert_eq!(report.value, i64::try_from(result.put.ns.unwrap() + result.get.ns.unwrap()).unwrap());
    let listed =
        peermark_node::client::NodeClient::connect(&url, Default::default()).await.unwrap().list().await.unwrap();
    assert_eq!(listed.content, vec![], "nothing is left behind");
}

#[tokio::test]
async fn what_is_not_there_is_null_with_a_reason() {
    let (_node, url, _directory) = node(|_| ()).await;
    let (report, _) = test(&format!("{url}/api/codex/v1"), NodeSelfTestConfig::default()).await;
    let result: NodeSelfTestResult = serde_json::from_value(report.unwrap().result).unwrap();
    assert!(result.find.ns.is_none() && result.find.reason.unwrap().contains("monitor.node_self_test.through"));

    let (_alone, through, _its) = node(|_| ()).await;
    let config = NodeSelfTestConfig { through: Some(through), find_timeout_s: 1, ..NodeSelfTestConfig::default() };
    let report = test(&url, config).await.0.unwrap();
    assert_eq!(report.findings[0].failure.code, "not_found_by_others", "nodes of different networks");

    let unknown = NodeSelfTest::new(NodeSelfTestConfig::default()).unwrap();
    let skipped = run_within(&unknown, Duration::from_secs(5), NodeFacts::default()).await;
    assert!(matches!(skipped, Err(Stop::Skipped(why)) if why.contains("monitor.node_api")));
    assert!(unknown.configured().is_ok());
}

#[tokio::test]
async fn nodes_that_do_it_wrong_are_told_apart() {
    let gone = format!("http://127.0.0.1:{}", free_port());
    let finding = failure(test(&gone, NodeSelfTestConfig::default()).await.0);
    assert_eq!((finding.failure.code, finding.failure.culprit), ("api_unreachable", Culprit::Peer));

    let (_full, url, _directory) = node(|config| config.quota = peermark_core::ByteSize(1 << 10)).await;
    let finding = failure(test(&url, NodeSelfTestConfig::default()).await.0);
    assert_eq!((finding.failure.code, finding.failure.class), ("quota_full", FailureClass::QuotaFull), "{finding:?}");

    let other = Server::start("127.0.0.1:0".parse().unwrap(), Router::new(), None, false).await.unwrap();
    let finding = failure(test(&format!("http://{}", other.address()), NodeSelfTestConfig::default()).await.0);
    assert_eq!(finding.failure.code, "no_api");

    let wrong = Router::new()
        .route("/api/archivist/v1/peerid", get(async || "16Uiu2HAm"))
        .route("/api/archivist/v1/data", axum::routing::post(async |_: Bytes| "zDvZfake"))
        .route("/api/archivist/v1/data/{cid}", get(async || vec![0_u8; 64 << 10]).delete(async || ()));
    let wrong = Server::start("127.0.0.1:0".parse().unwrap(), wrong, None, false).await.unwrap();
    let finding = failure(test(&format!("http://{}", wrong.address()), NodeSelfTestConfig::default()).await.0);
    assert_eq!((finding.failure.code, finding.failure.class), ("wrong_bytes", FailureClass::WrongBytes), "{finding:?}");

    let lost = Router::new()
        .route("/api/archivist/v1/peerid", get(async || "16Uiu2HAm"))
        .route("/api/archivist/v1/data", axum::routing::post(async |_: Bytes| "zDvZfake"));
    let lost = Server::start("127.0.0.1:0".parse().unwrap(), lost, None, false).await.unwrap();
    let finding = failure(test(&format!("http://{}", lost.address()), NodeSelfTestConfig::default()).await.0);
    assert_eq!((finding.failure.code, finding.failure.class), ("lost", FailureClass::NotFound), "{finding:?}");
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let key = |config: NodeSelfTestConfig| NodeSelfTest::new(config).unwrap_err().key;
    assert_eq!(key(NodeSelfTestConfig { bytes: 0, ..NodeSelfTestConfig::default() }), "node_self_test.bytes");
    let through = NodeSelfTestConfig { through: Some("ftp://x".into()), ..NodeSelfTestConfig::default() };
    assert_eq!(key(through), "node_self_test.through");
}
