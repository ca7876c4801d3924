//! Peers that lie, flood, stall and die. Whatever they do, the node stores nothing of it and goes on serving.

use futures::{AsyncWriteExt, StreamExt};
use peermark_node::content::{BLOCK_CODEC, block_cid, parse_cid};
use tokio::sync::mpsc::{Sender, channel};

use crate::fleet::{Net, Peer, content};
use crate::intruder::{BITSWAP, Entry, Intruder, Message, closed_by_the_node, frame, in_time, push, read};
use crate::wait::until;

/// The manifest of "hello world".
const HELLO: &str = "zDvZRwzm2HaZLtSRUJAt5sSLMamtnV7wz3ev9juJSxN3R2nMiH78";

/// What a node has to be after every attack: able to fetch from an honest peer, and to serve it.
async fn unimpressed(net: &Net, node: &Peer) {
    let before = node.stored().await;
    let honest = net.join(node).await;
    let data = content(150_000, 77);
    let cid = honest.upload(data.clone()).await;
    assert!(node.fetch(&cid).await.unwrap() == data);
    let cid = node.upload(content(150_000, 78)).await;
    assert!(honest.fetch(&cid).await.unwrap() == content(150_000, 78));
    assert_eq!(before, (0, 0), "nothing that a hostile peer sent was stored");
}

/// Says that it has everything, and sends the same wrong bytes for whatever is wanted.
fn corrupt(entry: &Entry) -> Vec<u8> {
    frame(&if entry.want_type == 0 { Message::block(b"something else") } else { Message::have(&entry.cid) })
}

/// Says that it has everything, and sends nothing. Tells that it was asked for a block.
fn promise_nothing_else(entry: &Entry, asked: &Sender<()>) -> Vec<u8> {
    if entry.want_type == 1 {
        return frame(&Message::have(&entry.cid));
    }
    // Once is enough.
    let _ = asked.try_send(());
    Vec::new()
}

#[tokio::test]
async fn a_wrong_block_is_refused_counted_and_its_sender_named() {
    let net = Net::new();
    let node = net.start().await;
    let mut liar = Intruder::connect(&node).await;
    liar.answer(corrupt).await;
    for prefix in ["archivist", "codex"] {
        let wrong = node.exchanged("wrong_blocks").await;
        let answer = node.get(&format!("/api/{prefix}/v1/data/{HELLO}/network/stream")).await;
        let detail = answer.problem(502, "wrong_block")["detail"].to_string();
        assert!(detail.contains(&liar.id().to_string()), "{detail}");
        assert!(node.exchanged("wrong_blocks").await > wrong);
    }
    let directed = node.get(&format!("/api/v1/blocks/{HELLO}?from={}", liar.id())).await;
    directed.problem(502, "wrong_block");
    assert_eq!(node.exchanged("blocks_received").await, 0);
    unimpressed(&net, &node).await;
}

/// The holder is found through the DHT, after the liar was asked.
#[tokio::test]
async fn a_liar_cannot_keep_a_node_from_the_truth() {
    let net = Net::new();
    let hub = net.start().await;
    let holder = net.join(&hub).await;
    let cid = holder.upload(content(1_000_000, 1)).await;
    let ask_the_liar_first = async |node: &Peer| {
        let mut liar = Intruder::connect(node).await;
        liar.answer(corrupt).await;
        assert!(node.fetch(&cid).await.unwrap() == content(1_000_000, 1));
        assert_eq!(node.exchanged("blocks_received").await, holder.stored().await.0);
        node.exchanged("wrong_blocks").await > 0
    };
    net.alone_with(&hub, |_| (), ask_the_liar_first).await;
}

#[tokio::test]
async fn what_nobody_asked_for_is_dropped() {
    let net = Net::new();
    let node = net.start().await;
    let mut pusher = Intruder::connect(&node).await;
    let mut stream = pusher.open(BITSWAP).await;
    for tag in 0..100 {
        push(&mut stream, &frame(&Message::block(&content(10_000, tag)))).await;
    }
    until("all of them are counted", async || node.exchanged("wrong_blocks").await == 100).await;
    let cid = block_cid(BLOCK_CODEC, &content(10_000, 5));
    node.get(&format!("/api/v1/blocks/{cid}")).await.problem(404, "not_found");
    assert_eq!(node.exchanged("blocks_received").await, 0);
    unimpressed(&net, &node).await;
}

#[tokio::test]
async fn frames_that_are_none_end_their_stream() {
    let net = Net::new();
    let node = net.start().await;
    let mut intruder = Intruder::connect(&node).await;
    let want = Entry::block(parse_cid(HELLO).unwrap().0.to_bytes());
    let too_many = frame(&Message::wants(vec![want; 8193]));
    let mut oversized = Vec::new();
    prost::encoding::encode_varint((4 << 20) + 1, &mut oversized);
    oversized.extend([0; 64]);
    let cases: [(&str, Vec<u8>); 6] = [
        ("more than the largest frame", oversized),
        ("a length without end", vec![0xff; 64]),
        ("a tag that protobuf does not have", vec![0x04, 0x0f, 0x0f, 0x0f, 0x0f]),
        ("a field longer than the message", vec![0x03, 0x0a, 0x7f, 0x00]),
        ("text", b"GET / HTTP/1.1\r\n".repeat(10)),
        ("more items than a message may have", too_many),
    ];
    for (what, bytes) in cases {
        let mut stream = intruder.open(BITSWAP).await;
        push(&mut stream, &bytes).await;
        assert!(closed_by_the_node(&mut stream).await, "{what}");
    }
    let mut truncated = intruder.open(BITSWAP).await;
    push(&mut truncated, &frame(&Message::block(&[7; 1000]))[..500]).await;
    truncated.close().await.unwrap();
    assert!(closed_by_the_node(&mut truncated).await);
    assert_eq!(node.exchanged("wants_received").await, 0);
    unimpressed(&net, &node).await;
}

/// More than may be open at once are closed, and those that are open do no harm.
#[tokio::test]
async fn streams_that_say_nothing_cost_nothing() {
    let net = Net::new();
    let node = net.start().await;
    let mut intruder = Intruder::connect(&node).await;
    let mut streams = Vec::new();
    for _ in 0..9 {
        let mut stream = intruder.open(BITSWAP).await;
        // The beginning of a large message.
        push(&mut stream, &[0x80, 0x80, 0x80, 0x02, 0x1a]).await;
        streams.push(stream);
    }
    assert!(closed_by_the_node(&mut streams[8]).await);
    unimpressed(&net, &node).await;
}

#[tokio::test]
async fn thousands_of_wants_are_answered() {
    let net = Net::new();
    let node = net.start().await;
    let mut greedy = Intruder::connect(&node).await;
    let mut answers = greedy.speak(BITSWAP);
    let mut stream = greedy.open(BITSWAP).await;
    let cids: Vec<Vec<u8>> = (0..8000u32).map(|i| block_cid(BLOCK_CODEC, &i.to_be_bytes()).to_bytes()).collect();
    push(&mut stream, &frame(&Message::wants(cids.iter().cloned().map(Entry::block).collect()))).await;
    push(&mut stream, &frame(&Message::wants(cids.iter().cloned().map(Entry::have).collect()))).await;
    let (_, mut from_node) = in_time(answers.next()).await.unwrap();
    let mut refused = 0;
    while refused < 16_000 {
        let message: Message = in_time(read(&mut from_node)).await.unwrap();
        assert!(message.payload.is_empty() && message.presences.iter().all(|presence| presence.presence == 1));
        refused += message.presences.len();
    }
    assert_eq!(node.exchanged("wants_received").await, 16_000);
    unimpressed(&net, &node).await;
}

/// It asks on and on, and reads no answer: what waits for it must not grow without end.
#[tokio::test]
async fn a_flood_of_wants_whose_answers_are_not_read_is_cut_off() {
    let net = Net::new();
    let node = net.start().await;
    let mut flooder = Intruder::connect(&node).await;
    let _unread = flooder.speak(BITSWAP);
    let mut stream = flooder.open(BITSWAP).await;
    let cids = (0..8000u32).map(|i| Entry::have(block_cid(BLOCK_CODEC, &i.to_be_bytes()).to_bytes()));
    let wants = frame(&Message::wants(cids.collect()));
    let mut sent = 0;
    while in_time(stream.write_all(&wants)).await.is_ok() {
        sent += 1;
        assert!(sent < 100, "the node takes {} wants of a peer that does not listen", sent * 8000);
    }
    let taken = node.exchanged("wants_received").await;
    // Another stream does not help.
    let mut stream = flooder.open(BITSWAP).await;
    push(&mut stream, &wants).await;
    assert!(closed_by_the_node(&mut stream).await);
    assert_eq!(node.exchanged("wants_received").await, taken);
    unimpressed(&net, &node).await;
}

#[tokio::test]
async fn a_peer_that_promises_and_is_silent_costs_the_deadline_and_no_more() {
    let net = Net::new();
    let node = net.start_with(|config| config.block_timeout_ms = 300).await;
    let mut silent = Intruder::connect(&node).await;
    let (asked, mut was_asked) = channel(1);
    silent.answer(move |entry| promise_nothing_else(entry, &asked)).await;
    node.get(&format!("/api/archivist/v1/data/{HELLO}/network/stream")).await.problem(504, "deadline");
    node.get(&format!("/api/archivist/v1/data/{HELLO}/network/manifest")).await.problem(504, "deadline");
    node.post(&format!("/api/archivist/v1/data/{HELLO}/network"), "").await.problem(504, "deadline");
    node.get(&format!("/api/v1/blocks/{HELLO}?from={}", silent.id())).await.problem(504, "deadline");
    was_asked.try_recv().unwrap();
    silent.die();
    unimpressed(&net, &node).await;
}

/// With the time of a second attempt there is a second attempt.
#[tokio::test]
async fn a_silent_peer_is_given_up_for_one_that_answers() {
    let net = Net::new();
    let hub = net.start().await;
    let holder = net.join(&hub).await;
    let cid = holder.upload("hello world").await;
    let ask_the_silent_first = async |node: &Peer| {
        let mut silent = Intruder::connect(node).await;
        let (asked, mut was_asked) = channel(1);
        silent.answer(move |entry| promise_nothing_else(entry, &asked)).await;
        assert!(node.fetch(&cid).await.unwrap() == b"hello world");
        was_asked.try_recv().is_ok()
    };
    net.alone_with(&hub, |_| (), ask_the_silent_first).await;
}

#[tokio::test]
async fn a_peer_that_dies_in_the_middle_of_a_block_is_replaced() {
    let net = Net::new();
    let hub = net.start().await;
    let holder = net.join(&hub).await;
    let cid = holder.upload(content(1_000_000, 1)).await;
    let begin_with_the_dying = async |node: &Peer| {
        let mut dying = Intruder::connect(node).await;
        let id = dying.id();
        let (begun, mut half_sent) = channel(1);
        dying
            .answer(move |entry| {
                if entry.want_type == 1 {
                    return frame(&Message::have(&entry.cid));
                }
                // Once is enough.
                let _ = begun.try_send(());
                frame(&Message::block(&[7; 50_000]))[..25_000].to_vec()
            })
            .await;
        let death = tokio::spawn(async move {
            half_sent.recv().await;
            dying.die();
        });
        assert!(node.fetch(&cid).await.unwrap() == content(1_000_000, 1));
        if !death.is_finished() {
            return false;
        }
        node.get(&format!("/api/v1/blocks/{HELLO}?from={id}")).await.problem(502, "connection_lost");
        true
    };
    net.alone_with(&hub, |_| (), begin_with_the_dying).await;
}
