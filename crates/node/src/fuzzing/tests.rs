use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::bitswap::message::{Block, Entry, Presence, PresenceType, WantType, Wantlist};
use crate::content::{BLOCK_CODEC, InnerNode, TreeBuilder, block_cid, digest_of};
use crate::pay::promise::Price;

/// Good bytes, a place in them, and what comes there.
fn mutated(good: Vec<u8>, changes: &[(Index, u8, u8)]) -> Vec<u8> {
    changes.iter().fold(good, |mut bytes, (place, kind, byte)| {
        let at = place.index(bytes.len() + 1);
        match (kind % 4, at < bytes.len()) {
            (0, true) => bytes[at] = *byte,
            (1, true) => drop(bytes.remove(at)),
            (2, _) => bytes.truncate(at),
            _ => bytes.insert(at, *byte),
        }
        bytes
    })
}

/// Bytes near good ones, down to the good ones themselves.
fn near(good: impl Fn() -> Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let good = good();
    prop::collection::vec(any::<(Index, u8, u8)>(), 0..4).prop_map(move |changes| mutated(good.clone(), &changes))
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

fn framed(message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    frame::encode(message, &mut bytes);
    bytes.to_vec()
}

fn good_bitswap() -> Vec<u8> {
    let cid = block_cid(BLOCK_CODEC, b"x");
    let entries = vec![Entry::want(&cid, WantType::Have), Entry::cancel(&cid)];
    let message = Message {
        wantlist: Some(Wantlist { entries, full: true }),
        payload: vec![Block::new(&cid, Bytes::from_static(b"x"))],
        presences: vec![Presence::new(&cid, PresenceType::Have)],
        pending_bytes: 7,
    };
    framed(&message).repeat(2)
}

fn good_manifest() -> Vec<u8> {
    let named = |text: &str| Some(text.to_owned());
    let (filename, mimetype) = (named("a.txt"), named("text/plain"));
    Manifest { tree: digest_of(b"tree"), block_size: 1024, dataset_size: 5000, filename, mimetype }.encode()
}

fn good_node(leaves: usize) -> Vec<u8> {
    let mut nodes: Vec<InnerNode> = Vec::new();
    let mut tree = TreeBuilder::default();
    (0..leaves).for_each(|leaf| tree.push(digest_of(&[leaf as u8]), &mut |node| nodes.push(node)));
    tree.finish(&mut |node| nodes.push(node)).unwrap();
    nodes.last().unwrap().bytes.to_vec()
}

fn good_pay() -> Vec<u8> {
    let key = Keypair::ed25519_from_bytes([3; 32]).unwrap();
    let id = key.public().to_peer_id().to_bytes();
    let terms = PromiseTerms { payer: id.clone(), payee: id, session: 7, sequence: 1, cumulative: 100 };
    let price = Some(Price { per_byte: 3, session: 7 });
    let messages = [
        PayMessage { price, ..PayMessage::default() },
        PayMessage { promise: sign(&key, &terms), ..PayMessage::default() },
    ];
    messages.iter().flat_map(framed).collect()
}

fn good_terms() -> Vec<u8> {
    let [payer, payee] = [1, 2].map(|seed| Keypair::ed25519_from_bytes([seed; 32]).unwrap().public().to_peer_id());
    let terms =
        PromiseTerms { payer: payer.to_bytes(), payee: payee.to_bytes(), session: 7, sequence: 1, cumulative: 100 };
    terms.encode_to_vec()
}

fn good_histogram() -> Vec<u8> {
    let mut histogram = peermark_core::Histogram::new();
    [1, 5, 1000, 70_000].iter().for_each(|value| histogram.record(*value));
    histogram.encode()
}

#[test]
fn good_bytes_are_decoded() {
    assert!(block_on(frame::read::<Message>(&mut good_bitswap().as_slice(), MAX_MESSAGE_BYTES)).unwrap().is_some());
    assert!(Manifest::decode(&good_manifest()).is_ok());
    assert!((1..6).all(|leaves| Children::parse(&good_node(leaves)).is_some()));
    assert!(block_on(frame::read::<PayMessage>(&mut good_pay().as_slice(), MAX_PAY_BYTES)).unwrap().is_some());
    assert!(PromiseTerms::decode(good_terms().as_slice()).is_ok());
    assert!(peermark_core::Histogram::decode(&good_histogram()).is_ok());
}

proptest! {
    #[test]
    fn bitswap_holds(bytes in prop_oneof![any_bytes(), near(good_bitswap)]) {
        bitswap(&bytes);
    }

    #[test]
    fn manifest_holds(bytes in prop_oneof![any_bytes(), near(good_manifest)]) {
        manifest(&bytes);
    }

    #[test]
    fn tree_holds(bytes in prop_oneof![any_bytes(), near(|| good_node(1)), near(|| good_node(5))]) {
        tree(&bytes);
    }

    #[test]
    fn pay_holds(bytes in prop_oneof![any_bytes(), near(good_pay), near(good_terms)]) {
        pay(&bytes);
    }

    #[test]
    fn range_holds(size in 0u64..1000, header in prop_oneof![".*", "bytes=[0-9 ]{0,22}-[0-9 ]{0,22}"]) {
        range(&[size.to_le_bytes().as_slice(), header.as_bytes()].concat());
    }

    #[test]
    fn cid_holds(bytes in prop_oneof![
        any_bytes(),
        near(|| block_cid(BLOCK_CODEC, b"x").to_bytes()),
        near(|| cid_text(&block_cid(BLOCK_CODEC, b"x")).into_bytes()),
    ]) {
        cid(&bytes);
    }

    #[test]
    fn histogram_holds(bytes in prop_oneof![any_bytes(), near(good_histogram)]) {
        histogram(&bytes);
    }
}
