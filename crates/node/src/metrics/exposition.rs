//! The page that a scraper reads: OpenMetrics by the client library, or Prometheus text 0.0.4 made from it.
//!
//! The Neverust names are legal in the older format only: two of its counters do not end in `_total`. In OpenMetrics they carry
//! the suffix; in 0.0.4 they have their old names.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Metrics, ProcessUse, read};
use crate::blocks::Blocks;

/// Counters whose Neverust names lack the suffix that OpenMetrics demands.
const LEGACY_COUNTERS: [&str; 2] = ["uptime_seconds", "total_peers_seen"];

/// Format of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Prometheus text 0.0.4: for whoever does not ask for anything else.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

type Float = Gauge<f64, AtomicU64>;

/// The registry of a node with the series that are copied into it at a scrape.
pub struct Exposition {
    registry: Registry,
    prefix: String,
    metrics: Arc<Metrics>,
    counters: Vec<(Counter, Source)>,
    gauges: Vec<(Float, Level)>,
}

/// Reads a counter.
type Source = fn(&Snapshot<'_>) -> u64;
/// Reads a gauge.
type Level = fn(&Snapshot<'_>) -> f64;

/// What a scrape copies from.
struct Snapshot<'a> {
    metrics: &'a Metrics,
    blocks: &'a Blocks,
    process: ProcessUse,
    uptime: Duration,
}

/// The counters that a node has beside its histograms: name without prefix, help, where it is read.
const COUNTERS: [(&str, &str, Source); 19] = [
    ("uptime_seconds", "Time since start", |s| s.uptime.as_secs()),
    ("total_peers_seen", "Different peers ever connected", |s| read(&s.metrics.peers_seen)),
    ("blocks_sent", "Blocks sent to peers", |s| read(&s.metrics.blocks_sent)),
    ("blocks_received", "Verified blocks received from peers", |s| read(&s.metrics.blocks_received)),
    ("bytes_sent", "Bytes of blocks sent", |s| read(&s.metrics.block_bytes_sent)),
    ("bytes_received", "Bytes of blocks received", |s| read(&s.metrics.block_bytes_received)),
    ("cache_hits", "Reads from the memory cache", |s| read(&s.blocks.counters().cache_hits)),
    ("cache_misses", "Reads past the memory cache", |s| read(&s.blocks.counters().cache_misses)),
    ("discovery_queries", "Provider lookups in the DHT", |s| read(&s.metrics.discovery_queries)),
    ("discovery_successes", "Lookups that found a provider", |s| read(&s.metrics.discovery_successes)),
    ("discovery_failures", "Lookups that found none", |s| read(&s.metrics.discovery_failures)),
    ("blocks_from_discovery", "Blocks from peers found in the DHT", |s| read(&s.metrics.blocks_from_discovery)),
    ("wants_received", "Wants received from peers", |s| read(&s.metrics.wants_received)),
    ("unpaid_wants", "Wants refused without a promise", |s| read(&s.metrics.unpaid_wants)),
    ("wrong_blocks", "Received blocks with a wrong hash", |s| read(&s.metrics.wrong_blocks)),
    ("spurious_blocks", "Blocks received late or twice", |s| read(&s.metrics.spurious_blocks)),
    ("disk_read_bytes", "Bytes read from storage", |s| s.process.disk_read_bytes),
    ("disk_written_bytes", "Bytes written to storage", |s| s.process.disk_written_bytes),
    ("corrupt_blocks", "Stored blocks that failed their hash", |s| read(&s.blocks.counters().corrupt)),
];

const GAUGES: [(&str, &str, Level); 7] = [
    ("block_count", "Blocks stored", |s| read(&s.blocks.counters().count) as f64),
    ("block_bytes", "Bytes of blocks stored", |s| read(&s.blocks.counters().bytes) as f64),
    ("peer_connections", "Connected peers", |s| read(&s.metrics.peers_connected) as f64),
    ("avg_exchange_time_ms", "Mean time to get a block from a peer", |s| {
        read(&s.metrics.block_fetch_ns_sum) as f64 / read(&s.metrics.block_fetch_count).max(1) as f64 / 1e6
    }),
    ("discovery_success_rate", "Lookups that found a provider, percent", |s| {
        100.0 * read(&s.metrics.discovery_successes) as f64 / read(&s.metrics.discovery_queries).max(1) as f64
    }),
    ("memory_bytes", "Resident memory", |s| s.process.resident_bytes as f64),
    ("cpu_seconds", "CPU time used", |s| s.process.cpu_seconds),
];

impl Exposition {
    /// Registers every series of a node under a prefix. `registry` may hold series of the transport already.
    pub fn new(prefix: &str, mut registry: Registry, metrics: Arc<Metrics>) -> Self {
        let mut counters = Vec::with_capacity(COUNTERS.len());
        let mut gauges = Vec::with_capacity(GAUGES.len());
        let own = registry.sub_registry_with_prefix(prefix);
        for (name, help, source) in COUNTERS {
            let counter = Counter::default();
            own.register(name, help, counter.clone());
            counters.push((counter, source));
        }
        for (name, help, level) in GAUGES {
            let gauge = Float::default();
            own.register(name, help, gauge.clone());
            gauges.push((gauge, level));
        }
        own.register("block_fetch_seconds", "Want to block", metrics.block_fetch_seconds.clone());
        own.register("dht_query_seconds", "Lookup to first provider", metrics.dht_query_seconds.clone());
        own.register("rest_request_seconds", "Request head to response head", metrics.rest_request_seconds.clone());
        Self { registry, prefix: prefix.to_owned(), metrics, counters, gauges }
    }

    /// The page.
    pub fn page(&self, format: TextFormat, blocks: &Blocks, uptime: Duration) -> String {
        let snapshot = Snapshot { metrics: &self.metrics, blocks, process: ProcessUse::now(), uptime };
        for (counter, source) in &self.counters {
            counter.inner().store(source(&snapshot), std::sync::atomic::Ordering::Relaxed);
        }
        for (gauge, level) in &self.gauges {
            gauge.set(level(&snapshot));
        }
        let mut page = String::with_capacity(8192);
        encode(&mut page, &self.registry).expect("a String takes everything");
        match format {
            TextFormat::OpenMetrics => page,
            TextFormat::Prometheus => self.to_prometheus(&page),
        }
    }

    /// Bytes that the transport has received and sent, over all protocols.
    pub fn transport_bytes(&self) -> (u64, u64) {
        let mut page = String::new();
        encode(&mut page, &self.registry).expect("a String takes everything");
        let sum = |direction: &str| {
            let lines = page
                .lines()
                .filter(|line| line.starts_with("libp2p_bandwidth_bytes_total") && line.contains(direction));
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
        };
        (sum("Inbound"), sum("Outbound"))
    }

    /// OpenMetrics to 0.0.4: counters are declared under the name of their sample, units and the end mark are not known.
    fn to_prometheus(&self, page: &str) -> String {
        let mut out = String::with_capacity(page.len());
        let mut counter: Option<&str> = None;
        for line in page.lines() {
            if line == "# EOF" || line.starts_with("# UNIT ") {
                continue;
            }
            if let Some(rest) = line.strip_prefix("# HELP ") {
                // The type decides on the name and comes after the help; see below.
                counter = None;
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                if !is_counter(page, name) {
                    let _ = writeln!(out, "# HELP {name} {help}");
                    continue;
                }
                counter = Some(name);
                let _ = writeln!(out, "# HELP {} {help}", self.counter_name(name));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                match counter {
                    Some(name) => writeln!(out, "# TYPE {} counter", self.counter_name(name)),
                    None => writeln!(out, "# TYPE {rest}"),
                }
                .expect("a String takes everything");
            } else {
                match counter.and_then(|name| Some((name, line.strip_prefix(name)?.strip_prefix("_total")?))) {
                    Some((name, value)) => writeln!(out, "{}{value}", self.counter_name(name)),
                    None => writeln!(out, "{line}"),
                }
                .expect("a String takes everything");
            }
        }
        out
    }

    fn counter_name(&self, name: &str) -> String {
        let own = name.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('_'));
        let legacy = own.is_some_and(|own| LEGACY_COUNTERS.contains(&own));
        if legacy { name.to_owned() } else { format!("{name}_total") }
    }
}

fn is_counter(page: &str, name: &str) -> bool {
    page.contains(&format!("# TYPE {name} counter\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocks::{BlocksConfig, Location};

    const NEVERUST: [&str; 17] = [
        "block_count",
        "block_bytes",
        "peer_connections",
        "avg_exchange_time_ms",
        "discovery_success_rate",
        "uptime_seconds",
        "total_peers_seen",
        "blocks_sent_total",
        "blocks_received_total",
        "bytes_sent_total",
        "bytes_received_total",
        "cache_hits_total",
        "cache_misses_total",
        "discovery_queries_total",
        "discovery_successes_total",
        "discovery_failures_total",
        "blocks_from_discovery_total",
    ];

    fn page(format: TextFormat) -> String {
        let blocks =
            Blocks::open(&BlocksConfig { location: Location::Memory, quota_bytes: 1, cache_bytes: 1 }).unwrap();
        let metrics = Arc::new(Metrics::new());
        metrics.block_fetched(Duration::from_millis(3));
        Exposition::new("neverust", Registry::default(), metrics).page(format, &blocks, Duration::from_secs(61))
    }

    #[test]
    fn all_neverust_names_are_there_with_type_and_value() {
        let page = page(TextFormat::Prometheus);
        for name in NEVERUST {
            let value = page.lines().find_map(|line| line.strip_prefix(&format!("neverust_{name} ")));
            assert!(value.is_some_and(|value| value.parse::<f64>().is_ok()), "{name} in\n{page}");
            assert!(page.contains(&format!("# TYPE neverust_{name} ")), "{name} in\n{page}");
        }
        assert!(page.contains("\nneverust_uptime_seconds 61\n"), "{page}");
        assert!(page.contains("\nneverust_avg_exchange_time_ms 3.0\n"), "{page}");
        assert!(!page.contains("# EOF") && !page.contains("_total_total"), "{page}");
    }

    #[test]
    fn openmetrics_ends_as_it_must_and_suffixes_counters() {
        let page = page(TextFormat::OpenMetrics);
        assert!(page.ends_with("# EOF\n"));
        assert!(page.contains("neverust_uptime_seconds_total 61"));
        assert!(page.contains("neverust_block_fetch_seconds_bucket{le=\"0.005\"} 1"), "{page}");
    }
}
