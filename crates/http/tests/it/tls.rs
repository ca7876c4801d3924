//! A server with a certificate, before its clients: what they see after the handshake is tested with the client.

use std::time::Duration;

use peermark_http::{Server, Tls, TlsError};
use peermark_testkit::Certificates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DEADLINE, LOOPBACK, hello};

async fn start(certificates: &Certificates) -> Server {
    let made = certificates.issue("localhost");
    let tls = Tls::from_pem_files(&made.chain, &made.key).unwrap();
    let bound = Server::bind(LOOPBACK.parse().unwrap(), None, false).await.unwrap().with_tls(tls);
    assert_eq!(bound.url(), format!("https://{}", bound.address()));
    bound.serve(hello())
}

/// Everything that the server says until it hangs up.
async fn heard(stream: &mut TcpStream) -> Vec<u8> {
    let mut heard = Vec::new();
    // A reset is as good an end as a close.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut heard)).await.expect("the server hangs up");
    heard
}

#[tokio::test]
async fn plain_http_is_cut_off_and_learns_nothing() {
    let certificates = Certificates::new();
    let server = start(&certificates).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let heard = heard(&mut stream).await;
    assert!(!heard.windows(5).any(|bytes| bytes == b"hello"), "{heard:?}");
    // A fatal alert of TLS, where anything.
    assert!(heard.is_empty() || heard[0] == 21, "{heard:?}");
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_says_nothing_is_cut_off_after_ten_seconds() {
    let certificates = Certificates::new();
    let server = start(&certificates).await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let began = tokio::time::Instant::now();
    assert!(heard(&mut silent).await.is_empty());
    let waited = began.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(12), "{waited:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn a_stopped_server_lets_go_of_handshakes() {
    let certificates = Certificates::new();
    let server = start(&certificates).await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    timeout(DEADLINE, server.shutdown()).await.expect("stopping is bounded");
    assert!(heard(&mut silent).await.is_empty());
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let certificates = Certificates::new();
    let (one, other) = (certificates.issue("localhost"), certificates.issue("127.0.0.1"));
    let missing = certificates.directory().join("missing.pem");
    let refused = Tls::from_pem_files(&missing, &one.key).unwrap_err();
    assert!(matches!(&refused, TlsError::Read { path, .. } if *path == missing), "{refused:?}");
    let refused = Tls::from_pem_files(&one.key, &one.key).unwrap_err();
    assert!(matches!(&refused, TlsError::NoCertificate { path } if *path == one.key), "{refused:?}");
    let refused = Tls::from_pem_files(&one.chain, &one.chain).unwrap_err();
    assert!(matches!(&refused, TlsError::Read { path, .. } if *path == one.chain), "{refused:?}");
    let refused = Tls::from_pem_files(&one.chain, &other.key).unwrap_err();
    assert!(matches!(&refused, TlsError::Unusable { .. }), "{refused:?}");
    assert!(!format!("{:?}", Tls::from_pem_files(&one.chain, &one.key).unwrap()).contains("PRIVATE"));
}
