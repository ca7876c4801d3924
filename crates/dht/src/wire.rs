//! Messages of the libp2p Kademlia protocol: protobuf behind an unsigned varint of their length.
//!
//! Source: the libp2p Kademlia specification, message `Message`. Values are not looked up here, so the record member is left out:
//! protobuf skips what it does not know.

use futures::{AsyncRead, AsyncReadExt};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use prost::Message as _;
use thiserror::Error;

/// Largest message that is read. Go's limit is 4 MiB; libp2p's Rust default of 16 KiB is less than what peers of large networks
/// answer (26 to 43 KB seen).
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Most peers of one answer that are looked at; correct peers send 20.
const MAX_PEERS: usize = 256;

/// Most addresses of one peer that are kept.
const MAX_ADDRESSES: usize = 16;

/// Longest address that is kept; certificate hashes of WebTransport make the longest real ones, about 150 bytes.
const MAX_ADDRESS_BYTES: usize = 256;

const ADD_PROVIDER: i32 = 2;
const GET_PROVIDERS: i32 = 3;
const FIND_NODE: i32 = 4;

/// Of `Peer.connection`: the sender is connected to the peer.
const CONNECTED: i32 = 1;

#[derive(Clone, PartialEq, prost::Message)]
struct Message {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
    #[prost(message, repeated, tag = "8")]
    closer: Vec<Peer>,
    #[prost(message, repeated, tag = "9")]
    providers: Vec<Peer>,
    #[prost(int32, tag = "10")]
    cluster_level: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Peer {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    addresses: Vec<Vec<u8>>,
    #[prost(int32, tag = "3")]
    connection: i32,
}

/// Why bytes are no answer.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    /// The stream ended or failed.
    #[error("read an answer")]
    Io(#[from] std::io::Error),
    /// The length prefix is no varint or above the limit.
    #[error("an answer of more than {MAX_MESSAGE_BYTES} bytes or without a length")]
    Length,
    /// No protobuf.
    #[error("a malformed answer")]
    Malformed,
    /// An answer to another question.
    #[error("an answer of type {found} where {expected} was asked")]
    Kind {
        /// What came.
        found: i32,
        /// What was asked.
        expected: i32,
    },
}

/// A peer and where it may be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerAddresses {
    /// Who.
    pub(crate) peer: PeerId,
    /// Where, as far as is known.
    pub(crate) addresses: Vec<Multiaddr>,
}

/// What a peer answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Peers nearer to the key.
    pub(crate) closer: Vec<PeerAddresses>,
    /// Providers of the key.
    pub(crate) providers: Vec<PeerAddresses>,
    /// Bytes on the wire, length prefix left out.
    pub(crate) bytes: usize,
}

/// A question, framed.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The bytes to write; of a record that is to be confirmed, two messages one behind the other.
    pub(crate) bytes: Vec<u8>,
    /// Type of the answer; `None` where there is none.
    pub(crate) answer: Option<i32>,
}

impl Question {
    /// Who is closest to `key`?
    pub(crate) fn find_node(key: &[u8]) -> Self {
        Self { bytes: frame(&request(FIND_NODE, key)), answer: Some(FIND_NODE) }
    }

    /// Who provides `key`, and who is closest to it?
    pub(crate) fn get_providers(key: &[u8]) -> Self {
        Self { bytes: frame(&request(GET_PROVIDERS, key)), answer: Some(GET_PROVIDERS) }
    }

    /// `provider` provides `key`. With `confirm` a question follows on the same stream, so that its answer shows that the record
    /// was processed: peers take the messages of a stream in their order.
    pub(crate) fn add_provider(key: &[u8], provider: &PeerAddresses, confirm: bool) -> Self {
        let addresses = provider.addresses.iter().map(Multiaddr::to_vec).collect();
        let peer = Peer { id: provider.peer.to_bytes(), addresses, connection: CONNECTED };
        let mut bytes = frame(&Message { providers: vec![peer], ..request(ADD_PROVIDER, key) });
        if confirm {
            bytes.extend(frame(&request(GET_PROVIDERS, key)));
        }
        Self { bytes, answer: confirm.then_some(GET_PROVIDERS) }
    }
}

fn request(kind: i32, key: &[u8]) -> Message {
    Message { kind, key: key.to_vec(), closer: Vec::new(), providers: Vec::new(), cluster_level: 0 }
}

fn frame(message: &Message) -> Vec<u8> {
    message.encode_length_delimited_to_vec()
}

/// Reads one answer of the type that was asked for.
pub(crate) async fn read_answer(stream: &mut (impl AsyncRead + Unpin), expected: i32) -> Result<Answer, WireError> {
    let length = read_length(stream).await?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    decode_answer(&bytes, expected)
}

async fn read_length(stream: &mut (impl AsyncRead + Unpin)) -> Result<usize, WireError> {
    let mut length = 0_usize;
    // Four groups of seven bits hold every length that is allowed.
    for shift in [0, 7, 14, 21] {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        length |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return if length <= MAX_MESSAGE_BYTES { Ok(length) } else { Err(WireError::Length) };
        }
    }
    Err(WireError::Length)
}

/// Reads the bytes of one answer. Peers and addresses that cannot be read are left out: one bad entry must not hide the others.
/// Entries beyond the bounds are passed over before memory is taken for them.
pub(crate) fn decode_answer(bytes: &[u8], expected: i32) -> Result<Answer, WireError> {
    let mut answer = Answer { bytes: bytes.len(), ..Answer::default() };
    let mut kind = 0;
    for field in Fields(bytes) {
        match field? {
            (1, Value::Number(number)) => kind = number as i32,
            (8, Value::Bytes(bytes)) if answer.closer.len() < MAX_PEERS => answer.closer.extend(peer(bytes)?),
            (9, Value::Bytes(bytes)) if answer.providers.len() < MAX_PEERS => answer.providers.extend(peer(bytes)?),
            _ => {}
        }
    }
    if kind == expected { Ok(answer) } else { Err(WireError::Kind { found: kind, expected }) }
}

fn peer(bytes: &[u8]) -> Result<Option<PeerAddresses>, WireError> {
    let (mut id, mut addresses) = (None, Vec::new());
    for field in Fields(bytes) {
        match field? {
            (1, Value::Bytes(bytes)) => id = PeerId::from_bytes(bytes).ok(),
            (2, Value::Bytes(bytes)) if addresses.len() < MAX_ADDRESSES && bytes.len() <= MAX_ADDRESS_BYTES => {
                addresses.extend(Multiaddr::try_from(bytes.to_vec()));
            }
            _ => {}
        }
    }
    Ok(id.map(|peer| PeerAddresses { peer, addresses: distinct(addresses) }))
}

/// The fields of a protobuf message, one after the other, without a copy.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed width, which no field of ours has.
    Other,
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = unsigned_varint::decode::u64(self.0).ok()?;
        self.0 = rest;
        Some(number)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(WireError::Malformed))
    }
}

/// Addresses without the peer id at their end, each once: the same one twice would be dialled twice.
pub(crate) fn distinct(addresses: impl IntoIterator<Item = Multiaddr>) -> Vec<Multiaddr> {
    let mut distinct = Vec::new();
    for address in addresses {
        let bare: Multiaddr = address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
        if !distinct.contains(&bare) {
            distinct.push(bare);
        }
    }
    distinct
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answered(closer: Vec<Peer>) -> Vec<u8> {
        Message { closer, ..request(FIND_NODE, b"key") }.encode_to_vec()
    }

    #[test]
    fn questions_are_what_the_specification_says() {
        // Golden: type 4 (FIND_NODE), key "key"; length in front.
        assert_eq!(Question::find_node(b"key").bytes, [7, 0x08, 4, 0x12, 3, b'k', b'e', b'y']);
        assert_eq!(Question::get_providers(b"k").bytes, [5, 0x08, 3, 0x12, 1, b'k']);
        let provider =
            PeerAddresses { peer: PeerId::random(), addresses: vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()] };
        let bare = Question::add_provider(b"k", &provider, false);
        let confirmed = Question::add_provider(b"k", &provider, true);
        assert!(bare.answer.is_none());
        assert_eq!(confirmed.bytes, [bare.bytes, Question::get_providers(b"k").bytes].concat());
    }

    #[test]
    fn one_bad_peer_does_not_hide_the_others() {
        let good = PeerId::random();
        let bad_address = Peer { id: good.to_bytes(), addresses: vec![vec![0xff; 9]], connection: 0 };
        let bytes = answered(vec![Peer { id: vec![1, 2], addresses: vec![], connection: 9 }, bad_address]);
        let answer = decode_answer(&bytes, FIND_NODE).unwrap();
        assert_eq!(answer.closer, [PeerAddresses { peer: good, addresses: vec![] }]);
        assert!(matches!(decode_answer(&bytes, GET_PROVIDERS), Err(WireError::Kind { .. })));
    }

    #[test]
    fn what_is_too_much_is_passed_over() {
        let one = Peer { id: PeerId::random().to_bytes(), addresses: vec![vec![]; 100_000], connection: 0 };
        let answer = decode_answer(&answered(vec![one; 300]), FIND_NODE).unwrap();
        assert_eq!(answer.closer.len(), MAX_PEERS);
        assert!(answer.closer.iter().all(|peer| peer.addresses.len() <= MAX_ADDRESSES));
        let empty = [[0x42, 0].repeat(1 << 20), vec![0x08, 4]].concat();
        assert!(decode_answer(&empty, FIND_NODE).unwrap().closer.is_empty());
        for bad in [&[0x0f][..], &[0x12, 5, 1], &[0xff; 11], &[0x08]] {
            assert!(matches!(decode_answer(bad, FIND_NODE), Err(WireError::Malformed)), "{bad:?}");
        }
    }

    #[test]
    fn one_address_is_dialled_once() {
        let peer = PeerId::random();
        let bare: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let full = bare.clone().with(Protocol::P2p(peer));
        assert_eq!(distinct([bare.clone(), full, bare.clone()]), [bare]);
    }

    #[tokio::test]
    async fn lengths_beyond_the_limit_are_refused_before_anything_is_read() {
        for bad in [&[0xff, 0xff, 0xff, 0xff, 1][..], &[0x81, 0x80, 0x80, 0x02]] {
            let mut stream = futures::io::Cursor::new(bad);
            assert!(matches!(read_answer(&mut stream, FIND_NODE).await, Err(WireError::Length)));
        }
        let mut ended = futures::io::Cursor::new(&[5_u8, 1][..]);
        assert!(matches!(read_answer(&mut ended, FIND_NODE).await, Err(WireError::Io(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            drop(decode_answer(&bytes, FIND_NODE));
        }
    }
}
