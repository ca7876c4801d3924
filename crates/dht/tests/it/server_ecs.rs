//! ECS metadata from an endpoint, over real HTTP.

use std::net::SocketAddr;

use peermark_dht::server::ServerError;
use peermark_store::dht::DhtStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::server_rig::{Setup, until};

/// An endpoint that answers every request with the same bytes.
async fn endpoint(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            assert!(request.starts_with(b"GET /v4/task-1 HTTP/1.1\r\n"), "{request:?}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

async fn start_at(answer: &str) -> (Result<crate::server_rig::Rig, ServerError>, DhtStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = DhtStore::open_sqlite(&directory.path().join("s.db")).await.unwrap();
    let address = endpoint(answer.to_owned()).await;
    let mut setup = Setup { store: Some(store.clone()), ..Setup::default() };
    setup.config.region = None;
    setup.config.ecs_metadata = Some(String::new());
    setup.config.ecs_metadata_uri_v4 = Some(format!("http://{address}/v4/task-1"));
    (setup.start().await, store, directory)
}

#[tokio::test]
async fn address_and_region_come_from_the_endpoint() {
    let json = r#"{"Limits":{"CPU":10,"Memory":128},"ContainerARN":"arn:aws:ecs:us-west-2:1:container/x","Networks":[
        {"NetworkMode":"awsvpc","IPv4Addresses":["10.0.2.100"]}]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{json}", json.len());
    let (rig, store, _directory) = start_at(&answer).await;
    let _rig = rig.unwrap();
    let now = || peermark_core::Clock::wall_ms(&peermark_probe::clock::MonotonicClock::new());
    let fleets = ["rust".to_owned()];
    until("there is a heartbeat", async || !store.live_nodes(&fleets, now()).await.unwrap().is_empty()).await;
    let live = store.live_nodes(&fleets, now()).await.unwrap();
    assert_eq!((live[0].ip_address.to_string().as_str(), live[0].region.as_str()), ("10.0.2.100", "us-west-2"));
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_as_it_should_is_named() {
    for answer in [
        "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{}",
        "",
    ] {
        let (rig, ..) = start_at(answer).await;
        assert!(matches!(rig, Err(ServerError::Ecs(_))), "{answer:?}");
    }
}
