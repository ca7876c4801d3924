//! What a task takes of a user: a slot of its role, and bytes of a hoster. Everything is a transfer, so nothing can leak.

use super::super::State;
use super::super::accounts::Account;
use crate::item::user::{Job, Role};
use crate::item::{Kind as _, Resources, User};
use crate::outcome::Refusal;
use crate::{Amount, Id};

impl State {
    /// Gives a task to a user: a slot, and bytes where the task needs them.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`] where it has none left.
    pub(super) fn book(&mut self, user: Id, role: Role, task: Id, job: Job, bytes: Amount) -> Result<(), Refusal> {
        self.transfer(&Account::FreeSlots(user, role), Account::HeldSlot { user, role, task }, 1)?;
        self.transfer(&Account::FreeBytes(user), Account::HeldBytes { user, task }, bytes)?;
        self.item::<User>(user)?;
        self.jobs.put((user, role, task), job);
        self.refresh_idle(user)
    }

    /// Takes a task from a user: what it held is free again, as far as the user still offers it. Nothing of a user that deleted its
    /// account: who holds a task cannot, so it held none.
    ///
    /// # Errors
    /// [`Refusal`] of the accounts.
    pub(super) fn unbook(&mut self, user: Id, role: Role, task: Id) -> Result<(), Refusal> {
        if !self.is(user, User::KIND) {
            return Ok(());
        }
        let slot = Account::HeldSlot { user, role, task };
        let slots = self.balance(&slot);
        self.transfer(&slot, Account::FreeSlots(user, role), slots)?;
        if role == Role::Hoster {
            let held = Account::HeldBytes { user, task };
            let bytes = self.balance(&held);
            self.transfer(&held, Account::FreeBytes(user), bytes)?;
        }
        self.jobs.take(&(user, role, task));
        self.cut_to_offer(user, role)?;
        self.refresh_idle(user)
    }

    /// What a user holds for one task it holds for another from now on, with at most these bytes; the rest of them is free.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] where the user is none.
    pub(super) fn rebook(
        &mut self,
        user: Id,
        role: Role,
        (from, to): (Id, Id),
        job: Job,
        bytes: Amount,
    ) -> Result<(), Refusal> {
        self.transfer(&Account::HeldSlot { user, role, task: from }, Account::HeldSlot { user, role, task: to }, 1)?;
        let held = Account::HeldBytes { user, task: from };
        let all = self.balance(&held);
        self.transfer(&held, Account::HeldBytes { user, task: to }, all.min(bytes))?;
        self.transfer(&held, Account::FreeBytes(user), all.saturating_sub(bytes))?;
        self.item::<User>(user)?;
        self.jobs.take(&(user, role, from));
        self.jobs.put((user, role, to), job);
        self.cut_to_offer(user, role)?;
        self.refresh_idle(user)
    }

    /// What a user no longer offers is not free when it comes back from a task: its form may have been replaced meanwhile.
    fn cut_to_offer(&mut self, user: Id, role: Role) -> Result<(), Refusal> {
        let Some(form) = self.item::<User>(user)?.form.clone() else { return Ok(()) };
        let slots = u64::from(form.capacity.get(&role).copied().unwrap_or(0));
        let held = self.held_slots(user, role);
        self.cut(Account::FreeSlots(user, role), slots.saturating_sub(held));
        if role == Role::Hoster {
            let bytes = self.item::<Resources>(form.resources)?.storage_bytes;
            let held = self.held_bytes(user);
            self.cut(Account::FreeBytes(user), bytes.saturating_sub(held));
        }
        Ok(())
    }

    fn cut(&mut self, account: Account, most: Amount) {
        if self.balance(&account) > most {
            self.set_free(account, most);
        }
    }

    /// Tasks that a user holds: as what, which and why.
    pub fn jobs_of(&self, user: Id) -> impl Iterator<Item = (Role, Id, Job)> + '_ {
        let rows = self.jobs.range((user, Role::Encoder, 0)..=(user, Role::Attester, Id::MAX));
        rows.map(|((_, role, task), job)| (*role, *task, *job))
    }

    /// Slots of a role that tasks hold.
    pub fn held_slots(&self, user: Id, role: Role) -> Amount {
        let held = |task| Account::HeldSlot { user, role, task };
        self.balances.range(held(0)..=held(Id::MAX)).map(|(_, slots)| slots).sum()
    }

    /// Bytes that tasks hold.
    pub fn held_bytes(&self, user: Id) -> Amount {
        let held = |task| Account::HeldBytes { user, task };
        self.balances
            .range(held(0)..=held(Id::MAX))
            .map(|(_, bytes)| bytes)
            .fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}
