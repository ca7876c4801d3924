//! Everything that strangers' bytes are decoded by, one function each, with what has to hold for whatever is decoded.
//!
//! The targets in `fuzz` call these with bytes that a fuzzer searches for; the tests below with random ones and with mutations of
//! good ones, so that every run of the tests goes the same ways.

use futures::executor::block_on;
use libp2p::identity::Keypair;
use prost::Message as _;

use crate::bitswap::message::{MAX_MESSAGE_BYTES, Message, read_cid};
use crate::content::{Children, Digest, Manifest, cid_text, parse_cid};
use crate::http::range::{Wanted, parse};
use crate::pay::promise::{MAX_MESSAGE_BYTES as MAX_PAY_BYTES, PayMessage, PromiseTerms, sign, verify};
use crate::wire::frame;

/// A stream of Bitswap frames.
pub fn bitswap(mut bytes: &[u8]) {
    while let Ok(Some(message)) = block_on(frame::read::<Message>(&mut bytes, MAX_MESSAGE_BYTES)) {
        let mut again = bytes::BytesMut::new();
        frame::encode(&message, &mut again);
        let read = block_on(frame::read::<Message>(&mut again.as_ref(), again.len())).ok().flatten();
        assert_eq!(read.as_ref(), Some(&message), "what is read is written so that it reads the same");
        let wants = message.wantlist.iter().flat_map(|list| list.entries.iter().map(|entry| &entry.cid));
        for cid in wants.chain(message.presences.iter().map(|presence| &presence.cid)) {
            if let Some((cid, digest)) = read_cid(cid) {
                assert_eq!(cid.hash().digest(), digest.0, "a digest is the one of its CID");
            }
        }
    }
}

/// A manifest block.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::decode(bytes) {
        assert!(manifest.block_count() >= 1, "a dataset has a block");
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest), "a manifest is written as it is read");
    }
}

/// An inner node of a tree.
pub fn tree(bytes: &[u8]) {
    let Some(children) = Children::parse(bytes) else { return };
    let right = children.right.unwrap_or(Digest([0; 32]));
    assert_eq!(bytes.split_last().map(|(_, digests)| digests), Some([children.left.0, right.0].concat().as_slice()));
    let key = u8::from(children.are_leaves) + if children.right.is_none() { 2 } else { 0 };
    assert_eq!(bytes.last(), Some(&key), "the key says what the children are");
}

/// A stream of payment messages, and the same bytes as the terms of a promise that is rightly signed.
pub fn pay(bytes: &[u8]) {
    let [payer, payee] = [1, 2].map(|seed| Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes are a seed"));
    let [from, to] = [&payer, &payee].map(|key| key.public().to_peer_id());
    let mut stream = bytes;
    while let Ok(Some(message)) = block_on(frame::read::<PayMessage>(&mut stream, MAX_PAY_BYTES)) {
        if let Some(promise) = message.promise {
            assert!(verify(&promise, from, to, 7).is_err(), "nobody signs for a key that he does not have");
        }
    }
    let Ok(mut terms) = PromiseTerms::decode(bytes) else { return };
    let rightly = |terms: &PromiseTerms| {
        let promise = sign(&payer, terms).expect("an ed25519 key signs");
        verify(&promise, from, to, 7).ok()
    };
    let ours = terms.payer == from.to_bytes() && terms.payee == to.to_bytes() && terms.session == 7;
    assert_eq!(rightly(&terms).is_some(), ours, "a promise counts between two peers in one session");
    (terms.payer, terms.payee, terms.session) = (from.to_bytes(), to.to_bytes(), 7);
    assert_eq!(rightly(&terms), Some(terms), "a promise is written as it is read");
}

/// A Range header, after eight bytes of the content's size.
pub fn range(bytes: &[u8]) {
    let Some((size, header)) = bytes.split_first_chunk::<8>() else { return };
    let size = u64::from_le_bytes(*size);
    let Ok(header) = std::str::from_utf8(header) else { return };
    if let Wanted::Part(part) = parse(Some(header), size) {
        assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
    }
}

/// A CID, as text and as the bytes of the wire.
pub fn cid(bytes: &[u8]) {
    if let Some((cid, digest)) = read_cid(bytes) {
        assert_eq!(parse_cid(&cid_text(&cid)), Ok((cid, digest)), "a CID reads as it prints");
    }
    if let Some(read) = std::str::from_utf8(bytes).ok().and_then(|text| parse_cid(text).ok()) {
        assert_eq!(parse_cid(&cid_text(&read.0)), Ok(read), "a CID reads as it prints");
    }
}

/// A histogram of a report.
pub fn histogram(bytes: &[u8]) {
    if let Ok(histogram) = peermark_core::Histogram::decode(bytes) {
        assert_eq!(histogram.encode(), bytes, "there is one encoding");
    }
}

#[cfg(test)]
mod tests;
