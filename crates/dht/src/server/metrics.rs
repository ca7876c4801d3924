//! What a server counts, and the page that Prometheus reads.
//!
//! Format: Prometheus text 0.0.4, written here, because the names are parsec's and a summary with quantiles is among them; the client
//! library knows neither. Sums and counts are totals since the start; quantiles are over a sliding 24 hours. The number of series is
//! bounded whatever callers send: see [`labels`].

mod buckets;
mod labels;
mod page;
mod process;
mod render;
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use peermark_core::{FailureClass, MonotonicNs};

use crate::operation::{Hit, Operation, OperationKind, Rpc, Variant};
use buckets::Buckets;
use labels::Schedulers;
use summary::Summary;

pub(super) use page::CONTENT_TYPE;
pub(super) use render::{Levels, render};

/// Everything that a server counts.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    schedulers: Mutex<Schedulers>,
    requests: Mutex<BTreeMap<RequestLabels, u64>>,
    durations: Mutex<BTreeMap<DurationLabels, Summary>>,
    operations: Mutex<BTreeMap<OperationLabels, Buckets>>,
    rpcs: Mutex<BTreeMap<&'static str, Buckets>>,
    rpc_failures: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    /// Operations that were refused because too many ran.
    pub(super) refused: AtomicU64,
    /// Heartbeats that the database did not take.
    pub(super) heartbeat_failures: AtomicU64,
    /// Bytes of the provider store; `u64::MAX` where there is none.
    pub(super) disk_bytes: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RequestLabels {
    method: &'static str,
    path: &'static str,
    scheduler: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct DurationLabels {
    kind: &'static str,
    success: bool,
    scheduler: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OperationLabels {
    kind: &'static str,
    variant: &'static str,
    hit: &'static str,
}

impl Metrics {
    pub(super) fn new(has_provider_store: bool) -> Self {
        let disk_bytes = AtomicU64::new(if has_provider_store { 0 } else { u64::MAX });
        Self { disk_bytes, ..Self::default() }
    }

    /// The label for what a caller calls itself.
    pub(super) fn scheduler(&self, header: Option<&[u8]>) -> Arc<str> {
        self.schedulers.lock().label(header)
    }

    /// A request came, whatever becomes of it.
    pub(super) fn request(&self, method: &http::Method, path: &str, scheduler: Arc<str>) {
        let labels = RequestLabels { method: labels::method(method), path: labels::path(path), scheduler };
        *self.requests.lock().entry(labels).or_default() += 1;
    }

    /// An operation has ended.
    pub(super) fn operation(&self, operation: &Operation, scheduler: Arc<str>, now_ns: MonotonicNs) {
        let took = operation.duration_ns();
        let kind = match operation.kind {
            OperationKind::Provide => "provide_duration",
            OperationKind::Retrieve => "retrieval_ttfpr",
        };
        // As parsec, whose callers tell success by the text.
        let labels = DurationLabels { kind, success: operation.error.is_empty(), scheduler };
        self.durations.lock().entry(labels).or_default().record(took, now_ns);
        let labels = OperationLabels {
            kind: operation.kind.as_str(),
            variant: operation.variant.as_str(),
            hit: operation.hit.as_str(),
        };
        self.operations.lock().entry(labels).or_default().record(took);
        let mut rpcs = self.rpcs.lock();
        for hop in &operation.hops {
            match hop.outcome.class() {
                None => rpcs.entry(hop.rpc.as_str()).or_default().record(hop.ended_ns.saturating_sub(hop.sent_ns)),
                Some(class) => {
                    *self.rpc_failures.lock().entry((hop.rpc.as_str(), class.as_str())).or_default() += 1;
                }
            }
        }
    }

    /// Makes the bounded series exist before the first operation: a rate over a series that appears with its first value misses it.
    pub(super) fn announce(&self, variant: Variant) {
        let mut operations = self.operations.lock();
        for kind in [OperationKind::Provide, OperationKind::Retrieve] {
            for hit in [Hit::Local, Hit::Remote, Hit::Miss, Hit::Failed] {
                let labels = OperationLabels { kind: kind.as_str(), variant: variant.as_str(), hit: hit.as_str() };
                operations.entry(labels).or_default();
            }
        }
        let mut rpcs = self.rpcs.lock();
        for rpc in [Rpc::FindNode, Rpc::GetProviders, Rpc::AddProvider, Rpc::Confirm] {
            rpcs.entry(rpc.as_str()).or_default();
            self.rpc_failures.lock().entry((rpc.as_str(), FailureClass::Timeout.as_str())).or_default();
        }
    }
}

/// Adds one to a counter.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
