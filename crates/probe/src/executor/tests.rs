//! The engine in virtual time: a paused runtime, drivers that sleep instead of working.

mod later;

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use peermark_core::{Culprit, FailureClass, MonotonicNs, Seed};
use tokio::time::{Instant, sleep, sleep_until};

use super::*;
use crate::driver::{Done, Prepared};
use crate::pacer::tests::VirtualPacer;
use crate::recorder::{LaneRecord, Recorder};
use crate::schedule::{Rate, Schedule};

const MS: u64 = 1_000_000;

/// Every operation is one call of a function.
struct Calls<F> {
    call: F,
    left: u64,
}

impl<F, W> Driver for Calls<F>
where
    F: Fn(u64) -> W + Send,
    W: Future<Output = Done> + Send + 'static,
{
    type Task = u64;
    fn lanes(&self) -> Vec<String> {
        vec!["op".into()]
    }
    fn prepare(&mut self, number: u64) -> Option<Prepared<u64>> {
        self.left = self.left.checked_sub(1)?;
        Some(Prepared { lane: 0, trace: number, timeout: None, task: number })
    }
    fn run(&self, task: u64, _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        (self.call)(task)
    }
}

fn limits(duration_ms: u64) -> Limits {
    Limits {
        warm_up: Duration::ZERO,
        duration: Some(Duration::from_millis(duration_ms)),
        operations: None,
        timeout: Duration::from_secs(5),
        max_in_flight: 10_000,
    }
}

fn uniform(per_second: f64) -> Schedule {
    Schedule::Uniform { rate: Rate::try_new(per_second).unwrap() }
}

fn closed(concurrency: u32) -> Schedule {
    Schedule::Closed { concurrency: NonZeroU32::new(concurrency).unwrap() }
}

async fn run<F, W>(schedule: Schedule, limits: Limits, call: F) -> (Execution, LaneRecord)
where
    F: Fn(u64) -> W + Send,
    W: Future<Output = Done> + Send + 'static,
{
    run_until(schedule, limits, &CancellationToken::new(), Calls { call, left: u64::MAX }).await
}

async fn run_until<D: Driver>(
    schedule: Schedule,
    limits: Limits,
    stop: &CancellationToken,
    mut driver: D,
) -> (Execution, LaneRecord) {
    let mut pacer = VirtualPacer::new();
    let window = window_from(pacer.clock().as_ref(), &limits);
    let timeout_ns = limits.timeout.as_nanos() as u64;
    let mut recorder = Recorder::new(&"phase".into(), &driver.lanes(), window, timeout_ns, None);
    let engine = Executor { limits, window, pacer: &mut pacer, recorder: &mut recorder, stop, show: &mut |_| {} };
    let mut arrivals = schedule.arrivals(Seed(1).stream("arrivals"));
    let execution = engine.execute(&mut driver, &mut arrivals).await.unwrap();
    let record = recorder.finish(execution.window.end_ns).unwrap().remove(0);
    (execution, record)
}

async fn takes(duration: Duration) -> Done {
    sleep(duration).await;
    Done::ok(1)
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_does_not_wait_for_anything() {
    let (execution, record) = run(uniform(100.0), limits(1_000), |_| takes(Duration::from_secs(3))).await;
    assert_eq!((execution.arrivals, record.ok, record.censored), (100, 100, 0));
    let p50 = record.latency_quantile(0.5).unwrap();
    assert!((3_000 * MS..3_040 * MS).contains(&p50), "{p50}");
    assert_eq!(record.completed_in_window, 0, "nothing was complete by the end of the window");
}

#[tokio::test(start_paused = true)]
async fn what_the_bound_turns_away_is_counted_as_our_failure() {
    let bounded = Limits { max_in_flight: 40, ..limits(1_000) };
    let (execution, record) = run(uniform(100.0), bounded, |_| takes(Duration::from_secs(3))).await;
    assert_eq!((record.count, record.ok, execution.refused), (100, 40, 60));
    assert_eq!(record.failed, [((FailureClass::NotSent, Culprit::Observer), 60)].into());
    assert_eq!(record.latency_quantile(0.5), Some(5_000 * MS), "a refusal counts as a value at the deadline");
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_absolute_deadline() {
    let began = Instant::now();
    let (_, record) = run(uniform(10.0), limits(1_000), |_| std::future::pending()).await;
    assert_eq!(record.failed, [((FailureClass::Timeout, Culprit::Peer), 10)].into());
    assert_eq!(record.last_end_ns, 900 * MS + 5_000 * MS, "the last intended start and its timeout");
    assert!(began.elapsed() < Duration::from_millis(5_950));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_failure_of_its_operation_alone() {
    let (execution, record) = run(uniform(10.0), limits(1_000), |number| async move {
        assert!(number != 3, "this panic belongs to the test");
        Done::ok(1)
    })
    .await;
    assert_eq!((record.count, record.ok, execution.panicked), (10, 9, 1));
    assert_eq!(record.failed, [((FailureClass::Panicked, Culprit::Observer), 1)].into());
}

#[tokio::test(start_paused = true)]
async fn warm_up_is_done_and_not_counted() {
    let warmed = Limits { warm_up: Duration::from_millis(500), ..limits(1_000) };
    let (execution, record) = run(uniform(100.0), warmed, |_| takes(Duration::from_millis(1))).await;
    assert_eq!((execution.arrivals, record.count), (150, 100));
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_keeps_its_concurrency() {
    let (_, record) = run(closed(4), limits(1_000), |_| takes(Duration::from_millis(100))).await;
    assert_eq!(record.count, 40);
    assert_eq!(record.slip.max(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_operations_may_end_it() {
    let counted = Limits { duration: None, operations: Some(25), ..limits(0) };
    let (execution, record) = run(closed(10), counted, |_| takes(Duration::from_millis(100))).await;
    assert_eq!((record.count, execution.exhausted), (25, false));
    assert_eq!(record.slices.iter().map(|slice| slice.ok).sum::<u64>(), 25);
    let driver = Calls { call: |_| takes(Duration::from_millis(10)), left: 7 };
    let (execution, record) = run_until(closed(2), limits(1_000), &CancellationToken::new(), driver).await;
    assert_eq!((record.count, execution.exhausted), (7, true));
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_honoured_within_a_second() {
    let stop = CancellationToken::new();
    let began = Instant::now();
    let at = began + Duration::from_secs(2);
    tokio::spawn({
        let stop = stop.clone();
        async move {
            sleep_until(at).await;
            stop.cancel();
        }
    });
    let driver = Calls { call: |_| std::future::pending(), left: u64::MAX };
    let (execution, record) = run_until(uniform(10.0), limits(60_000), &stop, driver).await;
    assert!(at.elapsed() < Duration::from_secs(1), "{:?}", at.elapsed());
    assert!(execution.stopped && execution.cut_off >= 20);
    assert_eq!(record.count, 0, "what a stop cut off is in no statistic");
    assert!(execution.window.end_ns < 3_000 * MS);
}

/// A server that answers within a millisecond and stands still for 200 ms of a second.
async fn stalls(began: Instant) -> Done {
    let stall = began + Duration::from_millis(400)..began + Duration::from_millis(600);
    if stall.contains(&Instant::now()) {
        sleep_until(stall.end).await;
    }
    Done::ok(1)
}

#[tokio::test(start_paused = true)]
async fn an_open_loop_sees_the_stall_that_a_closed_loop_omits() {
    let began = Instant::now();
    let (_, record) = run(uniform(1_000.0), limits(1_000), move |_| stalls(began)).await;
    // 200 of 1000 arrive while it stands still, one each millisecond: the tenth longest waits 191 ms.
    let p99 = record.latency_quantile(0.99).unwrap();
    assert!((188 * MS..194 * MS).contains(&p99), "{p99}");

    let began = Instant::now();
    let (_, record) = run(closed(1), limits(1_000), move |_| async move {
        sleep(Duration::from_millis(1)).await;
        stalls(began).await
    })
    .await;
    assert!(record.latency_quantile(0.99).unwrap() < 3 * MS, "one operation saw it");
}

/// Real starts of rounds, each taking so many milliseconds, 100 ms apart where they can be, and the record.
async fn rounds_that_take(ms: &'static [u64]) -> (Vec<u64>, LaneRecord) {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let counted = Limits { duration: None, operations: Some(ms.len() as u64), ..limits(0) };
    let (execution, record) = run(Schedule::Rounds { every: Duration::from_millis(100) }, counted, |number| {
        starts.lock().push(began.elapsed().as_millis() as u64);
        takes(Duration::from_millis(ms[number as usize]))
    })
    .await;
    assert_eq!((execution.arrivals, execution.refused), (ms.len() as u64, 0));
    let starts = starts.lock().clone();
    (starts, record)
}

#[tokio::test(start_paused = true)]
async fn short_rounds_start_on_the_beat() {
    let (starts, record) = rounds_that_take(&[10, 99, 0, 30, 10]).await;
    assert_eq!(starts, [0, 100, 200, 300, 400]);
    assert_eq!((record.ok, record.slip.max()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_long_round_is_followed_at_once_and_never_overlapped() {
    let (starts, record) = rounds_that_take(&[10, 250, 10, 10]).await;
    // The second ends at 350: the third starts then, and the beat counts from there.
    assert_eq!(starts, [0, 100, 350, 450]);
    assert_eq!(record.latency.max() / MS / 10, 25, "a round does not wait in a queue: no slip is added to its latency");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_never_ends_gives_way_at_its_deadline() {
    let counted = Limits { duration: None, operations: Some(2), ..limits(0) };
    let began = Instant::now();
    let hangs_first = |number| async move {
        if number == 0 { std::future::pending().await } else { takes(Duration::from_millis(1)).await }
    };
    let (_, record) = run(Schedule::Rounds { every: Duration::from_millis(100) }, counted, hangs_first).await;
    assert_eq!((record.ok, record.failed), (1, [((FailureClass::Timeout, Culprit::Peer), 1)].into()));
    assert!((5_000..5_010).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn rounds_go_on_until_a_stop() {
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move {
            sleep(Duration::from_millis(1_050)).await;
            stop.cancel();
        }
    });
    let endless = Limits { duration: None, operations: None, ..limits(0) };
    let driver = Calls { call: |_| takes(Duration::from_millis(10)), left: u64::MAX };
    let schedule = Schedule::Rounds { every: Duration::from_millis(100) };
    let (execution, record) = run_until(schedule, endless, &stop, driver).await;
    assert!(execution.stopped);
    assert_eq!((record.ok, execution.cut_off), (execution.arrivals, 0));
    assert!((11..=14).contains(&record.ok), "{}", record.ok);
}
