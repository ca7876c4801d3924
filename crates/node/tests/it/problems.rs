//! Every error is `application/problem+json`, and nobody drives a node who should not.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, AUTHORIZATION, HOST, ORIGIN};
use http_body_util::Full;
use peermark_http::BindError;
use peermark_node::{Node, NodeError};

use crate::fleet::Net;
use crate::rest::{PREFIXES, request, send};

#[tokio::test]
async fn routes_methods_and_parameters_that_do_not_exist_are_problems() {
    let node = Net::new().start().await;
    for path in ["/", "/api", "/api/v1/nodes", "/api/archivist/v2/data", "/api/archivist/v1/data/x/y/z"] {
        node.get(path).await.problem(404, "not_found");
    }
    for (method, path) in [
        ("PUT", "/api/archivist/v1/data"),
        ("POST", "/api/v1/node"),
        ("DELETE", "/health"),
        ("GET", "/api/codex/v1/data/zDv/network"),
    ] {
        let answer = node.send(request(method, path).body(Full::default()).unwrap()).await;
        answer.problem(405, "method_not_allowed");
        assert!(answer.header(ALLOW).is_some_and(|allowed| !allowed.contains(method)), "{answer:?}");
    }
    for path in [
        "/api/archivist/v1/data?limit=many",
        "/api/archivist/v1/data?limit=-1",
        "/api/archivist/v1/data?page=2",
        "/api/archivist/v1/data/%FF",
        "/api/archivist/v1/connect/%FF",
    ] {
        node.get(path).await.problem(400, "bad_request");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_drive_a_node() {
    let node = Net::new().start().await;
    for path in ["/health", "/metrics", "/api/v1/node", "/api/archivist/v1/data", "/openapi.json", "/nowhere"] {
        for (name, value) in [
            (HOST, "node.example"),
            (HOST, "10.1.2.3:8080"),
            (HOST, "127.0.0.1.node.example"),
            (ORIGIN, "http://node.example"),
            (ORIGIN, "null"),
        ] {
            let answer = node.send(request("GET", path).header(name, value).body(Full::default()).unwrap()).await;
            answer.problem(403, "forbidden_origin");
        }
        let own = request("GET", path).header(HOST, "localhost:1234").header(ORIGIN, "http://127.0.0.1:3000");
        let answer = node.send(own.body(Full::default()).unwrap()).await;
        assert_ne!(answer.status, StatusCode::FORBIDDEN, "{path}");
    }
    let upload = request("POST", "/api/archivist/v1/data").header(ORIGIN, "https://node.example");
    node.send(upload.body(Full::new(Bytes::from_static(b"x"))).unwrap()).await.problem(403, "forbidden_origin");
    assert_eq!(node.stored().await, (0, 0));
}

#[tokio::test]
async fn a_token_is_asked_of_every_caller() {
    let directory = tempfile::tempdir().unwrap();
    let config = Net::new().config(&directory);
    let node = Node::start(config, Some(Arc::from("right"))).await.unwrap();
    let api = node.api_address();
    let paths = ["/health", "/metrics", "/api/v1/node", "/openapi.json", "/nowhere"].map(str::to_owned);
    for path in paths.into_iter().chain(PREFIXES.map(|prefix| format!("{prefix}/data"))) {
        for wrong in [None, Some("Bearer wrong"), Some("Bearer "), Some("right"), Some("Basic right")] {
            let mut get = request("GET", &path);
            if let Some(wrong) = wrong {
                get = get.header(AUTHORIZATION, wrong);
            }
            send(api, get.body(Full::default()).unwrap()).await.problem(401, "unauthorized");
        }
        let right = request("GET", &path).header(AUTHORIZATION, "Bearer right").body(Full::default()).unwrap();
        let expected = if path == "/nowhere" { 404 } else { 200 };
        assert_eq!(send(api, right).await.status, expected, "{path}");
    }
}

#[tokio::test]
async fn nothing_opens_beyond_loopback_without_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = Net::new().config(&directory);
    config.api = "0.0.0.0:0".parse().unwrap();
    let refused = Node::start(config, None).await.err().unwrap();
    assert!(matches!(refused, NodeError::Http(BindError::Open { .. })), "{refused}");
    assert!(refused.to_string().contains("0.0.0.0:0"), "{refused}");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "it was refused before anything was done");
}
