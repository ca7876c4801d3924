//! The page of metrics.

use std::sync::atomic::Ordering;

use peermark_core::MonotonicNs;

use super::page::{Labels, Page};
use super::summary::QUANTILES;
use super::{Buckets, Metrics, process};
use crate::evidence::Recorder;

/// What is read at the moment of a scrape.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Levels<'a> {
    pub(in crate::server) now_ns: MonotonicNs,
    pub(in crate::server) table_len: usize,
    pub(in crate::server) running: usize,
    pub(in crate::server) recorder: Option<&'a Recorder>,
}

/// Writes the page.
pub(in crate::server) fn render(metrics: &Metrics, levels: Levels<'_>) -> String {
    let mut page = Page::default();
    durations(&mut page, metrics, levels.now_ns);
    requests(&mut page, metrics);
    let disk = metrics.disk_bytes.load(Ordering::Relaxed);
    if disk != u64::MAX {
        page.single("parsec_datastore_disk_usage", "gauge", "Bytes of the provider store on disk.", disk);
    }
    operations(&mut page, metrics);
    own(&mut page, metrics, levels);
    process::write(&mut page);
    page.into_text()
}

fn durations(page: &mut Page, metrics: &Metrics, now_ns: MonotonicNs) {
    const NAME: &str = "parsec_durations";
    page.family(NAME, "summary", "Seconds that operations took; quantiles over the last 24 hours.");
    for (labels, summary) in metrics.durations.lock().iter_mut() {
        let success = if labels.success { "true" } else { "false" };
        let labels = [("type", labels.kind), ("success", success), ("scheduler", &*labels.scheduler)];
        for ((_, quantile), value) in QUANTILES.iter().zip(summary.quantiles(now_ns)) {
            let [kind, success, scheduler] = labels;
            page.sample(NAME, &[kind, success, scheduler, ("quantile", quantile)], value);
        }
        page.sample("parsec_durations_sum", &labels, summary.sum_seconds());
        page.sample("parsec_durations_count", &labels, summary.count());
    }
}

fn requests(page: &mut Page, metrics: &Metrics) {
    const NAME: &str = "parsec_http_requests_total";
    page.family(NAME, "counter", "HTTP requests by method, first segment of the path, and scheduler.");
    for (labels, count) in metrics.requests.lock().iter() {
        let labels = [("method", labels.method), ("path", labels.path), ("scheduler", &*labels.scheduler)];
        page.sample(NAME, &labels, count);
    }
}

fn operations(page: &mut Page, metrics: &Metrics) {
    const OPERATIONS: &str = "peermark_dht_operation_seconds";
    page.family(OPERATIONS, "histogram", "Seconds that operations took, by where the answer came from.");
    for (labels, buckets) in metrics.operations.lock().iter() {
        histogram(
            page,
            OPERATIONS,
            &[("kind", labels.kind), ("variant", labels.variant), ("hit", labels.hit)],
            buckets,
        );
    }
    const RPCS: &str = "peermark_dht_rpc_seconds";
    page.family(RPCS, "histogram", "Seconds from writing a request to its complete answer, of RPCs that succeeded.");
    for (rpc, buckets) in metrics.rpcs.lock().iter() {
        histogram(page, RPCS, &[("rpc", rpc)], buckets);
    }
    const FAILURES: &str = "peermark_dht_rpc_failures_total";
    page.family(FAILURES, "counter", "RPCs that failed, by class.");
    for ((rpc, class), count) in metrics.rpc_failures.lock().iter() {
        page.sample(FAILURES, &[("rpc", rpc), ("class", class)], count);
    }
}

fn histogram(page: &mut Page, name: &str, labels: &Labels<'_>, buckets: &Buckets) {
    let bucket = format!("{name}_bucket");
    let infinity = std::iter::once(("+Inf", buckets.count()));
    for (bound, count) in buckets.cumulative().chain(infinity) {
        let labels: Vec<(&str, &str)> = labels.iter().copied().chain([("le", bound)]).collect();
        page.sample(&bucket, &labels, count);
    }
    page.sample(&format!("{name}_sum"), labels, buckets.sum_seconds());
    page.sample(&format!("{name}_count"), labels, buckets.count());
}

fn own(page: &mut Page, metrics: &Metrics, levels: Levels<'_>) {
    let table = levels.table_len;
    page.single("peermark_dht_routing_table_peers", "gauge", "Peers in the routing table.", table);
    page.single("peermark_dht_operations_running", "gauge", "Operations that run now.", levels.running);
    let refused = metrics.refused.load(Ordering::Relaxed);
    let help = "Operations that were refused because too many ran.";
    page.single("peermark_dht_operations_refused_total", "counter", help, refused);
    let failures = metrics.heartbeat_failures.load(Ordering::Relaxed);
    page.single("peermark_dht_heartbeat_failures_total", "counter", "Heartbeats that failed.", failures);
    let Some(recorder) = levels.recorder else { return };
    let name = "peermark_dht_evidence_queued";
    page.single(name, "gauge", "Operations that wait to be stored.", recorder.queued());
    let name = "peermark_dht_evidence_written_total";
    page.single(name, "counter", "Operations that were stored.", recorder.written());
    let name = "peermark_dht_evidence_dropped_total";
    page.single(name, "counter", "Operations that the store did not take.", recorder.dropped());
    let name = "peermark_dht_evidence_retries_total";
    page.single(name, "counter", "Attempts to store that failed.", recorder.failed_attempts());
}
