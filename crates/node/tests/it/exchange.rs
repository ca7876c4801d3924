//! Blocks on their way between nodes, with the same numbers on both sides.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use peermark_node::NodeConfig;
use peermark_node::bitswap::{FetchError, Session};
use peermark_node::content::{digest_of, parse_cid};
use tokio::time::Instant;

use crate::fleet::{Net, Peer, content};
use crate::rest::{begin, request};
use crate::wait::until;

/// The block of "hello world".
const HELLO_BLOCK: &str = "zDxWB8ED5HQK12sEYBT8XLPy6rvz2owWUhubM5JThtWdRJcmrHnr";

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Waits until the receiver has as many blocks on its books as the sender; returns blocks and bytes.
async fn settled(sender: &Peer, receiver: &Peer) -> (u64, u64) {
    let of = async |peer: &Peer, verb: &str| {
        let books = peer.exchange().await;
        (books[format!("blocks_{verb}")].as_u64().unwrap(), books[format!("bytes_{verb}")].as_u64().unwrap())
    };
    until("what one side sent, the other received", async || {
        of(sender, "sent").await == of(receiver, "received").await
    })
    .await;
    of(sender, "sent").await
}

#[tokio::test]
async fn a_dataset_arrives_whole_and_both_sides_count_the_same() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let data = content(3_000_000, 1);
    let cid = holder.upload(data.clone()).await;
    let (stored, bytes) = holder.stored().await;
    assert!(reader.fetch(&cid).await.unwrap() == data);

    assert_eq!(settled(&holder, &reader).await, (stored, bytes), "every block once");
    for (peer, counter) in [(&holder, "blocks_received"), (&reader, "blocks_sent"), (&reader, "spurious_blocks")] {
        assert_eq!(peer.exchanged(counter).await, 0, "{counter}");
    }
    until("the reader has stored what it fetched", async || reader.stored().await == (stored, bytes)).await;
    assert!(reader.fetch(&cid).await.unwrap() == data);
    assert_eq!(reader.exchanged("blocks_received").await, stored, "what is here is not fetched again");
    let local = reader.get(&format!("/api/archivist/v1/data/{cid}")).await;
    assert!(local.status == 200 && local.body == data, "what was fetched is served without the network");
}

#[tokio::test]
async fn a_background_fetch_brings_the_whole_dataset() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let cid = holder.upload(content(1_000_000, 1)).await;
    let item = reader.client().fetch_background(&cid).await.unwrap();
    assert_eq!((item.cid, item.manifest.unwrap().dataset_size), (cid, Some(1_000_000)));
    let all = holder.stored().await;
    until("all blocks have come", async || reader.stored().await == all).await;
}

/// `end` knows `middle` only; that `start` has the data is in the DHT.
#[tokio::test]
async fn content_is_found_through_peers_that_do_not_have_it() {
    let net = Net::new();
    let middle = net.start().await;
    let start = net.join(&middle).await;
    let cid = start.upload(content(500_000, 1)).await;
    let end = net.join(&middle).await;
    assert!(end.fetch(&cid).await.unwrap() == content(500_000, 1));
    assert_eq!(middle.exchanged("blocks_sent").await, 0);
    assert_eq!(settled(&start, &end).await.0, start.stored().await.0);
}

#[tokio::test]
async fn a_want_goes_to_the_chosen_peer_and_to_no_other() {
    let net = Net::new();
    let hub = net.start().await;
    let [chosen, other] = [net.join(&hub).await, net.join(&hub).await];
    for peer in [&chosen, &other] {
        peer.upload("hello world").await;
        hub.connect(peer).await;
    }
    let (cid, digest) = parse_cid(HELLO_BLOCK).unwrap();
    for _ in 0..3 {
        let bytes = hub.node.exchange().fetch_from(chosen.id(), cid, soon()).await.unwrap();
        assert_eq!(digest_of(&bytes), digest);
    }
    assert_eq!((chosen.exchanged("blocks_sent").await, other.exchanged("blocks_sent").await), (3, 0));
    assert_eq!(other.exchanged("wants_received").await, 0);
    chosen.delete("/api/archivist/v1/data/zDvZRwzm2HaZLtSRUJAt5sSLMamtnV7wz3ev9juJSxN3R2nMiH78").await;
    let refused = hub.node.exchange().fetch_from(chosen.id(), cid, soon()).await.unwrap_err();
    assert!(matches!(refused, FetchError::Refused { peer } if peer == chosen.id()), "{refused}");
}

/// Two probes of two holders for one block measure two holders: neither takes the other's block for its own.
#[tokio::test]
async fn a_block_of_another_peer_is_no_answer_of_the_chosen_one() {
    let net = Net::new();
    let asker = net.start().await;
    let [holder, empty] = [net.join(&asker).await, net.join(&asker).await];
    holder.upload("hello world").await;
    let (cid, _) = parse_cid(HELLO_BLOCK).unwrap();
    let exchange = asker.node.exchange();
    for _ in 0..20 {
        let (from_holder, from_empty) =
            tokio::join!(exchange.fetch_from(holder.id(), cid, soon()), exchange.fetch_from(empty.id(), cid, soon()));
        assert!(from_holder.is_ok());
        let refused = from_empty.map(|bytes| bytes.len()).unwrap_err();
        assert!(matches!(refused, FetchError::Refused { peer } if peer == empty.id()), "{refused}");
    }
}

#[tokio::test]
async fn wants_for_one_block_of_one_peer_share_its_transfer() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    holder.upload("hello world").await;
    let (cid, _) = parse_cid(HELLO_BLOCK).unwrap();
    let exchange = reader.node.exchange();
    let wants = (0..8).map(|_| exchange.fetch_from(holder.id(), cid, soon()));
    assert!(futures::future::join_all(wants).await.iter().all(Result::is_ok));
    assert_eq!(settled(&holder, &reader).await.0, 1);
    assert_eq!(holder.exchanged("wants_received").await, 1);
}

#[tokio::test]
async fn downloads_of_one_dataset_at_once_are_each_whole() {
    let net = Net::new();
    let holder = net.start().await;
    let reader = net.join(&holder).await;
    let cid = holder.upload(content(2_000_000, 1)).await;
    let fetches = (0..4).map(|_| async { assert!(reader.fetch(&cid).await.unwrap() == content(2_000_000, 1)) });
    futures::future::join_all(fetches).await;
    let all = holder.stored().await.1;
    let (received, late) = (reader.exchanged("bytes_received").await, reader.exchanged("spurious_blocks").await);
    // A block that arrives between another fetch's look into the store and its want travels again.
    assert!(received < 2 * all && late < 10, "{received} of {all} bytes, {late} blocks came late");
}

#[tokio::test]
async fn a_restart_keeps_identity_and_data_and_tells_the_network() {
    let net = Net::new();
    let hub = net.start().await;
    let holder = net.join(&hub).await;
    let (id, cid) = (holder.id(), holder.upload(content(500_000, 1)).await);
    let stored = holder.stored().await;

    // The new hub has never heard of the dataset: what was announced before the restart has to be announced again.
    let hub = net.start().await;
    let holder = holder.restart_with(|config| config.bootstrap = vec![hub.address()]).await;
    assert_eq!((holder.id(), holder.stored().await), (id, stored));
    let local = holder.get(&format!("/api/archivist/v1/data/{cid}")).await;
    assert!(local.body == content(500_000, 1));
    assert_eq!(holder.client().list().await.unwrap().content.len(), 1);

    until("the hub knows the node", async || hub.node.network().connections().routing_peers() == 1).await;
    net.alone_with(
        &hub,
        |_| (),
        async |reader| {
            assert!(reader.fetch(&cid).await.unwrap() == content(500_000, 1));
            reader.exchanged("blocks_from_discovery").await == stored.0
        },
    )
    .await;
}

#[tokio::test]
async fn a_stopped_node_is_gone() {
    let net = Net::new();
    // A closed TCP port refuses; a closed QUIC port is silent for ten seconds.
    let tcp_only = |config: &mut NodeConfig| config.listen.truncate(1);
    let hub = net.start_with(tcp_only).await;
    let peers = async || hub.node.network().connections().peers();
    for in_order in [true, false] {
        let Peer { node, .. } = net.join_with(&hub, tcp_only).await;
        let (id, address) = (node.peer_id(), node.addresses().swap_remove(0));
        assert_eq!(peers().await, 1);
        if in_order {
            node.shutdown().await;
        } else {
            drop(node);
        }
        until("its connections are closed", async || peers().await == 0).await;
        hub.node.network().dial(id, vec![address], false).await.unwrap_err();
    }
}

#[tokio::test]
async fn quic_carries_everything_alone() {
    let net = Net::new();
    let quic_only = |config: &mut NodeConfig| config.listen = config.listen.split_off(1);
    let holder = net.start_with(quic_only).await;
    let reader = net.join_with(&holder, quic_only).await;
    let cid = holder.upload(content(2_000_000, 1)).await;
    assert!(reader.fetch(&cid).await.unwrap() == content(2_000_000, 1));
    assert_eq!(settled(&holder, &reader).await, holder.stored().await);
    let open = reader.get("/api/v1/connections").await.json();
    assert!(open.as_array().unwrap().iter().all(|open| open["transport"] == "quic"), "{open}");
    assert!(open[0]["address"].as_str().unwrap().contains("/quic-v1"), "{open}");
}

#[tokio::test]
async fn a_follower_of_events_sees_the_end_of_a_node() {
    let node = Net::new().start().await;
    let get = request("GET", "/api/v1/exchange/events").body(Full::<Bytes>::default()).unwrap();
    let mut events = begin(node.node.api_address(), get).await.into_body();
    drop(node);
    assert!(events.frame().await.is_none());
}

/// A session's root is what its peers announced: here the tree, as somebody has it who lost the manifest.
#[tokio::test]
async fn a_tree_that_was_not_removed_stays_announced() {
    let net = Net::new();
    let holder = net.start().await;
    let cid = holder.upload(content(200_000, 1)).await;
    let tree = holder.client().manifest(&cid).await.unwrap().manifest.unwrap().tree_cid.unwrap();
    holder.client().delete(&tree).await.unwrap();
    // Only now is there somebody to announce it to.
    let hub = net.join(&holder).await;
    let (tree, digest) = parse_cid(&tree).unwrap();
    net.alone_with(
        &hub,
        |_| (),
        async |reader| {
            let fetched = reader.node.exchange().fetch(tree, &Session::new(digest), soon()).await;
            fetched.is_ok_and(|bytes| bytes.len() == 65) && reader.exchanged("blocks_from_discovery").await == 1
        },
    )
    .await;
}
