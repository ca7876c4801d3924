//! Waiting for a condition: the only place of these tests that lets time pass.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Far above what any condition takes, so that only a condition that never comes fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

const TICK: Duration = Duration::from_millis(10);

/// Asks until there is an answer, and returns it.
pub(crate) async fn until_some<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < deadline, "in {DEADLINE:?} it did not come true that {what}");
        sleep(TICK).await;
    }
}

/// Asks until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    until_some(what, async || holds().await.then_some(())).await;
}
