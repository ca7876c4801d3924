//! What an operation is. The engine knows nothing else about the thing that it measures.

use std::future::Future;
use std::time::Duration;

use peermark_core::{Culprit, FailureClass, MonotonicNs, Outcome};

/// Does operations of one or more kinds (lanes), each recorded apart.
pub trait Driver: Send {
    /// One operation, ready to go.
    type Task: Send + 'static;

    /// Names of the lanes; [`Prepared::lane`] counts in them.
    fn lanes(&self) -> Vec<String>;

    /// Makes the next operation, before it is due: whatever can be computed or allocated beforehand belongs here, because what
    /// happens after the due time is measured. `number` counts the operations of this execution from 0. `None` ends the schedule:
    /// there is nothing left to do.
    fn prepare(&mut self, number: u64) -> Option<Prepared<Self::Task>>;

    /// Does the operation. The engine drops the future at `deadline_ns`, so it has to be safe to drop at any await.
    fn run(&self, task: Self::Task, deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static;
}

/// An operation that waits for its moment.
#[derive(Clone, Debug)]
pub struct Prepared<T> {
    /// Which lane it is recorded in.
    pub lane: usize,
    /// Identifies what it is about, for re-derivation.
    pub trace: u64,
    /// From its intended start to its absolute deadline; `None` where the execution's limit is meant.
    pub timeout: Option<Duration>,
    /// The operation.
    pub task: T,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Complete and verified, or why not.
    pub outcome: Outcome,
    /// Payload bytes moved and verified.
    pub bytes: u64,
    /// When the first byte of the answer came, where the driver knows.
    pub first_byte_ns: Option<MonotonicNs>,
}

impl Done {
    /// Complete, with so many verified bytes.
    pub fn ok(bytes: u64) -> Self {
        Self { outcome: Outcome::Ok, bytes, first_byte_ns: None }
    }

    /// Failed.
    pub fn failed(class: FailureClass, culprit: Culprit) -> Self {
        Self { outcome: Outcome::failed(class, culprit), bytes: 0, first_byte_ns: None }
    }
}
