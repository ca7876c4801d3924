//! The highest rate that the generator keeps up with by itself.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{HarnessError, PingRun};
use crate::recorder::quantile;
use crate::schedule::{Rate, Schedule};
use crate::thread::two_cores;
use crate::trivial_server::TrivialServer;

/// Where the search begins, per second.
const FIRST_RATE: f64 = 10_000.0;

/// From one step to the next: fine enough for a figure within 5 %.
const FACTOR: f64 = 1.1;

/// Steps at most: up to 10,000 x 1.1^29, far above what one thread sends.
const MAX_STEPS: usize = 30;

/// Share of the offered rate that has to be completed within the window.
const MIN_COMPLETED: f64 = 0.99;

/// Steps in a row that may fail before the search ends: one may be the host's.
const MAX_FAILED_STEPS: usize = 2;

/// Connections that the requests share.
const CONNECTIONS: NonZeroU32 = NonZeroU32::new(64).expect("64 is not 0");

/// One rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThroughputStep {
    /// Arrivals per second that the schedule called for.
    pub offered: f64,
    /// Completed per second.
    pub completed: f64,
    /// Median latency from the intended start, ns.
    pub p50_ns: u64,
    /// 99th percentile of it, ns.
    pub p99_ns: u64,
    /// 99th percentile of the generator's own lateness, ns.
    pub slip_p99_ns: u64,
    /// Requests that failed or were turned away.
    pub failed: u64,
    /// CPU time of the generator per request, ns; includes its spinning while it waits.
    pub cpu_ns: f64,
}

impl ThroughputStep {
    /// Whether the generator kept up: nearly everything complete by the end of the step, nothing failed.
    pub fn kept_up(&self) -> bool {
        self.failed == 0 && self.completed >= self.offered * MIN_COMPLETED
    }
}

/// How much the generator sends.
#[derive(Clone, Debug, PartialEq)]
pub struct ThroughputFigures {
    /// Highest open-loop rate that it kept up with, completed requests per second.
    pub open_per_second: f64,
    /// Requests per second of a closed loop over 64 connections.
    pub closed_per_second: f64,
    /// CPU time of the generator per request in that closed loop, ns: what it would take with the core to itself.
    pub closed_cpu_ns: f64,
    /// The rates that were tried, in order.
    pub steps: Vec<ThroughputStep>,
}

/// Raises an open-loop rate (Poisson) against a trivial server until the generator no longer keeps up. Each of the at most 30 rates
/// lasts `step` and a quarter of it to warm up.
///
/// # Errors
/// [`HarnessError`] when the generator could not be run at all.
pub fn throughput_check(step: Duration) -> Result<ThroughputFigures, HarnessError> {
    let (client_core, server_core) = two_cores();
    let server = TrivialServer::start(server_core, None)?;
    let run = |schedule| PingRun {
        schedule,
        warm_up: step / 4,
        duration: step,
        connections: CONNECTIONS.get() as usize,
        max_in_flight: 4096,
        core: client_core,
    };
    let closed = run(Schedule::Closed { concurrency: CONNECTIONS }).against(server.url())?;
    let mut figures = ThroughputFigures {
        open_per_second: 0.0,
        closed_per_second: closed.record.completed_in_window as f64 / step.as_secs_f64(),
        closed_cpu_ns: closed.cpu_ns_per_operation,
        steps: Vec::new(),
    };
    let mut failed_steps = 0;
    for number in 0..MAX_STEPS {
        let rate = Rate::try_new(FIRST_RATE * FACTOR.powi(number as i32))
            .map_err(|_| HarnessError::OutOfRange { what: "rate" })?;
        let outcome = run(Schedule::Poisson { rate }).against(server.url())?;
        let record = &outcome.record;
        let tried = ThroughputStep {
            offered: record.count as f64 / step.as_secs_f64(),
            completed: record.completed_in_window as f64 / step.as_secs_f64(),
            p50_ns: record.latency_quantile(0.5).unwrap_or(0),
            p99_ns: record.latency_quantile(0.99).unwrap_or(0),
            slip_p99_ns: quantile(&record.slip, 0, 0, 0.99).unwrap_or(0),
            failed: record.censored,
            cpu_ns: outcome.cpu_ns_per_operation,
        };
        figures.steps.push(tried);
        if tried.kept_up() {
            figures.open_per_second = tried.completed;
            failed_steps = 0;
        } else {
            failed_steps += 1;
        }
        if failed_steps >= MAX_FAILED_STEPS {
            break;
        }
    }
    Ok(figures)
}
