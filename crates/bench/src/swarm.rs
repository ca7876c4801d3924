//! `swarm.*` and `idle.*`: fifty node processes, as the lab starts them.
//!
//! Swarm: every node holds distinct files of 64 KiB blocks; then every node fetches files that it lacks, several at a time, and
//! stores them. What counts are data blocks that the receivers verified by hash, told by their bytes, from the first fetch to the
//! last. Idle: the same network 20 s after it became ready, with nothing to do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use peermark_core::{Clock, Seed};
use peermark_lab::launch::{Blueprint, Lease};
use peermark_lab::run::BareNetwork;
use peermark_lab::scenario::{Nodes, Scenario, Workload};
use peermark_node::client::{NodeClient, RequestBody, Upload};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::host::{HostSampler, ProcessSampler};
use rand::Rng;
use serde::Deserialize;

use crate::figure::median;
use crate::{BenchError, Figure, Hold};

/// Nodes of the network.
const NODES: u32 = 50;

/// Bytes of a data block.
const BLOCK_BYTES: u64 = 64 << 10;

/// Data blocks of one file.
const BLOCKS_PER_FILE: u64 = 32;

/// Files that each node holds, one per round.
const ROUNDS: usize = 5;

/// Longest wait for the announcements of the uploads.
const QUIET_PATIENCE: Duration = Duration::from_secs(20);

/// Busy share of the host below which nothing of them is left.
const QUIET_BUSY: f64 = 0.2;

/// Nodes that fetch at the same time. More would only queue for two cores.
const PARALLEL: usize = 16;

/// After the network became ready, before idle figures are taken.
const SETTLE: Duration = Duration::from_secs(20);

/// How long idle figures are taken.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counters {
    bytes_received: u64,
}

/// Blocks per second of a swarm, counted at the receivers.
///
/// # Errors
/// [`BenchError`] when the network does not come up or a file does not arrive.
pub async fn swarm(program: &Path, scratch: &Path) -> Result<Vec<Figure>, BenchError> {
    let network = start(program, scratch, "swarm").await?;
    let measured = measure_swarm(&network).await;
    network.stop().await;
    Ok(vec![measured?])
}

async fn measure_swarm(network: &BareNetwork) -> Result<Figure, BenchError> {
    let clients = network.clients();
    let clock = MonotonicClock::new();
    let mut rates = Vec::new();
    let mut uploaded = Vec::new();
    for round in 0..=ROUNDS {
        uploaded.push(upload(&clients, round as u64).await?);
    }
    wait_until_quiet().await;
    for (round, files) in uploaded.into_iter().enumerate() {
        let before = received(&clients).await?;
        let started = clock.now_ns();
        fetch(&clients, &files).await?;
        let seconds = (clock.now_ns() - started) as f64 / 1e9;
        let blocks = (received(&clients).await? - before) / BLOCK_BYTES;
        let wanted = files.len() as u64 * BLOCKS_PER_FILE;
        if blocks < wanted {
            return Err(BenchError::subject("fetching files", format!("{blocks} of {wanted} blocks were received")));
        }
        // The first round opens connections; it is not counted.
        if round > 0 {
            rates.push(wanted as f64 / seconds);
        }
    }
    let mut figure = Figure::of_values("swarm.blocks_per_s", "blocks/s", &rates, Hold::AtLeast(2000.0));
    figure.reference = "seed: 100-500 blocks/s aggregate; reach 4,000".into();
    figure.notes.push(format!("{NODES} nodes, {} connections", network.connections().await));
    Ok(figure)
}

/// Waits until the uploads are announced: until the host has little to do, at most [`QUIET_PATIENCE`].
async fn wait_until_quiet() {
    let mut host = HostSampler::start();
    let until = tokio::time::Instant::now() + QUIET_PATIENCE;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if host.look().busy < QUIET_BUSY {
            return;
        }
    }
}

/// One new file on every node.
async fn upload(clients: &[Arc<NodeClient>], round: u64) -> Result<Vec<String>, BenchError> {
    let uploads = clients.iter().enumerate().map(|(node, client)| {
        let client = client.clone();
        async move {
            let mut bytes = vec![0; (BLOCK_BYTES * BLOCKS_PER_FILE) as usize];
            Seed(round).stream_at("bench.swarm", node as u64).fill_bytes(&mut bytes);
            let upload = Upload::new(RequestBody::bytes(Bytes::from(bytes)));
            client.upload(upload).await.map_err(|error| BenchError::subject("uploading a file", error))
        }
    });
    stream::iter(uploads).buffered(PARALLEL).try_collect().await
}

/// Every node fetches the file of the node after it to the end.
async fn fetch(clients: &[Arc<NodeClient>], files: &[String]) -> Result<(), BenchError> {
    let fetches = clients.iter().enumerate().map(|(node, client)| {
        let (client, cid) = (client.clone(), files[(node + 1) % files.len()].clone());
        async move {
            let mut drop_bytes = |_: &[u8]| std::ops::ControlFlow::Continue(());
            let fetched = client.fetch_network(&cid, &mut drop_bytes).await;
            fetched.map(drop).map_err(|error| BenchError::subject("fetching a file", error))
        }
    });
    stream::iter(fetches).buffer_unordered(PARALLEL).try_collect().await
}

async fn received(clients: &[Arc<NodeClient>]) -> Result<u64, BenchError> {
    let mut sum = 0;
    for client in clients {
        let counters: Counters = client
            .get_json("/api/v1/exchange")
            .await
            .map_err(|error| BenchError::subject("reading counters", error))?;
        sum += counters.bytes_received;
    }
    Ok(sum)
}

/// What a node costs that has nothing to do.
///
/// # Errors
/// [`BenchError`] when the network does not come up.
pub async fn idle(program: &Path, scratch: &Path) -> Result<Vec<Figure>, BenchError> {
    let network = start(program, scratch, "idle").await?;
    tokio::time::sleep(SETTLE).await;
    let samplers: Vec<ProcessSampler> = network.pids().into_iter().filter_map(ProcessSampler::start).collect();
    let clock = MonotonicClock::new();
    let cpu =
        || -> Vec<f64> { samplers.iter().filter_map(ProcessSampler::look).map(|usage| usage.cpu_seconds).collect() };
    let (before, started) = (cpu(), clock.now_ns());
    tokio::time::sleep(IDLE).await;
    let (after, seconds) = (cpu(), (clock.now_ns() - started) as f64 / 1e9);
    let ratios: Vec<f64> = after.iter().zip(&before).map(|(after, before)| (after - before) / seconds).collect();
    // The kernel counts in ticks of 10 ms; the mean over fifty nodes is finer than that, a node's own figure is not.
    let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    let private: Vec<f64> =
        samplers.iter().filter_map(|sampler| sampler.look()?.private_bytes).map(|bytes| bytes as f64).collect();
    let connections = network.connections().await;
    let mut scrapes = Vec::new();
    for client in network.clients() {
        let page = client.metrics().await.map_err(|error| BenchError::subject("scraping metrics", error))?;
        scrapes.push(page.len() as f64);
    }
    network.stop().await;
    let mut memory = Figure::of_values("idle.private_bytes", "bytes", &private, Hold::AtMost(f64::from(15u32 << 20)));
    memory.reference = "seed: 50-100 MB".into();
    memory.notes.push(format!("{} nodes, {connections} connections, 20 s after ready", private.len()));
    let mut cpu = Figure::of_values("idle.cpu_ratio", "cores", &[mean], Hold::AtMost(0.003));
    cpu.reference = "seed: < 5 %".into();
    cpu.rounds = ratios.len();
    let mut scrape = Figure::of_values("idle.scrape_bytes", "bytes", &scrapes, Hold::None);
    scrape.reference = format!("seed: ~1 KB/s at a scrape every 5 s; this is {:.0} B/s", median(&scrapes) / 5.0);
    Ok(vec![memory, cpu, scrape])
}

async fn start(program: &Path, scratch: &Path, name: &str) -> Result<BareNetwork, BenchError> {
    let scenario = Scenario {
        nodes: Nodes { count: NODES, marketplace_share: 0.0, ..Nodes::default() },
        ..Workload::Load.scenario()
    };
    let seed = Seed(7);
    let directory = scratch.join(name);
    let blueprint = Blueprint::new(&scenario, seed, &format!("bench-{name}-{}", std::process::id()), &directory);
    let started = BareNetwork::start(program, blueprint, Lease::Leased, seed).await;
    started.map_err(|error| BenchError::subject("starting fifty nodes", error))
}
