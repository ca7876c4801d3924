//! The search against simulated servers of known capacity, in the time of the simulation.

use peermark_core::{Histogram, Seed};
use rand::Rng;

use super::*;
use crate::recorder::quantile;
use crate::schedule::{Arrival, Arrivals};

/// Servers that take a fixed time per operation and share one queue: M/D/c with Poisson arrivals.
struct Servers {
    count: usize,
    service_ns: u64,
    /// Every so many operations one fails.
    fails_every: u64,
}

impl Servers {
    fn capacity(&self) -> f64 {
        self.count as f64 * 1e9 / self.service_ns as f64
    }

    fn run(&self, step: Step, seed: Seed) -> StepFigures {
        let (start_ns, window_ns) = (step.warm_up.as_nanos() as u64, step.window.as_nanos() as u64);
        let end_ns = start_ns + window_ns;
        let mut arrivals = step.schedule.arrivals(seed.stream("arrivals"));
        let mut free_ns = vec![0u64; self.count];
        let mut latency = Histogram::new();
        let mut figures = StepFigures { offered: 0, completed: 0, failed: 0, p90_ns: 0, slip_p90_ns: 0 };
        for number in 1.. {
            let (worker, free) =
                free_ns.iter().enumerate().min_by_key(|(_, free)| **free).map(|(i, f)| (i, *f)).unwrap();
            let at_ns = match arrivals.next_arrival() {
                Arrival::At(at_ns) => at_ns,
                _ => free_ns[0],
            };
            if at_ns >= end_ns {
                break;
            }
            let slot = if matches!(step.schedule, Schedule::Closed { .. }) { 0 } else { worker };
            let done_ns = at_ns.max(if slot == 0 && self.count > 1 { free_ns[0] } else { free }) + self.service_ns;
            free_ns[slot] = done_ns;
            let failed = number % self.fails_every == 0;
            figures.completed += u64::from(!failed && (start_ns..end_ns).contains(&done_ns));
            if at_ns >= start_ns {
                figures.offered += 1;
                figures.failed += u64::from(failed);
                latency.record(done_ns - at_ns);
            }
        }
        figures.p90_ns = quantile(&latency, 0, 0, 0.9).unwrap_or(0);
        figures
    }
}

fn search(servers: &Servers, seed: u64) -> Result<(Knee, Duration), KneeError> {
    let mut search = KneeSearch::new(Duration::from_secs(5));
    let (mut took, mut steps) = (Duration::ZERO, 0);
    while let Some(step) = search.next_step() {
        took += step.warm_up + step.window;
        steps += 1;
        search.report(servers.run(step, Seed(seed + steps)))?;
    }
    Ok((search.finish()?, took))
}

#[test]
fn it_lands_within_30_percent_of_the_capacity() {
    let mut draw = Seed(5).stream("servers");
    let mut outside = Vec::new();
    for number in 0..400 {
        // 1 to 16 servers, 50 us to 20 ms per operation on a logarithmic scale.
        let count = 1 + (draw.next_u64() % 16) as usize;
        let service_ns = (50_000.0 * 400f64.powf((draw.next_u64() % 1_000) as f64 / 1_000.0)) as u64;
        let servers = Servers { count, service_ns, fails_every: u64::MAX };
        let (knee, took) = search(&servers, number * 100).unwrap();
        let ratio = knee.rate.per_second() / servers.capacity();
        assert!(matches!(knee.limit, Limit::Throughput | Limit::Latency), "{:?}", knee.limit);
        assert!(took < Duration::from_millis(7_000), "{took:?}");
        if !(0.7..1.3).contains(&ratio) {
            outside.push((ratio, count, service_ns));
        }
    }
    // Where a step holds few operations, chance has a say: rarely, and not where thousands of operations fit into it.
    assert!(outside.len() <= 4, "{outside:?}");
    assert!(outside.iter().all(|(_, _, service_ns)| *service_ns > 5_000_000), "{outside:?}");
}

#[test]
fn a_fast_server_takes_four_seconds() {
    let servers = Servers { count: 8, service_ns: 2_000_000, fails_every: u64::MAX };
    let (knee, took) = search(&servers, 1).unwrap();
    assert!(took <= Duration::from_millis(4_100), "{took:?} for {} rates", knee.tried.len());
}

#[test]
fn rare_failures_have_a_knee_and_frequent_ones_do_not() {
    let rare = Servers { count: 1, service_ns: 1_000_000, fails_every: 300 };
    assert!(search(&rare, 1).is_ok());
    let frequent = Servers { count: 1, service_ns: 1_000_000, fails_every: 3 };
    assert!(matches!(search(&frequent, 1), Err(KneeError::Broken { .. })));
    let stuck = Servers { count: 1, service_ns: 60_000_000_000, fails_every: u64::MAX };
    assert!(matches!(search(&stuck, 1), Err(KneeError::TooSlow { .. })));
}

#[test]
fn a_network_without_limit_ends_at_the_highest_rate() {
    let mut search = KneeSearch::new(Duration::from_secs(5));
    let mut steps = 0;
    while search.next_step().is_some() {
        steps += 1;
        search.report(StepFigures { offered: 100, completed: 100, failed: 0, p90_ns: 10, slip_p90_ns: 0 }).unwrap();
    }
    assert_eq!((steps, search.finish().unwrap().limit), (10, Limit::Nothing));
}

#[test]
fn a_late_generator_is_named_as_the_limit() {
    let mut search = KneeSearch::new(Duration::from_secs(5));
    let good = StepFigures { offered: 100, completed: 100, failed: 0, p90_ns: 1_000, slip_p90_ns: 0 };
    search.report(good).unwrap();
    search.report(good).unwrap();
    while search.next_step().is_some() {
        search.report(StepFigures { completed: 50, slip_p90_ns: 900, ..good }).unwrap();
    }
    assert_eq!(search.finish().unwrap().limit, Limit::Generator);
}

#[test]
fn a_search_that_is_given_up_has_no_knee() {
    assert_eq!(KneeSearch::new(Duration::from_secs(1)).finish(), Err(KneeError::Unfinished));
}
