//! Marketplace nodes serve against promises, and promises are worth what their signatures are.

use std::sync::Arc;

use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::{PeerId, Stream, StreamProtocol};
use peermark_node::content::parse_cid;
use peermark_node::{Mode, NodeConfig};
use prost::Message as _;

use crate::fleet::{Net, Peer, content};
use crate::intruder::{BITSWAP, Entry, Intruder, Message, closed_by_the_node, frame, in_time, push, read};
use crate::wait::until;

const PAY: StreamProtocol = StreamProtocol::new("/peermark/pay/1");

/// The block of "hello world", of 64 KiB.
const BLOCK: &str = "zDxWB8ED5HQK12sEYBT8XLPy6rvz2owWUhubM5JThtWdRJcmrHnr";

fn marketplace(config: &mut NodeConfig) {
    config.mode = Mode::Marketplace;
    config.price_per_byte = 3;
}

#[tokio::test]
async fn a_paying_peer_is_served_and_every_byte_is_on_the_books() {
    let net = Net::new();
    let seller = net.start_with(marketplace).await;
    let buyer = net.join(&seller).await;
    let cid = seller.upload(content(1_000_000, 1)).await;
    assert!(buyer.fetch(&cid).await.unwrap() == content(1_000_000, 1));
    until("the seller has counted all", async || seller.exchanged("blocks_sent").await == seller.stored().await.0)
        .await;
    let books = seller.exchange().await;
    assert_eq!(books["paid_bytes"], books["bytes_sent"]);
    assert_eq!(books["unpaid_wants"], 0);
    assert_eq!(buyer.exchanged("bytes_received").await, books["bytes_sent"].as_u64().unwrap());
}

#[tokio::test]
async fn who_does_not_pay_gets_nothing_from_a_seller_and_everything_from_others() {
    let net = Net::new();
    let seller = net.start_with(marketplace).await;
    let giver = net.join(&seller).await;
    let from =
        async |buyer: &Peer, holder: &Peer| buyer.get(&format!("/api/v1/blocks/{BLOCK}?from={}", holder.id())).await;
    for peer in [&seller, &giver] {
        peer.upload("hello world").await;
    }
    type Change = fn(&mut NodeConfig);
    let refusals: [(&str, Change); 3] = [
        ("does not pay", |config| config.pay = false),
        ("pays nothing", |config| config.pay_limit = 0),
        ("pays too little for a block", |config| config.pay_limit = 3 * 65_536 - 1),
    ];
    // Each waits for a promise that does not come: all of them at once.
    let mut peers = Vec::new();
    for (who, change) in refusals {
        let peer = net.join_with(&seller, change).await;
        peer.connect(&giver).await;
        peers.push((who, peer));
    }
    let attempts = peers.iter().map(async |(who, peer)| {
        let refused = from(peer, &seller).await.problem(404, "not_found");
        assert!(refused["detail"].as_str().unwrap().contains("does not serve"), "{who}: {refused}");
        assert_eq!(from(peer, &giver).await.status, 200, "{who}");
    });
    futures::future::join_all(attempts).await;
    assert_eq!(seller.exchanged("unpaid_wants").await, 3);
    let books = seller.exchange().await;
    assert_eq!((&books["blocks_sent"], &books["paid_bytes"]), (&0.into(), &0.into()));
    let books = giver.exchange().await;
    assert_eq!(
        (&books["blocks_sent"], &books["paid_bytes"], &books["unpaid_wants"]),
        (&3.into(), &0.into(), &0.into())
    );

    let peer = net.join_with(&seller, |config| config.pay_limit = 3 * 65_536).await;
    assert_eq!(from(&peer, &seller).await.status, 200, "a limit of exactly the price");
    until("it is paid", async || seller.exchanged("paid_bytes").await == 65_536).await;
}

fn wants(count: usize) -> Vec<u8> {
    let cid = parse_cid(BLOCK).unwrap().0.to_bytes();
    frame(&Message::wants(vec![Entry::block(cid); count]))
}

/// One answer after the other: a wait for a promise before each would take minutes.
#[tokio::test]
async fn a_stranger_to_the_payment_protocol_is_refused_at_once() {
    let net = Net::new();
    let seller = net.start_with(marketplace).await;
    seller.upload("hello world").await;
    let mut stranger = Intruder::connect(&seller).await;
    let mut answers = stranger.speak(BITSWAP);
    let mut stream = stranger.open(BITSWAP).await;
    push(&mut stream, &wants(1)).await;
    let (_, mut from_seller) = in_time(answers.next()).await.unwrap();
    in_time(async {
        for _ in 0..100 {
            let answer: Message = read(&mut from_seller).await.unwrap();
            assert!(answer.payload.is_empty());
            assert_eq!(answer.presences[0].presence, 1, "dont-have");
            push(&mut stream, &wants(1)).await;
        }
    })
    .await;
    assert!(seller.exchanged("unpaid_wants").await >= 100);
    assert_eq!(seller.exchanged("blocks_sent").await, 0);
}

#[derive(Clone, PartialEq, prost::Message)]
struct PayMessage {
    #[prost(message, optional, tag = "1")]
    price: Option<Price>,
    #[prost(message, optional, tag = "2")]
    promise: Option<Promise>,
    #[prost(uint64, optional, tag = "3")]
    need: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Price {
    #[prost(uint64, tag = "1")]
    per_byte: u64,
    #[prost(uint64, tag = "2")]
    session: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Promise {
    #[prost(bytes = "vec", tag = "1")]
    terms: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    public_key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Terms {
    #[prost(bytes = "vec", tag = "1")]
    payer: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    payee: Vec<u8>,
    #[prost(uint64, tag = "3")]
    session: u64,
    #[prost(uint64, tag = "4")]
    sequence: u64,
    #[prost(uint64, tag = "5")]
    cumulative: u64,
}

/// Signs as the protocol says, with whatever key.
fn promise(key: &Keypair, terms: &Terms) -> Promise {
    let terms = terms.encode_to_vec();
    let signature = key.sign(&[b"peermark/pay/1\0".as_slice(), &terms].concat()).unwrap();
    Promise { terms, signature, public_key: key.public().encode_protobuf() }
}

fn pay(promise: Promise) -> Vec<u8> {
    frame(&PayMessage { promise: Some(promise), ..PayMessage::default() })
}

/// A peer that has heard the price, with its stream for promises, its stream for wants and the seller's answers.
struct Payer {
    intruder: Intruder,
    terms: Terms,
    promises: Stream,
    wants: Stream,
    answers: Stream,
}

async fn payer(seller: &Peer) -> Payer {
    let mut intruder = Intruder::connect(seller).await;
    let (mut prices, mut answers) = (intruder.speak(PAY), intruder.speak(BITSWAP));
    let mut stream = intruder.open(BITSWAP).await;
    let (_, mut price) = in_time(prices.next()).await.unwrap();
    let price: PayMessage = in_time(read(&mut price)).await.unwrap();
    let price = price.price.unwrap();
    assert_eq!(price.per_byte, 3);
    let id = |peer: PeerId| peer.to_bytes();
    let terms = Terms {
        payer: id(intruder.id()),
        payee: id(seller.id()),
        session: price.session,
        sequence: 1,
        cumulative: 3 * 65_536,
    };
    // A want for what the seller does not have costs nothing, and brings its stream for answers.
    let absent = parse_cid("zDvZRwzm4JtfW7EkW9DkJWi9KrDTBDuBnWuCL4M8ksggkz8ASZQW").unwrap().0.to_bytes();
    push(&mut stream, &frame(&Message::wants(vec![Entry::block(absent)]))).await;
    let (_, mut from_seller) = in_time(answers.next()).await.unwrap();
    let _: Message = in_time(read(&mut from_seller)).await.unwrap();
    let promises = intruder.open(PAY).await;
    Payer { intruder, terms, promises, wants: stream, answers: from_seller }
}

#[tokio::test]
async fn a_forged_promise_buys_nothing() {
    let net = Net::new();
    let seller = Arc::new(net.start_with(marketplace).await);
    seller.upload("hello world").await;
    let stranger = Keypair::generate_ed25519();
    type Forge = fn(&Payer, &Keypair) -> Promise;
    let forgeries: [(&str, Forge); 5] = [
        ("signed by somebody else", |payer, stranger| promise(stranger, &payer.terms)),
        ("a signature of other terms", |payer, _| {
            let good = promise(&payer.intruder.key, &Terms { cumulative: 1, ..payer.terms.clone() });
            Promise { terms: payer.terms.encode_to_vec(), ..good }
        }),
        ("of another session", |payer, _| {
            promise(&payer.intruder.key, &Terms { session: payer.terms.session ^ 1, ..payer.terms.clone() })
        }),
        ("to somebody else", |payer, stranger| {
            let payee = stranger.public().to_peer_id().to_bytes();
            promise(&payer.intruder.key, &Terms { payee, ..payer.terms.clone() })
        }),
        ("one unit too low", |payer, _| {
            promise(&payer.intruder.key, &Terms { cumulative: payer.terms.cumulative - 1, ..payer.terms.clone() })
        }),
    ];
    let attempts = forgeries.map(|(what, forge)| {
        let (seller, stranger) = (seller.clone(), stranger.clone());
        async move {
            let mut payer = payer(&seller).await;
            let forged = pay(forge(&payer, &stranger));
            push(&mut payer.promises, &forged).await;
            push(&mut payer.wants, &wants(1)).await;
            let answer: Message = in_time(read(&mut payer.answers)).await.unwrap();
            assert!(answer.payload.is_empty() && answer.presences[0].presence == 1, "{what}");
        }
    });
    futures::future::join_all(attempts).await;
    let books = seller.exchange().await;
    assert_eq!((&books["unpaid_wants"], &books["paid_bytes"]), (&5.into(), &0.into()));

    // The same peer with the same terms, honestly signed, is served once: the promise covers one block.
    let mut payer = payer(&seller).await;
    let honest = pay(promise(&payer.intruder.key, &payer.terms));
    push(&mut payer.promises, &honest).await;
    push(&mut payer.wants, &wants(1)).await;
    let answer: Message = in_time(read(&mut payer.answers)).await.unwrap();
    assert_eq!(answer.payload[0].data.len(), 65_536);
    push(&mut payer.promises, &honest).await;
    push(&mut payer.wants, &wants(1)).await;
    let answer: Message = in_time(read(&mut payer.answers)).await.unwrap();
    assert!(answer.payload.is_empty(), "a promise that is shown twice is worth nothing the second time");
    assert_eq!(seller.exchanged("paid_bytes").await, 65_536);
}

#[tokio::test]
async fn a_peer_that_forges_on_is_not_listened_to() {
    let net = Net::new();
    let seller = net.start_with(marketplace).await;
    let mut payer = payer(&seller).await;
    let forged = pay(promise(&Keypair::generate_ed25519(), &payer.terms));
    for _ in 0..3 {
        push(&mut payer.promises, &forged).await;
    }
    assert!(closed_by_the_node(&mut payer.promises).await);
    let mut garbage = payer.intruder.open(PAY).await;
    push(&mut garbage, &[0xff, 0xff, 0x7f]).await;
    assert!(closed_by_the_node(&mut garbage).await);
}
