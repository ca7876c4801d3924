//! The task `latency` against targets of every kind.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use peermark_core::{Culprit, FailureClass};
use peermark_http::Server;
use peermark_monitor::tasks::latency::{Latency, LatencyConfig, TargetLatency};
use tokio::net::TcpListener;

use super::{assert_fits, failure, free_port, run};

/// How long each HTTP answer is held back: what is reported cannot be less.
const HELD_BACK: Duration = Duration::from_millis(15);

fn config(targets: &[&str]) -> LatencyConfig {
    let targets = targets.iter().map(ToString::to_string).collect();
    LatencyConfig { targets, probes: 10, spread_ms: 500, timeout_ms: 300 }
}

#[tokio::test]
async fn targets_of_every_kind_have_a_distribution() {
    let app = Router::new().route(
        "/",
        get(async || {
            tokio::time::sleep(HELD_BACK).await;
            "here"
        }),
    );
    let http = Server::start("127.0.0.1:0".parse().unwrap(), app, None, false).await.unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stun = UdpSocket::bind("127.0.0.1:0").unwrap();
    let targets = [
        format!("http://localhost:{}/", http.address().port()),
        format!("tcp://{}", tcp.local_addr().unwrap()),
        format!("stun://{}", stun.local_addr().unwrap()),
        "icmp://127.0.0.1".to_owned(),
        "icmp://[::1]".to_owned(),
    ];
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    stun.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let answering = std::thread::spawn(move || {
        let mut buffer = [0; 100];
        while !stopped.load(Ordering::Relaxed) {
            if let Ok((length, from)) = stun.recv_from(&mut buffer) {
                // Refused, with an error that has no code: an answer all the same.
                buffer[..4].copy_from_slice(&[1, 0x11, 0, 0]);
                stun.send_to(&buffer[..length], from).unwrap();
            }
        }
    });
    let task = Latency::new(config(&targets.each_ref().map(String::as_str))).unwrap();
    let report = run(&task).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    answering.join().unwrap();
    assert_fits(&task, &report.result);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let told: Vec<TargetLatency> = serde_json::from_value(report.result).unwrap();
    for (target, told) in targets.iter().zip(&told) {
        assert_eq!((&told.target, told.lost), (target, 0), "{told:?}");
        let seen = told.latency.unwrap();
        assert!(told.n >= 5 && seen.min_ns > 0, "{told:?}");
        assert!(seen.min_ns <= seen.p50_ns && seen.p50_ns <= seen.p90_ns && seen.p90_ns <= seen.max_ns, "{told:?}");
    }
    let http = &told[0];
    let held_back = u64::try_from(HELD_BACK.as_nanos()).unwrap();
    assert!(http.latency.unwrap().min_ns >= held_back && http.dns_ns > Some(0), "{http:?}");
    assert!(http.connect.unwrap().p50_ns < held_back, "connecting is told apart: {http:?}");
    assert!(told[1].connect == told[1].latency && told[1].dns_ns.is_none(), "{:?}", told[1]);
    let worst = told.iter().map(|target| target.latency.unwrap().p50_ns).max().unwrap();
    assert_eq!(report.value, i64::try_from(worst).unwrap());
}

#[tokio::test]
async fn silent_targets_are_lost_probes_and_not_the_nodes_fault() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let quiet = format!("stun://{}", silent.local_addr().unwrap());
    let closed = format!("tcp://127.0.0.1:{}", free_port());
    let here = format!("tcp://{}", open.local_addr().unwrap());
    let report = run(&Latency::new(config(&[&quiet, &closed, &here])).unwrap()).await.unwrap();
    let told: Vec<TargetLatency> = serde_json::from_value(report.result).unwrap();
    for lost in &told[..2] {
        assert!(lost.n > 0 && lost.lost == lost.n && lost.latency.is_none() && lost.error.is_some(), "{lost:?}");
    }
    assert!(told[1].error.as_deref().unwrap().contains("refused"), "{told:?}");
    let found: Vec<_> = report.findings.iter().map(|found| (found.failure.code, found.failure.culprit)).collect();
    assert_eq!(found, [("target_silent", Culprit::ThirdParty); 2]);

    let finding = failure(run(&Latency::new(config(&[&quiet, &closed])).unwrap()).await);
    assert_eq!((finding.failure.code, finding.failure.class), ("no_target_answered", FailureClass::Timeout));
    let finding = failure(run(&Latency::new(config(&["tcp://no-such-host.invalid:1"])).unwrap()).await);
    assert_eq!((finding.failure.code, finding.failure.culprit), ("look_up_failed", Culprit::ThirdParty));
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let key = |config: LatencyConfig| Latency::new(config).unwrap_err().key;
    assert_eq!(key(config(&["example.org"])), "latency.targets");
    assert_eq!(key(LatencyConfig { probes: 0, ..config(&[]) }), "latency.probes");
    assert_eq!(key(LatencyConfig { timeout_ms: 0, ..config(&[]) }), "latency.timeout_ms");
}

#[tokio::test]
async fn probes_without_a_pause_end_by_the_deadline_too() {
    let mute = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("stun://{}", mute.local_addr().unwrap());
    let task =
        Latency::new(LatencyConfig { probes: 1000, spread_ms: 0, timeout_ms: 50, ..config(&[&target]) }).unwrap();
    assert_eq!(failure(run(&task).await).failure.code, "no_target_answered");
}
