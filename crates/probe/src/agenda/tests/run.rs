//! An agenda under test: what ran, when, and how it was told to end.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;
use peermark_core::{MonotonicNs, Outcome};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::*;

/// The clock of a paused runtime, with a wall that can be stepped.
pub(super) struct SteppedClock {
    began: Mutex<Option<Instant>>,
    wall_ms: AtomicI64,
}

impl SteppedClock {
    pub(super) fn new(wall_ms: u64) -> Arc<Self> {
        Arc::new(Self { began: Mutex::new(None), wall_ms: AtomicI64::new(wall_ms as i64) })
    }

    pub(super) fn step_s(&self, by_s: i64) {
        self.wall_ms.fetch_add(by_s * 1_000, Ordering::SeqCst);
    }

    /// Since the first reading.
    fn elapsed(&self) -> Duration {
        self.began.lock().get_or_insert_with(Instant::now).elapsed()
    }
}

impl Clock for SteppedClock {
    fn now_ns(&self) -> MonotonicNs {
        // Not 0, so that a moment before the start can be told.
        1_000_000_000 + self.elapsed().as_nanos() as u64
    }
    fn wall_ms(&self) -> u64 {
        (self.wall_ms.load(Ordering::SeqCst) + self.elapsed().as_millis() as i64) as u64
    }
}

pub(super) type Doing = Pin<Box<dyn Future<Output = Done> + Send>>;
type Act = Arc<dyn Fn(&Job) -> Doing + Send + Sync>;

/// One attempt as it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) job: Job,
    /// When it began, by the monotonic clock and since midnight of the first day by the wall.
    pub(super) at_ns: MonotonicNs,
    pub(super) wall_ms: u64,
    pub(super) end: Option<Finished>,
}

pub(super) struct Log {
    clock: Arc<SteppedClock>,
    act: Act,
    seen: Mutex<Vec<Seen>>,
}

struct Doer(Arc<Log>);

impl Work for Doer {
    fn run(&self, job: Job) -> impl Future<Output = Done> + Send + 'static {
        let log = &self.0;
        let seen = Seen { job, at_ns: log.clock.now_ns(), wall_ms: log.clock.wall_ms(), end: None };
        log.seen.lock().push(seen);
        (log.act)(&job)
    }

    fn ended(&self, job: &Job, end: &Finished) -> Ending {
        let mut seen = self.0.seen.lock();
        let attempt = seen.iter_mut().rev().find(|seen| seen.job.trace == job.trace).unwrap();
        assert!(attempt.end.is_none(), "an attempt ends once");
        assert_eq!(Job { deadline_ns: 0, ..attempt.job }, Job { deadline_ns: 0, ..*job });
        attempt.end = Some(*end);
        match end.outcome {
            Outcome::Ok => Ending::Success,
            Outcome::Failed { class: FailureClass::ConnectFailed, .. } => Ending::MayPass,
            Outcome::Failed { class: FailureClass::BadOutput, .. } => panic!("this panic belongs to the test"),
            Outcome::Failed { .. } => Ending::Final,
        }
    }
}

pub(super) struct Runs {
    pub(super) clock: Arc<SteppedClock>,
    pub(super) handle: AgendaHandle,
    log: Arc<Log>,
    stop: CancellationToken,
    task: JoinHandle<Result<Execution, ExecuteError>>,
    began: Instant,
}

impl Runs {
    /// Attempts take a second and succeed.
    pub(super) fn start(plans: Vec<Plan>, options: AgendaOptions, clock: Arc<SteppedClock>) -> Self {
        Self::start_with(plans, options, clock, |_| takes(SECOND))
    }

    pub(super) fn start_with(
        plans: Vec<Plan>,
        options: AgendaOptions,
        clock: Arc<SteppedClock>,
        act: impl Fn(&Job) -> Doing + Send + Sync + 'static,
    ) -> Self {
        clock.now_ns();
        Self::start_agenda(Agenda::new(plans, options).unwrap(), clock, act)
    }

    pub(super) fn start_agenda(
        agenda: Agenda,
        clock: Arc<SteppedClock>,
        act: impl Fn(&Job) -> Doing + Send + Sync + 'static,
    ) -> Self {
        let log = Arc::new(Log { clock: Arc::clone(&clock), act: Arc::new(act), seen: Mutex::default() });
        let handle = agenda.handle();
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (stop, work) = (stop.clone(), Doer(Arc::clone(&log)));
            async move { agenda.run(work, &stop).await }
        });
        Self { clock, handle, log, stop, task, began: Instant::now() }
    }

    /// Lets time pass until so long after the start, and a little more, so that what is due then is done.
    pub(super) async fn until(&self, after: Duration) {
        sleep_until(self.began + after + Duration::from_millis(20)).await;
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().clone()
    }

    /// Seconds from midnight of the first day to each begin of a plan, by the wall.
    pub(super) fn begins_s(&self, plan: usize) -> Vec<u64> {
        let seen = self.seen();
        seen.iter().filter(|seen| seen.job.plan == plan).map(|seen| (seen.wall_ms - MIDNIGHT_MS) / 1_000).collect()
    }

    /// Why each attempt of a plan ran.
    pub(super) fn triggers(&self, plan: usize) -> Vec<Trigger> {
        self.seen().iter().filter(|seen| seen.job.plan == plan).map(|seen| seen.job.trigger).collect()
    }

    /// Stops it; what it said, and how long it took.
    pub(super) async fn stop(self) -> (Execution, Vec<Seen>, Duration) {
        let began = Instant::now();
        self.stop.cancel();
        let execution = self.task.await.unwrap().unwrap();
        let seen = self.log.seen.lock().clone();
        assert!(seen.iter().all(|seen| seen.end.is_some()), "every attempt ends");
        (execution, seen, began.elapsed())
    }
}

pub(super) fn takes(time: Duration) -> Doing {
    ends_after(time, ok())
}

pub(super) fn ends_after(time: Duration, done: Done) -> Doing {
    Box::pin(async move {
        sleep(time).await;
        done
    })
}
