//! Users: registration, roles, keys, pauses, the end.

use std::collections::BTreeSet;

use peermark_core::sealed::PublicKey;

use super::form;
use crate::item::User;
use crate::item::user::{OldKey, Pause, PausedBy, Role};
use crate::outcome::Refusal;
use crate::state::State;
use crate::state::accounts::Account;
use crate::state::agenda::Action;
use crate::statement;
use crate::transaction::{self, Possession, Register, RegisterForWork, RotateKeys};
use crate::{Id, Key};

impl State {
    pub(super) fn register(&mut self, signer: PublicKey, register: &Register) -> Result<Vec<Id>, Refusal> {
        if self.user_by_address.contains(&signer) {
            return Err(Refusal::Exists { what: "a user of this address".into() });
        }
        self.check_work(signer, register)?;
        let id = self.create(User {
            address: signer,
            noise_key: register.noise_key,
            signing_key: register.signing_key,
            old_key: None,
            form: None,
            roles: BTreeSet::new(),
            paused: None,
            reputation: 0,
            since: self.height,
        });
        self.user_by_address.put(signer, id);
        self.set_keys(id, register.noise_key, register.signing_key)?;
        self.owns_keys(signer, (&register.noise_key, &register.signing_key), &register.possession)?;
        self.emit("userRegistered", &[id]);
        Ok(vec![id])
    }

    /// Lookups are set once: keys of the past keep naming their user, and nobody else can take them (S11, S12).
    fn set_keys(&mut self, user: Id, noise_key: Key, signing_key: Key) -> Result<(), Refusal> {
        for (what, taken) in [
            ("a user of this noise key", self.user_by_noise_key.get(&noise_key)),
            ("a user of this signing key", self.user_by_signing_key.get(&signing_key)),
        ] {
            if taken.is_some_and(|id| *id != user) {
                return Err(Refusal::Exists { what: what.into() });
            }
        }
        if !self.user_by_noise_key.contains(&noise_key) {
            self.user_by_noise_key.put(noise_key, user);
        }
        if !self.user_by_signing_key.contains(&signing_key) {
            self.user_by_signing_key.put(signing_key, user);
        }
        Ok(())
    }

    /// Refuses keys that the signer does not show to have.
    fn owns_keys(
        &self,
        address: PublicKey,
        (noise_key, signing_key): (&Key, &Key),
        possession: &Possession,
    ) -> Result<(), Refusal> {
        let said = statement::possession(&self.genesis.network(), address, noise_key, signing_key);
        for (what, key, signature) in
            [("noise", noise_key, &possession.noise), ("signing", signing_key, &possession.signing)]
        {
            let shown = signature.as_ref().is_some_and(|signature| said.is_signed(key, signature));
            if key.0 != address.0 && !shown {
                let why = format!("no signature of the {what} key over network, address and both keys");
                return Err(Refusal::invalid("possession", why));
            }
        }
        Ok(())
    }

    pub(super) fn rotate_keys(&mut self, user: Id, keys: &RotateKeys) -> Result<Vec<Id>, Refusal> {
        self.set_keys(user, keys.noise_key, keys.signing_key)?;
        let address = self.item::<User>(user)?.address;
        self.owns_keys(address, (&keys.noise_key, &keys.signing_key), &keys.possession)?;
        let User { signing_key, old_key, .. } = self.item::<User>(user)?.clone();
        if old_key.is_some_and(|old| self.height < old.until) {
            // Two changes in a row would take back signatures that others hold.
            return Err(Refusal::not_now("the key before still holds"));
        }
        let policy = self.policy();
        let task = policy.task_blocks.max(policy.commit_blocks.saturating_add(policy.reveal_blocks));
        let until = self.height.saturating_add(task).saturating_add(2);
        self.change::<User>(user, |user| {
            (user.noise_key, user.signing_key) = (keys.noise_key, keys.signing_key);
            // Also where only the other key changed: every change is a row for good, so they come one at a time.
            user.old_key = Some(OldKey { key: signing_key, until });
        })?;
        self.emit("keysRotated", &[user]);
        Ok(vec![])
    }

    pub(super) fn register_for_work(&mut self, user: Id, work: &RegisterForWork) -> Result<Vec<Id>, Refusal> {
        let (created, resolved) = self.publish(user, &work.components)?;
        let form = self.resolve_form(&work.form, &resolved)?;
        form::check(self, &form, &work.roles)?;
        let dropped: Vec<Role> = self.item::<User>(user)?.roles.difference(&work.roles).copied().collect();
        self.leave_pools(user)?;
        for role in dropped {
            self.drop_role(user, role)?;
        }
        let storage = if work.roles.contains(&Role::Hoster) { self.resources_of(&form)?.storage_bytes } else { 0 };
        self.offer(user, Account::FreeBytes(user), self.held_bytes(user), storage)?;
        for role in &work.roles {
            let slots = form.capacity.get(role).copied().map_or(0, u64::from);
            self.offer(user, Account::FreeSlots(user, *role), self.held_slots(user, *role), slots)?;
        }
        self.change::<User>(user, |user| {
            user.roles.clone_from(&work.roles);
            user.form = Some(form);
        })?;
        self.refresh_idle(user)?;
        self.emit("registeredForWork", &[user]);
        self.registered_for_work(user)?;
        Ok(created)
    }

    /// What is offered less what is held is free.
    fn offer(&mut self, user: Id, free: Account, held: u64, offered: u64) -> Result<(), Refusal> {
        let what = || format!("what user {user} holds: {free:?}");
        let rest = offered.checked_sub(held).ok_or_else(|| Refusal::OverBudget {
            what: what(),
            needed: held,
            available: offered,
        })?;
        self.set_free(free, rest);
        Ok(())
    }

    pub(super) fn unregister_roles(&mut self, user: Id, roles: &BTreeSet<Role>) -> Result<Vec<Id>, Refusal> {
        let own = &self.item::<User>(user)?.roles;
        if let Some(role) = roles.iter().find(|role| !own.contains(role)) {
            return Err(Refusal::not_allowed(format!("the signer is no {role:?}").to_lowercase()));
        }
        self.leave_pools(user)?;
        for role in roles {
            self.drop_role(user, *role)?;
        }
        self.change::<User>(user, |user| user.roles.retain(|role| !roles.contains(role)))?;
        self.refresh_idle(user)?;
        self.emit("rolesUnregistered", &[user]);
        Ok(vec![])
    }

    fn drop_role(&mut self, user: Id, role: Role) -> Result<(), Refusal> {
        let busy = self.jobs_of(user).any(|(held, _, _)| held == role);
        if busy || self.held_slots(user, role) > 0 {
            return Err(Refusal::not_now("tasks of this role are held"));
        }
        self.set_free(Account::FreeSlots(user, role), 0);
        if role == Role::Hoster {
            if self.held_bytes(user) > 0 {
                return Err(Refusal::not_now("bytes are held"));
            }
            self.set_free(Account::FreeBytes(user), 0);
        }
        Ok(())
    }

    /// The end of an account: a tombstone. Its address and keys are not given again (S66).
    pub(super) fn delete_account(&mut self, user: Id) -> Result<Vec<Id>, Refusal> {
        if self.live_plans.range((user, 0)..=(user, Id::MAX)).next().is_some() {
            return Err(Refusal::not_now("plans of the signer are running"));
        }
        self.leave_pools(user)?;
        for role in self.item::<User>(user)?.roles.clone() {
            self.drop_role(user, role)?;
        }
        if self.jobs_of(user).next().is_some() {
            return Err(Refusal::not_now("tasks are held"));
        }
        self.storage.delete(user);
        self.emit("userDeleted", &[user]);
        Ok(vec![])
    }

    pub(super) fn pause(&mut self, user: Id, pause: &transaction::Pause) -> Result<Vec<Id>, Refusal> {
        let (height, policy) = (self.height, self.policy());
        let User { paused, reputation, .. } = self.item::<User>(user)?;
        let (held, paused, reputation) = (paused.as_ref().map(|pause| pause.by), paused.is_some(), *reputation);
        let cost = match pause.until {
            Some(_) if paused => return Err(Refusal::not_now("the signer is paused already")),
            Some(until) => {
                let most = height.saturating_add(policy.max_pause_blocks);
                if until <= height || until > most {
                    return Err(Refusal::invalid("until", format!("not within {} and {most}", height + 1)));
                }
                if reputation.saturating_sub(policy.pause_cost) < policy.reputation_floor {
                    return Err(Refusal::not_allowed("its reputation would fall below the floor"));
                }
                policy.pause_cost
            }
            None => 0,
        };
        if let Some(until) = pause.until {
            self.schedule(until - height, Action::PauseEnds { user });
        }
        let until = pause.until;
        // Who stops while an alert holds it does not get rid of the alert.
        let by = held.filter(|by| *by == PausedBy::Alert).unwrap_or(PausedBy::User);
        self.settle_hostings(user)?;
        self.change::<User>(user, |user| {
            user.paused = Some(Pause { until, by });
            user.reputation = user.reputation.saturating_sub(cost);
        })?;
        self.refresh_idle(user)?;
        self.emit_with(if until.is_some() { "paused" } else { "stopped" }, &[user], "by itself");
        if until.is_none() {
            self.leave_hostings(user)?;
        }
        Ok(vec![])
    }

    pub(super) fn unpause(&mut self, user: Id) -> Result<Vec<Id>, Refusal> {
        let by = self.item::<User>(user)?.paused.as_ref().map(|pause| pause.by);
        match by {
            None => Err(Refusal::not_now("the signer is not paused")),
            Some(PausedBy::Alert) => Err(Refusal::not_allowed("an alert holds the signer until it clears")),
            Some(PausedBy::User | PausedBy::Failure) => {
                self.come_back(user)?;
                Ok(vec![])
            }
        }
    }

    /// The end of a pause, unless it was ended or made longer meanwhile.
    pub(super) fn pause_ends(&mut self, user: Id) -> Result<(), Refusal> {
        let Ok(paused) = self.item::<User>(user) else { return Ok(()) };
        let over = paused.paused.as_ref().and_then(|pause| pause.until).is_some_and(|until| until <= self.height);
        if over { self.come_back(user) } else { Ok(()) }
    }

    fn come_back(&mut self, user: Id) -> Result<(), Refusal> {
        self.settle_hostings(user)?;
        self.change::<User>(user, |user| user.paused = None)?;
        self.refresh_idle(user)?;
        self.emit("unpaused", &[user]);
        self.is_back(user)
    }
}
