//! The thread that writes: gathers a group, appends it, answers, and signs a checkpoint when one is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::Duration;

use peermark_core::{Clock, MonotonicNs};

use super::super::{Checkpoints, Log, LogError};
use super::{AppendError, Done, OnFatal, WriterOptions};

/// From one look after a checkpoint that is being signed to the next.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A record and who wants to hear of it.
pub(super) struct Job {
    pub(super) bytes: Vec<u8>,
    pub(super) done: Done,
}

/// What the thread has.
pub(super) struct Loop {
    pub(super) log: Log,
    pub(super) jobs: Receiver<Job>,
    pub(super) waiting_bytes: Arc<AtomicUsize>,
    pub(super) options: WriterOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) on_fatal: Option<OnFatal>,
    pub(super) signing: Signing,
    /// When a checkpoint is due; `None` where the last one covers everything.
    pub(super) due_ns: Option<MonotonicNs>,
}

/// The thread that signs checkpoints, so that no record waits for one.
pub(super) struct Signing {
    ask: SyncSender<()>,
    answers: Receiver<Result<(), LogError>>,
    thread: JoinHandle<()>,
    busy: bool,
}

impl Signing {
    pub(super) fn start(checkpoints: Checkpoints) -> Result<Self, LogError> {
        // One is asked for at a time.
        let (ask, asked) = mpsc::sync_channel(1);
        let (answer, answers) = mpsc::sync_channel(1);
        let sign = move || {
            while asked.recv().is_ok() && answer.send(checkpoints.write().map(drop)).is_ok() {}
        };
        let thread = std::thread::Builder::new().name("ledger-sign".to_owned()).spawn(sign);
        let thread = thread.map_err(LogError::io("start the thread of", "the checkpoints"))?;
        Ok(Self { ask, answers, thread, busy: false })
    }

    /// Waits for what is under way.
    fn end(self) {
        drop((self.ask, self.answers));
        // Should it have panicked, the last checkpoint is as good as any.
        drop(self.thread.join());
    }
}

impl Loop {
    pub(super) fn run(mut self) -> Result<(), LogError> {
        let ended = self.serve();
        self.signing.end();
        let ended = ended.and_then(|()| self.log.close());
        ended.inspect_err(|error| end(self.on_fatal, error))
    }

    /// Until nobody can hand over anything any more.
    fn serve(&mut self) -> Result<(), LogError> {
        loop {
            match self.next() {
                Ok(first) => {
                    let group = self.gather(first);
                    self.write(group)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.sign()?;
        }
    }

    /// The next record, or that it is time to look after the checkpoint.
    fn next(&self) -> Result<Job, RecvTimeoutError> {
        let wait = match self.due_ns {
            Some(due_ns) => Duration::from_nanos(due_ns.saturating_sub(self.clock.now_ns())),
            None if self.signing.busy => LOOK_AGAIN,
            None => return self.jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        self.jobs.recv_timeout(wait)
    }

    /// Has a checkpoint signed when one is due, and hears what became of the last.
    fn sign(&mut self) -> Result<(), LogError> {
        let now_ns = self.clock.now_ns();
        if let Ok(answer) = self.signing.answers.try_recv() {
            self.signing.busy = false;
            match answer {
                Ok(()) => {}
                Err(error) if error.is_fatal() => {
                    end(self.on_fatal.take(), &error);
                    return Err(error);
                }
                // The last one stays until there is room for the next.
                Err(_) => self.due_ns = Some(now_ns.saturating_add(nanos(self.options.checkpoint_after))),
            }
        }
        if self.due_ns.is_some_and(|due_ns| now_ns >= due_ns) {
            self.due_ns = if self.signing.busy {
                Some(now_ns.saturating_add(nanos(LOOK_AGAIN)))
            } else {
                self.signing.busy = self.signing.ask.try_send(()).is_ok();
                None
            };
        }
        Ok(())
    }

    fn gather(&self, first: Job) -> Vec<Job> {
        let mut bytes = first.bytes.len();
        let mut group = vec![first];
        let until_ns = self.clock.now_ns().saturating_add(nanos(self.options.linger));
        while group.len() < self.options.group_records && bytes < self.options.group_bytes {
            let job = match self.jobs.try_recv() {
                Ok(job) => job,
                Err(_) if self.options.linger.is_zero() => break,
                Err(_) => {
                    let left_ns = until_ns.saturating_sub(self.clock.now_ns());
                    let Ok(job) = self.jobs.recv_timeout(Duration::from_nanos(left_ns)) else { break };
                    job
                }
            };
            bytes += job.bytes.len();
            group.push(job);
        }
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        group
    }

    fn write(&mut self, group: Vec<Job>) -> Result<(), LogError> {
        let records: Vec<&[u8]> = group.iter().map(|job| job.bytes.as_slice()).collect();
        match self.log.append(&records) {
            Ok(receipts) => {
                self.due_ns
                    .get_or_insert_with(|| self.clock.now_ns().saturating_add(nanos(self.options.checkpoint_after)));
                for (job, receipt) in group.into_iter().zip(receipts) {
                    (job.done)(Ok(receipt));
                }
                Ok(())
            }
            Err(error) if error.is_fatal() => {
                end(self.on_fatal.take(), &error);
                group.into_iter().for_each(|job| (job.done)(Err(AppendError::Stopped)));
                Err(error)
            }
            // Sizes were looked at before, so it is space that is missing.
            Err(_) => {
                group.into_iter().for_each(|job| (job.done)(Err(AppendError::NoSpace)));
                Ok(())
            }
        }
    }
}

fn end(on_fatal: Option<OnFatal>, error: &LogError) {
    if let Some(on_fatal) = on_fatal.filter(|_| error.is_fatal()) {
        on_fatal(error);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
