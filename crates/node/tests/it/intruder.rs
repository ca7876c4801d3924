//! A peer that says what it likes: a swarm of its own with raw streams, and its own reading of the wire formats.

use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::identity::Keypair;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use libp2p_stream::{Control, IncomingStreams};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::fleet::Peer;
use crate::wait::DEADLINE;

pub(crate) const BITSWAP: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");

/// A peer connected to one node.
pub(crate) struct Intruder {
    pub(crate) key: Keypair,
    pub(crate) victim: PeerId,
    control: Control,
    swarm: AbortOnDropHandle<()>,
}

/// A Bitswap message.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Message {
    #[prost(message, optional, tag = "1")]
    pub(crate) wantlist: Option<Wantlist>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) payload: Vec<Block>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) presences: Vec<Presence>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Wantlist {
    #[prost(message, repeated, tag = "1")]
    pub(crate) entries: Vec<Entry>,
    #[prost(bool, tag = "2")]
    pub(crate) full: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Entry {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) cid: Vec<u8>,
    #[prost(int32, tag = "2")]
    pub(crate) priority: i32,
    #[prost(bool, tag = "3")]
    pub(crate) cancel: bool,
    /// 0 for the block, 1 for the word that it is there.
    #[prost(int32, tag = "4")]
    pub(crate) want_type: i32,
    #[prost(bool, tag = "5")]
    pub(crate) send_dont_have: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Block {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) prefix: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Presence {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) cid: Vec<u8>,
    /// 0 for have, 1 for dont-have.
    #[prost(int32, tag = "2")]
    pub(crate) presence: i32,
}

impl Message {
    pub(crate) fn wants(entries: Vec<Entry>) -> Self {
        Self { wantlist: Some(Wantlist { entries, full: false }), ..Self::default() }
    }

    /// A block as if it were one of the network's.
    pub(crate) fn block(data: &[u8]) -> Self {
        let prefix = vec![0x01, 0x82, 0x9a, 0x03, 0x12, 0x20];
        Self { payload: vec![Block { prefix, data: data.to_vec() }], ..Self::default() }
    }

    pub(crate) fn have(cid: &[u8]) -> Self {
        Self { presences: vec![Presence { cid: cid.to_vec(), presence: 0 }], ..Self::default() }
    }
}

impl Entry {
    pub(crate) fn block(cid: Vec<u8>) -> Self {
        Self { cid, priority: 1, cancel: false, want_type: 0, send_dont_have: true }
    }

    pub(crate) fn have(cid: Vec<u8>) -> Self {
        Self { want_type: 1, ..Self::block(cid) }
    }
}

impl Intruder {
    /// Connects over TCP.
    pub(crate) async fn connect(victim: &Peer) -> Self {
        let key = Keypair::generate_ed25519();
        let mut swarm = SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_tcp(tcp::Config::new().nodelay(true), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let control = swarm.behaviour().new_control();
        let address: Multiaddr = victim.address();
        swarm.dial(address).unwrap();
        while !matches!(in_time(swarm.select_next_some()).await, SwarmEvent::ConnectionEstablished { .. }) {}
        let swarm = AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        }));
        Self { key, victim: victim.id(), control, swarm }
    }

    pub(crate) fn id(&self) -> PeerId {
        self.key.public().to_peer_id()
    }

    /// Opens a stream towards the node. An open one keeps the connection.
    pub(crate) async fn open(&mut self, protocol: StreamProtocol) -> Stream {
        in_time(self.control.open_stream(self.victim, protocol)).await.unwrap()
    }

    /// From now on the node can open streams of this protocol towards the intruder.
    pub(crate) fn speak(&mut self, protocol: StreamProtocol) -> IncomingStreams {
        self.control.accept(protocol).unwrap()
    }

    /// Answers every want of the node with what `answer` makes of it, as raw bytes, on a stream of its own.
    pub(crate) async fn answer(&mut self, answer: impl Fn(&Entry) -> Vec<u8> + Send + 'static) {
        let mut incoming = self.speak(BITSWAP);
        let mut outgoing = self.open(BITSWAP).await;
        // Ends with the swarm, which owns the streams' connection.
        tokio::spawn(async move {
            let (_, mut stream) = incoming.next().await?;
            loop {
                let message: Message = read(&mut stream).await?;
                for entry in message.wantlist.unwrap_or_default().entries.iter().filter(|entry| !entry.cancel) {
                    outgoing.write_all(&answer(entry)).await.ok()?;
                    outgoing.flush().await.ok()?;
                }
            }
            #[expect(unreachable_code, reason = "names the type of the block")]
            None::<()>
        });
    }

    /// Goes without a word: its connections break.
    pub(crate) fn die(&self) {
        self.swarm.abort();
    }
}

/// A message with its length in front.
pub(crate) fn frame(message: &impl prost::Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_length_delimited(&mut bytes).unwrap();
    bytes
}

/// Writes without regard to whether the other side still listens.
pub(crate) async fn push(stream: &mut Stream, bytes: &[u8]) {
    if stream.write_all(bytes).await.is_ok() {
        drop(stream.flush().await);
    }
}

/// The next message; `None` when the stream ended.
pub(crate) async fn read<M: prost::Message + Default>(stream: &mut Stream) -> Option<M> {
    let mut length = Vec::new();
    let mut byte = [0];
    while length.last().is_none_or(|last| last & 0x80 != 0) {
        stream.read_exact(&mut byte).await.ok()?;
        length.push(byte[0]);
    }
    let length = prost::encoding::decode_varint(&mut length.as_slice()).unwrap();
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(M::decode(bytes.as_slice()).unwrap())
}

/// Whether the node closes a stream that was opened towards it. It never writes on one.
pub(crate) async fn closed_by_the_node(stream: &mut Stream) -> bool {
    let mut byte = [0];
    let read = timeout(DEADLINE, stream.read(&mut byte)).await;
    read.is_ok_and(|read| !matches!(read, Ok(1)))
}

/// A future that has to end.
pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it ends within the deadline of every wait")
}
