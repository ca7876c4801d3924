//! `load.*`: the generator itself, on one core, against a trivial server on the other.

use std::time::Duration;

use peermark_probe::harness::{lateness_check, throughput_check};

use crate::figure::median;
use crate::{BenchError, Figure, Hold};

/// Arrivals per second at which lateness is held against a bare loop.
const LATENESS_RATE: f64 = 10_000.0;

/// How long each rate of the throughput search is held.
const STEP: Duration = Duration::from_millis(700);

const ROUND: Duration = Duration::from_millis(250);
const ROUNDS: usize = 24;

/// Requests per second in an open loop, and lateness beside a bare spinning loop.
///
/// # Errors
/// [`BenchError`] when the generator could not be run.
pub fn load() -> Result<Vec<Figure>, BenchError> {
    let throughput = throughput_check(STEP).map_err(|error| BenchError::subject("measuring throughput", error))?;
    let lateness = lateness_check(LATENESS_RATE, ROUND, ROUNDS)
        .map_err(|error| BenchError::subject("measuring lateness", error))?;
    let mut rate =
        Figure::of_values("load.req_per_s", "requests/s", &[throughput.open_per_second], Hold::AtLeast(30_000.0));
    rate.notes.push(format!("closed loop: {:.0} requests/s", throughput.closed_per_second));
    rate.reference = "oha, open loop with latency correction: about 30,000 per core".into();
    let of = |pick: fn(&peermark_probe::harness::LatenessRound) -> u64| -> Vec<f64> {
        lateness.rounds.iter().map(|round| pick(round) as f64).collect()
    };
    let p99 = (of(|round| round.p99_ns), of(|round| round.bare_p99_ns));
    let p50 = (of(|round| round.p50_ns), of(|round| round.bare_p50_ns));
    let bare = "a bare spinning loop on the same core, in turn; median lateness";
    let mut tail = Figure::of_values("load.lateness_p99_ratio", "ratio", &[lateness.ratio(0.99)], Hold::None);
    tail.reference =
        "the same loop at p99, all rounds together: decided by when the host interrupts either of them".into();
    tail.notes.push(format!("p99 {:.0} ns beside {:.0} ns (median round)", median(&p99.0), median(&p99.1)));
    Ok(vec![rate, Figure::of_ratio("load.lateness_ratio", "ns", &p50.0, (bare, &p50.1), Hold::AtMost(2.0)), tail])
}
