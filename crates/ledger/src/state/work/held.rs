//! Money that is held for work before the work begins: whoever is asked to work for a plan is paid, whatever becomes of the plan meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::sealed::PublicKey;

use super::super::State;
use super::super::accounts::Account;
use super::super::agenda::Action;
use crate::item::plan::PlanStatus;
use crate::item::{Plan, User, expected};
use crate::outcome::Refusal;
use crate::{Amount, Id};

impl State {
    /// Holds the pay of a work for which several plans pay in equal parts; the first ones hold what is left over. `false` where one of them
    /// cannot: it ends with the next block, and nothing is held. Where plans may be free they hold what they have.
    pub(super) fn hold_for(&mut self, plans: &BTreeSet<Id>, task: Id, amount: Amount) -> Result<bool, Refusal> {
        let count = plans.len() as u64;
        let (Some(each), Some(rest)) = (amount.checked_div(count), amount.checked_rem(count)) else { return Ok(true) };
        let free = self.policy().min_price == 0;
        let mut parts = Vec::with_capacity(plans.len());
        let mut short = false;
        for (place, plan) in (0..).zip(plans) {
            let (part, left) = (each.saturating_add(u64::from(place < rest)), self.left_of(*plan)?);
            if left < part && !free {
                self.plan_is_spent(*plan, part)?;
                short = true;
            }
            parts.push((*plan, part.min(left)));
        }
        if short {
            return Ok(false);
        }
        for (plan, part) in parts {
            self.hold(plan, task, part)?;
        }
        Ok(true)
    }

    /// Moves money of a plan aside for a task.
    pub(super) fn hold(&mut self, plan: Id, task: Id, amount: Amount) -> Result<(), Refusal> {
        self.transfer(&Account::Plan(plan), Account::Held { task, plan }, amount)?;
        self.change_held(plan, |held| held.saturating_add(amount));
        Ok(())
    }

    /// What is held for a task.
    pub fn held_for(&self, task: Id) -> Amount {
        self.holds_of(task).into_iter().map(|(_, amount)| amount).fold(0, Amount::saturating_add)
    }

    /// Pays for a work out of what is held for it: as much of each plan as it held.
    pub(super) fn pay_held(&mut self, task: Id, shares: &[(Id, Amount)]) -> Result<(), Refusal> {
        let mut paid: BTreeMap<Id, Amount> = BTreeMap::new();
        for (user, amount) in shares {
            // Nobody waits for the money of an account that is no more.
            let Ok(to) = self.item::<User>(*user).map(|user| user.address) else { continue };
            let holds = self.holds_of(task);
            let mut rest = holds.iter().map(|(_, held)| *held).fold(0, Amount::saturating_add);
            let mut due = rest.min(*amount);
            if due < *amount && self.policy().min_price > 0 {
                self.emit_with("unpaid", &[task, *user], (amount - due).to_string());
            }
            for (plan, held) in holds {
                // Rounded down, and never so little that those that follow could not pay what is left.
                let part = u128::from(due) * u128::from(held) / u128::from(rest.max(1));
                rest = rest.saturating_sub(held);
                let part = u64::try_from(part).unwrap_or(u64::MAX).max(due.saturating_sub(rest));
                self.transfer(&Account::Held { task, plan }, Account::Money(to), part)?;
                due = due.saturating_sub(part);
                let sum = paid.entry(plan).or_default();
                *sum = sum.saturating_add(part);
            }
        }
        for (plan, part) in paid.into_iter().filter(|(_, part)| *part > 0) {
            self.change_held(plan, |held| held.saturating_sub(part));
            self.change::<Plan>(plan, |plan| plan.spent = plan.spent.saturating_add(part))?;
        }
        Ok(())
    }

    /// A task is over: what was held for it and not earned goes back to its plans, and to the sponsor of one that ended.
    pub(super) fn give_back(&mut self, task: Id) -> Result<(), Refusal> {
        for (plan, amount) in self.holds_of(task) {
            let Plan { sponsor, status, .. } = *self.item::<Plan>(plan)?;
            let to = match status {
                PlanStatus::Ended | PlanStatus::Cancelled => Account::Money(self.last_address_of(sponsor)?),
                PlanStatus::Active | PlanStatus::Paused | PlanStatus::TooDear => Account::Plan(plan),
            };
            self.transfer(&Account::Held { task, plan }, to, amount)?;
            self.change_held(plan, |held| held.saturating_sub(amount));
        }
        Ok(())
    }

    /// What a plan can still put aside: of its deposit, and of its budget.
    pub(crate) fn left_of(&self, plan: Id) -> Result<Amount, Refusal> {
        let item = self.item::<Plan>(plan)?;
        let there = self.balance(&Account::Plan(plan));
        let within = |budget: Amount| budget.saturating_sub(item.spent).saturating_sub(self.held_of(plan)).min(there);
        Ok(item.until.budget.map_or(there, within))
    }

    /// What a plan put aside for works that are under way.
    pub fn held_of(&self, plan: Id) -> Amount {
        self.held.get(&plan).copied().unwrap_or(0)
    }

    /// A plan lacks this much, or served its traffic: it ends with the next block, unless its sponsor gives it more before.
    pub(super) fn plan_is_spent(&mut self, plan: Id, needed: Amount) -> Result<(), Refusal> {
        let running = matches!(self.item::<Plan>(plan)?.status, PlanStatus::Active | PlanStatus::Paused);
        let before = self.lack_of(plan);
        if running {
            self.spent.put(plan, before.map_or(needed, |before| before.max(needed)));
        }
        if running && before.is_none() {
            self.schedule(1, Action::PlanEnd { plan });
        }
        Ok(())
    }

    /// What a plan lacks that ends with the next block unless it gets it.
    pub fn lack_of(&self, plan: Id) -> Option<Amount> {
        self.spent.get(&plan).copied()
    }

    fn holds_of(&self, task: Id) -> Vec<(Id, Amount)> {
        let held = |plan| Account::Held { task, plan };
        let rows = self.balances.range(held(0)..=held(Id::MAX));
        rows.filter_map(|(account, amount)| match account {
            Account::Held { plan, .. } => Some((*plan, *amount)),
            _ => None,
        })
        .collect()
    }

    fn change_held(&mut self, plan: Id, change: impl FnOnce(Amount) -> Amount) {
        match change(self.held_of(plan)) {
            0 => drop(self.held.take(&plan)),
            held => drop(self.held.put(plan, held)),
        }
    }

    /// Where a user's money is, also where it deleted its account.
    fn last_address_of(&self, user: Id) -> Result<PublicKey, Refusal> {
        let last = self.storage.versions(user).iter().rev().flatten().next();
        Ok(expected::<User>(user, last.map(|item| item.as_ref()))?.address)
    }
}
