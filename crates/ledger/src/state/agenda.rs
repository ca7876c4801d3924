//! What is due when, and what waits for providers.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::{Counter, State};
use crate::item::hosting::RawReason;
use crate::{Height, Id};

/// Something that the ledger does by itself at a height.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each variant is the action of its name on the id that it carries")]
#[non_exhaustive]
pub enum Action {
    PlanExecution {
        contract: Id,
    },
    PlanEnd {
        plan: Id,
    },
    Window {
        contract: Id,
    },
    AmendmentTimeout {
        amendment: Id,
    },
    MakeStorageChallenge {
        hoster: Id,
    },
    StorageChallengeTimeout {
        challenge: Id,
    },
    MakePerformanceChallenge {
        feed: Id,
    },
    RootTimeout {
        feed: Id,
    },
    CommitsClose {
        challenge: Id,
    },
    RevealsClose {
        challenge: Id,
    },
    PauseEnds {
        user: Id,
    },
    ReplaceIfPaused {
        user: Id,
    },
    Pay {
        contract: Id,
    },
    Epoch {},
    AlertTask {
        record: Id,
    },
    /// An action that failed, for the `tries`th time.
    Again {
        tries: u8,
        action: Box<Action>,
    },
}

/// Something that waits until providers are found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fnName")]
#[expect(missing_docs, reason = "each variant is the task of its name on the ids that it carries")]
#[non_exhaustive]
pub enum Task {
    HostingSetup { contract: Id },
    RetryHostingSetup { contract: Id },
    HosterReplacement { contract: Id },
    StorageChallenge { hoster: Id },
    PerformanceChallenge { feed: Id },
    RawBenchmark { user: Id, reason: RawReason },
}

/// Order of the queue: the most important first, then who waits longest.
pub type TaskKey = (Reverse<u32>, Height, u64);

impl State {
    /// Plans an action `blocks` from now, at least one. The key cancels it.
    pub(crate) fn schedule(&mut self, blocks: Height, action: Action) -> (Height, u64) {
        let key = (self.height.saturating_add(blocks.max(1)), self.next(Counter::Action));
        self.agenda.put(key, action);
        key
    }

    /// Puts a task in the queue.
    pub(crate) fn enqueue(&mut self, importance: u32, task: Task) {
        let key = (Reverse(importance), self.height, self.next(Counter::Action));
        self.queue.put(key, task);
    }

    /// The next number of a counter.
    pub(crate) fn next(&mut self, counter: Counter) -> u64 {
        let next = self.counters.get(&counter).copied().unwrap_or(0).saturating_add(1);
        self.counters.put(counter, next);
        next
    }
}
