//! The official routes about the node itself, and connecting to peers.

use http::header::{ACCEPT, CONTENT_TYPE};
use http_body_util::Full;
use libp2p::PeerId;
use libp2p::identity::Keypair;
use peermark_core::ByteSize;
use serde_json::Value;

use crate::fleet::{Net, Peer, content};
use crate::rest::{Answer, PREFIXES, request};
use crate::wait::until;

async fn get_accepting(peer: &Peer, path: &str, accept: Option<&str>) -> Answer {
    let mut request = request("GET", path);
    if let Some(accept) = accept {
        request = request.header(ACCEPT, accept);
    }
    peer.send(request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn peer_id_and_record_come_as_the_caller_accepts_them() {
    let node = Net::new().start().await;
    for prefix in PREFIXES {
        for (route, key) in [("peerid", "id"), ("spr", "spr")] {
            let path = format!("{prefix}/{route}");
            let text = get_accepting(&node, &path, Some("text/plain")).await;
            assert!(text.header(CONTENT_TYPE).unwrap().starts_with("text/plain"), "{text:?}");
            for accept in [None, Some("application/json"), Some("*/*")] {
                let json = get_accepting(&node, &path, accept).await;
                assert_eq!(json.header(CONTENT_TYPE), Some("application/json"), "{accept:?}");
                assert_eq!(json.json()[key], text.text(), "{accept:?}");
            }
        }
    }
    assert_eq!(node.client().peer_id().await.unwrap(), node.id().to_string());
    assert!(node.client().spr().await.unwrap().starts_with("spr:"));
}

#[tokio::test]
async fn space_counts_what_is_stored_against_the_quota() {
    let node = Net::new().start_with(|config| config.quota = ByteSize(5 << 20)).await;
    node.upload(content(65_536, 1)).await;
    for prefix in PREFIXES {
        let space = node.get(&format!("{prefix}/space")).await.json();
        assert_eq!(space["quotaMaxBytes"], 5 << 20);
        assert_eq!(space["quotaReservedBytes"], 0);
        assert_eq!(space["totalBlocks"], 3);
        let used = space["quotaUsedBytes"].as_u64().unwrap();
        assert!((65_536 + 65..65_536 + 200).contains(&used), "block, tree node and manifest: {used}");
    }
}

#[tokio::test]
async fn debug_info_names_the_version_under_the_key_of_the_prefix() {
    let net = Net::new();
    let hub = net.start().await;
    let node = net.join(&hub).await;
    for (prefix, own, other) in [(PREFIXES[0], "archivist", "codex"), (PREFIXES[1], "codex", "archivist")] {
        let info = node.get(&format!("{prefix}/debug/info")).await.json();
        assert_eq!(info["id"], node.id().to_string());
        assert!(info[own]["version"].is_string() && info[own]["revision"].is_string(), "{info}");
        assert!(info.get(other).is_none(), "{info}");
        assert_eq!(info["addrs"].as_array().unwrap().len(), node.node.addresses().len());
        assert_eq!(info["announceAddresses"], info["addrs"]);
        assert!(info["spr"].as_str().unwrap().starts_with("spr:") && info["repo"].is_string());
        assert_eq!(info["table"]["localNode"]["peerId"], node.id().to_string());
        let peers: Vec<&Value> =
            info["table"]["nodes"].as_array().unwrap().iter().map(|peer| &peer["peerId"]).collect();
        assert_eq!(peers, [hub.id().to_string().as_str()]);
    }
    let read = node.client().debug_info().await.unwrap();
    assert_eq!((read.id, read.version.is_some()), (node.id().to_string(), true));
}

#[tokio::test]
async fn health_counts_blocks() {
    let node = Net::new().start().await;
    let health = node.get("/health").await.json();
    assert_eq!((&health["status"], &health["block_count"]), (&"ok".into(), &0.into()));
    node.upload("x").await;
    let health = node.get("/health").await.json();
    assert_eq!((health["block_count"].as_u64(), health["total_bytes"].as_u64()), {
        let (blocks, bytes) = node.stored().await;
        (Some(blocks), Some(bytes))
    });
}

#[tokio::test]
async fn connecting_needs_the_right_peer_at_the_right_address() {
    let net = Net::new();
    let [a, b] = [net.start().await, net.start().await];
    let address = b.node.addresses()[0].to_string();
    let stranger = PeerId::from_public_key(&Keypair::generate_ed25519().public());
    for prefix in PREFIXES {
        let connect = async |peer: &str, query: &str| a.get(&format!("{prefix}/connect/{peer}{query}")).await;
        let detail = connect("nobody", "").await.problem(400, "bad_request")["detail"].to_string();
        assert!(detail.contains("nobody"), "{detail}");
        connect(&b.id().to_string(), "?addrs=elsewhere").await.problem(400, "bad_request");
        connect(&b.id().to_string(), "?address=x").await.problem(400, "bad_request");
        let many = format!("?{}", vec![format!("addrs={address}"); 33].join("&"));
        connect(&b.id().to_string(), &many).await.problem(400, "bad_request");
        // Nobody listens there; another peer answers there; nobody knows where; itself.
        connect(&b.id().to_string(), "?addrs=/ip4/127.0.0.1/tcp/1").await.problem(400, "dial_failed");
        connect(&stranger.to_string(), &format!("?addrs={address}")).await.problem(400, "dial_failed");
        connect(&stranger.to_string(), "").await.problem(400, "dial_failed");
        connect(&a.id().to_string(), "").await.problem(400, "dial_failed");
    }
    assert_eq!(a.node.network().connections().snapshot().len(), 0);

    for prefix in PREFIXES {
        // With the slashes as they are and encoded; the second one finds the peer connected.
        for address in [address.clone(), address.replace('/', "%2F")] {
            let answer = a.get(&format!("{prefix}/connect/{}?addrs={address}", b.id())).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (200, "Successfully connected to peer"));
        }
    }
    until("both sides see the connection", async || {
        [&a, &b].iter().all(|peer| peer.node.network().connections().peers() == 1)
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_was_asked_for_stays_and_others_go() {
    let net = Net::new();
    let hub = net.start_with(|config| config.idle_timeout_ms = 200).await;
    let asked = net.start_with(|config| config.idle_timeout_ms = 200).await;
    let passer = net.start_with(|config| config.idle_timeout_ms = 200).await;
    asked.connect(&hub).await;
    passer.node.network().dial(hub.id(), vec![hub.address()], false).await.unwrap();
    let connections = |peer: &Peer| peer.node.network().connections().snapshot();
    until("the idle connection is closed", async || connections(&passer).is_empty()).await;
    let left: Vec<PeerId> = connections(&hub).iter().map(|open| open.peer).collect();
    assert_eq!(left, [asked.id()]);
}
