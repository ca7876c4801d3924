//! How late the generator is, beside a loop that does nothing but wait for the same moments.

use std::io;
use std::time::Duration;

use peermark_core::{Clock, Histogram};

use super::{HarnessError, PingRun};
use crate::clock::MonotonicClock;
use crate::recorder::quantile;
use crate::schedule::{Rate, Schedule};
use crate::thread::{ThreadError, pin, two_cores};
use crate::trivial_server::TrivialServer;

/// One round: the generator, then the bare loop, on the same core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatenessRound {
    /// Median lateness of the generator, ns.
    pub p50_ns: u64,
    /// 99th percentile of it, ns.
    pub p99_ns: u64,
    /// Median lateness of the bare loop, ns.
    pub bare_p50_ns: u64,
    /// 99th percentile of it, ns.
    pub bare_p99_ns: u64,
}

/// Lateness of the generator beside that of a bare loop.
#[derive(Clone, Debug, PartialEq)]
pub struct LatenessFigures {
    /// Arrivals per second.
    pub rate: f64,
    /// The rounds, in order.
    pub rounds: Vec<LatenessRound>,
    /// Lateness of the generator over all rounds, ns.
    pub own: Histogram,
    /// Lateness of the bare loop over all rounds, ns.
    pub bare: Histogram,
}

impl LatenessFigures {
    /// How many times as late as the bare loop the generator is at a quantile, over all rounds together: in a single one, whether the
    /// host interrupted a hundredth of the moments or a little less decides between nanoseconds and microseconds.
    pub fn ratio(&self, q: f64) -> f64 {
        at(&self.own, q) as f64 / at(&self.bare, q).max(1) as f64
    }
}

/// Measures the generator at `rate` (uniform arrivals) for `round`, then a bare spinning loop for as long, `rounds` times in turn.
///
/// # Errors
/// [`HarnessError`] when the generator could not be run, or `rate` or `rounds` are out of range.
pub fn lateness_check(rate: f64, round: Duration, rounds: usize) -> Result<LatenessFigures, HarnessError> {
    let rate = Rate::try_new(rate).map_err(|_| HarnessError::OutOfRange { what: "rate" })?;
    if rounds == 0 {
        return Err(HarnessError::OutOfRange { what: "rounds" });
    }
    let (client_core, server_core) = two_cores();
    let server = TrivialServer::start(server_core, None)?;
    let mut figures =
        LatenessFigures { rate: rate.per_second(), rounds: Vec::new(), own: Histogram::new(), bare: Histogram::new() };
    for _ in 0..rounds {
        let run = PingRun {
            schedule: Schedule::Uniform { rate },
            warm_up: round / 4,
            duration: round,
            connections: 64,
            max_in_flight: 4096,
            core: client_core,
        };
        let own = run.against(server.url())?.record.slip;
        let bare = bare_loop(rate, round, client_core)?;
        figures.rounds.push(LatenessRound {
            p50_ns: at(&own, 0.5),
            p99_ns: at(&own, 0.99),
            bare_p50_ns: at(&bare, 0.5),
            bare_p99_ns: at(&bare, 0.99),
        });
        figures.own.merge(&own);
        figures.bare.merge(&bare);
    }
    Ok(figures)
}

fn at(slip: &Histogram, q: f64) -> u64 {
    quantile(slip, 0, 0, q).unwrap_or(0)
}

/// Waits for each moment of a uniform schedule by looking at the clock and nothing else.
fn bare_loop(rate: Rate, duration: Duration, core: Option<usize>) -> Result<Histogram, ThreadError> {
    let spin = move || -> io::Result<Histogram> {
        core.map(pin).transpose()?;
        let clock = MonotonicClock::new();
        let mut slip = Histogram::new();
        for number in 0..(duration.as_secs_f64() * rate.per_second()) as u64 {
            let due_ns = (number as f64 * 1e9 / rate.per_second()) as u64;
            let mut now_ns = clock.now_ns();
            while now_ns < due_ns {
                std::hint::spin_loop();
                now_ns = clock.now_ns();
            }
            slip.record(now_ns - due_ns);
        }
        Ok(slip)
    };
    let thread = std::thread::Builder::new().name("peermark-bare".into()).spawn(spin)?;
    Ok(thread.join().map_err(|_| ThreadError::Panicked)??)
}
