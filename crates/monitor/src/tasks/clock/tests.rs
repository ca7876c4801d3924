use std::net::SocketAddr;

use peermark_core::Clock;
use peermark_probe::clock::MonotonicClock;
use tokio::net::UdpSocket;

use super::*;
use crate::tasks::testing;

/// Seconds from 1900, where NTP counts from, to 1970.
const ERA_S: u64 = 2_208_988_800;

/// A time server whose clock is `offset_ms` ahead, for a day.
async fn server(offset_ms: i64) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let clock = MonotonicClock::new();
        let mut request = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut request).await {
            let answer = answer(&request[..length], clock.wall_ms().saturating_add_signed(offset_ms));
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    address.to_string()
}

/// RFC 5905, figure 8: a server's answer, its header and four stamps.
fn answer(request: &[u8], wall_ms: u64) -> [u8; 48] {
    let stamp = ((wall_ms / 1000 + ERA_S) << 32) | (((wall_ms % 1000) << 32) / 1000);
    let mut answer = [0; 48];
    answer[0] = 0b00_100_100;
    answer[1] = 2;
    answer[3] = 0xec;
    answer[12..16].copy_from_slice(&[127, 0, 0, 1]);
    answer[16..24].copy_from_slice(&stamp.to_be_bytes());
    answer[24..32].copy_from_slice(&request[40..48]);
    answer[32..40].copy_from_slice(&stamp.to_be_bytes());
    answer[40..48].copy_from_slice(&stamp.to_be_bytes());
    answer
}

/// A server that takes questions and says nothing.
async fn mute() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = socket.local_addr().unwrap();
    (socket, address.to_string())
}

fn config(servers: Vec<String>) -> ClockConfig {
    ClockConfig { servers, timeout_ms: 300, samples: 2, ..ClockConfig::default() }
}

async fn run(config: ClockConfig) -> Result<(Report, ClockResult), Stop> {
    let directory = tempfile::tempdir().unwrap();
    let task = ClockTask::new(config).unwrap();
    let report = task.run(testing::context(directory.path())).await?;
    testing::check(&task, &report);
    let result = serde_json::from_value(report.result.clone()).unwrap();
    Ok((report, result))
}

fn failed(run: Result<(Report, ClockResult), Stop>) -> (&'static str, String) {
    match run {
        Err(Stop::Failed(finding)) => (finding.failure.code, finding.detail),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn servers_that_agree_say_how_far_it_is_off_and_which_way() {
    for (offset_ms, state) in [(0, ClockState::InSync), (3_600_000, ClockState::Off), (-60_000, ClockState::Off)] {
        let servers = vec![server(offset_ms).await, server(offset_ms).await];
        let (report, result) = run(config(servers)).await.unwrap();
        // The server of this test reads its clock in milliseconds, and a loaded machine adds its delay.
        assert!((report.value - offset_ms * 1_000_000).abs() < 100_000_000, "{result:?}");
        assert_eq!((result.state, result.agreed, result.quorum), (state, 2, 2));
        assert_eq!(report.findings.is_empty(), state == ClockState::InSync);
        assert_eq!(result.servers[0].stratum, Some(2));
    }
}

#[tokio::test]
async fn one_liar_and_one_silent_server_are_outvoted() {
    let (_socket, silent) = mute().await;
    let mut servers = vec![silent, server(7_200_000).await];
    for _ in 0..3 {
        servers.push(server(0).await);
    }
    let (report, result) = run(config(servers)).await.unwrap();
    assert_eq!((result.state, result.answered, result.agreed, result.quorum), (ClockState::InSync, 4, 3, 3));
    assert!(report.findings.is_empty());
    assert!(result.servers[0].error.is_some() && result.servers[0].offset_ns.is_none());
}

#[tokio::test]
async fn without_a_quorum_nothing_is_known() {
    let (_socket, silent) = mute().await;
    let (code, detail) = failed(run(config(vec![silent, server(0).await])).await);
    assert_eq!(code, "no_answer");
    assert!(detail.starts_with("1 of 2 answered; 127.0.0.1:"), "{detail}");
    let (code, _) = failed(run(config(vec![server(0).await, server(90_000).await])).await);
    assert_eq!(code, "servers_disagree");
    let (code, _) = failed(run(config(vec!["no-such-host.invalid".into()])).await);
    assert_eq!(code, "no_answer");
}

#[tokio::test]
async fn an_answer_that_is_no_ntp_is_an_error_of_that_server() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut request = [0; 512];
        while let Ok((_, from)) = socket.recv_from(&mut request).await {
            socket.send_to(b"hello", from).await.unwrap();
        }
    });
    let (code, _) = failed(run(config(vec![address])).await);
    assert_eq!(code, "no_answer");
}

#[test]
fn it_does_not_run_without_servers_and_refuses_what_cannot_be_meant() {
    let none = ClockTask::new(ClockConfig::default()).unwrap();
    assert_eq!(none.configured(), Err("no time server is configured: set monitor.clock.servers".into()));
    assert!(ClockTask::new(ClockConfig { quorum: 2, ..config(vec!["a".into()]) }).is_err());
    assert!(ClockTask::new(ClockConfig { samples: 0, ..config(vec!["a".into()]) }).is_err());
    assert!(ClockTask::new(config(vec!["a".into(); 17])).is_err());
}
