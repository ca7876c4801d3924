//! Keys and distances of Kademlia over libp2p.
//!
//! Source: the libp2p Kademlia specification. A point of the key space is the SHA-256 of a record's key or of a peer id's bytes;
//! the distance of two points is their XOR as a big-endian number of 256 bits.

use cid::Cid;
use libp2p::PeerId;
use multihash::Multihash;
use sha2::{Digest as _, Sha256};

/// multicodec of sha2-256 in a multihash.
const SHA2_256: u64 = 0x12;

/// What a provider record is about: the bytes of a multihash, whatever codec or version its CID had.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordKey(Vec<u8>);

/// A point of the key space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point([u8; 32]);

/// How far two points are from each other. Ordered: smaller is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Distance([u8; 32]);

impl RecordKey {
    /// The key of the content that a CID names.
    pub fn of_cid(cid: &Cid) -> Self {
        Self(cid.hash().to_bytes())
    }

    /// The key of bytes by their SHA-256, and the version 0 CID that parsec's scheduler computes for them.
    ///
    /// # Panics
    /// Never: a SHA-256 fits a multihash of 64 bytes.
    pub fn of_content(content: &[u8]) -> (Self, Cid) {
        let digest = Sha256::digest(content);
        let hash = Multihash::<64>::wrap(SHA2_256, &digest).expect("32 bytes fit 64");
        (Self(hash.to_bytes()), Cid::new_v0(hash).expect("sha2-256 has a version 0 CID"))
    }

    /// The multihash's bytes, as they travel in RPCs.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Where in the key space the record belongs.
    pub fn point(&self) -> Point {
        Point(Sha256::digest(&self.0).into())
    }
}

impl Point {
    /// Where in the key space a peer is.
    pub fn of_peer(peer: &PeerId) -> Self {
        Self(Sha256::digest(peer.to_bytes()).into())
    }

    /// A point as it is.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes, most significant first.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The distance to another point.
    pub fn distance(&self, other: &Self) -> Distance {
        Distance(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }
}

impl Distance {
    /// Leading bits that two points have in common: 0 for opposite halves of the key space, 256 for the same point.
    pub fn common_bits(&self) -> u16 {
        let zeros = self.0.iter().take_while(|byte| **byte == 0).count();
        let rest = self.0.get(zeros).map_or(0, |byte| byte.leading_zeros());
        (zeros * 8) as u16 + rest as u16
    }

    /// The distance as a share of the key space, 0 to 1, to the precision of a float.
    pub fn share(&self) -> f64 {
        self.0.iter().rev().fold(0.0, |low, byte| (low + f64::from(*byte)) / 256.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content, its version 0 CID and its version 1 raw CID, and both ends of its point of the key space.
    const GOLDEN: [(&[u8], &str, &str, &str, &str); 4] = [
        (
            b"",
            "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
            "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
            "6e4ab70c",
            "daadfe",
        ),
        (
            b"hello world",
            "QmaozNR7DZHQK1ZcU9p7QdrshMvXqWK6gpu5rmrkPdT3L4",
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
            "d323dcae",
            "2322c6",
        ),
        (
            &[0; 1024],
            "QmUmD9uZwGMd8VpJdVmiXSoBBwmGC8h7o5UmngSvLmZ7We",
            "bafkreic7oc7rriegabybn2kiwbfo2o4cca5dnpvec5k3nto7v4ikzy6g54",
            "6c7062fc",
            "2335ef",
        ),
        (
            &[1, 2, 255],
            "QmNgm5RRX5xnzn6q6yNavY4ocJpSqs9acgbMVypPQbMQ8d",
            "bafkreiafe3ioddvbtx5k3hlzczv6yhqy2yrb55vrqmbyl7u36zycf3k7sy",
            "950077f1",
            "ef42835",
        ),
    ];

    #[test]
    fn content_has_the_keys_that_parsec_computes() {
        for (content, v0, v1, begins, ends) in GOLDEN {
            let (key, cid) = RecordKey::of_content(content);
            assert_eq!(cid.to_string(), v0);
            for text in [v0, v1] {
                assert_eq!(RecordKey::of_cid(&text.parse().unwrap()), key, "{text}");
            }
            let hex: String = key.point().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(hex.starts_with(begins) && hex.ends_with(ends), "{hex}");
        }
    }

    #[test]
    fn distances_are_xor() {
        let zero = Point::from_bytes([0; 32]);
        let mut far = [0; 32];
        far[0] = 0x80;
        let mut near = [0; 32];
        near[31] = 1;
        let distance = |to: [u8; 32]| zero.distance(&Point::from_bytes(to));
        assert_eq!(distance([0; 32]).common_bits(), 256);
        assert_eq!(distance(far).common_bits(), 0);
        assert_eq!(distance(near).common_bits(), 255);
        assert!(distance(near) < distance(far));
        assert!((distance(far).share() - 0.5).abs() < 1e-12);
        assert!(distance([255; 32]).share() > 0.999_999);
    }
}
