//! What parsec's scheduler relies on, line by line.

use std::sync::atomic::Ordering;
use std::time::Duration;

use peermark_core::FailureClass;
use peermark_dht::key::RecordKey;
use peermark_dht::server::OPENAPI;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::server_measure::{Script, TOOK_NS};
use crate::server_rig::{Rig, Setup, as_go, ask, post, raw, read_reply, rig};

const EMPTY: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";

/// Base64 of content, the same as an array, its version 0 CID, and its version 1 raw CID.
const GOLDEN: [(&str, &str, &str, &str); 3] = [
    (r#""""#, "[]", EMPTY, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
    (
        r#""aGVsbG8gd29ybGQ=""#,
        "[104,101,108,108,111,32,119,111,114,108,100]",
        "QmaozNR7DZHQK1ZcU9p7QdrshMvXqWK6gpu5rmrkPdT3L4",
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
    ),
    (
        r#""AQL/""#,
        "[1,2,255]",
        "QmNgm5RRX5xnzn6q6yNavY4ocJpSqs9acgbMVypPQbMQ8d",
        "bafkreiafe3ioddvbtx5k3hlzczv6yhqy2yrb55vrqmbyl7u36zycf3k7sy",
    ),
];

#[tokio::test]
async fn content_in_either_form_has_the_cid_that_the_scheduler_computes() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    let zeros = format!("{{\"Content\":\"{}\"}}", "A".repeat(1365) + "A==");
    assert_eq!(zeros.len(), 1382, "as long as the scheduler's");
    let reply = post(api, "/provide", &zeros).await;
    assert_eq!(reply.json()["CID"], "QmUmD9uZwGMd8VpJdVmiXSoBBwmGC8h7o5UmngSvLmZ7We");
    for (base64, array, v0, _) in GOLDEN {
        for content in [base64, array] {
            for name in ["Content", "content", "CONTENT"] {
                let body = format!(r#"{{"Routing":"DHT","{name}":{content},"x":{{"y":[null]}}}}"#);
                let reply = post(api, "/provide", &body).await;
                assert_eq!((reply.status, &reply.json()["CID"]), (200, &json!(v0)), "{body}");
            }
        }
    }
    for nothing in ["{}", r#"{"Content":null}"#, "null"] {
        assert_eq!(post(api, "/provide", nothing).await.json()["CID"], EMPTY, "{nothing}");
    }
    let keys = measure.keys.lock().clone();
    assert_eq!(keys[4], RecordKey::of_content(b"").0);
    assert_eq!(keys[7], RecordKey::of_content(b"hello world").0);
}

#[tokio::test]
async fn a_provide_answers_with_gos_members_in_gos_order() {
    let Rig { server, .. } = rig().await;
    let reply = post(server.api_address(), "/provide", r#"{"Content":"AQL/"}"#).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let expected = format!(
        r#"{{"CID":"{}","Measurements":[{{"Step":"provide","Duration":{TOOK_NS},"Error":""}}],"RoutingTableSize":231}}"#,
        GOLDEN[2].2
    );
    assert_eq!(reply.body, expected, "and no other member unless asked for");
}

#[tokio::test]
async fn a_retrieve_takes_cids_of_both_versions_and_has_an_empty_step() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    for (_, _, v0, v1) in GOLDEN {
        for cid in [v0, v1] {
            let reply = post(api, &format!("/retrieve/{cid}"), "{}").await;
            let expected = format!(
                r#"{{"CID":"{cid}","Measurements":[{{"Step":"","Duration":{TOOK_NS},"Error":""}}],"RoutingTableSize":231}}"#
            );
            assert_eq!((reply.status, reply.body), (200, expected));
        }
        let keys = measure.keys.lock();
        let [.., v0, v1] = keys.as_slice() else { unreachable!() };
        assert_eq!(v0, v1, "version and codec do not matter for routing");
    }
    // Base 58 of a version 1 CID comes back in the base that Go writes.
    let reply = post(api, "/retrieve/zb2rhj7crUKTQYRGCRATFaQ6YFLTde2YzdqbbhAASkL9uRDXn", "").await;
    assert_eq!(reply.json()["CID"].as_str().map(|cid| &cid[..5]), Some("bafkr"), "{reply:?}");
}

#[tokio::test]
async fn a_failed_operation_is_a_measurement_and_not_an_error_of_http() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    let failures = [
        (FailureClass::NotFound, "not found"),
        (FailureClass::Timeout, "context deadline exceeded"),
        (FailureClass::NotFound, "failed to find any peer in table"),
    ];
    for (class, words) in failures {
        measure.follow(Script::Fail(class, words));
        for path in ["/provide".to_owned(), format!("/retrieve/{EMPTY}")] {
            let reply = post(api, &path, "{}").await;
            let answer = reply.json();
            assert_eq!((reply.status, &answer["Measurements"][0]["Error"]), (200, &json!(words)), "{answer}");
            assert!(answer["Measurements"][0]["Duration"].is_u64(), "{answer}");
        }
    }
    // A failure without words would be read as a success.
    measure.follow(Script::Fail(FailureClass::ConnectFailed, ""));
    assert_eq!(post(api, "/provide", "{}").await.json()["Measurements"][0]["Error"], "connect failed");
}

#[tokio::test]
async fn numbers_are_integers_whatever_their_size() {
    let Rig { server, measure, .. } = rig().await;
    measure.table.store(u32::MAX as usize, Ordering::SeqCst);
    let reply = post(server.api_address(), "/provide", "{}").await;
    assert!(reply.body.ends_with(r#""RoutingTableSize":2147483647}"#), "{}", reply.body);
    let (_, duration) = reply.body.split_once(r#""Duration":"#).unwrap();
    let (duration, _) = duration.split_once(',').unwrap();
    assert!(duration.bytes().all(|byte| byte.is_ascii_digit()), "Go reads no fraction and no exponent: {duration}");
}

#[tokio::test]
async fn readiness_is_exactly_200_while_there_is_a_peer_and_503_otherwise() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    for method in ["GET", "HEAD"] {
        let reply = ask(api, method, "/readiness").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{method}");
    }
    measure.table.store(0, Ordering::SeqCst);
    assert!(ask(api, "GET", "/readiness").await.refusal(503).contains("routing table is empty"));
    assert_eq!(ask(api, "HEAD", "/readiness").await.status, 503);
    measure.table.store(1, Ordering::SeqCst);
    assert_eq!(ask(api, "GET", "/readiness").await.status, 200);
}

#[tokio::test]
async fn a_connection_carries_one_request_after_the_other() {
    let Rig { server, .. } = rig().await;
    let api = server.api_address();
    let mut stream = TcpStream::connect(api).await.unwrap();
    for _ in 0..3 {
        stream.write_all(&as_go(api, "/provide", r#"{"Content":"AQL/"}"#)).await.unwrap();
        assert_eq!(read_reply(&mut stream, false).await.status, 200);
        stream.write_all(&as_go(api, &format!("/retrieve/{EMPTY}"), "{}")).await.unwrap();
        assert_eq!(read_reply(&mut stream, false).await.status, 200);
    }
}

#[tokio::test]
async fn operations_of_several_schedulers_run_side_by_side() {
    let Rig { server, measure, .. } = rig().await;
    let api = server.api_address();
    measure.follow(Script::Wait);
    let calls: Vec<_> = (0..64)
        .map(|n| {
            let path = if n % 2 == 0 { "/provide".to_owned() } else { format!("/retrieve/{EMPTY}") };
            tokio::spawn(async move { post(api, &path, "{}").await })
        })
        .collect();
    crate::server_rig::until("all of them run", async || measure.begun.load(Ordering::SeqCst) == 64).await;
    measure.gate.add_permits(64);
    for call in calls {
        assert_eq!(call.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn deadlines_are_those_of_the_settings() {
    let mut setup = Setup::default();
    setup.config.provide_timeout_ms = 7_000;
    setup.config.retrieve_timeout_ms = 9_000;
    let clock = std::sync::Arc::new(peermark_testkit::FakeClock::new());
    clock.advance(Duration::from_secs(100));
    setup.clock = clock;
    let Rig { server, measure, .. } = setup.start().await.unwrap();
    post(server.api_address(), "/provide", "{}").await;
    post(server.api_address(), &format!("/retrieve/{EMPTY}"), "{}").await;
    assert_eq!(*measure.deadlines.lock(), [107_000_000_000, 109_000_000_000]);
}

#[tokio::test]
async fn the_trace_comes_when_it_is_asked_for() {
    let Rig { server, .. } = rig().await;
    let api = server.api_address();
    let with = |value: &str| {
        let head = format!(
            "POST /provide HTTP/1.1\r\nHost: {api}\r\nX-Peermark-Trace: {value}\r\nContent-Length: 2\r\n\r\n{{}}"
        );
        async move { raw(api, head.as_bytes()).await.json() }
    };
    let answer = with("1").await;
    let trace = &answer["Trace"];
    assert_eq!((&trace["schema"], &trace["kind"]), (&json!("peermark.dht.trace/1"), &json!("dht.provide")), "{trace}");
    assert_eq!((&trace["returned_ns"], &trace["stored_ns"]), (&json!(TOOK_NS), &json!(TOOK_NS + 5)));
    let hop = &trace["hops"][0];
    assert_eq!((&hop["queued_ns"], &hop["sent_ns"], &hop["ended_ns"]), (&json!(0), &json!(3_000), &json!(40_000_000)));
    assert_eq!(trace["hops"][1]["outcome"], json!({"result": "failed", "class": "connect_failed", "culprit": "peer"}));
    assert_eq!(with("0").await.get("Trace"), None);
    assert_described("Trace", trace);
    assert_described("Hop", hop);
    let bare = with("").await;
    assert_described("Answer", &bare);
    assert_described("Measurement", &bare["Measurements"][0]);
}

/// Holds the members of a document against the `required` list and the `properties` of its schema in the description.
#[track_caller]
fn assert_described(schema: &str, document: &Value) {
    let schemas = &OPENAPI[OPENAPI.find("\n  schemas:\n").unwrap()..];
    let from = schemas.find(&format!("\n    {schema}:\n")).unwrap();
    let lines = schemas[from..].lines().skip(2).take_while(|line| line.starts_with("      "));
    let text: Vec<&str> = lines.collect();
    let required = text.iter().find_map(|line| line.trim().strip_prefix("required: [")).unwrap();
    let required: Vec<&str> = required.trim_end_matches(']').split(", ").collect();
    let members: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    for name in &required {
        assert!(members.contains(name), "{schema} lacks {name}");
    }
    for name in members {
        assert!(text.contains(&format!("        {name}:").as_str()), "{schema} does not describe {name}");
    }
}

#[tokio::test]
async fn the_description_is_the_checked_in_file() {
    let Rig { server, .. } = rig().await;
    let reply = ask(server.api_address(), "GET", "/server.yaml").await;
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/formats/server.yaml")).unwrap();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/yaml")));
    assert!(reply.body == file, "served and checked in differ");
    for path in ["/provide:", "/retrieve/{cid}:", "/readiness:", "/server.yaml:"] {
        assert!(file.contains(&format!("\n  {path}\n")), "{path}");
    }
}
