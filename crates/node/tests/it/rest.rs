//! One HTTP request, with everything that comes back. [`peermark_node::client::NodeClient`] is used where headers do not matter.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Both prefixes of the official API.
pub(crate) const PREFIXES: [&str; 2] = ["/api/archivist/v1", "/api/codex/v1"];

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The members of a problem document, after checking that it is one and fit for strangers.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        assert_eq!(self.header(header::CONTENT_TYPE), Some("application/problem+json"), "{:?}", self.body);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert_eq!(problem["code"], code, "{problem}");
        assert!(problem["title"].is_string() && problem["type"] == "about:blank", "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        // Paths, names of types and errors of the database are nobody's business.
        for inside in ["/tmp/", "sqlite", "SQLite", "panicked", "::", "Err("] {
            assert!(!self.text().contains(inside), "{inside:?} in {problem}");
        }
        problem
    }
}

/// Starts a request; `send` completes it.
pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}

/// Sends a request on a connection of its own and hands back the answer as it begins.
pub(crate) async fn begin(api: SocketAddr, mut request: Request<Full<Bytes>>) -> http::Response<Incoming> {
    let stream = TcpStream::connect(api).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    // Ends with the answer's body.
    tokio::spawn(connection);
    let host = api.to_string().parse().unwrap();
    request.headers_mut().entry(header::HOST).or_insert(host);
    sender.send_request(request).await.unwrap()
}

/// Sends a request and reads its whole answer.
pub(crate) async fn send(api: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let (head, body) = begin(api, request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}
