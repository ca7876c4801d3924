//! Work that blocks: on a thread of its own, which ends with the run.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::task::{HANGS, NO_THREAD, STOPPED, Stop};

/// How long the thread of an earlier run, which was told to end, may take for it, and how often it is looked after.
const TO_END: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// The threads of one task, one at a time. A thread in a call that the kernel does not return from cannot be ended: the runs after
/// it fail, so that threads do not pile up.
#[derive(Debug)]
pub(super) struct Lane {
    name: &'static str,
    taken: Arc<AtomicBool>,
}

/// Says that the thread has ended, however it does.
struct Taken(Arc<AtomicBool>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Lane {
    /// No thread runs yet; those that do are named `name`.
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, taken: Arc::default() }
    }

    /// The same lane, for the run that has to own what it uses.
    pub(super) fn share(&self) -> Self {
        Self { name: self.name, taken: Arc::clone(&self.taken) }
    }

    /// Runs `work` on a new thread. Its token is cancelled with `cancel` and when the returned future is dropped: `work` looks at it
    /// at least every 100 ms. A panic of the thread becomes one of the caller.
    ///
    /// # Errors
    /// What `work` fails with; [`HANGS`] where the thread of an earlier run has not ended; [`NO_THREAD`].
    pub(super) async fn on_thread<T, F>(&self, cancel: &CancellationToken, work: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: FnOnce(&CancellationToken) -> Result<T, Stop> + Send + 'static,
    {
        let taken = self.take().await?;
        let token = cancel.child_token();
        let _cancelled_with_this_future = token.clone().drop_guard();
        let (sender, receiver) = oneshot::channel();
        let started = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || {
            let taken = taken;
            let done = work(&token);
            // Before the run goes on, which may want the next thread at once.
            drop(taken);
            // Nobody receives once the run was dropped.
            let _ = sender.send(done);
        });
        let thread = started.map_err(|error| NO_THREAD.stop(format!("start a thread: {error}")))?;
        match receiver.await {
            Ok(done) => done,
            Err(_) => match thread.join() {
                Err(panic) => resume_unwind(panic),
                Ok(()) => Err(STOPPED.stop("the thread ended without a result")),
            },
        }
    }

    async fn take(&self) -> Result<Taken, Stop> {
        let free = async {
            while self.taken.compare_exchange(false, true, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let waited = tokio::time::timeout(TO_END, free).await;
        waited.map_err(|_| HANGS.stop(format!("the thread {} of an earlier run has not come back", self.name)))?;
        Ok(Taken(Arc::clone(&self.taken)))
    }
}

/// Ends work whose run is over.
pub(super) fn go_on(cancel: &CancellationToken) -> Result<(), Stop> {
    if cancel.is_cancelled() { Err(STOPPED.stop("cancelled while it ran")) } else { Ok(()) }
}

/// Where threads wait for each other, so that they start at once.
pub(super) struct Gate {
    arrived: AtomicUsize,
    expected: usize,
}

impl Gate {
    /// Waits until all have arrived, or the run is over. It spins: a thread that is woken starts late.
    pub(super) fn wait(&self, cancel: &CancellationToken) -> Result<(), Stop> {
        self.arrived.fetch_add(1, Ordering::SeqCst);
        while self.arrived.load(Ordering::SeqCst) < self.expected {
            go_on(cancel)?;
            std::thread::yield_now();
        }
        go_on(cancel)
    }
}

/// Runs `work` on as many threads, each given its number and the gate that all of them have to pass, and returns what each came to.
pub(super) fn together<T, F>(name: &str, threads: usize, cancel: &CancellationToken, work: F) -> Result<Vec<T>, Stop>
where
    T: Send,
    F: Fn(usize, &Gate) -> Result<T, Stop> + Sync,
{
    let gate = Gate { arrived: AtomicUsize::new(0), expected: threads };
    std::thread::scope(|scope| {
        let mut running = Vec::new();
        for number in 0..threads {
            let (gate, work) = (&gate, &work);
            let started =
                std::thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, move || work(number, gate));
            match started {
                Ok(thread) => running.push(thread),
                Err(error) => {
                    // Those that wait for this one would wait for ever.
                    cancel.cancel();
                    return Err(NO_THREAD.stop(format!("thread {} of {threads}: {error}", number + 1)));
                }
            }
        }
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dropping_the_run_cancels_the_thread() {
        let (ended, end) = oneshot::channel();
        let never = CancellationToken::new();
        let lane = Lane::new("test");
        let run = lane.on_thread(&never, move |cancel| {
            while !cancel.is_cancelled() {
                std::thread::yield_now();
            }
            let _ = ended.send(());
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), run).await.is_err());
        tokio::time::timeout(Duration::from_secs(10), end).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_thread_that_hangs_has_no_company() {
        let (lane, never) = (Lane::new("test"), CancellationToken::new());
        let (back, hold) = std::sync::mpsc::sync_channel::<()>(1);
        let hung = lane.on_thread(&never, move |_| {
            // As a write to a disk that does not answer: no token ends it.
            let _ = hold.recv();
            Ok(())
        });
        assert!(tokio::time::timeout(Duration::from_millis(20), hung).await.is_err());
        let refused = lane.on_thread(&never, |_| Ok(())).await;
        assert!(matches!(&refused, Err(Stop::Failed(found)) if found.failure == &HANGS), "{refused:?}");
        drop(back);
        assert_eq!(lane.share().on_thread(&never, |_| Ok(7)).await, Ok(7), "it came back");
    }

    #[test]
    fn threads_pass_the_gate_together_or_not_at_all() {
        let passed = AtomicUsize::new(0);
        let cancel = CancellationToken::new();
        let before = together("test", 4, &cancel, |number, gate| {
            let before = passed.load(Ordering::SeqCst);
            gate.wait(&cancel)?;
            passed.fetch_add(1, Ordering::SeqCst);
            Ok((number, before))
        });
        assert_eq!(before, Ok(vec![(0, 0), (1, 0), (2, 0), (3, 0)]));
        cancel.cancel();
        assert!(
            together("test", 2, &cancel, |number, gate| if number == 0 { gate.wait(&cancel) } else { Ok(()) }).is_err()
        );
    }

    #[tokio::test]
    #[should_panic(expected = "broken")]
    async fn a_panic_is_handed_on() {
        let _ = Lane::new("test").on_thread::<(), _>(&CancellationToken::new(), |_| panic!("broken")).await;
    }
}
