use std::path::Path;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use peermark_http::{Server, Tls};
use peermark_testkit::Certificates;
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::tasks::testing;

async fn server() -> String {
    let app = Router::new()
        .route("/", get(async || "fine"))
        .route("/long", get(async || "x".repeat(1 << 20)))
        .route("/broken", get(async || StatusCode::BAD_GATEWAY));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("127.0.0.1:{}", address.port())
}

/// A port that is taken and on which nobody listens, as long as the socket lives.
fn closed() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

fn services(of: &[(&str, Vec<String>)]) -> HealthcheckConfig {
    let services = of.iter().map(|(name, urls)| ((*name).to_owned(), urls.clone())).collect();
    HealthcheckConfig { services, min_free: ByteSize(0), timeout_ms: 2_000, ..HealthcheckConfig::default() }
}

async fn run(config: HealthcheckConfig, data: &Path, past: Vec<(u64, Value)>) -> Report {
    let task = Healthcheck::new(config).unwrap();
    let report = task.run(testing::context_after(data, past)).await.unwrap();
    testing::check(&task, &report);
    report
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.failure.code).collect()
}

#[tokio::test]
async fn a_healthy_node_has_two_empty_lists_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let report = run(services(&[]), data.path(), Vec::new()).await;
    assert_eq!(report.result.to_string(), r#"{"cache":[],"network":[]}"#);
    assert_eq!((report.value, report.findings.len()), (0, 0));
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn one_instance_that_answers_is_enough() {
    let (data, good) = (tempfile::tempdir().unwrap(), server().await);
    let (_held, port) = closed();
    let dead = format!("http://127.0.0.1:{port}");
    let config = services(&[
        ("graph", vec![dead.clone(), format!("http://{good}/")]),
        ("long", vec![format!("http://{good}/long")]),
        ("missing", vec![format!("http://{good}/nowhere?x=1")]),
        ("relay", vec![format!("tcp://127.0.0.1:{port}"), format!("tcp://{good}")]),
    ]);
    let report = run(config, data.path(), Vec::new()).await;
    assert_eq!(report.result, json!({ "cache": [], "network": [] }));
}

#[tokio::test]
async fn problems_are_listed_as_they_are_and_found_when_they_repeat() {
    let (data, good) = (tempfile::tempdir().unwrap(), server().await);
    let (_held, port) = closed();
    let config = services(&[
        ("broken", vec![format!("http://{good}/broken")]),
        ("hub", vec![format!("tcp://127.0.0.1:{port}")]),
    ]);
    let first = run(config.clone(), data.path(), Vec::new()).await;
    let lines: Vec<&str> =
        first.result["network"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(
        lines[0],
        format!("all broken instances are unreachable: http://{good}/broken is not reachable: HTTP status 502")
    );
    let expected =
        format!("all hub instances are unreachable: tcp://127.0.0.1:{port} is not reachable: failed to connect: ");
    assert!(lines[1].starts_with(&expected), "{}", lines[1]);
    assert_eq!((first.value, codes(&first).len()), (2, 0), "one run is no illness");

    let fine = json!({ "cache": [], "network": [] });
    let again = run(config.clone(), data.path(), vec![(1, first.result.clone()), (2, fine.clone())]).await;
    assert_eq!(codes(&again), ["service_error", "service_unreachable"], "two of three");
    let later = run(config, data.path(), vec![(1, first.result), (2, fine.clone()), (3, fine)]).await;
    assert_eq!(codes(&later).len(), 0, "only the last three count");
}

#[tokio::test]
async fn a_silent_server_ends_with_the_time_it_has() {
    let data = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = HealthcheckConfig { timeout_ms: 200, bad_runs: 1, ..services(&[("mute", vec![url])]) };
    let report = run(config, data.path(), Vec::new()).await;
    assert_eq!(codes(&report), ["service_unreachable"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_and_one_without_space_are_findings() {
    let data = tempfile::tempdir().unwrap();
    let gone = run(services(&[]), &data.path().join("gone"), Vec::new()).await;
    assert_eq!(codes(&gone), ["cache_read_only"]);
    let line = gone.result["cache"][0].as_str().unwrap();
    assert!(line.starts_with("failed to write to cache: open /"), "{line}");

    let greedy = HealthcheckConfig { min_free: ByteSize(u64::MAX), min_free_inodes_percent: 101.0, ..services(&[]) };
    let report = run(greedy, data.path(), Vec::new()).await;
    assert_eq!(codes(&report)[0], "cache_full");
}

#[test]
fn a_service_is_recognised_by_its_whole_name() {
    assert!(network::is_about("all hub instances are unreachable: x", "hub"));
    assert!(!network::is_about("all hub instances are unreachable: x", "hu"));
    assert!(!network::is_about("all hub2 instances are unreachable: x", "hub"));
    assert!(network::is_about("no instances provided for service hub", "hub"));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let refused = |config: HealthcheckConfig| Healthcheck::new(config).is_err();
    assert!(refused(HealthcheckConfig { bad_runs: 0, ..HealthcheckConfig::default() }));
    assert!(refused(HealthcheckConfig { bad_runs: 4, ..HealthcheckConfig::default() }));
    assert!(refused(HealthcheckConfig { timeout_ms: 0, ..HealthcheckConfig::default() }));
    assert!(refused(services(&[("empty", vec![])])));
    for url in ["tcp://", "tcp://a", "gopher://a", "a:80", "http:///x", "http://a/b c", "http://a:99999"] {
        assert!(refused(services(&[("hub", vec![url.into()])])), "{url}");
    }
    assert!(!refused(services(&[(
        "hub",
        vec!["tcp://a:1".into(), "https://a/b?c".into(), "http://[::1]:1?x".into()]
    )])));
}

#[tokio::test]
async fn over_tls_the_certificate_has_to_be_good() {
    let (data, certificates) = (tempfile::tempdir().unwrap(), Certificates::new());
    let made = certificates.issue("127.0.0.1");
    let bound = Server::bind("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    let tls = Tls::from_pem_files(&made.chain, &made.key).unwrap();
    let served = bound.with_tls(tls).serve(Router::new().route("/", get(async || "fine")));
    let url = format!("https://127.0.0.1:{}", served.address().port());
    let trusting = |ca| HealthcheckConfig { ca, bad_runs: 1, ..services(&[("own", vec![url.clone()])]) };

    let known = run(trusting(Some(certificates.root())), data.path(), Vec::new()).await;
    assert_eq!(known.result, json!({ "cache": [], "network": [] }));
    let unknown = run(trusting(Some(Certificates::new().root())), data.path(), Vec::new()).await;
    assert_eq!(codes(&unknown), ["service_error"]);
    let line = unknown.result["network"][0].as_str().unwrap();
    assert!(line.contains("the certificate is of an unknown authority"), "{line}");
    served.shutdown().await;
    assert!(Healthcheck::new(trusting(Some(data.path().join("none.pem")))).is_err());
}
