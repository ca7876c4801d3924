//! Asking and steering an agenda while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use thiserror::Error;

use super::AgendaOptions;
use super::Classes;
use super::book::Book;
use super::moment::Now;

/// What the engine and the handles share.
pub(super) struct Shared {
    pub(super) options: AgendaOptions,
    /// Locked for moments only, and never while foreign code runs.
    pub(super) book: Mutex<Book>,
    changed: AtomicBool,
    waker: AtomicWaker,
}

impl Shared {
    pub(super) fn new(book: Book, options: AgendaOptions) -> Self {
        Self { options, book: Mutex::new(book), changed: AtomicBool::new(false), waker: AtomicWaker::new() }
    }

    pub(super) fn now(&self) -> Now {
        Now { ns: self.options.clock.now_ns(), wall_ms: self.options.clock.wall_ms() }
    }

    /// Registers whoever waits for a change, and says whether there was one since it was last asked.
    pub(super) fn has_changed(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        self.changed.swap(false, Ordering::AcqRel)
    }

    fn wake(&self) {
        self.changed.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// Asks and steers an agenda. Cheap to clone; calls return at once.
#[derive(Clone)]
pub struct AgendaHandle {
    shared: Arc<Shared>,
}

/// Why a request to run something now was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RunRefused {
    /// No plan has this name.
    #[error("no such task")]
    Unknown,
    /// It runs or stands in line to.
    #[error("it runs already")]
    Running,
    /// It, or anything at all, was asked for too often.
    #[error("asked for too often: again in {} s", wait.as_secs_f64().ceil())]
    TooOften {
        /// When asking again makes sense.
        wait: Duration,
    },
}

/// What became of a plan's moments since the agenda was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts that were started.
    pub started: u64,
    /// Moments that were dropped because the task ran or stood in line.
    pub dropped: u64,
    /// Moments that nobody could run (paused, asleep, clock stepped) and that needed no catching up.
    pub missed: u64,
}

impl AgendaHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The index of a plan: its place among the plans that the agenda was made of.
    pub fn plan(&self, name: &str) -> Option<usize> {
        self.shared.book.lock().plan(name)
    }

    /// Wants a plan now, also during a pause. It still stands in line for its classes.
    ///
    /// # Errors
    /// [`RunRefused`].
    pub fn run_now(&self, name: &str) -> Result<(), RunRefused> {
        let now = self.shared.now();
        self.shared.book.lock().request(name, now)?;
        self.shared.wake();
        Ok(())
    }

    /// Starts nothing until `wall_ms` (Unix ms, by the wall clock) but what is asked for. What runs goes on, and so do attempts of what
    /// was asked for. Replaces an earlier pause.
    pub fn pause_until(&self, wall_ms: u64) {
        self.shared.book.lock().pause_until(wall_ms);
        self.shared.wake();
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.shared.book.lock().resume();
        self.shared.wake();
    }

    /// Until when it is paused, Unix ms; `None` where it is not.
    pub fn paused_until_ms(&self) -> Option<u64> {
        let now = self.shared.now();
        self.shared.book.lock().paused_until(now.wall_ms)
    }

    /// When a plan is wanted next, Unix ms; now where it stands in line. `None` for no such plan, and where its expression has no
    /// moment within five years.
    pub fn next_ms(&self, plan: usize) -> Option<u64> {
        let now = self.shared.now();
        self.shared.book.lock().next_ms(plan, now)
    }

    /// Since when a plan runs, Unix ms; `None` where it does not.
    pub fn running_since_ms(&self, plan: usize) -> Option<u64> {
        self.shared.book.lock().running_since_ms(plan)
    }

    /// Whether a plan is due and stands in line.
    pub fn is_waiting(&self, plan: usize) -> bool {
        self.shared.book.lock().is_waiting(plan)
    }

    /// The plan's phase on this node, ms: how much later than its expression it is wanted at least.
    pub fn phase_ms(&self, plan: usize) -> u64 {
        self.shared.book.lock().phase_ms(plan)
    }

    /// What became of a plan's moments.
    pub fn counts(&self, plan: usize) -> Counts {
        self.shared.book.lock().counts(plan)
    }

    /// Takes classes for something that is no plan of this agenda: the other end of somebody else's test. `None` while a plan has one of
    /// them or stands in line for it. Plans that need one wait until the hold is dropped.
    pub fn try_hold(&self, classes: Classes) -> Option<Hold> {
        let now = self.shared.now();
        let number = self.shared.book.lock().hold(classes, now)?;
        Some(Hold { shared: Arc::clone(&self.shared), number })
    }

    /// Looks again at once: for whoever makes [`AgendaOptions::may_start`] true.
    pub fn wake(&self) {
        self.shared.wake();
    }
}

/// Classes that are taken until this is dropped.
pub struct Hold {
    shared: Arc<Shared>,
    number: u64,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hold").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.book.lock().release(self.number);
        self.shared.wake();
    }
}
