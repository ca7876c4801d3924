//! Bitswap's protobuf messages. Field numbers are those of `/ipfs/bitswap/1.2.0`.

use bytes::Bytes;
use cid::Cid;
use prost::{Enumeration, Message as ProtobufMessage};

use crate::content::Digest;

/// Largest message that is read. Kubo sends up to 4 MiB.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Entries, blocks and presences of one message together; more is refused.
pub(crate) const MAX_ITEMS: usize = 8192;

/// A message: wants, blocks and presences in any combination.
#[derive(Clone, PartialEq, ProtobufMessage)]
pub(crate) struct Message {
    #[prost(message, optional, tag = "1")]
    pub(crate) wantlist: Option<Wantlist>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) payload: Vec<Block>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) presences: Vec<Presence>,
    #[prost(int32, tag = "5")]
    pub(crate) pending_bytes: i32,
}

#[derive(Clone, PartialEq, ProtobufMessage)]
pub(crate) struct Wantlist {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<Entry>,
    #[prost(bool, tag = "2")]
    pub(crate) full: bool,
}

#[derive(Clone, PartialEq, ProtobufMessage)]
pub(crate) struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) cid: Bytes,
    #[prost(int32, tag = "2")]
    pub(crate) priority: i32,
    #[prost(bool, tag = "3")]
    pub(crate) cancel: bool,
    #[prost(enumeration = "WantType", tag = "4")]
    pub(crate) want_type: i32,
    #[prost(bool, tag = "5")]
    pub(crate) send_dont_have: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
pub(crate) enum WantType {
    Block = 0,
    Have = 1,
}

/// A block with the part of its CID that its bytes do not tell: version, codec, hash function and length.
#[derive(Clone, PartialEq, ProtobufMessage)]
pub(crate) struct Block {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) prefix: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) data: Bytes,
}

#[derive(Clone, PartialEq, ProtobufMessage)]
pub(crate) struct Presence {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) cid: Bytes,
    #[prost(enumeration = "PresenceType", tag = "2")]
    pub(crate) presence: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
pub(crate) enum PresenceType {
    Have = 0,
    DontHave = 1,
}

impl Message {
    /// Entries, blocks and presences together.
    pub(crate) fn items(&self) -> usize {
        let entries = self.wantlist.as_ref().map_or(0, |list| list.entries.len());
        entries + self.payload.len() + self.presences.len()
    }
}

impl Entry {
    /// A want for a block or for the word that it is there; the peer is asked to say when it is not.
    pub(crate) fn want(cid: &Cid, want_type: WantType) -> Self {
        Self {
            cid: cid.to_bytes().into(),
            priority: 1,
            cancel: false,
            want_type: want_type as i32,
            send_dont_have: true,
        }
    }

    /// Takes a want back.
    pub(crate) fn cancel(cid: &Cid) -> Self {
        Self { cid: cid.to_bytes().into(), priority: 0, cancel: true, want_type: 0, send_dont_have: false }
    }
}

impl Block {
    /// A block under the CID that it was asked by.
    pub(crate) fn new(cid: &Cid, data: Bytes) -> Self {
        let mut prefix = Vec::with_capacity(8);
        let mut buffer = unsigned_varint::encode::u64_buffer();
        let hash = cid.hash();
        for number in [u64::from(cid.version()), cid.codec(), hash.code(), u64::from(hash.size())] {
            prefix.extend_from_slice(unsigned_varint::encode::u64(number, &mut buffer));
        }
        Self { prefix: prefix.into(), data }
    }
}

impl Presence {
    pub(crate) fn new(cid: &Cid, presence: PresenceType) -> Self {
        Self { cid: cid.to_bytes().into(), presence: presence as i32 }
    }
}

/// Reads a CID of the wire; `None` for what this node cannot serve.
pub(crate) fn read_cid(bytes: &[u8]) -> Option<(Cid, Digest)> {
    let cid = Cid::try_from(bytes).ok()?;
    let digest = Digest::of_cid(&cid).ok()?;
    Some((cid, digest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::content::{BLOCK_CODEC, block_cid};

    #[test]
    fn wire_bytes_are_those_of_the_protocol() {
        let cid = block_cid(BLOCK_CODEC, b"x");
        let entry = Entry::want(&cid, WantType::Have);
        let message = Message {
            wantlist: Some(Wantlist { entries: vec![entry], full: false }),
            payload: vec![Block::new(&cid, Bytes::from_static(b"x"))],
            presences: vec![Presence::new(&cid, PresenceType::DontHave)],
            pending_bytes: 0,
        };
        let bytes = message.encode_to_vec();
        // wantlist{entry{cid(38), priority 1, wantType 1, sendDontHave}} · payload{prefix, data} · presence{cid, DontHave}
        assert_eq!(bytes[..6], [0x0a, 0x30, 0x0a, 0x2e, 0x0a, 0x26]);
        let hash = [0x12, 0x20];
        let payload = [0x1a, 0x0b, 0x0a, 0x06, 0x01, 0x82, 0x9a, 0x03, hash[0], hash[1], 0x12, 0x01, b'x'];
        assert!(bytes.windows(payload.len()).any(|window| window == payload));
        assert_eq!(Message::decode(bytes.as_slice()).unwrap(), message);
    }

    proptest! {
        #[test]
        fn decoding_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = Message::decode(bytes.as_slice()) {
                for presence in &message.presences {
                    let _ = read_cid(&presence.cid);
                }
            }
        }
    }
}
