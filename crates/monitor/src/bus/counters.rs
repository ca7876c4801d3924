//! What the bus did, for the metrics of the monitor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters of a bus. All but the flags only grow.
#[derive(Debug, Default)]
pub struct BusCounters {
    pub(super) service_connected: AtomicBool,
    pub(super) view_connected: AtomicBool,
    pub(super) connections: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) oversized: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) foreign_schema: AtomicU64,
    pub(super) refused_return: AtomicU64,
    pub(super) undelivered: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) unwritten: AtomicU64,
}

/// [`BusCounters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusFigures {
    /// Whether requests are taken: 1 or 0.
    pub service_connected: u64,
    /// Whether the view is kept: 1 or 0.
    pub view_connected: u64,
    /// Connections opened since the start; more than two say that Redis was gone.
    pub connections: u64,
    /// Messages taken from the queues.
    pub requests: u64,
    /// Requests that were answered, with a result or an error.
    pub answered: u64,
    /// Those of them that were answered with an error.
    pub errors: u64,
    /// Messages dropped because they are no request.
    pub malformed: u64,
    /// Messages dropped because they are longer than 64 KiB; they were never in memory.
    pub oversized: u64,
    /// Requests dropped because nobody waits for them any more.
    pub expired: u64,
    /// Requests dropped because their schema is not `application/json`.
    pub foreign_schema: u64,
    /// Requests dropped because the answer would go to a key that is not the caller's.
    pub refused_return: u64,
    /// Answers that Redis did not take: the key for it holds no list, or the connection broke for too long.
    pub undelivered: u64,
    /// Keys of the view that were written.
    pub written: u64,
    /// Keys of the view that Redis did not take.
    pub unwritten: u64,
}

impl BusCounters {
    /// Their values now. They are read one after another: sums need not match while requests come in.
    pub fn figures(&self) -> BusFigures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BusFigures {
            service_connected: self.service_connected.load(Ordering::Relaxed).into(),
            view_connected: self.view_connected.load(Ordering::Relaxed).into(),
            connections: read(&self.connections),
            requests: read(&self.requests),
            answered: read(&self.answered),
            errors: read(&self.errors),
            malformed: read(&self.malformed),
            oversized: read(&self.oversized),
            expired: read(&self.expired),
            foreign_schema: read(&self.foreign_schema),
            refused_return: read(&self.refused_return),
            undelivered: read(&self.undelivered),
            written: read(&self.written),
            unwritten: read(&self.unwritten),
        }
    }
}

pub(super) fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
