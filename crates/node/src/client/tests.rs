//! The client against a server that says exactly what each test wants, over real sockets.

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use peermark_core::{Culprit, FailureClass};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// What the server does with one request.
enum Reply {
    /// Writes this and keeps the connection.
    Say(Vec<u8>),
    /// Writes this and closes the connection.
    SayAndClose(Vec<u8>),
    /// Keeps the connection and never answers.
    Silence,
}

fn ok(body: impl AsRef<[u8]>) -> Reply {
    Reply::Say(response("200 OK", body.as_ref()))
}

fn status(line: &str, body: &str) -> Reply {
    Reply::Say(response(line, body.as_bytes()))
}

fn response(line: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {line}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Answers requests with `replies` in turn; connections are served one after the other. Returns the requests it saw, each prefixed
/// with the number of its connection.
async fn serve(replies: Vec<Reply>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let (mut replies, mut requests, mut connection) = (replies.into_iter().peekable(), Vec::new(), 0);
        let mut silent = Vec::new();
        while replies.peek().is_some() {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Some(request) = read_request(&mut stream).await {
                requests.push(format!("{connection} {request}"));
                match replies.next() {
                    Some(Reply::Say(bytes)) => stream.write_all(&bytes).await.unwrap(),
                    Some(Reply::SayAndClose(bytes)) => {
                        stream.write_all(&bytes).await.unwrap();
                        break;
                    }
                    Some(Reply::Silence) => {
                        silent.push(stream);
                        break;
                    }
                    None => panic!("a request more than expected: {requests:?}"),
                }
                if replies.peek().is_none() {
                    break;
                }
            }
            connection += 1;
        }
        if !silent.is_empty() {
            std::future::pending::<()>().await;
        }
        requests
    });
    (url, served)
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut seen = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            if seen.len() >= end + 4 + length.unwrap_or(0) {
                return Some(String::from_utf8_lossy(&seen).into_owned());
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
        }
    }
}

fn client(url: &str) -> NodeClient {
    NodeClient::new(url, ClientOptions::default()).unwrap()
}

async fn fetched(client: &NodeClient) -> (Result<Received, ClientError>, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut sink = |chunk: &[u8]| {
        bytes.extend_from_slice(chunk);
        ControlFlow::Continue(())
    };
    let result = client.fetch_network("zCid", &mut sink).await;
    (result, bytes)
}

#[tokio::test]
async fn uploads_and_fetches_over_one_connection() {
    let (url, served) = serve(vec![ok("zCid\n"), ok("hello"), ok(r#"{"zCid":true}"#)]).await;
    let client = client(&url);
    let body = RequestBody::chunks(6, [Bytes::from("foo"), Bytes::from("bar")].into_iter());
    let upload = Upload { body, content_type: None, filename: Some("a\"b".into()) };
    assert_eq!(client.upload(upload).await.unwrap(), "zCid");
    let (result, bytes) = fetched(&client).await;
    assert_eq!((result.unwrap().bytes, bytes.as_slice()), (5, &b"hello"[..]));
    assert!(client.exists("zCid").await.unwrap());

    let requests = served.await.unwrap();
    assert!(requests.iter().all(|request| request.starts_with("0 ")), "one connection carries all: {requests:?}");
    assert!(requests[0].contains("POST /api/archivist/v1/data HTTP/1.1"));
    assert!(requests[0].contains("filename=\"a_b\"") && requests[0].ends_with("foobar"));
    assert!(requests[1].contains("GET /api/archivist/v1/data/zCid/network/stream"));
}

#[tokio::test]
async fn finds_the_base_path_by_asking() {
    let (url, _served) = serve(vec![status("404 Not Found", ""), ok(r#"{"id":"16Uiu2"}"#)]).await;
    let client = NodeClient::connect(&url, ClientOptions::default()).await.unwrap();
    assert_eq!(client.base_path(), "/api/codex/v1");

    let nothing = || status("404 Not Found", "");
    let (url, _served) = serve(vec![ok("<html>a page</html>"), nothing(), nothing(), nothing()]).await;
    let error = NodeClient::connect(&url, ClientOptions::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::NoApi { .. }), "{error:?}");

    let given = NodeClient::connect("http://127.0.0.1:1/some/base/", ClientOptions::default()).await.unwrap();
    assert_eq!(given.base_path(), "/some/base");
}

#[tokio::test]
async fn reads_words_as_text_or_json() {
    for said in ["16Uiu2\n", r#"{"id":"16Uiu2"}"#, r#""16Uiu2""#] {
        let (url, _served) = serve(vec![ok(said)]).await;
        assert_eq!(client(&url).peer_id().await.unwrap(), "16Uiu2", "{said}");
    }
    for said in ["", "<html>", "{}", "two words", "{\"id\":7}"] {
        let (url, _served) = serve(vec![ok(said)]).await;
        assert_eq!(client(&url).peer_id().await.unwrap_err().failure().0, FailureClass::Protocol, "{said}");
    }
}

#[tokio::test]
async fn a_failed_status_says_what_the_node_said() {
    let (url, _served) = serve(vec![status("404 Not Found", r#"{"detail":"no such dataset"}"#), ok("again")]).await;
    let client = client(&url);
    let (result, _) = fetched(&client).await;
    let error = result.unwrap_err();
    assert!(matches!(&error, ClientError::Status { code: 404, problem } if problem == "no such dataset"), "{error:?}");
    // The connection is still in order.
    assert_eq!(fetched(&client).await.1, b"again");
}

#[tokio::test]
async fn broken_answers_are_told_apart() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".to_vec();
    let cut_chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".to_vec();
    let cases = [
        (cut, FailureClass::Truncated),
        (cut_chunks, FailureClass::Truncated),
        (Vec::new(), FailureClass::ConnectionReset),
        (b"HTTP/1.1 2".to_vec(), FailureClass::ConnectionReset),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n".to_vec(), FailureClass::Protocol),
    ];
    for (bytes, class) in cases {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let (url, _served) = serve(vec![Reply::SayAndClose(bytes)]).await;
        let error = fetched(&client(&url)).await.0.unwrap_err();
        assert_eq!(error.failure(), (class, Culprit::Peer), "{shown:?}: {error:?}");
    }
}

#[tokio::test]
async fn truncation_names_both_lengths() {
    let (url, _served) =
        serve(vec![Reply::SayAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this".to_vec())]).await;
    let error = fetched(&client(&url)).await.0.unwrap_err();
    assert!(matches!(error, ClientError::Truncated { expected: Some(100), got: 9 }), "{error:?}");
}

#[tokio::test]
async fn documents_are_bounded_announced_or_not() {
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MAX_DOCUMENT_BYTES + 1).into_bytes();
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..=MAX_DOCUMENT_BYTES / 0x8000 {
        chunked.extend_from_slice(b"8000\r\n");
        chunked.extend_from_slice(&[b' '; 0x8000]);
        chunked.extend_from_slice(b"\r\n");
    }
    for bytes in [announced, chunked] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let _served = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            // The client hangs up in the middle.
            let _ = stream.write_all(&bytes).await;
        });
        let error = client(&url).list().await.unwrap_err();
        assert!(matches!(error, ClientError::BodyTooLarge { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_silent_node_costs_the_timeout_and_no_more() {
    let (url, _served) = serve(vec![Reply::Silence]).await;
    let timeout = Duration::from_millis(20);
    let client = NodeClient::new(&url, ClientOptions { timeout, ..ClientOptions::default() }).unwrap();
    let error = client.list().await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { after } if after == timeout), "{error:?}");
    assert_eq!(error.failure(), (FailureClass::Timeout, Culprit::Peer));
}

#[tokio::test]
async fn a_closed_port_is_the_peers_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).list().await.unwrap_err();
    assert_eq!(error.failure(), (FailureClass::ConnectFailed, Culprit::Peer), "{error:?}");
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced() {
    let (url, served) = serve(vec![Reply::SayAndClose(response("200 OK", b"one")), ok("two")]).await;
    let client = client(&url);
    assert_eq!(fetched(&client).await.1, b"one");
    assert_eq!(fetched(&client).await.1, b"two");
    assert_eq!(served.await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_receiver_may_stop_and_the_connection_goes_with_it() {
    let (url, served) = serve(vec![ok("hello"), ok("again")]).await;
    let client = client(&url);
    let mut stop = |_: &[u8]| ControlFlow::Break(());
    let error = client.fetch_local("zCid", &mut stop).await.unwrap_err();
    assert!(matches!(error, ClientError::Stopped { got: 5 }), "{error:?}");
    assert_eq!(fetched(&client).await.1, b"again");
    assert!(served.await.unwrap()[1].starts_with("1 "), "a new connection");
}

#[tokio::test]
async fn calls_beyond_the_bound_wait_their_turn() {
    let (url, served) = serve((0..20).map(|_| ok("zCid")).collect()).await;
    let client = NodeClient::new(&url, ClientOptions { max_connections: 1, ..ClientOptions::default() }).unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn({
                let client = client.clone();
                async move { client.peer_id().await }
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "zCid");
    }
    assert!(served.await.unwrap().iter().all(|request| request.starts_with("0 ")), "one connection at a time");
}

#[tokio::test]
async fn reads_the_documents_of_different_nodes() {
    let codex = r#"{"id":"16U","addrs":["/ip4/1.2.3.4/tcp/1"],"table":{"localNode":{"nodeId":"a"},"nodes":[{"peerId":"x","seen":true}]},
        "codex":{"version":"v0.2","revision":"abc"},"unknown":1}"#;
    let space = r#"{"totalBlocks":1,"quotaMaxBytes":2,"quotaUsedBytes":3,"quotaReservedBytes":4}"#;
    let list = r#"{"content":[{"cid":"zA","manifest":{"treeCid":"zT","datasetSize":5}},{"cid":"zB"}]}"#;
    let (url, _served) = serve(vec![ok(codex), ok(space), ok(list), ok("[")]).await;
    let client = client(&url);
    let info = client.debug_info().await.unwrap();
    assert_eq!((info.table.nodes.len(), info.version.unwrap().version.as_str()), (1, "v0.2"));
    assert_eq!(client.space().await.unwrap().quota_used_bytes, 3);
    let list = client.list().await.unwrap();
    assert_eq!(list.content[0].manifest.as_ref().unwrap().dataset_size, Some(5));
    assert!(matches!(client.list().await.unwrap_err(), ClientError::Json { .. }));
}

fn call<'a>(method: http::Method, path: &'a str, body: &'static str) -> Call<'a> {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-asked-by", HeaderValue::from_static("a,b"));
    let timeout = Duration::from_secs(5);
    Call { method, path, headers, body: Bytes::from_static(body.as_bytes()), max_answer_bytes: 16, timeout }
}

#[tokio::test]
async fn any_path_may_be_called_and_any_status_is_an_answer() {
    let (url, served) = serve(vec![status("500 Internal Server Error", "{}"), ok("")]).await;
    // The base path of the storage API has no part in it.
    let client = client(&format!("{url}/some/base"));
    let answer = client.call(call(http::Method::POST, "/provide", "{}")).await.unwrap();
    assert_eq!(answer, Answer { status: 500, body: b"{}".to_vec() });
    let answer = client.call(call(http::Method::GET, "/readiness", "")).await.unwrap();
    assert_eq!(answer, Answer { status: 200, body: Vec::new() });
    let requests = served.await.unwrap();
    assert!(requests[0].starts_with("0 ") && requests[1].starts_with("0 "), "one connection: {requests:?}");
    assert!(requests[0].contains("POST /provide HTTP/1.1") && requests[0].ends_with("\r\n\r\n{}"), "{requests:?}");
    assert!(requests[0].contains("x-asked-by: a,b\r\n"), "{requests:?}");
    assert!(requests[1].contains("GET /readiness HTTP/1.1") && !requests[1].contains("content-length"), "{requests:?}");
}

#[tokio::test]
async fn a_call_has_its_own_bounds() {
    let (url, _served) = serve(vec![ok("seventeen letters")]).await;
    let error = client(&url).call(call(http::Method::GET, "/", "")).await.unwrap_err();
    assert!(matches!(error, ClientError::BodyTooLarge { limit: 16 }), "{error:?}");

    let (url, _served) = serve(vec![Reply::Silence]).await;
    let timeout = Duration::from_millis(20);
    let error = client(&url).call(Call { timeout, ..call(http::Method::GET, "/", "") }).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { after } if after == timeout), "{error:?}");
}
