//! What callers and operators get wrong.

use std::sync::atomic::Ordering;

use peermark_dht::server::ServerError;
use peermark_store::dht::DhtStore;

use crate::server_measure::Script;
use crate::server_rig::{BOTH, Rig, Setup, ask, post, raw, rig, until};

const CID: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";

#[tokio::test]
async fn bodies_that_go_refuses_are_400_with_a_reason() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    for (body, says) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("{}{}", "trailing"),
        ("hello", "expected"),
        ("[]", "an object with Content"),
        (r#"{"Content":"AQL"}"#, "base64"),
        (r#"{"Content":"_-__"}"#, "base64"),
        (r#"{"Content":[256]}"#, "0 to 255"),
        (r#"{"Content":[-1]}"#, "-1"),
        (r#"{"Content":[1.5]}"#, "1.5"),
        (r#"{"Content":{}}"#, "base64"),
    ] {
        let detail = post(api, "/provide", body).await.refusal(400);
        assert!(detail.starts_with("body: ") && detail.contains(says), "{body}: {detail}");
    }
    for body in ["[]", "\"x\"", "{", "7"] {
        assert!(post(api, &format!("/retrieve/{CID}"), body).await.refusal(400).starts_with("body: "), "{body}");
    }
    assert_eq!(measure.begun.load(Ordering::SeqCst), 0, "nothing was measured");
    for body in ["", "{}", "null", r#"{"Target":"DHT"}"#] {
        assert_eq!(post(api, &format!("/retrieve/{CID}"), body).await.status, 200, "{body:?}");
    }
}

#[tokio::test]
async fn a_bad_cid_is_400_and_named() {
    let Rig { server, .. } = rig().await;
    let api = server.api_address();
    for cid in ["x", "Qm", "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1", "bafkreihdwdce", "%00", "%F0%9F%A6%80"] {
        let detail = post(api, &format!("/retrieve/{cid}"), "{}").await.refusal(400);
        assert!(detail.starts_with("CID "), "{cid}: {detail}");
    }
    let long = "b".repeat(300);
    assert!(post(api, &format!("/retrieve/{long}"), "{}").await.refusal(400).contains("longer than 256"));
    assert!(!post(api, "/retrieve/%ff", "{}").await.refusal(400).is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_it_says_so_or_not() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    let body = format!("{{\"Content\":\"{}\"}}", "A".repeat(2 << 20));
    assert!(post(api, "/provide", &body).await.refusal(413).contains("larger"));
    assert!(post(api, &format!("/retrieve/{CID}"), &body).await.refusal(413).contains("larger"));
    let chunked = format!(
        "POST /provide HTTP/1.1\r\nHost: {api}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert!(raw(api, chunked.as_bytes()).await.refusal(413).contains("larger"));
    assert_eq!(measure.begun.load(Ordering::SeqCst), 0);
    let largest = format!("{{\"Content\":\"{}\"}}", "A".repeat((2 << 20) - 16));
    assert_eq!(post(api, "/provide", &largest).await.status, 200, "up to the limit it is taken");
}

#[tokio::test]
async fn other_methods_are_405_and_other_paths_404() {
    let Rig { server, .. } = rig().await;
    let api = server.api_address();
    for (method, path, allow) in [
        ("GET", "/provide", "POST"),
        ("PUT", "/provide", "POST"),
        ("GET", &*format!("/retrieve/{CID}"), "POST"),
        ("POST", "/readiness", "GET,HEAD"),
    ] {
        let reply = ask(api, method, path).await;
        reply.refusal(405);
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
    for path in ["/", "/retrieve", "/retrieve/", "/provide/", "/info", "/metrics", "/retrieve/a/b"] {
        ask(api, "POST", path).await.refusal(404);
    }
    ask(server.telemetry_address(), "GET", "/provide").await.refusal(404);
}

#[tokio::test]
async fn one_operation_too_many_is_503_and_told_when_to_come_again() {
    let mut setup = Setup::default();
    setup.config.max_operations = 2;
    let Rig { server, measure, .. } = setup.start().await.unwrap();
    let api = server.api_address();
    measure.follow(Script::Wait);
    let running: Vec<_> = (0..2).map(|_| tokio::spawn(async move { post(api, "/provide", "{}").await })).collect();
    until("both run", async || measure.begun.load(Ordering::SeqCst) == 2).await;
    let reply = post(api, &format!("/retrieve/{CID}"), "{}").await;
    assert!(reply.refusal(503).contains("2 operations are running"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(ask(api, "GET", "/readiness").await.status, 200, "busy is not down");
    measure.gate.add_permits(3);
    for call in running {
        assert_eq!(call.await.unwrap().status, 200);
    }
    assert_eq!(post(api, "/provide", "{}").await.status, 200);
}

#[tokio::test]
async fn a_bug_in_measuring_is_500_and_not_the_end() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    measure.follow(Script::Panic);
    let detail = post(api, "/provide", "{}").await.refusal(500);
    assert!(!detail.contains("script"), "no internal text: {detail}");
    measure.follow(Script::Succeed);
    assert_eq!(post(api, "/provide", "{}").await.status, 200);
}

async fn refused(change: impl FnOnce(&mut Setup)) -> ServerError {
    let directory = tempfile::tempdir().unwrap();
    let store = DhtStore::open_sqlite(&directory.path().join("s.db")).await.unwrap();
    let mut setup = Setup { store: Some(store), ..Setup::default() };
    change(&mut setup);
    match setup.start().await {
        Err(error) => error,
        Ok(_) => panic!("the server started"),
    }
}

#[tokio::test]
async fn ports_that_the_schema_cannot_hold_are_refused_with_the_reason() {
    let server_port = refused(|setup| setup.config.server_port = 32_768).await.to_string();
    assert_eq!(
        server_port,
        "server port 32768 cannot be stored: the schema's column is a SMALLINT, take a port up to 32767"
    );
    let peer_port = refused(|setup| setup.peer_port = 40_001).await.to_string();
    assert!(peer_port.starts_with("peer port 40001 cannot be stored"), "{peer_port}");
    // Without a database nothing has to hold it.
    let setup = Setup { peer_port: 40_001, ..Setup::default() };
    assert!(setup.start().await.is_ok());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    assert!(matches!(refused(|setup| setup.config.server_host = "0.0.0.0".into()).await, ServerError::Listen(_)));
    assert!(matches!(refused(|setup| setup.config.telemetry_host = "0.0.0.0".into()).await, ServerError::Listen(_)));
    assert!(matches!(
        refused(|setup| setup.config.server_host = "no.such.host.invalid".into()).await,
        ServerError::Resolve { .. }
    ));
    let wildcard = refused(|setup| {
        setup.config.server_host = "0.0.0.0".into();
        setup.config.allow_anonymous = BOTH.to_vec();
    });
    assert!(wildcard.await.to_string().contains("--advertise-ip"));
    assert!(matches!(refused(|setup| setup.config.max_operations = 0).await, ServerError::Setting { .. }));
    assert!(matches!(refused(|setup| setup.config.ecs_metadata = Some("{".into())).await, ServerError::Ecs(_)));
    let unknown = r#"{"server_prot":1}"#;
    assert!(serde_json::from_str::<peermark_dht::server::ServerConfig>(unknown).is_err());
}

#[tokio::test]
async fn a_token_is_asked_of_everybody_where_there_is_one() {
    let setup = Setup { token: Some("secret".into()), ..Setup::default() };
    let Rig { server, .. } = setup.start().await.unwrap();
    for address in [server.api_address(), server.telemetry_address()] {
        assert_eq!(ask(address, "GET", "/readiness").await.status, 401);
    }
    let api = server.api_address();
    let head = format!("GET /readiness HTTP/1.1\r\nHost: {api}\r\nAuthorization: Bearer secret\r\n\r\n");
    assert_eq!(raw(api, head.as_bytes()).await.status, 200);
}
