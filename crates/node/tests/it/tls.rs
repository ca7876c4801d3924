//! The client and servers with certificates of every kind.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use peermark_core::{Culprit, FailureClass};
use peermark_http::{Server, Tls};
use peermark_node::client::{ClientError, ClientOptions, NodeClient, TlsProblem, Trust, TrustError};
use peermark_testkit::{Certificate, Certificates};

async fn serve(certificate: Option<&Certificate>) -> Server {
    let router = Router::new().route("/health", get(|| async { "ok" }));
    let bound = Server::bind("127.0.0.1:0".parse().unwrap(), None, false).await.unwrap();
    match certificate {
        Some(made) => bound.with_tls(Tls::from_pem_files(&made.chain, &made.key).unwrap()).serve(router),
        None => bound.serve(router),
    }
}

fn client(scheme: &str, host: &str, address: SocketAddr, trust: Trust) -> NodeClient {
    let options = ClientOptions { timeout: Duration::from_secs(20), ..ClientOptions::default() };
    NodeClient::trusting(&format!("{scheme}://{host}:{}", address.port()), options, trust).unwrap()
}

async fn problem(client: &NodeClient) -> (TlsProblem, (FailureClass, Culprit)) {
    let error = client.health().await.unwrap_err();
    let failure = error.failure();
    match error {
        ClientError::Tls { problem, .. } => (problem, failure),
        error => panic!("no problem of TLS: {error:?}"),
    }
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_good_by_name_and_by_address() {
    let certificates = Certificates::new();
    for host in ["localhost", "127.0.0.1"] {
        let server = serve(Some(&certificates.issue(host))).await;
        let client = client("https", host, server.address(), Trust::pem_file(&certificates.root()).unwrap());
        for _ in 0..3 {
            assert_eq!(client.health().await.unwrap(), "ok");
        }
        assert_eq!(client.fork(ClientOptions::default()).health().await.unwrap(), "ok");
        assert_eq!(client.endpoint().to_string(), format!("https://{host}:{}", server.address().port()));
        server.shutdown().await;
    }
}

#[tokio::test]
async fn certificates_that_are_not_in_order_are_told_apart() {
    let (certificates, foreign) = (Certificates::new(), Certificates::new());
    let trust = Trust::pem_file(&certificates.root()).unwrap();
    let peer = (FailureClass::ConnectFailed, Culprit::Peer);
    let observer = (FailureClass::ConnectFailed, Culprit::Observer);
    let cases = [
        (certificates.issue("node.example"), trust.clone(), TlsProblem::WrongName, peer),
        (certificates.issue_expired("localhost"), trust.clone(), TlsProblem::Expired, peer),
        (foreign.issue("localhost"), trust, TlsProblem::UnknownAuthority, observer),
        (certificates.issue("localhost"), Trust::system(), TlsProblem::UnknownAuthority, observer),
    ];
    for (certificate, trust, expected, failure) in cases {
        let server = serve(Some(&certificate)).await;
        let client = client("https", "localhost", server.address(), trust);
        assert_eq!(problem(&client).await, (expected, failure));
        server.shutdown().await;
    }
}

#[tokio::test]
async fn either_side_without_tls_is_a_named_failure() {
    let certificates = Certificates::new();
    let plain = serve(None).await;
    let to_plain = client("https", "localhost", plain.address(), Trust::pem_file(&certificates.root()).unwrap());
    assert_eq!(problem(&to_plain).await, (TlsProblem::NotTls, (FailureClass::Protocol, Culprit::Observer)));

    let encrypted = serve(Some(&certificates.issue("localhost"))).await;
    let to_encrypted = client("http", "localhost", encrypted.address(), Trust::system());
    let error = to_encrypted.health().await.unwrap_err();
    assert!(matches!(error, ClientError::Http { .. } | ClientError::Reset { .. }), "{error:?}");
    assert_eq!(error.failure().1, Culprit::Peer);
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_costs_the_connect_timeout() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = ClientOptions { connect_timeout: Duration::from_millis(50), ..ClientOptions::default() };
    let url = format!("https://{}", silent.local_addr().unwrap());
    let error = NodeClient::new(&url, options).unwrap().health().await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error:?}");
    assert_eq!(error.failure(), (FailureClass::ConnectFailed, Culprit::Path));
}

#[test]
fn files_of_authorities_that_cannot_be_used_are_named() {
    let certificates = Certificates::new();
    let missing = certificates.directory().join("missing.pem");
    assert!(matches!(Trust::pem_file(&missing), Err(TrustError::Read { path, .. }) if path == missing));
    let key = certificates.issue("localhost").key;
    assert!(matches!(Trust::pem_file(&key), Err(TrustError::Empty { path }) if path == key));
}
