//! The server as its callers see it: over sockets on loopback, with requests in plain bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and its fixtures with it")]

mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use peermark_http::{BindError, Problem, Server};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Far above what anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

const LOOPBACK: &str = "127.0.0.1:0";

async fn start(router: Router, token: Option<&str>) -> Server {
    Server::start(LOOPBACK.parse().unwrap(), router, token.map(Arc::from), false).await.unwrap()
}

/// Sends a request with these header lines and reads to the end of the connection.
async fn ask(address: SocketAddr, path: &str, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(DEADLINE, stream.read_to_string(&mut answer)).await.expect("the answer ends").unwrap();
    answer
}

#[track_caller]
fn problem(answer: &str, status: u16, code: &str) -> Value {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/problem+json"), "{answer}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["type"], &body["status"], &body["code"]), (&"about:blank".into(), &status.into(), &code.into()));
    body
}

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_before_any_handler() {
    let server = start(hello(), None).await;
    let address = server.address();
    for lines in [
        ["host: node.example", "accept: */*"],
        ["host: 10.0.0.1", "accept: */*"],
        ["host: localhost", "origin: http://node.example"],
        ["host: localhost", "origin: null"],
    ] {
        problem(&ask(address, "/", &lines).await, 403, "forbidden_origin");
        problem(&ask(address, "/nowhere", &lines).await, 403, "forbidden_origin");
    }
    for lines in [["host: localhost:9", "accept: */*"], ["host: [::1]", "origin: http://127.0.0.1:3000"]] {
        assert!(ask(address, "/", &lines).await.ends_with("hello"));
    }
}

#[tokio::test]
async fn a_token_opens_every_route_and_nothing_else_does() {
    let server = start(hello(), Some("right")).await;
    let host = "host: localhost";
    for wrong in ["accept: */*", "authorization: Bearer wrong", "authorization: bearer", "authorization: Basic right"] {
        problem(&ask(server.address(), "/", &[host, wrong]).await, 401, "unauthorized");
        problem(&ask(server.address(), "/nowhere", &[host, wrong]).await, 401, "unauthorized");
    }
    let right = ask(server.address(), "/", &[host, "authorization: Bearer right"]).await;
    assert!(right.starts_with("HTTP/1.1 200 ") && right.ends_with("hello"), "{right}");
}

#[tokio::test]
async fn the_inside_of_a_failure_stays_inside() {
    let failing = || async { Err::<(), _>(Problem::logged(&io::Error::other("/home/operator/blocks.db is locked"))) };
    let busy = || async {
        Err::<(), _>(Problem::server(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many \"downloads\"\nare running"))
    };
    let server = start(Router::new().route("/failing", get(failing)).route("/busy", get(busy)), None).await;
    let answer = ask(server.address(), "/failing", &["host: localhost"]).await;
    let body = problem(&answer, 500, "internal");
    assert_eq!(
        (&body["title"], &body["detail"]),
        (&"Internal Server Error".into(), &"internal error, see the log".into())
    );
    assert!(!answer.contains("operator"), "{answer}");
    let body = problem(&ask(server.address(), "/busy", &["host: localhost"]).await, 503, "busy");
    assert_eq!(body["detail"], "too many \"downloads\"\nare running");
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_named() {
    let server = start(hello(), None).await;
    let taken = Server::start(server.address(), hello(), None, false).await.unwrap_err();
    assert!(matches!(taken, BindError::Io { address, .. } if address == server.address()), "{taken}");
    let open = Server::start("0.0.0.0:0".parse().unwrap(), hello(), None, false).await.unwrap_err();
    assert!(matches!(open, BindError::Open { .. }) && open.to_string().contains("0.0.0.0:0"), "{open}");
}

/// A route that says when it was reached and answers when it may.
fn gated(reached: &Arc<Notify>, go: &Arc<Notify>) -> Router {
    let (reached, go) = (reached.clone(), go.clone());
    let handler = move || async move {
        reached.notify_one();
        go.notified().await;
        "done"
    };
    Router::new().route("/", get(handler))
}

#[tokio::test]
async fn open_requests_end_in_order_and_no_further_ones_are_taken() {
    let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = start(gated(&reached, &go), None).await;
    let address = server.address();
    let open = tokio::spawn(async move { ask(address, "/", &["host: localhost"]).await });
    reached.notified().await;
    let stopping = tokio::spawn(server.shutdown());
    timeout(DEADLINE, async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a stopping server takes no connection");
    go.notify_one();
    assert!(open.await.unwrap().ends_with("done"));
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_a_server_from_stopping() {
    let (reached, never) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let server = start(gated(&reached, &never), None).await;
    let address = server.address();
    let _open = tokio::spawn(async move { ask(address, "/", &["host: localhost"]).await });
    reached.notified().await;
    timeout(DEADLINE, server.shutdown()).await.expect("stopping is bounded");
    TcpStream::connect(address).await.unwrap_err();
}
