//! The heartbeat of a server's row.
//!
//! Source: parsec writes the first one a startup delay after it listens and then one a minute; each sets `last_heartbeat` and clears
//! `offline_since`, so that a server which a scheduler has given up comes back by itself. Schedulers forget a server two minutes
//! after its last heartbeat, so one that fails is tried again well before the next is due.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Pause after the first failure; doubles, and never reaches beyond the next heartbeat.
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// When heartbeats are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// From now to the first.
    pub first: Duration,
    /// From one to the next.
    pub every: Duration,
}

/// Calls `write` for every heartbeat until it is stopped. The moments are multiples of the interval after the first, whatever a
/// write takes; one that was missed is not made up for. A stop waits for a write that is under way, so that the row is marked
/// offline after the last heartbeat. A write that was given up on because the database did not answer may arrive later than that
/// all the same; then the server counts as alive until its last heartbeat is two minutes old.
pub async fn beats<F>(beat: Beat, stop: &CancellationToken, mut write: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let every = beat.every.max(Duration::from_millis(1));
    let mut due = Instant::now() + beat.first;
    loop {
        if !wait(due, stop).await {
            return;
        }
        let mut pause = FIRST_RETRY.min(every / 4);
        while !write().await {
            let again = Instant::now() + pause;
            if again >= due + every {
                break;
            }
            if !wait(again, stop).await {
                return;
            }
            pause *= 2;
        }
        while due <= Instant::now() {
            due += every;
        }
    }
}

/// Whether the moment came before the stop.
async fn wait(moment: Instant, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = sleep_until(moment) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Seconds at which heartbeats are written when the calls of `failing` fail, each taking `takes`.
    async fn seconds(first: Duration, until: Duration, takes: Duration, failing: &[usize]) -> Vec<u64> {
        let (start, stop) = (Instant::now(), CancellationToken::new());
        let moments = RefCell::new(Vec::new());
        let write = || async {
            moments.borrow_mut().push(start.elapsed().as_secs());
            let number = moments.borrow().len();
            tokio::time::sleep(takes).await;
            !failing.contains(&number)
        };
        let stopper = async {
            tokio::time::sleep(until).await;
            stop.cancel();
        };
        tokio::join!(beats(Beat { first, every: MINUTE }, &stop, write), stopper);
        moments.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_comes_after_the_delay_and_then_one_a_minute() {
        let moments = seconds(MINUTE, Duration::from_secs(250), Duration::from_secs(3), &[]).await;
        assert_eq!(moments, [60, 120, 180, 240]);
        let moments = seconds(Duration::ZERO, Duration::from_secs(61), Duration::ZERO, &[]).await;
        assert_eq!(moments, [0, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_retried_before_the_next_is_due_and_moves_none() {
        let moments = seconds(MINUTE, Duration::from_secs(190), Duration::ZERO, &[1, 2]).await;
        assert_eq!(moments, [60, 65, 75, 120, 180]);
        let all: Vec<usize> = (1..100).collect();
        let moments = seconds(Duration::ZERO, Duration::from_secs(61), Duration::ZERO, &all).await;
        assert_eq!(moments, [0, 5, 15, 35, 60], "retries are bounded");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_database_delays_nothing_but_itself() {
        let moments = seconds(Duration::ZERO, Duration::from_secs(250), Duration::from_secs(70), &[]).await;
        assert_eq!(moments, [0, 120, 240]);
    }
}
