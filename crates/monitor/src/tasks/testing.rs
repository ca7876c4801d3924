//! What the tests of tasks share.

use std::path::Path;
use std::sync::Arc;

use peermark_core::{Clock, Seed};
use peermark_probe::clock::MonotonicClock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::task::{Context, NodeFacts, Past, Report, Successes, Task};

/// A past that a test wrote.
#[derive(Debug, Default)]
pub(crate) struct Remembered(pub(crate) Vec<(u64, Value)>);

impl Past for Remembered {
    fn successes(&self, _task: &str, most: usize) -> Successes<'_> {
        let from = self.0.len().saturating_sub(most);
        Box::pin(async move { self.0[from..].to_vec() })
    }
}

/// A context whose files lie in `directory`, without a past and with an hour to go.
pub(crate) fn context(directory: &Path) -> Context {
    context_after(directory, Vec::new())
}

/// A context with earlier successes.
pub(crate) fn context_after(directory: &Path, past: Vec<(u64, Value)>) -> Context {
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    Context {
        deadline_ns: clock.now_ns() + 3_600_000_000_000,
        clock,
        cancel: CancellationToken::new(),
        seed: Seed(7),
        attempt: 1,
        scratch: directory.to_owned(),
        node: Arc::new(NodeFacts { id: "node".into(), data: directory.to_owned(), ..NodeFacts::default() }),
        past: Arc::new(Remembered(past)),
    }
}

/// Fails unless the result is what the task's schema says, and the findings are the task's own.
pub(crate) fn check(task: &dyn Task, report: &Report) {
    let schema = (task.about().schema)();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> = validator.iter_errors(&report.result).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?} in {}", report.result);
    for finding in &report.findings {
        assert!(task.about().failures.iter().any(|failure| failure == finding.failure), "{finding:?}");
    }
}
