//! The product's own routes under `/api/v1`.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use peermark_node::Mode;
use serde_json::{Value, json};

use crate::fleet::{Net, Peer, content};
use crate::rest::{begin, request};
use crate::wait::{until, until_some};

#[tokio::test]
async fn a_node_says_what_it_is() {
    let net = Net::new();
    let hub = net.start().await;
    let node = net
        .join_with(&hub, |config| {
            config.mode = Mode::Marketplace;
            config.price_per_byte = 7;
        })
        .await;
    let info = node.get("/api/v1/node").await.json();
    assert_eq!(info["kind"], "peermark");
    assert_eq!((&info["mode"], &info["price_per_byte"]), (&"marketplace".into(), &7.into()));
    assert_eq!(info["peer_id"], node.id().to_string());
    assert_eq!(info["pid"], std::process::id());
    assert_eq!((&info["peers"], &info["routing_peers"]), (&1.into(), &1.into()));
    let addresses: Vec<String> = node.node.addresses().iter().map(ToString::to_string).collect();
    assert_eq!(info["addresses"], json!(addresses));
    assert!(info["version"].is_string());
    until("time passes for the node too", async || {
        node.get("/api/v1/node").await.json()["uptime_ms"].as_u64() > info["uptime_ms"].as_u64()
    })
    .await;

    let info = hub.get("/api/v1/node").await.json();
    assert_eq!((&info["mode"], &info["price_per_byte"]), (&"altruistic".into(), &Value::Null));
}

#[tokio::test]
async fn resources_grow_with_what_is_done() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let before = reader.get("/api/v1/resources").await.json();
    for figure in ["resident_bytes", "anonymous_bytes", "threads", "net_received_bytes", "net_sent_bytes"] {
        assert!(before[figure].as_u64().unwrap() > 0, "{figure} in {before}");
    }
    assert_eq!(before["stored_bytes"], 0);
    let cid = holder.upload(content(1 << 20, 1)).await;
    reader.fetch(&cid).await.unwrap();
    let after = reader.get("/api/v1/resources").await.json();
    let grown = |figure: &str| after[figure].as_u64().unwrap() - before[figure].as_u64().unwrap();
    assert!(grown("net_received_bytes") > 1 << 20, "{after}");
    assert!(grown("net_sent_bytes") > 0, "wants: {after}");
    until("the fetched blocks are stored", async || {
        reader.get("/api/v1/resources").await.json()["stored_bytes"].as_u64() > Some(1 << 20)
    })
    .await;
    assert!(after["cpu_seconds"].as_f64() >= before["cpu_seconds"].as_f64() && after["cpu_seconds"].is_f64());
}

#[tokio::test]
async fn connections_are_told_as_both_ends_see_them() {
    let net = Net::new();
    let holder = net.start_with(|config| config.listen.truncate(1)).await;
    let reader = net.join_with(&holder, |config| config.listen.truncate(1)).await;
    let cid = holder.upload(content(200_000, 1)).await;
    reader.fetch(&cid).await.unwrap();

    let seen_from = async |peer: &Peer| {
        until_some("there is a connection with a round trip and all blocks on its books", async || {
            let open = peer.get("/api/v1/connections").await.json();
            let [open] = open.as_array().unwrap().as_slice() else { return None };
            let blocks = open["blocks_in"].as_u64().unwrap() + open["blocks_out"].as_u64().unwrap();
            (open["rtt_us"].is_u64() && blocks == 8).then(|| open.clone())
        })
        .await
    };
    let outbound = seen_from(&reader).await;
    let inbound = seen_from(&holder).await;
    assert_eq!((&outbound["direction"], &inbound["direction"]), (&"outbound".into(), &"inbound".into()));
    assert_eq!(
        (&outbound["peer"], &inbound["peer"]),
        (&holder.id().to_string().into(), &reader.id().to_string().into())
    );
    let dialled = outbound["address"].as_str().unwrap();
    assert!(dialled.starts_with(&holder.node.addresses()[0].to_string()), "{dialled}");
    for open in [&outbound, &inbound] {
        assert_eq!(open["transport"], "tcp");
        assert!(open["age_ms"].is_u64());
    }
    for (here, there) in [("in", "out"), ("out", "in")] {
        for unit in ["blocks", "bytes"] {
            assert_eq!(outbound[format!("{unit}_{here}")], inbound[format!("{unit}_{there}")]);
        }
    }
    assert_eq!(outbound["blocks_out"], 0);
    assert!(outbound["bytes_in"].as_u64().unwrap() > 4 * 65_536);
}

#[tokio::test]
async fn a_block_comes_from_the_store_or_from_the_one_peer_that_is_named() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let bystander = net.join(&holder).await;
    holder.upload("hello world").await;
    let block = "zDxWB8ED5HQK12sEYBT8XLPy6rvz2owWUhubM5JThtWdRJcmrHnr";
    let path = format!("/api/v1/blocks/{block}");
    let stored = holder.get(&path).await;
    assert_eq!(stored.header(CONTENT_TYPE), Some("application/octet-stream"));
    assert!(stored.body.starts_with(b"hello world") && stored.body.len() == 65_536);
    reader.get(&path).await.problem(404, "not_found");

    let fetched = reader.get(&format!("{path}?from={}", holder.id())).await;
    assert!(fetched.status == 200 && fetched.body == stored.body);
    assert_eq!(reader.stored().await.0, 0, "a probe leaves no copy that would answer the next one");
    reader.get(&path).await.problem(404, "not_found");
    // Whatever the store holds, the named peer is asked.
    let refused = holder.get(&format!("{path}?from={}", reader.id())).await;
    let detail = refused.problem(404, "not_found")["detail"].to_string();
    assert!(detail.contains(&reader.id().to_string()), "{detail}");

    reader.get(&format!("{path}?from=nobody")).await.problem(400, "bad_request");
    reader.get(&format!("{path}?to=nobody")).await.problem(400, "bad_request");
    let past = bystander.id();
    bystander.node.shutdown().await;
    let gone = reader.get(&format!("{path}?from={past}")).await;
    gone.problem(502, "connection_lost");
}

/// The next event of a stream, and what is left of the text.
async fn next_event(body: &mut Incoming, text: &mut String) -> (String, Value) {
    loop {
        if let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            if let (Some(kind), Some(data)) = (field("event:"), field("data:")) {
                return (kind.to_owned(), serde_json::from_str(data).unwrap());
            }
            continue;
        }
        let frame = body.frame().await.expect("the stream goes on").unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn exchange_events_tell_who_wanted_sent_and_received_what() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let cid = holder.upload("hello world").await;
    let open = async |peer: &Peer| {
        let get = request("GET", "/api/v1/exchange/events").body(Full::<Bytes>::default()).unwrap();
        let response = begin(peer.node.api_address(), get).await;
        assert_eq!(response.headers()[CONTENT_TYPE], "text/event-stream");
        response.into_body()
    };
    let (mut holders, mut readers) = (open(&holder).await, open(&reader).await);
    reader.fetch(&cid).await.unwrap();

    let manifest_bytes = 56;
    let (mut text, mut seen) = (String::new(), Vec::new());
    while seen.iter().filter(|event: &&Value| event["event"] == "sent").count() < 3 {
        let (kind, event) = next_event(&mut holders, &mut text).await;
        assert_eq!((kind.as_str(), &event["peer"]), ("exchange", &reader.id().to_string().into()));
        seen.push(event);
    }
    let about =
        |name: &str, cid: &str| seen.iter().find(|event| event["event"] == name && event["cid"] == cid).unwrap();
    assert_eq!(about("wanted", &cid)["block"], false, "the first want asks whether the block is there");
    assert!(seen.iter().any(|event| event["event"] == "wanted" && event["cid"] == cid && event["block"] == true));
    assert_eq!(about("sent", &cid)["bytes"], manifest_bytes);
    assert_eq!(about("sent", "zDzSvJTf3WiMn7YfKzYg4ZVVY5Wse8ADH6wvgyHkxK5VZU5okpmf")["bytes"], 65);
    let block = "zDxWB8ED5HQK12sEYBT8XLPy6rvz2owWUhubM5JThtWdRJcmrHnr";
    assert_eq!(about("sent", block)["bytes"], 65_536);

    let (mut text, mut received) = (String::new(), Vec::new());
    while received.len() < 3 {
        let (_, event) = next_event(&mut readers, &mut text).await;
        assert_eq!((&event["event"], &event["peer"]), (&"received".into(), &holder.id().to_string().into()));
        received.push(event);
    }
    let bytes: Vec<u64> = received.iter().map(|event| event["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes, [manifest_bytes, 65, 65_536]);
    assert_eq!(received[2]["cid"], block);
}
