//! The task `iperf` against real servers, absent ones, busy ones, and ones that never answer.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use peermark_core::{Culprit, FailureClass};
use peermark_monitor::task::{NodeFacts, Task};
use peermark_monitor::tasks::iperf::{Iperf, IperfConfig, IperfRow, RowStatus};
use peermark_testkit::program;
use serde_json::Value;

use super::{IperfServer, assert_fits, failure, free_port, run, run_within};

/// Largest difference between what we report and what iperf3's other end prints of the same run.
const TOLERANCE: f64 = 0.02;

fn quick(targets: &[String]) -> IperfConfig {
    IperfConfig { targets: targets.to_vec(), shuffle: false, seconds: 1, omit_seconds: 0, ..IperfConfig::default() }
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

fn rate(document: &Value, sum: &str) -> f64 {
    document["end"][sum]["bits_per_second"].as_f64().unwrap()
}

#[tokio::test]
async fn both_directions_agree_with_what_the_other_end_prints() {
    let server = IperfServer::start().await;
    // Fast enough that a packet is no percent of the whole.
    let udp_bits_per_second = 100_000_000;
    let config = IperfConfig { seconds: 2, omit_seconds: 1, udp_bits_per_second, ..quick(&[local(server.port)]) };
    let task = Iperf::new(config).unwrap();
    let report = run(&task).await.unwrap();
    assert_fits(&task, &report.result);
    let rows: Vec<IperfRow> = serde_json::from_value(report.result.clone()).unwrap();
    let [tcp, udp] = rows.as_slice() else { panic!("{rows:?}") };
    let printed = server.documents(4).await;
    // A server that sends does not know what arrived: of UDP, what it sent less what was lost.
    let arrived = 1.0 - udp.download.as_ref().unwrap().loss_percent.unwrap() / 100.0;
    let pairs = [
        ("TCP up", tcp.upload_speed, rate(&printed[0], "sum_received")),
        ("TCP down", tcp.download_speed, rate(&printed[1], "sum_sent")),
        ("UDP up", udp.upload_speed, rate(&printed[2], "sum_received")),
        ("UDP down", udp.download_speed, rate(&printed[3], "sum_sent") * arrived),
    ];
    for (name, ours, theirs) in pairs {
        let off = (ours / theirs - 1.0).abs();
        println!("{name}: reported {ours:.0} bit/s, iperf3 at the other end printed {theirs:.0} bit/s, {off:.4} apart");
        assert!(theirs > 0.0 && off <= TOLERANCE, "{name}: {ours} and {theirs}");
    }
    for row in &rows {
        assert_eq!((row.status, row.error.as_str()), (RowStatus::Ok, ""), "{row:?}");
        assert_eq!((row.server_ip.as_str(), row.node_ip.as_str(), row.node_id), ("127.0.0.1", "127.0.0.1", 0));
        assert_eq!((row.server_host.as_str(), row.server_port), ("127.0.0.1", server.port));
        assert!(row.cpu_report.host_total > 0.0, "{row:?}");
    }
    let down = udp.download.as_ref().unwrap();
    assert!(down.packets > Some(0) && down.loss_percent.is_some() && down.jitter_ms.is_some(), "{down:?}");
    let slower = tcp.upload_speed.min(tcp.download_speed);
    assert!((report.value as f64 - slower).abs() < 1.0 && report.bytes > tcp.upload.as_ref().unwrap().bytes);
}

#[tokio::test]
async fn who_is_absent_is_to_blame_and_the_next_one_serves() {
    let task = Iperf::new(quick(&[local(free_port())])).unwrap();
    let finding = failure(run(&task).await);
    assert_eq!((finding.failure.code, finding.failure.class), ("server_absent", FailureClass::ConnectFailed));
    assert_eq!(finding.failure.culprit, Culprit::ThirdParty);
    assert!(finding.detail.contains("Connection refused"), "iperf3's own words: {}", finding.detail);

    let server = IperfServer::start().await;
    let both = Iperf::new(IperfConfig { udp: false, ..quick(&[local(free_port()), local(server.port)]) }).unwrap();
    let report = run(&both).await.unwrap();
    assert_eq!(report.result.as_array().unwrap().len(), 1);
    assert_eq!(report.result[0]["target"], local(server.port));
    assert!(report.findings.is_empty(), "a bad target is no fault of the node");
}

#[tokio::test]
async fn who_is_busy_is_to_blame() {
    let server = IperfServer::start().await;
    let other = Command::new(program("iperf3"))
        .args(["-c", "127.0.0.1", "-t", "60", "-b", "1M", "-p", &server.port.to_string()])
        .stdout(Stdio::null())
        .spawn();
    let mut other = other.unwrap();
    super::until("the other test is under way", async || connections_to(server.port) >= 2).await;
    let task = Iperf::new(quick(&[local(server.port)])).unwrap();
    let finding = failure(run(&task).await);
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!((finding.failure.code, finding.failure.class), ("server_busy", FailureClass::Busy));
    assert_eq!(finding.failure.culprit, Culprit::ThirdParty);
    assert!(finding.detail.contains("the server is busy running a test"), "{}", finding.detail);
}

/// Open connections to a local port: control and data of a test that runs.
fn connections_to(port: u16) -> usize {
    let wanted = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let open = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    open.filter(|fields| fields.get(2) == Some(&wanted.as_str()) && fields.get(3) == Some(&"01")).count()
}

#[tokio::test]
async fn who_stalls_is_found_out_before_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let task = Iperf::new(quick(&[local(port)])).unwrap();
    let finding = failure(run_within(&task, Duration::from_secs(3), NodeFacts::default()).await);
    assert_eq!((finding.failure.code, finding.failure.class), ("server_stalled", FailureClass::Timeout));
    assert_eq!(finding.failure.culprit, Culprit::ThirdParty);
    // The client is gone with the run.
    silent.set_nonblocking(true).unwrap();
    let (mut stream, _) = silent.accept().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    std::io::copy(&mut stream, &mut std::io::sink()).unwrap_or_default();
}

#[tokio::test]
async fn a_missing_program_and_one_that_is_another_are_told() {
    let missing = IperfConfig { program: "iperf3-that-nobody-has".into(), ..quick(&["127.0.0.1".into()]) };
    let finding = failure(run(&Iperf::new(missing).unwrap()).await);
    assert_eq!((finding.failure.code, finding.failure.culprit), ("program_missing", Culprit::Observer));
    assert!(finding.failure.advice.contains("apt-get install iperf3"));

    let other = IperfConfig { program: "echo".into(), ..quick(&["127.0.0.1".into()]) };
    assert_eq!(failure(run(&Iperf::new(other).unwrap()).await).failure.code, "bad_output");

    let directory = tempfile::tempdir().unwrap();
    let endless = directory.path().join("iperf3");
    // Written by another process: while this one has it open for writing, a child of another test may too, and it cannot be run.
    let script = format!("printf '#!/bin/sh\\nexec yes\\n' > {0} && chmod 755 {0}", endless.display());
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    let endless = IperfConfig { program: endless.display().to_string(), ..quick(&["127.0.0.1".into()]) };
    let finding = failure(run(&Iperf::new(endless).unwrap()).await);
    assert_eq!((finding.failure.code, finding.failure.class), ("bad_output", FailureClass::BadOutput), "{finding:?}");
}

#[tokio::test]
async fn no_server_is_blamed_where_there_was_no_time() {
    let server = IperfServer::start().await;
    let task = Iperf::new(quick(&[local(server.port)])).unwrap();
    // Enough for one run of a second, not for both directions.
    let finding = failure(run_within(&task, Duration::from_millis(3_000), NodeFacts::default()).await);
    assert_eq!((finding.failure.code, finding.failure.culprit), ("timeout", Culprit::Observer), "{finding:?}");
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let key = |config: IperfConfig| Iperf::new(config).unwrap_err().key;
    assert_eq!(key(quick(&["ftp://x".into()])), "iperf.targets");
    assert_eq!(key(IperfConfig { seconds: 0, ..quick(&[]) }), "iperf.seconds");
    assert_eq!(key(IperfConfig { streams: 0, ..quick(&[]) }), "iperf.streams");
    let none = Iperf::new(quick(&[])).unwrap();
    assert!(none.configured().unwrap_err().contains("monitor.iperf.targets"));
}
