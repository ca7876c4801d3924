//! The other process of an exchange benchmark: serves 64 KiB blocks over plain TCP, over one libp2p stream, or as a node.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::core::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use peermark_core::{ByteSize, Seed};
use peermark_node::content::digest_of;
use peermark_node::{Node, NodeConfig, StoreKind};
use rand::Rng;
use tokio::net::TcpListener;

use crate::BenchError;
use crate::stream::{self, Dialogue};

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;

/// Different blocks; more than any cache of a CPU holds.
pub(crate) const BLOCKS: u64 = 1024;

/// What the peer serves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerKind {
    /// Plain TCP: a block number in, a block out.
    Tcp,
    /// The same dialogue on one libp2p stream over TCP, Noise and Yamux.
    Stream,
    /// A node of ours, by Bitswap.
    Bitswap,
    /// Forty monitors.
    Monitors,
}

impl PeerKind {
    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Stream => "stream",
            Self::Bitswap => "bitswap",
            Self::Monitors => "monitors",
        }
    }
}

/// The blocks of the benchmark.
pub(crate) fn block(number: u64) -> Bytes {
    let mut bytes = vec![0; BLOCK_BYTES];
    Seed(0x70_6d).stream_at("bench.exchange", number).fill_bytes(&mut bytes);
    bytes.into()
}

/// Serves until the process is stopped. Prints its address as one line.
///
/// # Errors
/// [`BenchError`] when it cannot listen.
pub async fn serve(kind: PeerKind, data: &Path) -> Result<(), BenchError> {
    match kind {
        PeerKind::Tcp => serve_tcp().await,
        PeerKind::Stream => serve_stream().await,
        PeerKind::Bitswap => serve_node(data).await,
        PeerKind::Monitors => crate::monitor::serve_fleet(data).await,
    }
}

pub(crate) fn announce(line: &str) -> Result<(), BenchError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(BenchError::io("announcing the peer"))
}

async fn serve_tcp() -> Result<(), BenchError> {
    let blocks: Vec<Bytes> = (0..BLOCKS).map(block).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(BenchError::io("listening"))?;
    announce(&listener.local_addr().map_err(BenchError::io("listening"))?.to_string())?;
    loop {
        let (socket, _) = listener.accept().await.map_err(BenchError::io("accepting"))?;
        socket.set_nodelay(true).map_err(BenchError::io("accepting"))?;
        let blocks = blocks.clone();
        tokio::spawn(async move { answer(&mut stream::compat(socket), &blocks).await });
    }
}

async fn serve_stream() -> Result<(), BenchError> {
    let blocks: Vec<Bytes> = (0..BLOCKS).map(block).collect();
    let (mut swarm, dialogue) = stream::swarm()?;
    let address = "/ip4/127.0.0.1/tcp/0".parse().map_err(|error| BenchError::subject("listening", error))?;
    swarm.listen_on(address).map_err(|error| BenchError::subject("listening", error))?;
    let Dialogue { mut inbound, .. } = dialogue;
    loop {
        tokio::select! {
            event = swarm.select_next_some() => if let SwarmEvent::NewListenAddr { address, .. } = event {
                let peer = *swarm.local_peer_id();
                announce(&address.with(Protocol::P2p(peer)).to_string())?;
            },
            Some(mut stream) = inbound.recv() => {
                let blocks = blocks.clone();
                tokio::spawn(async move { answer(&mut stream, &blocks).await });
            }
        }
    }
}

/// Answers block numbers (8 bytes, big-endian) with blocks until the other side closes.
async fn answer<S>(stream: &mut S, blocks: &[Bytes]) -> std::io::Result<()>
where
    S: futures::AsyncRead + futures::AsyncWrite + Unpin,
{
    loop {
        let mut number = [0; 8];
        stream.read_exact(&mut number).await?;
        let index = u64::from_be_bytes(number) % BLOCKS;
        stream.write_all(&blocks[index as usize]).await?;
        stream.flush().await?;
    }
}

async fn serve_node(data: &Path) -> Result<(), BenchError> {
    let node =
        Node::start(node_config(data), None).await.map_err(|error| BenchError::subject("starting a node", error))?;
    for number in 0..BLOCKS {
        let bytes = block(number);
        let kept = node.exchange().blocks().keep(digest_of(&bytes), bytes, None).await;
        kept.map_err(|error| BenchError::subject("storing blocks", error))?;
    }
    let address =
        node.addresses().first().cloned().ok_or_else(|| BenchError::subject("starting a node", "no address"))?;
    announce(&address.with(Protocol::P2p(node.peer_id())).to_string())?;
    std::future::pending().await
}

/// A node that holds the benchmark's blocks in its memory cache.
pub(crate) fn node_config(data: &Path) -> NodeConfig {
    NodeConfig {
        data: data.to_owned(),
        api: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("a valid multiaddr")],
        store: StoreKind::Memory,
        quota: ByteSize(256 << 20),
        cache: ByteSize(128 << 20),
        dht_protocol: "/peermark/bench/kad/1.0.0".into(),
        ..NodeConfig::default()
    }
}
