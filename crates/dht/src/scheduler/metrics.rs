//! What a scheduler counts, as Prometheus text 0.0.4: parsec's names, which the client library's format forbids because its
//! counters end in no `_total`, and names of our own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use peermark_http::{BindError, Server};

use super::round::Skip;

/// The media type of the format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counts of one scheduler.
#[derive(Debug, Default)]
pub struct SchedulerMetrics {
    pub(super) active_nodes: AtomicU64,
    pub(super) provides: BySuccess,
    pub(super) retrievals: BySuccess,
    pub(super) not_ready: AtomicU64,
    pub(super) rounds: AtomicU64,
    pub(super) skipped: [AtomicU64; Skip::NAMES.len()],
    pub(super) queued: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) database_errors: AtomicU64,
}

/// Calls by whether the server answered with something legible; what it measured may have failed all the same, as with parsec.
#[derive(Debug, Default)]
pub(super) struct BySuccess {
    ok: AtomicU64,
    failed: AtomicU64,
}

/// The labels of a line, and what it counts.
type Line<'a> = (String, &'a AtomicU64);

impl BySuccess {
    fn lines(&self) -> Vec<Line<'_>> {
        vec![("{success=\"false\"}".to_owned(), &self.failed), ("{success=\"true\"}".to_owned(), &self.ok)]
    }

    pub(super) fn count(&self, ok: bool) {
        count(if ok { &self.ok } else { &self.failed });
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl SchedulerMetrics {
    /// Rounds that were begun.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    /// Rounds that were skipped.
    pub fn skipped(&self) -> u64 {
        self.skipped.iter().map(|skipped| skipped.load(Ordering::Relaxed)).sum()
    }

    /// Rounds whose rows are in the database.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Rounds whose rows were lost, because too many waited for the database.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The counts as text.
    pub fn text(&self) -> String {
        let skipped = Skip::NAMES.iter().zip(&self.skipped);
        let skipped: Vec<Line<'_>> = skipped.map(|(name, value)| (format!("{{reason=\"{name}\"}}"), value)).collect();
        let one = |value| vec![(String::new(), value)];
        let families: [(&str, &str, &str, Vec<Line<'_>>); 10] = [
            ("parsec_active_nodes", "gauge", "Servers that take requests.", one(&self.active_nodes)),
            ("parsec_issued_provides", "counter", "Provides by whether the server answered.", self.provides.lines()),
            (
                "parsec_issued_retrievals",
                "counter",
                "Retrieves by whether the server answered.",
                self.retrievals.lines(),
            ),
            ("peermark_dht_scheduler_rounds_total", "counter", "Rounds that were begun.", one(&self.rounds)),
            ("peermark_dht_scheduler_rounds_skipped_total", "counter", "Rounds without a provide, by reason.", skipped),
            (
                "peermark_dht_scheduler_not_ready_total",
                "counter",
                "Servers that were listed and not ready.",
                one(&self.not_ready),
            ),
            (
                "peermark_dht_scheduler_rounds_written_total",
                "counter",
                "Rounds whose rows are in the database.",
                one(&self.written),
            ),
            (
                "peermark_dht_scheduler_rounds_dropped_total",
                "counter",
                "Rounds whose rows were lost waiting for the database.",
                one(&self.dropped),
            ),
            (
                "peermark_dht_scheduler_database_errors_total",
                "counter",
                "Calls of the database that failed.",
                one(&self.database_errors),
            ),
            ("peermark_dht_scheduler_rounds_queued", "gauge", "Rounds that wait for the database.", one(&self.queued)),
        ];
        let mut text = String::with_capacity(2048);
        for (name, kind, help, lines) in families {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(text, "{name}{labels} {}", value.load(Ordering::Relaxed));
            }
        }
        text
    }

    /// Serves the text at `/metrics`.
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn serve(self: Arc<Self>, address: SocketAddr, allow_anonymous: bool) -> Result<Server, BindError> {
        let text = move || {
            let text = self.text();
            async move { ([(CONTENT_TYPE, TEXT_FORMAT)], text) }
        };
        Server::start(address, Router::new().route("/metrics", get(text)), None, allow_anonymous).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsecs_names_are_there_as_they_are() {
        let metrics = SchedulerMetrics::default();
        metrics.active_nodes.store(3, Ordering::Relaxed);
        metrics.provides.count(true);
        metrics.retrievals.count(false);
        count(&metrics.skipped[Skip::NoProvider.index()]);
        let text = metrics.text();
        for line in [
            "# TYPE parsec_active_nodes gauge",
            "parsec_active_nodes 3",
            "# TYPE parsec_issued_provides counter",
            "parsec_issued_provides{success=\"true\"} 1",
            "parsec_issued_retrievals{success=\"false\"} 1",
            "peermark_dht_scheduler_rounds_skipped_total{reason=\"no_provider\"} 1",
            "peermark_dht_scheduler_rounds_queued 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
