//! What others may read of hosting and measuring.

use super::super::State;
use super::{Accused, Cycle, Observation, ObservationKey, Pilot, Staffing, Subject};
use crate::Id;
use crate::item::user::{Job, Role};
use crate::state::accounts::Account;
use crate::{Amount, item::User};

impl State {
    /// Who holds which place of a contract.
    pub fn staffing_of(&self, contract: Id) -> Option<&Staffing> {
        self.staffing.get(&contract)
    }

    /// Where the cycle of challenges of a subject is; `None` where none runs.
    pub fn cycle_of(&self, subject: Subject) -> Option<Cycle> {
        self.cycles.get(&subject).copied()
    }

    /// Which contract of a feed is tried first.
    pub fn pilot_of(&self, feed: Id) -> Option<&Pilot> {
        self.pilots.get(&feed)
    }

    /// Who accused a hoster without its signature.
    pub fn accused(&self, hoster: Id) -> Option<&Accused> {
        self.accused.get(&hoster)
    }

    /// What attesters measured in the epochs that are kept, in the order of the keys.
    pub fn observations(&self) -> impl Iterator<Item = (&ObservationKey, &Observation)> + '_ {
        self.observations.iter()
    }

    /// The record of a user's newest raw benchmark: `measured_at_registration` (R21).
    pub fn baseline_of(&self, user: Id) -> Option<Id> {
        self.baselines.get(&user).copied()
    }

    /// The record of what a hoster reported about itself.
    pub fn self_report_of(&self, epoch: u64, contract: Id, hoster: Id) -> Option<Id> {
        self.self_reports.get(&(epoch, contract, hoster)).copied()
    }

    /// Every account that is not empty.
    pub fn accounts(&self) -> impl Iterator<Item = (&Account, Amount)> + '_ {
        self.balances.iter().map(|(account, amount)| (account, *amount))
    }

    /// Every slot that a task holds without a job of its user saying so, and every job without a slot: always nothing (§6, capacity as
    /// double entry).
    pub fn capacity_leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        for (account, amount) in self.accounts() {
            let job = match account {
                Account::HeldSlot { user, role, task } => self.job_of(*user, *role, *task),
                Account::HeldBytes { user, task } => self.job_of(*user, Role::Hoster, *task),
                _ => continue,
            };
            let one = !matches!(account, Account::HeldSlot { .. }) || amount == 1;
            if job.is_none() || !one {
                leaks.push(format!("{account:?} holds {amount} for {job:?}"));
            }
        }
        for ((user, role, task), _) in self.jobs.iter() {
            let slot = Account::HeldSlot { user: *user, role: *role, task: *task };
            if self.balance(&slot) != 1 || self.item::<User>(*user).is_err() {
                leaks.push(format!("user {user} has task {task} as {role:?} without a slot"));
            }
        }
        leaks
    }

    fn job_of(&self, user: Id, role: Role, task: Id) -> Option<Job> {
        self.jobs.get(&(user, role, task)).copied()
    }
}
