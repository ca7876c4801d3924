//! Threads that measure: one runtime each, on a core of their own where asked for.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use thiserror::Error;

/// Why work on a thread of its own came to nothing.
#[derive(Debug, Error)]
pub enum ThreadError {
    /// The thread or its runtime could not be started.
    #[error("start measuring thread")]
    Start {
        /// What the system said.
        #[from]
        source: io::Error,
    },
    /// It panicked, which is a fault of this program.
    #[error("the measuring thread panicked")]
    Panicked,
}

/// Cores that this thread may use, ascending.
pub fn allowed_cores() -> Vec<usize> {
    sched_getaffinity(None)
        .map(|allowed| (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect())
        .unwrap_or_default()
}

/// Two different cores, for a generator and a server that shall not take time from each other; `None` where there is only one.
pub(crate) fn two_cores() -> (Option<usize>, Option<usize>) {
    match allowed_cores().as_slice() {
        [first, second, ..] => (Some(*first), Some(*second)),
        _ => (None, None),
    }
}

/// Keeps the calling thread on one core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    Ok(sched_setaffinity(None, &only)?)
}

/// CPU time that the calling thread has used, ns.
pub(crate) fn cpu_ns() -> u64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(used.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(used.tv_nsec).unwrap_or(0)
}

/// Work on a thread of its own.
pub(crate) struct OwnThread<T> {
    thread: JoinHandle<Result<T, ThreadError>>,
}

impl<T: Send + 'static> OwnThread<T> {
    /// Starts a thread with a current-thread runtime that runs `work` as a spawned task (see [`crate::executor`] for why), pinned
    /// to `core` if there is one.
    pub(crate) fn start<F>(name: &str, core: Option<usize>, work: F) -> Result<Self, ThreadError>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            core.map(pin).transpose()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let done = runtime.block_on(async { tokio::spawn(work).await });
            done.map_err(|_| ThreadError::Panicked)
        })?;
        Ok(Self { thread })
    }

    /// Waits for the work's result.
    pub(crate) fn join(self) -> Result<T, ThreadError> {
        self.thread.join().map_err(|_| ThreadError::Panicked)?
    }
}
