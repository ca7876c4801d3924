//! Tasks that wait for providers.

use std::ops::Bound;

use super::super::State;
use super::super::agenda::{Task, TaskKey};
use super::{Cycle, Subject};
use crate::Id;
use crate::item::Plan;
use crate::item::user::Role;
use crate::outcome::Refusal;

/// Tasks that are staffed in a block at most.
const MOST_STAFFED: u32 = 1024;
/// Tasks that are tried in vain in a block at most: so many of the most important, and so many by turns.
const MOST_VAIN: u32 = 32;

/// What a block may still try.
struct Tries {
    staffed: u32,
    vain: u32,
}

impl State {
    /// Tries waiting tasks; what finds no providers keeps its place (S9, S10). The most important come first in every block; what is
    /// behind many that find nobody is tried by turns, so that a queue of any length costs a block no more than a bounded number of
    /// searches and no task is forgotten.
    pub(crate) fn staff_queue(&mut self) {
        let mut left = Tries { staffed: MOST_STAFFED, vain: MOST_VAIN };
        let Some(last) = self.staff_from(None, &mut left) else {
            self.end_turn(None);
            return;
        };
        let turn = self.queue_turn.get(&()).copied().map_or(last, |turn| turn.max(last));
        left.vain = MOST_VAIN;
        let turn = self.staff_from(Some(turn), &mut left);
        self.end_turn(turn);
    }

    /// Tries the tasks after a place. Gives the last one that was tried where there are more than it may try.
    fn staff_from(&mut self, mut after: Option<TaskKey>, left: &mut Tries) -> Option<TaskKey> {
        loop {
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let (key, task) =
                self.queue.range((from, Bound::Unbounded)).next().map(|(key, task)| (*key, task.clone()))?;
            if left.staffed == 0 || left.vain == 0 {
                return after;
            }
            // Every task needs an attester.
            self.idle.range((Role::Attester, 0)..=(Role::Attester, Id::MAX)).next()?;
            if self.try_task(key, &task) {
                left.staffed -= 1;
            } else {
                left.vain -= 1;
            }
            after = Some(key);
        }
    }

    /// Whether a task left the queue.
    fn try_task(&mut self, key: TaskKey, task: &Task) -> bool {
        match self.staff(task) {
            Ok(true) => {
                self.queue.take(&key);
                self.keep();
                true
            }
            Ok(false) => {
                self.take_back();
                false
            }
            Err(refusal) => {
                self.take_back();
                self.queue.take(&key);
                self.forget_task(task);
                self.emit_with("taskRefused", &[], format!("{task:?}: {refusal}"));
                self.keep();
                true
            }
        }
    }

    fn end_turn(&mut self, turn: Option<TaskKey>) {
        match turn {
            Some(turn) => drop(self.queue_turn.put((), turn)),
            None => drop(self.queue_turn.take(&())),
        }
        self.keep();
    }

    /// Whether a task is done with: staffed, or no longer needed.
    fn staff(&mut self, task: &Task) -> Result<bool, Refusal> {
        match *task {
            Task::HostingSetup { contract }
            | Task::RetryHostingSetup { contract }
            | Task::HosterReplacement { contract } => self.staff_contract(contract),
            Task::StorageChallenge { hoster } => self.staff_challenge(Subject::Storage(hoster)),
            Task::PerformanceChallenge { feed } => self.staff_challenge(Subject::Performance(feed)),
            Task::RawBenchmark { user, reason } => self.staff_raw(user, reason),
        }
    }

    /// What waited for a task that cannot be done waits no more, so that it can be asked for again.
    fn forget_task(&mut self, task: &Task) {
        let subject = match *task {
            Task::HostingSetup { contract }
            | Task::RetryHostingSetup { contract }
            | Task::HosterReplacement { contract } => {
                self.staffing.change(&contract, |staffing| staffing.queued = false);
                return;
            }
            Task::StorageChallenge { hoster } => Subject::Storage(hoster),
            Task::PerformanceChallenge { feed } => Subject::Performance(feed),
            Task::RawBenchmark { user, .. } => Subject::Raw(user),
        };
        self.cycles.take(&subject);
    }

    fn staff_challenge(&mut self, subject: Subject) -> Result<bool, Refusal> {
        if self.cycles.get(&subject) == Some(&Cycle::Queued) { self.try_challenge(subject) } else { Ok(true) }
    }

    /// Puts a task for a contract in the queue, at the weight of its plan, unless one waits or works already or no place is empty.
    pub(crate) fn want_staff(&mut self, contract: Id) -> Result<(), Refusal> {
        let staffing = self.staffing.get(&contract).cloned().unwrap_or_default();
        if staffing.open.is_some() || staffing.queued || staffing.empty().is_empty() || !self.is_live(contract)? {
            return Ok(());
        }
        let (plan, retry) = {
            let contract = self.item::<crate::item::Contract>(contract)?;
            (contract.plan, !contract.amendments.is_empty())
        };
        let Plan { importance, price, .. } = *self.item::<Plan>(plan)?;
        // A plan weighs what it pays, at most; challenges of what is hosted come before, measurements of idle users after.
        let importance = importance.min(u32::try_from(price).unwrap_or(u32::MAX)).clamp(1, u32::MAX - 1);
        let task = match (staffing.started, retry) {
            (true, _) => Task::HosterReplacement { contract },
            (false, true) => Task::RetryHostingSetup { contract },
            (false, false) => Task::HostingSetup { contract },
        };
        self.enqueue(importance, task);
        self.staffing.put(contract, super::Staffing { queued: true, ..staffing });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
