//! People, feeds, components and plans.

mod admission;
mod components;
mod contracts;
mod feeds;
mod form;
mod life;
mod people;
mod plans;
mod pools;
mod rules;
mod sizes;
pub(crate) mod timing;

use peermark_core::sealed::PublicKey;

use super::State;
use super::agenda::Action;
use crate::outcome::Refusal;
use crate::transaction::Transaction;
use crate::{Digest, Id};

impl State {
    /// Applies a transaction about people, feeds, components or plans.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn apply_registry(
        &mut self,
        signer: PublicKey,
        entry: Digest,
        transaction: &Transaction,
    ) -> Result<Vec<Id>, Refusal> {
        use Transaction as T;
        match transaction {
            T::Register(register) => return self.register(signer, register),
            T::Grant(grant) => return self.grant(signer, grant),
            T::Transfer(transfer) => return self.transfer_money(signer, transfer),
            // It proves itself, whoever shows it.
            T::Evidence(evidence) => return self.evidence(signer, entry, evidence),
            T::Witness(witness) => return self.witness(signer, entry, witness),
            T::Policy(change) => return self.change_policy(signer, change),
            _ => {}
        }
        let user = self.user_of(signer)?;
        match transaction {
            T::RegisterForWork(work) => self.register_for_work(user, work),
            T::UnregisterRoles(roles) => self.unregister_roles(user, &roles.roles),
            T::RotateKeys(keys) => self.rotate_keys(user, keys),
            T::DeleteAccount {} => self.delete_account(user),
            T::Pause(pause) => self.pause(user, pause),
            T::Unpause {} => self.unpause(user),
            T::PublishFeeds(feeds) => self.publish_feeds(user, &feeds.feeds),
            T::UpdateFeed(update) => self.add_version(update.feed, &update.version),
            T::PublishComponents(components) => self.publish(user, components).map(|(new, _)| new),
            T::PublishPlan(plan) => self.publish_plan(user, plan),
            T::UpdatePlan(update) => self.update_plan(user, update),
            T::PausePlan(at) => self.pause_plan(user, at.plan),
            T::ResumePlan(at) => self.resume_plan(user, at.plan),
            T::UnpublishPlan(at) => self.unpublish_plan(user, at.plan),
            _ => Err(Refusal::not_allowed("no transaction about people, feeds, components or plans")),
        }
    }

    /// Runs an action about plans, windows and pauses.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn run_registry(&mut self, action: &Action) -> Result<(), Refusal> {
        match *action {
            Action::PlanEnd { plan } => self.plan_end(plan),
            Action::Window { contract } => self.window(contract),
            Action::PauseEnds { user } => self.pause_ends(user),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
