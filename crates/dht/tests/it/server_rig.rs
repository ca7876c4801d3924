//! Starting servers, calling them, and waiting for conditions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use libp2p::PeerId;
use peermark_core::{Clock, Environment};
use peermark_dht::evidence::Evidence;
use peermark_dht::operation::Variant;
use peermark_dht::server::{DhtServer, EngineFacts, Listener, RunningServer, ServerConfig, ServerError, ServerParts};
use peermark_probe::clock::MonotonicClock;
use peermark_store::dht::DhtStore;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::server_measure::Scripted;

/// Far above what anything takes, so that only what never comes fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server with what it measures with.
pub(crate) struct Rig {
    pub(crate) server: RunningServer,
    pub(crate) measure: Arc<Scripted>,
    pub(crate) peer_id: PeerId,
}

/// What a rig is started with; the rest is as in the default.
pub(crate) struct Setup {
    pub(crate) config: ServerConfig,
    pub(crate) store: Option<DhtStore>,
    pub(crate) evidence: Option<Evidence>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) peer_port: u16,
    pub(crate) token: Option<Arc<str>>,
}

impl Default for Setup {
    fn default() -> Self {
        let config = ServerConfig {
            server_host: "127.0.0.1".into(),
            server_port: 0,
            telemetry_host: "127.0.0.1".into(),
            telemetry_port: 0,
            fleet: "rust".into(),
            region: Some("eu-central-1".into()),
            startup_delay_ms: 0,
            ..ServerConfig::default()
        };
        let clock = Arc::new(MonotonicClock::new());
        Self { config, store: None, evidence: None, clock, peer_port: 4001, token: None }
    }
}

impl Setup {
    pub(crate) async fn start(self) -> Result<Rig, ServerError> {
        let measure = Arc::new(Scripted::new(self.clock.clone()));
        let peer_id = PeerId::random();
        let arguments = ["peermark", "dht", "server", "--db-password", "hunter2", "--fleet", "rust"];
        let parts = ServerParts {
            measure: measure.clone(),
            peer_id,
            peer_port: self.peer_port,
            engine: EngineFacts { variant: Variant::Default, protocol: "/x/kad".into(), ..EngineFacts::default() },
            store: self.store,
            evidence: self.evidence,
            clock: self.clock,
            environment: environment(),
            arguments: arguments.map(str::to_owned).to_vec(),
            token: self.token,
        };
        let server = DhtServer::start(self.config, parts).await?;
        Ok(Rig { server, measure, peer_id })
    }
}

pub(crate) fn environment() -> Environment {
    Environment {
        version: "0.1.0".into(),
        commit: "abc".into(),
        kernel: "Linux".into(),
        cpu: "test".into(),
        cores: 1,
        memory_bytes: 1,
        governor: None,
        build: "debug".into(),
    }
}

/// A server with nothing but its interface.
pub(crate) async fn rig() -> Rig {
    Setup::default().start().await.unwrap()
}

/// Both listeners anonymous, for tests of other addresses.
pub(crate) const BOTH: [Listener; 2] = [Listener::Api, Listener::Telemetry];

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The sentence of a refusal, after checking that it is one, and that no scheduler can take it for an answer.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(problem["Measurements"].is_string(), "Go would decode this into no measurements: {problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Writes bytes on a connection of their own and reads one answer.
pub(crate) async fn raw(to: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request).await.unwrap();
    let is_head = request.starts_with(b"HEAD ");
    timeout(PATIENCE, read_reply(&mut stream, is_head)).await.unwrap()
}

/// Reads one answer; the connection stays open.
pub(crate) async fn read_reply(stream: &mut TcpStream, is_head: bool) -> Reply {
    let mut received = Vec::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let read = stream.read_buf(&mut received).await.unwrap();
        assert!(read > 0, "the connection ended in the head: {received:?}");
    };
    let head = String::from_utf8(received[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply { status, head, body: String::new() };
    let length: usize = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
    let length = if is_head { 0 } else { length };
    let mut body = received.split_off(end + 4);
    while body.len() < length {
        assert!(stream.read_buf(&mut body).await.unwrap() > 0, "the connection ended in the body");
    }
    assert_eq!(body.len(), length, "nothing follows the body");
    reply.body = String::from_utf8(body).unwrap();
    reply
}

/// A request as parsec's scheduler writes it: same headers, same order.
pub(crate) fn as_go(to: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
         Content-Type: application/json\r\nX-Scheduler-Id: default,rust\r\nAccept-Encoding: gzip\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// POST as the scheduler does.
pub(crate) async fn post(to: SocketAddr, path: &str, body: &str) -> Reply {
    raw(to, &as_go(to, path, body)).await
}

/// A request without a body.
pub(crate) async fn ask(to: SocketAddr, method: &str, path: &str) -> Reply {
    raw(to, format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes()).await
}

/// Asks until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "in {PATIENCE:?} it did not come true that {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
