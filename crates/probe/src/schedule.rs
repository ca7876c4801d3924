//! When operations are wanted.
//!
//! A [`Schedule`] is a plan that can be printed and repeated; its [`Arrivals`] are the moments, drawn from one seeded stream. Open
//! loops know every moment before the first operation starts: what the system under test does cannot move them.

use std::num::NonZeroU32;
use std::task::{Context, Poll};
use std::time::Duration;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

/// Highest rate that can be asked for, per second. Far above what one thread sends; keeps arithmetic on gaps exact.
pub const MAX_RATE: f64 = 1e6;

/// Arrivals per second: finite, above 0, at most [`MAX_RATE`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(f64);

/// Why a number is no rate.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
#[error("not a rate: {found} per second (above 0, at most {MAX_RATE})")]
pub struct InvalidRate {
    found: f64,
}

impl Rate {
    /// A rate of so many arrivals per second.
    ///
    /// # Errors
    /// [`InvalidRate`] unless the number is finite, above 0 and at most [`MAX_RATE`].
    pub fn try_new(per_second: f64) -> Result<Self, InvalidRate> {
        let valid = per_second > 0.0 && per_second <= MAX_RATE;
        if valid { Ok(Self(per_second)) } else { Err(InvalidRate { found: per_second }) }
    }

    /// The nearest rate to a number of any size.
    pub(crate) fn clamped(per_second: f64) -> Self {
        Self(if per_second.is_finite() { per_second.clamp(1e-3, MAX_RATE) } else { MAX_RATE })
    }

    /// Arrivals per second.
    pub fn per_second(self) -> f64 {
        self.0
    }

    fn mean_gap_ns(self) -> f64 {
        1e9 / self.0
    }
}

/// A plan of arrivals.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// Open loop, independent arrivals: exponential gaps.
    Poisson {
        /// Mean rate.
        rate: Rate,
    },
    /// Open loop, equal gaps.
    Uniform {
        /// Rate.
        rate: Rate,
    },
    /// Closed loop: the next operation starts when one ends. Its latencies hide queueing and have to be labelled so.
    Closed {
        /// Operations that are in flight at any moment.
        concurrency: NonZeroU32,
    },
    /// Many at one moment, again and again.
    Bursts {
        /// Operations per burst.
        size: NonZeroU32,
        /// From one burst to the next.
        every: Duration,
        /// How many bursts.
        rounds: NonZeroU32,
    },
    /// One operation at a time, without end. The next is wanted `every` after the one before was, or when that one ends if it takes
    /// longer: rounds that are short do not drift, and long ones do not pile up.
    Rounds {
        /// From one round to the next.
        every: Duration,
    },
}

impl Schedule {
    /// Arrivals per second that the plan calls for; `None` where it names no rate.
    pub fn rate(&self) -> Option<Rate> {
        match self {
            Self::Poisson { rate } | Self::Uniform { rate } => Some(*rate),
            Self::Closed { .. } | Self::Bursts { .. } | Self::Rounds { .. } => None,
        }
    }

    /// The arrivals, drawn from `stream`. Equal plans and streams give equal arrivals.
    pub fn arrivals(&self, stream: ChaCha8Rng) -> PlannedArrivals {
        PlannedArrivals { schedule: *self, stream, drawn: 0, at_ns: 0.0 }
    }
}

/// The next thing that a schedule wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// An operation, this many nanoseconds after the schedule began. In a plan
    /// of load never earlier than the one before.
    At(u64),
    /// Nothing is wanted yet: ask again this many nanoseconds after the schedule began, when an operation has ended, or when
    /// [`Arrivals::poll_changed`] says so.
    Later(u64),
    /// An operation as soon as fewer than `concurrency` are in flight.
    WhenFewerThan {
        /// The bound.
        concurrency: u32,
    },
    /// An operation when none is in flight and the one before was wanted at least `every_ns` ago. The first one at once.
    WhenIdle {
        /// Nanoseconds from one to the next.
        every_ns: u64,
    },
    /// Nothing more.
    End,
}

/// Arrivals in order. Implement it for a schedule of another kind.
pub trait Arrivals: Send {
    /// The next arrival. After [`Arrival::End`] it stays that.
    fn next_arrival(&mut self) -> Arrival;

    /// Ready when [`Arrival::Later`] is to be asked again before its time. Schedules whose moments nobody moves never are.
    fn poll_changed(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// The arrivals of a [`Schedule`].
#[derive(Clone, Debug)]
pub struct PlannedArrivals {
    schedule: Schedule,
    stream: ChaCha8Rng,
    drawn: u64,
    at_ns: f64,
}

impl Arrivals for PlannedArrivals {
    fn next_arrival(&mut self) -> Arrival {
        let number = self.drawn;
        self.drawn += 1;
        match self.schedule {
            Schedule::Poisson { rate } => {
                self.at_ns += exponential(&mut self.stream) * rate.mean_gap_ns();
                Arrival::At(self.at_ns as u64)
            }
            // From the number, not by adding gaps: no error accumulates.
            Schedule::Uniform { rate } => Arrival::At((number as f64 * rate.mean_gap_ns()) as u64),
            Schedule::Closed { concurrency } => Arrival::WhenFewerThan { concurrency: concurrency.get() },
            Schedule::Bursts { size, every, rounds } => {
                let round = number / u64::from(size.get());
                if round >= u64::from(rounds.get()) {
                    return Arrival::End;
                }
                Arrival::At(u64::try_from(every.as_nanos()).unwrap_or(u64::MAX).saturating_mul(round))
            }
            Schedule::Rounds { every } => {
                Arrival::WhenIdle { every_ns: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX) }
            }
        }
    }
}

/// One draw of the exponential distribution with mean 1.
fn exponential(stream: &mut ChaCha8Rng) -> f64 {
    // 53 random bits in the middle of their cells: never 0, so the logarithm is finite.
    let uniform = ((stream.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -uniform.ln()
}

#[cfg(test)]
mod tests {
    use peermark_core::Seed;
    use proptest::prelude::*;

    use super::*;

    fn offsets(schedule: Schedule, seed: u64, count: usize) -> Vec<u64> {
        let mut arrivals = schedule.arrivals(Seed(seed).stream("arrivals"));
        (0..count)
            .map_while(|_| match arrivals.next_arrival() {
                Arrival::At(offset) => Some(offset),
                _ => None,
            })
            .collect()
    }

    fn rate(per_second: f64) -> Rate {
        Rate::try_new(per_second).unwrap()
    }

    #[test]
    fn rates_are_finite_positive_and_bounded() {
        for refused in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6 + 1.0] {
            assert!(Rate::try_new(refused).is_err(), "{refused}");
        }
        assert_eq!(rate(1e6).per_second(), 1e6);
    }

    #[test]
    fn uniform_arrivals_do_not_drift() {
        let offsets = offsets(Schedule::Uniform { rate: rate(3.0) }, 1, 3_000_001);
        assert_eq!(offsets[..4], [0, 333_333_333, 666_666_666, 1_000_000_000]);
        assert_eq!(offsets[3_000_000], 1_000_000_000_000_000);
    }

    #[test]
    fn poisson_gaps_have_mean_and_deviation_of_the_rate() {
        let offsets = offsets(Schedule::Poisson { rate: rate(1000.0) }, 7, 100_001);
        let gaps: Vec<f64> = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "mean gap {mean} ms");
        assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
    }

    #[test]
    fn bursts_come_together_and_end() {
        let schedule = Schedule::Bursts {
            size: NonZeroU32::new(2).unwrap(),
            every: Duration::from_nanos(10),
            rounds: NonZeroU32::new(3).unwrap(),
        };
        assert_eq!(offsets(schedule, 1, 100), [0, 0, 10, 10, 20, 20]);
    }

    proptest! {
        #[test]
        fn arrivals_are_in_order_and_repeat_with_their_seed(seed in any::<u64>(), per_second in 1e-3f64..1e6) {
            for schedule in [Schedule::Poisson { rate: rate(per_second) }, Schedule::Uniform { rate: rate(per_second) }] {
                let first = offsets(schedule, seed, 200);
                prop_assert!(first.is_sorted());
                prop_assert_eq!(&first, &offsets(schedule, seed, 200));
            }
        }
    }
}
