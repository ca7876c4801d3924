//! Money and capacity as double entry: nothing appears, nothing is lost, and the sum of all accounts of a unit is what was brought in.

use std::fmt;

use peermark_core::sealed::PublicKey;
use serde::{Deserialize, Serialize};

use super::State;
use crate::item::user::Role;
use crate::outcome::Refusal;
use crate::{Amount, Id};

/// An account. Every row of the table is above zero: an empty account has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Money of a signer.
    Money(PublicKey),
    /// Money that a plan put aside.
    Plan(Id),
    /// Money of a plan that is held for a work until it is done.
    Held {
        /// The contract, amendment, challenge or feed.
        task: Id,
        /// The plan.
        plan: Id,
    },
    /// Bytes that a hoster has left.
    FreeBytes(Id),
    /// Bytes of a hoster that a task holds.
    HeldBytes {
        /// The hoster.
        user: Id,
        /// The contract or challenge.
        task: Id,
    },
    /// Tasks that a user can still take.
    FreeSlots(Id, Role),
    /// A slot that a task holds.
    HeldSlot {
        /// The user.
        user: Id,
        /// As what.
        role: Role,
        /// The task.
        task: Id,
    },
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money(of) => write!(f, "money of {of}"),
            Self::Plan(plan) => write!(f, "deposit of plan {plan}"),
            Self::Held { task, plan } => write!(f, "money of plan {plan} held for {task}"),
            Self::FreeBytes(user) => write!(f, "free bytes of user {user}"),
            Self::HeldBytes { user, task } => write!(f, "bytes of user {user} held for {task}"),
            Self::FreeSlots(user, role) => write!(f, "free tasks of user {user} as {}", role.as_str()),
            Self::HeldSlot { user, role, task } => write!(f, "task {task} of user {user} as {}", role.as_str()),
        }
    }
}

impl State {
    /// What lies on an account.
    pub fn balance(&self, account: &Account) -> Amount {
        self.balances.get(account).copied().unwrap_or(0)
    }

    /// New money.
    pub(crate) fn mint(&mut self, to: PublicKey, amount: Amount) {
        self.credit(Account::Money(to), amount);
    }

    /// New capacity, or less of it: sets what is free without touching what is held.
    pub(crate) fn set_free(&mut self, account: Account, amount: Amount) {
        if amount == 0 {
            self.balances.take(&account);
        } else {
            self.balances.put(account, amount);
        }
    }

    /// Moves an amount from one account to another.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`].
    pub(crate) fn transfer(&mut self, from: &Account, to: Account, amount: Amount) -> Result<(), Refusal> {
        let available = self.balance(from);
        let Some(rest) = available.checked_sub(amount) else {
            return Err(Refusal::OverBudget { what: from.to_string(), needed: amount, available });
        };
        if amount == 0 || *from == to {
            return Ok(());
        }
        if self.balance(&to).checked_add(amount).is_none() {
            return Err(Refusal::invalid("amount", "the receiving account would overflow"));
        }
        self.set_free(from.clone(), rest);
        self.credit(to, amount);
        Ok(())
    }

    fn credit(&mut self, to: Account, amount: Amount) {
        let sum = self.balance(&to).saturating_add(amount);
        self.set_free(to, sum);
    }
}
