//! Whether this machine and this generator can be trusted with latencies.
//!
//! The check that most load tools fail: a server stands still for a while, and the tool, which waits for answers before it sends,
//! hardly notices. Here the right answer is known beforehand, so the generator can be held against it.

pub mod machine;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use peermark_core::{Clock, Histogram, MonotonicNs};
use peermark_node::client::NodeClient;
use tokio::sync::Semaphore;

use crate::clock::MonotonicClock;
use crate::driver::{Done, Driver, Prepared};
use crate::harness::{HarnessError, PingRun, ping};
use crate::recorder::quantile;
use crate::schedule::{Rate, Schedule};
use crate::thread::two_cores;
use crate::trivial_server::{Stall, TrivialServer};

/// Connections over which a waiting tool would send: what `wrk` and its relatives are commonly given.
const CONNECTIONS: usize = 64;

/// How far the measured percentile may be from the expected one.
const TOLERANCE: f64 = 0.03;

/// What the stall check found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StallCheck {
    /// Requests that the schedule called for.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// 99th percentile that the stall must cause, from arithmetic alone, ns.
    pub expected_p99_ns: u64,
    /// 99th percentile as measured from the intended starts, ns.
    pub p99_ns: u64,
    /// What a tool that waits for a free connection before it starts its watch reports for the same requests, ns.
    pub uncorrected_p99_ns: u64,
    /// 99th percentile of the generator's own lateness, ns.
    pub slip_p99_ns: u64,
}

impl StallCheck {
    /// Whether the measured percentile is the expected one within 3 %.
    pub fn is_passed(&self) -> bool {
        self.failed == 0 && self.relative_error().abs() <= TOLERANCE
    }

    /// Measured over expected, minus 1.
    pub fn relative_error(&self) -> f64 {
        self.p99_ns as f64 / self.expected_p99_ns.max(1) as f64 - 1.0
    }
}

/// Sends `rate` requests per second (equal gaps) for `duration` to a server of our own that stands still for `stall` in the middle.
///
/// Requests that arrive while it stands still wait for the rest of the stall. They are a share `stall / duration` of all, and their
/// waits are spread evenly from 0 to `stall`, so the longest hundredth of all requests begins at `stall - duration / 100`.
///
/// # Errors
/// [`HarnessError`] when it could not be run, and [`HarnessError::OutOfRange`] unless `duration / 100 < stall <= duration / 2`.
pub fn stall_check(duration: Duration, stall: Duration, rate: f64) -> Result<StallCheck, HarnessError> {
    let rate = Rate::try_new(rate).map_err(|_| HarnessError::OutOfRange { what: "rate" })?;
    if stall * 2 > duration || stall <= duration / 100 {
        return Err(HarnessError::OutOfRange { what: "stall" });
    }
    let (client_core, server_core) = two_cores();
    let server = TrivialServer::start(server_core, Some(Stall { after: (duration - stall) / 2, length: stall }))?;
    let waiting = (rate.per_second() * stall.as_secs_f64()) as usize;
    let run = PingRun {
        schedule: Schedule::Uniform { rate },
        warm_up: Duration::ZERO,
        duration,
        connections: CONNECTIONS,
        // Everything that arrives in the stall is in flight at its end, and then some while it is worked off.
        max_in_flight: waiting * 2 + 1_000,
        core: client_core,
    };
    let on_connection = Arc::new(Mutex::new(Histogram::new()));
    let driver = WaitingPings {
        client: run.client(server.url())?,
        free: Arc::new(Semaphore::new(CONNECTIONS)),
        clock: MonotonicClock::new(),
        on_connection: Arc::clone(&on_connection),
    };
    let record = run.with(driver)?.record;
    let uncorrected = on_connection.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(StallCheck {
        requests: record.count,
        failed: record.censored,
        expected_p99_ns: (stall - duration / 100).as_nanos() as u64,
        p99_ns: record.latency_quantile(0.99).unwrap_or(0),
        uncorrected_p99_ns: quantile(&uncorrected, 0, 0, 0.99).unwrap_or(0),
        slip_p99_ns: quantile(&record.slip, 0, 0, 0.99).unwrap_or(0),
    })
}

/// Requests that wait for one of the connections first, and keep beside the engine what a tool would that starts its watch then.
struct WaitingPings {
    client: NodeClient,
    free: Arc<Semaphore>,
    clock: MonotonicClock,
    on_connection: Arc<Mutex<Histogram>>,
}

impl Driver for WaitingPings {
    type Task = ();

    fn lanes(&self) -> Vec<String> {
        vec!["ping".into()]
    }

    fn prepare(&mut self, number: u64) -> Option<Prepared<()>> {
        Some(Prepared { lane: 0, trace: number, timeout: None, task: () })
    }

    fn run(&self, _task: (), _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        let (client, free, clock) = (self.client.clone(), Arc::clone(&self.free), self.clock);
        let on_connection = Arc::clone(&self.on_connection);
        async move {
            let permit = free.acquire().await;
            let sent_ns = clock.now_ns();
            let done = ping(&client).await;
            let waited_ns = clock.now_ns() - sent_ns;
            on_connection.lock().unwrap_or_else(PoisonError::into_inner).record(waited_ns);
            drop(permit);
            done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_seen_as_long_as_it_was() {
        let check = stall_check(Duration::from_secs(1), Duration::from_millis(200), 1_000.0).unwrap();
        assert_eq!((check.requests, check.failed, check.expected_p99_ns), (1_000, 0, 190_000_000));
        // A busy machine stalls on its own account, which can only add; the closed-loop reading misses the stall by far.
        assert!(check.p99_ns >= 180_000_000 && check.p99_ns < 400_000_000, "{check:?}");
    }

    #[test]
    fn stalls_without_a_known_answer_are_refused() {
        for stall_ms in [10, 501] {
            let refused = stall_check(Duration::from_secs(1), Duration::from_millis(stall_ms), 1_000.0);
            assert!(matches!(refused, Err(HarnessError::OutOfRange { what: "stall" })), "{stall_ms} ms");
        }
    }
}
