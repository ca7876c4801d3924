//! `exchange.*`: 64 KiB blocks from one process to another, 32 in flight, every block hashed by the receiver.
//!
//! Subject: Bitswap between two nodes of ours ([`peermark_node::bitswap::Exchange::fetch_from`]). References, in the same rounds:
//! plain TCP, and one long libp2p stream over TCP, Noise and Yamux; both send block numbers and hash what comes with the same
//! SHA-256. Blocks come from memory on all three. The other process is this product's own binary.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use peermark_core::Clock;
use peermark_node::Node;
use peermark_node::content::{BLOCK_CODEC, digest_of};
use peermark_probe::clock::MonotonicClock;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::peer::{BLOCK_BYTES, BLOCKS, PeerKind, block, node_config};
use crate::{BenchError, Figure, Hold, stream};

const WINDOW: usize = 32;
const ROUNDS: usize = 5;

/// Blocks of one measurement: about 130 MB.
const BLOCKS_PER_ROUND: u64 = 2048;

/// Single blocks of one round, one after the other.
const IDLE_BLOCKS: u64 = 200;

/// A peer process; stops when dropped.
struct Peer {
    address: String,
    _process: Child,
}

/// Runs the benchmark. `program` is this product's binary, `scratch` a directory that may be written.
///
/// # Errors
/// [`BenchError`] when a process, socket or node fails.
pub async fn exchange(program: &Path, scratch: &Path) -> Result<Vec<Figure>, BenchError> {
    let tcp = start(program, scratch, PeerKind::Tcp).await?;
    let long = start(program, scratch, PeerKind::Stream).await?;
    let bitswap = start(program, scratch, PeerKind::Bitswap).await?;
    let node = Node::start(node_config(&scratch.join("client")), None).await;
    let node = node.map_err(|error| BenchError::subject("starting a node", error))?;
    let peer = connect(&node, &bitswap.address).await?;
    let (mut plain, mut streamed, mut subject, mut idle) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let clock = MonotonicClock::new();
    // The first round warms caches, congestion windows and the allocator; it is not counted.
    for round in 0..=ROUNDS {
        let rates = [
            over_tcp(&tcp.address, &clock).await?,
            over_stream(&long.address, &clock).await?,
            over_bitswap(&node, peer, WINDOW, BLOCKS_PER_ROUND, &clock).await?.0,
        ];
        let (_, latencies) = over_bitswap(&node, peer, 1, IDLE_BLOCKS, &clock).await?;
        if round > 0 {
            plain.push(rates[0]);
            streamed.push(rates[1]);
            subject.push(rates[2]);
            idle.push(crate::figure::median(&latencies));
        }
    }
    node.shutdown().await;
    Ok(vec![
        Figure::of_ratio(
            "exchange.ratio_tcp_hashed",
            "blocks/s",
            &subject,
            ("plain TCP that hashes the same blocks", &plain),
            Hold::AtLeast(0.30),
        ),
        Figure::of_ratio(
            "exchange.ratio_stream_hashed",
            "blocks/s",
            &subject,
            ("one long libp2p stream that hashes them", &streamed),
            Hold::AtLeast(0.65),
        ),
        Figure::of_values("exchange.p50_idle_ms", "ms", &idle, Hold::AtMost(1.0)),
    ])
}

async fn start(program: &Path, scratch: &Path, kind: PeerKind) -> Result<Peer, BenchError> {
    let mut process = Command::new(program)
        .args(["bench", "--peer", kind.as_str(), "--scratch"])
        .arg(scratch.join(kind.as_str()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(BenchError::io("starting a peer process"))?;
    let stdout = process.stdout.take().ok_or_else(|| BenchError::subject("starting a peer process", "no stdout"))?;
    let mut address = String::new();
    BufReader::new(stdout).read_line(&mut address).await.map_err(BenchError::io("reading a peer's address"))?;
    if address.trim().is_empty() {
        return Err(BenchError::subject("starting a peer process", "it ended without an address"));
    }
    Ok(Peer { address: address.trim().to_owned(), _process: process })
}

async fn connect(node: &Node, address: &str) -> Result<PeerId, BenchError> {
    let address: Multiaddr = address.parse().map_err(|error| BenchError::subject("reading a peer's address", error))?;
    let peer = address.iter().find_map(|part| if let Protocol::P2p(peer) = part { Some(peer) } else { None });
    let peer = peer.ok_or_else(|| BenchError::subject("reading a peer's address", "no peer id"))?;
    let dialled = node.network().dial(peer, vec![address], true).await;
    dialled.map_err(|error| BenchError::subject("connecting nodes", error))?;
    Ok(peer)
}

async fn over_tcp(address: &str, clock: &MonotonicClock) -> Result<f64, BenchError> {
    let socket = tokio::net::TcpStream::connect(address).await.map_err(BenchError::io("connecting"))?;
    socket.set_nodelay(true).map_err(BenchError::io("connecting"))?;
    dialogue(stream::compat(socket), clock).await
}

async fn over_stream(address: &str, clock: &MonotonicClock) -> Result<f64, BenchError> {
    let (mut swarm, mut streams) = stream::swarm()?;
    let address: Multiaddr = address.parse().map_err(|error| BenchError::subject("reading a peer's address", error))?;
    swarm.dial(address).map_err(|error| BenchError::subject("connecting", error))?;
    let driver = tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let opened = tokio::time::timeout(Duration::from_secs(10), streams.outbound.recv()).await;
    let stream = opened.ok().flatten().ok_or_else(|| BenchError::subject("connecting", "no stream within 10 s"))?;
    let rate = dialogue(stream, clock).await;
    driver.abort();
    rate
}

/// Asks for blocks by number, keeps [`WINDOW`] of them in flight, hashes what comes.
async fn dialogue<S>(stream: S, clock: &MonotonicClock) -> Result<f64, BenchError>
where
    S: futures::AsyncRead + futures::AsyncWrite + Unpin,
{
    let failed = BenchError::io("exchanging blocks");
    let (mut reader, mut writer) = stream.split();
    let mut buffer = vec![0; BLOCK_BYTES];
    let started = clock.now_ns();
    let mut asked = 0u64;
    let mut sum = 0u64;
    for received in 0..BLOCKS_PER_ROUND {
        let mut ask = Vec::new();
        while asked < BLOCKS_PER_ROUND && asked < received + WINDOW as u64 {
            ask.extend_from_slice(&(asked % BLOCKS).to_be_bytes());
            asked += 1;
        }
        if !ask.is_empty() {
            writer.write_all(&ask).await.map_err(&failed)?;
            writer.flush().await.map_err(&failed)?;
        }
        reader.read_exact(&mut buffer).await.map_err(&failed)?;
        sum = sum.wrapping_add(u64::from(digest_of(&buffer).0[0]));
    }
    std::hint::black_box(sum);
    Ok(BLOCKS_PER_ROUND as f64 * 1e9 / (clock.now_ns() - started) as f64)
}

/// Blocks per second, and the latency of each in milliseconds.
async fn over_bitswap(
    node: &Node,
    peer: PeerId,
    window: usize,
    blocks: u64,
    clock: &MonotonicClock,
) -> Result<(f64, Vec<f64>), BenchError> {
    let cids: Vec<_> = (0..blocks.min(BLOCKS)).map(|number| digest_of(&block(number)).cid(BLOCK_CODEC)).collect();
    let started = clock.now_ns();
    let fetches = (0..blocks).map(|number| {
        let cid = cids[(number % BLOCKS) as usize];
        async move {
            let asked = clock.now_ns();
            let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
            let bytes = node.exchange().fetch_from(peer, cid, deadline).await;
            let bytes = bytes.map_err(|error| BenchError::subject("fetching a block", error))?;
            debug_assert_eq!(bytes.len(), BLOCK_BYTES);
            Ok::<f64, BenchError>((clock.now_ns() - asked) as f64 / 1e6)
        }
    });
    let mut results = futures::stream::iter(fetches).buffer_unordered(window);
    let mut latencies = Vec::with_capacity(blocks as usize);
    while let Some(latency) = results.next().await {
        latencies.push(latency?);
    }
    Ok((blocks as f64 * 1e9 / (clock.now_ns() - started) as f64, latencies))
}
