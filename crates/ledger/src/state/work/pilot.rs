//! One contract of a feed is tried before the others (S31-S33): its root may be signed wrongly, and no hoster should pay for that.

use super::super::State;
use super::super::agenda::Action;
use super::{Pilot, Staffing};
use crate::item::hosting::ContractStatus;
use crate::item::{Contract, Feed};
use crate::outcome::Refusal;
use crate::{Height, Id};

/// Lengths of a task that a pilot has to begin.
const PILOT_TASKS: u64 = 4;

impl State {
    /// Whether a contract may begin: its feed is proven, or it is the pilot. The first one becomes it.
    pub(super) fn pilot_allows(&mut self, feed: Id, contract: Id) -> Result<bool, Refusal> {
        self.item::<Feed>(feed)?;
        if let Some(pilot) = self.pilots.get(&feed) {
            return Ok(pilot.proven || pilot.contract == contract);
        }
        let (review, _) = self.schedule(self.pilot_blocks(), Action::PlanExecution { contract });
        self.pilots.put(feed, Pilot { contract, proven: false, review });
        Ok(true)
    }

    /// Blocks that a pilot has before another contract may be tried in its place: time for some attempts to set it up.
    fn pilot_blocks(&self) -> Height {
        self.policy().task_blocks.saturating_add(1).saturating_mul(PILOT_TASKS)
    }

    /// A pilot that finds no providers, or rests, must not keep the contracts of other sponsors from beginning: another one that waits
    /// takes its place, and it waits itself.
    pub(super) fn review_pilot(&mut self, feed: Id, contract: Id) -> Result<(), Refusal> {
        let due = |pilot: &&Pilot| pilot.contract == contract && !pilot.proven && pilot.review <= self.height;
        if self.pilots.get(&feed).filter(due).is_none() {
            return Ok(());
        }
        let (review, _) = self.schedule(self.pilot_blocks(), Action::PlanExecution { contract });
        self.pilots.change(&feed, |pilot| pilot.review = review);
        let Contract { status, plan, .. } = *self.item::<Contract>(contract)?;
        let Some(Staffing { open, started, holders, .. }) = self.staffing.get(&contract) else { return Ok(()) };
        let busy = open.is_some() || status == ContractStatus::Active;
        // Who holds a place already keeps it.
        let waits = !started && holders.is_empty();
        let waiting = self.waiting_for_feed(feed);
        let other = |next: &&Id| self.item::<Contract>(**next).is_ok_and(|next| next.plan != plan);
        // The next one of another plan, so that none is tried twice before all others.
        let mut after = waiting.iter().filter(|next| **next > contract).chain(&waiting).filter(other);
        let Some(next) = after.next().copied().filter(|_| !busy) else { return Ok(()) };
        if waits {
            self.staffing.take(&contract);
            self.change::<Contract>(contract, |contract| contract.status = ContractStatus::Pending)?;
            self.waiting.put((feed, contract), ());
        }
        self.pilots.take(&feed);
        self.emit("pilotChanged", &[feed, contract, next]);
        self.execute_contract(next)
    }

    /// A hoster proved a chunk: all contracts of the feed that wait begin.
    pub(super) fn prove_feed(&mut self, feed: Id) -> Result<(), Refusal> {
        if self.pilots.get(&feed).is_none_or(|pilot| pilot.proven) {
            return Ok(());
        }
        self.pilots.change(&feed, |pilot| pilot.proven = true);
        for contract in self.waiting_for_feed(feed) {
            self.execute_contract(contract)?;
        }
        Ok(())
    }

    /// The pilot ended unproven: the next contract that waits is tried.
    pub(super) fn next_pilot(&mut self, feed: Id, contract: Id) -> Result<(), Refusal> {
        if self.pilots.get(&feed).is_none_or(|pilot| pilot.proven || pilot.contract != contract) {
            return Ok(());
        }
        self.pilots.take(&feed);
        match self.waiting_for_feed(feed).first() {
            Some(next) => self.execute_contract(*next),
            None => Ok(()),
        }
    }

    /// Contracts whose plan has begun and that wait for a feed to be proven.
    fn waiting_for_feed(&self, feed: Id) -> Vec<Id> {
        self.waiting.range((feed, 0)..=(feed, Id::MAX)).map(|((_, contract), ())| *contract).collect()
    }
}
