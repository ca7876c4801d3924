//! What the node counts. Counters are added to where things happen; a scrape only reads them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

mod exposition;
mod process;

pub use exposition::{Exposition, TextFormat};
pub use process::ProcessUse;

/// Upper bounds of latency buckets, in seconds. Few on purpose: every bucket is a line of every scrape of every node.
const LATENCY_BUCKETS: [f64; 9] = [0.000_5, 0.002, 0.005, 0.02, 0.05, 0.2, 1.0, 5.0, 30.0];

/// All counters of a node.
#[derive(Debug)]
pub struct Metrics {
    /// Blocks sent to peers over Bitswap.
    pub blocks_sent: AtomicU64,
    /// Blocks received from peers over Bitswap that were asked for and pass their hash.
    pub blocks_received: AtomicU64,
    /// Bytes of the blocks sent.
    pub block_bytes_sent: AtomicU64,
    /// Bytes of the blocks received.
    pub block_bytes_received: AtomicU64,
    /// Blocks received late or twice: they were asked for once. Dropped.
    pub spurious_blocks: AtomicU64,
    /// Blocks received whose hash nobody asked for: wrong bytes in place of a wanted block, or pushed unasked. Dropped.
    pub wrong_blocks: AtomicU64,
    /// Wants received from peers.
    pub wants_received: AtomicU64,
    /// Wants answered with dont-have because no valid promise covers them.
    pub unpaid_wants: AtomicU64,
    /// Bytes of blocks served against a promise.
    pub paid_bytes: AtomicU64,
    /// Different peers that were ever connected.
    pub peers_seen: AtomicU64,
    /// Peers connected now.
    pub peers_connected: AtomicU64,
    /// Content lookups in the DHT.
    pub discovery_queries: AtomicU64,
    /// Lookups that found a provider.
    pub discovery_successes: AtomicU64,
    /// Lookups that found none.
    pub discovery_failures: AtomicU64,
    /// Blocks received from a peer that a lookup found.
    pub blocks_from_discovery: AtomicU64,
    /// Datasets that could not be announced because the queue of announcements was full.
    pub announcements_dropped: AtomicU64,
    /// From a block's want to its arrival.
    pub block_fetch_seconds: Histogram,
    /// Sum of the same in nanoseconds, for the mean that the legacy name asks for.
    pub block_fetch_ns_sum: AtomicU64,
    /// Number of values in [`Self::block_fetch_ns_sum`].
    pub block_fetch_count: AtomicU64,
    /// DHT provider lookups that found one, from start to first provider.
    pub dht_query_seconds: Histogram,
    /// REST requests, from the request's head to the response's head.
    pub rest_request_seconds: Histogram,
}

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        let histogram = || Histogram::new(LATENCY_BUCKETS);
        Self {
            blocks_sent: AtomicU64::new(0),
            blocks_received: AtomicU64::new(0),
            block_bytes_sent: AtomicU64::new(0),
            block_bytes_received: AtomicU64::new(0),
            spurious_blocks: AtomicU64::new(0),
            wrong_blocks: AtomicU64::new(0),
            wants_received: AtomicU64::new(0),
            unpaid_wants: AtomicU64::new(0),
            paid_bytes: AtomicU64::new(0),
            peers_seen: AtomicU64::new(0),
            peers_connected: AtomicU64::new(0),
            discovery_queries: AtomicU64::new(0),
            discovery_successes: AtomicU64::new(0),
            discovery_failures: AtomicU64::new(0),
            blocks_from_discovery: AtomicU64::new(0),
            announcements_dropped: AtomicU64::new(0),
            block_fetch_seconds: histogram(),
            block_fetch_ns_sum: AtomicU64::new(0),
            block_fetch_count: AtomicU64::new(0),
            dht_query_seconds: histogram(),
            rest_request_seconds: histogram(),
        }
    }

    /// A block came after this long.
    pub fn block_fetched(&self, took: Duration) {
        self.block_fetch_seconds.observe(took.as_secs_f64());
        self.block_fetch_ns_sum.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.block_fetch_count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds one to a counter.
pub(crate) fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// Reads a counter.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
