//! What a ledger's server counts, for Prometheus.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::sequencer::BlockSummary;

/// Counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) taken: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed_blocks: Counter,
    executed: Counter,
    executed_refused: Counter,
    height: Gauge,
}

impl Metrics {
    /// A block was closed.
    pub(crate) fn closed(&self, summary: &BlockSummary) {
        self.height.set(i64::try_from(summary.height).unwrap_or(i64::MAX));
        self.executed.inc_by(summary.outcomes.len() as u64);
        let refused = summary.outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        self.executed_refused.inc_by(refused as u64);
    }

    /// OpenMetrics text.
    pub(crate) fn text(&self, log_records: u64) -> String {
        let mut registry = Registry::with_prefix("peermark_ledger");
        let counter = |registry: &mut Registry, name, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone())
        };
        counter(&mut registry, "entries_taken", "Entries that were acknowledged", &self.taken);
        counter(&mut registry, "entries_refused", "Entries that were not taken", &self.refused);
        counter(&mut registry, "entries_executed", "Entries of closed blocks", &self.executed);
        counter(
            &mut registry,
            "entries_executed_refused",
            "Of them, entries whose transaction was refused",
            &self.executed_refused,
        );
        counter(&mut registry, "blocks_failed", "Attempts to close a block that failed", &self.failed_blocks);
        registry.register("height", "Height of the last block", self.height.clone());
        let records: Gauge = Gauge::default();
        records.set(i64::try_from(log_records).unwrap_or(i64::MAX));
        registry.register("log_records", "Records in the log", records);
        let mut text = String::new();
        // Writing to a string cannot fail; half a page would be worse than none.
        if encode(&mut text, &registry).is_err() { String::new() } else { text }
    }
}
