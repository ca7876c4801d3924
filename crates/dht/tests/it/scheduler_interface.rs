//! What goes over the wire, byte by byte, and the metrics.

use std::time::Duration;

use peermark_dht::scheduler::{Fleets, Notice, SchedulerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::scheduler_fixture::{self, Cluster, Fault, quick};

/// A server that hands on every request as it came, and answers each with a measurement.
async fn listen(requests: mpsc::Sender<String>) -> std::net::SocketAddr {
    let listener = scheduler_fixture::listen().await;
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let requests = requests.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 8192];
                let mut got = 0;
                loop {
                    match stream.read(&mut buffer[got..]).await {
                        Ok(0) | Err(_) => return,
                        Ok(read) => got += read,
                    }
                    let text = String::from_utf8(buffer[..got].to_vec()).unwrap();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                    if body.len() < length.map_or(0, |length| length.parse().unwrap()) {
                        continue;
                    }
                    requests.send(text).await.unwrap();
                    got = 0;
                    let body =
                        r#"{"CID":"x","Measurements":[{"Step":"","Duration":1,"Error":""}],"RoutingTableSize":1}"#;
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

/// The first line, the headers in alphabetic order, and the body.
fn parts(request: &str) -> (String, Vec<String>, String) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first = lines.next().unwrap();
    let mut headers: Vec<String> = lines.collect();
    headers.sort();
    (first, headers, body.to_owned())
}

#[tokio::test]
async fn requests_are_those_of_parsecs_scheduler() {
    let cluster = Cluster::start(&[]).await;
    let (sender, mut requests) = mpsc::channel(64);
    let mut addresses = Vec::new();
    for (peer, fleet) in [("a", "default"), ("b", "fullrt")] {
        let address = listen(sender.clone()).await;
        cluster.register(peer, "eu", fleet, address).await;
        addresses.push(address);
    }
    let fleets = Fleets::mixed(vec!["default".into(), "fullrt".into()]);
    let done = cluster.schedule(SchedulerOptions { fleets, ..quick(1) }).await;
    assert_eq!(done.rounds()[0].found, 1);
    let mut got = Vec::new();
    while let Ok(request) = requests.try_recv() {
        got.push(parts(&request));
    }
    let (readiness, calls): (Vec<_>, Vec<_>) = got.into_iter().partition(|(first, ..)| first.contains("readiness"));
    assert_eq!(readiness.len(), 2);
    for (first, headers, body) in readiness {
        assert_eq!((first.as_str(), body.as_str()), ("GET /readiness HTTP/1.1", ""));
        assert!(headers.len() == 1 && headers[0].starts_with("host: 127.0.0.1:"), "{headers:?}");
    }
    let expected = |address: std::net::SocketAddr, length: usize| {
        vec![
            format!("content-length: {length}"),
            "content-type: application/json".to_owned(),
            format!("host: {address}"),
            "x-scheduler-id: default,fullrt".to_owned(),
        ]
    };
    let (first, headers, body) = &calls[0];
    assert_eq!((first.as_str(), headers), ("POST /provide HTTP/1.1", &expected(addresses[0], 1382)));
    assert!(body.starts_with(r#"{"Content":""#) && body.ends_with("\"}"), "{body}");
    let (first, headers, body) = &calls[1];
    assert!(first.starts_with("POST /retrieve/Qm") && first.len() == "POST /retrieve/ HTTP/1.1".len() + 46, "{first}");
    assert_eq!((headers, body.as_str()), (&expected(addresses[1], 2), "{}"));
    assert_eq!(calls.len(), 2);
}

#[tokio::test]
async fn metrics_are_served_under_parsecs_names() {
    let cluster = Cluster::start(&[("a", "eu", "default", Fault::None), ("b", "us", "default", Fault::None)]).await;
    let options = SchedulerOptions {
        rounds: None,
        interval: Duration::from_secs(60),
        metrics: Some("127.0.0.1:0".parse().unwrap()),
        ..quick(0)
    };
    let running = cluster.begin(options, None);
    running.until("a round", |told| told.iter().any(|notice| matches!(notice, Notice::Round(_)))).await;
    let address = running.told.lock().iter().find_map(|notice| match notice {
        Notice::Metrics { address } => Some(*address),
        _ => None,
    });
    let url = format!("http://{}", address.unwrap());
    let client = peermark_node::client::NodeClient::new(&url, Default::default()).unwrap();
    let text = client.metrics().await.unwrap();
    for line in [
        "parsec_active_nodes 2",
        "parsec_issued_provides{success=\"true\"} 1",
        "parsec_issued_retrievals{success=\"true\"} 1",
        "parsec_issued_retrievals{success=\"false\"} 0",
        "peermark_dht_scheduler_rounds_total 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    running.stop.cancel();
    running.end().await;
}
