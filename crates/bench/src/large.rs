//! `large.*`: a file of 1 GiB into one node and out through another, with memory looked at ten times a second.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use peermark_core::{Clock, Seed};
use peermark_lab::launch::{Blueprint, Lease};
use peermark_lab::run::BareNetwork;
use peermark_lab::scenario::{Nodes, Scenario, Workload};
use peermark_node::client::{ClientOptions, NodeClient, RequestBody, Upload};
use peermark_probe::clock::MonotonicClock;
use peermark_probe::host::ProcessSampler;
use peermark_probe::payload::Payload;

use crate::{BenchError, Figure, Hold};

const FILE_BYTES: u64 = 1 << 30;

/// Growth of private memory above idle that counts as flat.
const MAX_GROWTH_BYTES: f64 = 64.0 * 1024.0 * 1024.0;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Longest time for one direction.
const PATIENCE: Duration = Duration::from_secs(120);

/// Growth of both nodes' memory, and the throughput of both directions.
///
/// # Errors
/// [`BenchError`] when the file does not come back as it went in.
pub async fn large(program: &Path, scratch: &Path) -> Result<Vec<Figure>, BenchError> {
    let settings = Nodes { count: 2, marketplace_share: 0.0, ..Nodes::default() };
    let scenario = Scenario { nodes: settings, ..Workload::Upload.scenario() };
    let blueprint =
        Blueprint::new(&scenario, Seed(1), &format!("bench-large-{}", std::process::id()), &scratch.join("large"));
    let network = BareNetwork::start(program, blueprint, Lease::Leased, Seed(1)).await;
    let network = network.map_err(|error| BenchError::subject("starting two nodes", error))?;
    let measured = measure(&network).await;
    network.stop().await;
    measured
}

async fn measure(network: &BareNetwork) -> Result<Vec<Figure>, BenchError> {
    let options = ClientOptions { timeout: PATIENCE, ..ClientOptions::default() };
    let clients: Vec<NodeClient> = network.clients().iter().map(|client| client.fork(options)).collect();
    let watches: Vec<Watch> = network.pids().into_iter().filter_map(Watch::start).collect();
    let payload = Payload { seed: Seed(1), id: 0, size: FILE_BYTES };
    let clock = MonotonicClock::new();
    let started = clock.now_ns();
    let upload = Upload::new(RequestBody::chunks(FILE_BYTES, payload.chunks()));
    let cid = clients[0].upload(upload).await.map_err(|error| BenchError::subject("uploading 1 GiB", error))?;
    let uploaded = clock.now_ns();
    let mut verifier = payload.verifier();
    let mut wrong = None;
    let mut check = |bytes: &[u8]| match verifier.push(bytes) {
        Ok(()) => ControlFlow::Continue(()),
        Err(mismatch) => {
            wrong = Some(mismatch);
            ControlFlow::Break(())
        }
    };
    let received = clients[1].fetch_network(&cid, &mut check).await;
    if let Some(mismatch) = wrong {
        return Err(BenchError::subject("fetching 1 GiB", mismatch));
    }
    let received = received.map_err(|error| BenchError::subject("fetching 1 GiB", error))?;
    verifier.finish().map_err(|mismatch| BenchError::subject("fetching 1 GiB", mismatch))?;
    debug_assert_eq!(received.bytes, FILE_BYTES);
    let fetched = clock.now_ns();
    let growth: Vec<f64> = watches.iter().map(|watch| watch.growth() as f64).collect();
    let rate = |from: u64, to: u64| [FILE_BYTES as f64 * 1e9 / (to - from) as f64];
    let mut memory = Figure::of_values(
        "large.memory_growth_bytes",
        "bytes",
        &[growth.iter().copied().fold(0.0, f64::max)],
        Hold::AtMost(MAX_GROWTH_BYTES),
    );
    memory.reference =
        "private memory above idle, the larger of two nodes, 1 GiB up and down, every byte verified".into();
    Ok(vec![
        memory,
        Figure::of_values("large.upload_bytes_per_s", "bytes/s", &rate(started, uploaded), Hold::None),
        Figure::of_values("large.fetch_bytes_per_s", "bytes/s", &rate(uploaded, fetched), Hold::None),
    ])
}

/// Looks at a process's memory until it is dropped.
struct Watch {
    before: u64,
    highest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn start(pid: u32) -> Option<Self> {
        let sampler = ProcessSampler::start(pid)?;
        let before = sampler.look()?.private_bytes?;
        let (highest, stop) = (Arc::new(AtomicU64::new(before)), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (highest.clone(), stop.clone());
        let look = move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Some(bytes) = sampler.look().and_then(|usage| usage.private_bytes) {
                    seen.fetch_max(bytes, Ordering::Relaxed);
                }
                std::thread::sleep(LOOK_EVERY);
            }
        };
        std::thread::Builder::new().name("memory".into()).spawn(look).ok()?;
        Some(Self { before, highest, stop })
    }

    fn growth(&self) -> u64 {
        self.highest.load(Ordering::Relaxed).saturating_sub(self.before)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
