//! What the generator itself can do: how many requests it sends, and how late it is.
//!
//! Both checks run the whole path that a load run takes (schedule, executor, HTTP client, recorder) against a server that does
//! nothing, the generator on one core and the server on another where there are two.

mod lateness;
mod ping;
mod throughput;

pub use lateness::{LatenessFigures, LatenessRound, lateness_check};
pub use throughput::{ThroughputFigures, ThroughputStep, throughput_check};

pub use ping::HarnessError;
pub(crate) use ping::{PingRun, ping};

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_generator_is_measured_through_its_whole_path() {
        let figures = throughput_check(Duration::from_millis(20)).unwrap();
        assert!(figures.closed_per_second > 0.0 && figures.closed_cpu_ns > 0.0, "{figures:?}");
        assert!(!figures.steps.is_empty());
    }

    #[test]
    fn lateness_is_measured_beside_a_bare_loop() {
        let figures = lateness_check(1_000.0, Duration::from_millis(50), 2).unwrap();
        assert_eq!(figures.rounds.len(), 2);
        assert!(
            figures.rounds.iter().all(|round| round.p50_ns <= round.p99_ns && round.bare_p50_ns <= round.bare_p99_ns)
        );
        assert!(matches!(lateness_check(0.0, Duration::from_millis(1), 1), Err(HarnessError::OutOfRange { .. })));
        assert!(matches!(lateness_check(1.0, Duration::from_millis(1), 0), Err(HarnessError::OutOfRange { .. })));
    }
}
