//! The two drivers of storage operations: draws from a mix, and a list.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::PoisonError;

use peermark_core::{MonotonicNs, Seed};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::task::{Task, Then, Worker};
use super::{Op, SizeMix};
use crate::driver::{Done, Driver, Prepared};
use crate::payload::Payload;

/// Numbers payloads: no two of a run are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payloads {
    seed: Seed,
    next: u64,
}

impl Payloads {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, next: 0 }
    }

    pub(crate) fn next(&mut self, size: u64) -> Payload {
        let id = self.next;
        self.next += 1;
        Payload { seed: self.seed, id, size }
    }
}

/// Draws operations by weight. An operation for which there is nothing to do gives way to another of the mix; when there is nothing
/// to do for any, it is exhausted.
pub(crate) struct MixDriver<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) mix: &'a [(Op, u32)],
    pub(crate) sizes: &'a SizeMix,
    pub(crate) payloads: &'a mut Payloads,
    pub(crate) stream: ChaCha8Rng,
}

impl MixDriver<'_> {
    fn draw_lane(&mut self) -> usize {
        let total: u64 = self.mix.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut at = self.stream.next_u64() % total.max(1);
        for (lane, (_, weight)) in self.mix.iter().enumerate() {
            match at.checked_sub(u64::from(*weight)) {
                Some(rest) => at = rest,
                None => return lane,
            }
        }
        0
    }

    fn task(&mut self, op: Op) -> Option<Task> {
        let mut catalog = self.worker.catalog.lock().unwrap_or_else(PoisonError::into_inner);
        match op {
            Op::Upload => {
                drop(catalog);
                let node = (self.stream.next_u64() % self.worker.nodes() as u64) as usize;
                let payload = self.payloads.next(self.sizes.draw(&mut self.stream));
                Some(Task::Upload { node, payload, then: Then::Catalogue, body: None })
            }
            Op::Fetch => catalog.take_fetch().map(|(content, node)| Task::Fetch { node, content }),
            Op::ReadCold => catalog.take_cold().map(|content| Task::Read { content }),
            Op::ReadWarm => catalog.pick_warm().map(|content| Task::Read { content }),
            // Not drawn: its operations come from a list.
            Op::Disseminate => None,
        }
    }
}

impl Driver for MixDriver<'_> {
    type Task = Task;

    fn lanes(&self) -> Vec<String> {
        self.mix.iter().map(|(op, _)| op.as_str().to_owned()).collect()
    }

    fn prepare(&mut self, _number: u64) -> Option<Prepared<Task>> {
        let first = self.draw_lane();
        let lanes = self.mix.len();
        (0..lanes).map(|step| (first + step) % lanes).find_map(|lane| {
            let (op, weight) = self.mix[lane];
            let task = if weight > 0 { self.task(op)?.made_ready() } else { return None };
            Some(Prepared { lane, trace: task.trace(), timeout: None, task })
        })
    }

    fn run(&self, task: Task, _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        self.worker.clone().perform(task)
    }
}

/// Does given operations in their order.
pub(crate) struct ListDriver {
    pub(crate) worker: Worker,
    pub(crate) op: Op,
    pub(crate) tasks: VecDeque<Task>,
}

impl Driver for ListDriver {
    type Task = Task;

    fn lanes(&self) -> Vec<String> {
        vec![self.op.as_str().to_owned()]
    }

    fn prepare(&mut self, _number: u64) -> Option<Prepared<Task>> {
        let task = self.tasks.pop_front()?.made_ready();
        Some(Prepared { lane: 0, trace: task.trace(), timeout: None, task })
    }

    fn run(&self, task: Task, _deadline_ns: MonotonicNs) -> impl Future<Output = Done> + Send + 'static {
        self.worker.clone().perform(task)
    }
}
