//! What schedules by the wall clock need: arrivals that want nothing yet, operations with a timeout of their own.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::*;
use crate::pacer::RelaxedPacer;
use crate::schedule::Arrival;

/// Wants an operation whenever it is asked at or after one of its moments, and looks again at each of them.
struct AtMoments {
    began: Instant,
    moments_ms: Vec<u64>,
    asked_ms: Arc<Mutex<Vec<u64>>>,
    changed: Arc<Notify>,
    waits: Option<Pin<Box<OwnedNotified>>>,
}

impl Arrivals for AtMoments {
    fn next_arrival(&mut self) -> Arrival {
        let now_ms = self.began.elapsed().as_millis() as u64;
        self.asked_ms.lock().push(now_ms);
        match self.moments_ms.first().copied() {
            None => Arrival::End,
            Some(at_ms) if at_ms <= now_ms => {
                self.moments_ms.remove(0);
                Arrival::At(at_ms * MS)
            }
            Some(at_ms) => Arrival::Later(at_ms * MS),
        }
    }
    fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let changed = Arc::clone(&self.changed);
        let waits = self.waits.get_or_insert_with(|| Box::pin(changed.notified_owned()));
        std::task::ready!(waits.as_mut().poll(cx));
        self.waits = None;
        Poll::Ready(())
    }
}

#[tokio::test(start_paused = true)]
async fn arrivals_that_want_nothing_yet_are_asked_again() {
    let began = Instant::now();
    let changed = Arc::new(Notify::new());
    let asked_ms = Arc::new(Mutex::new(Vec::new()));
    let mut arrivals = AtMoments {
        began,
        moments_ms: vec![100, 5_000],
        asked_ms: Arc::clone(&asked_ms),
        changed: Arc::clone(&changed),
        waits: None,
    };
    tokio::spawn(async move {
        sleep_until(began + Duration::from_secs(3)).await;
        changed.notify_one();
    });
    let mut pacer = RelaxedPacer::new(Arc::clone(VirtualPacer::new().clock()));
    let limits = Limits { duration: None, ..limits(0) };
    let window = window_from(pacer.clock().as_ref(), &limits);
    let mut driver = Calls { call: |_| takes(Duration::from_millis(1_000)), left: u64::MAX };
    let mut recorder = Recorder::new(&"phase".into(), &driver.lanes(), window, 5_000 * MS, None);
    let stop = CancellationToken::new();
    let engine =
        Executor { limits, window, pacer: &mut pacer, recorder: &mut recorder, stop: &stop, show: &mut |_| {} };
    let execution = engine.execute(&mut driver, &mut arrivals).await.unwrap();
    // At the start; at the moment and after it; when the operation ends; when told so; at the moment and after it.
    assert_eq!(*asked_ms.lock(), [0, 100, 100, 1_100, 3_000, 5_000, 5_000]);
    assert_eq!(execution.arrivals, 2);
    assert_eq!(recorder.snapshot().ok, 2);
}

#[tokio::test(start_paused = true)]
async fn an_operation_may_bring_its_own_timeout() {
    struct Patient;
    impl Driver for Patient {
        type Task = ();
        fn lanes(&self) -> Vec<String> {
            vec!["op".into()]
        }
        fn prepare(&mut self, number: u64) -> Option<Prepared<()>> {
            let timeout = (number == 1).then_some(Duration::from_secs(60));
            (number < 2).then_some(Prepared { lane: 0, trace: number, timeout, task: () })
        }
        fn run(&self, (): (), _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
            takes(Duration::from_secs(50))
        }
    }
    let (_, record) = run_until(closed(2), limits(1_000), &CancellationToken::new(), Patient).await;
    assert_eq!((record.ok, record.failed), (1, [((FailureClass::Timeout, Culprit::Peer), 1)].into()));
}
