//! What follows from a failure, and from work well done.

use super::super::State;
use super::super::agenda::Action;
use crate::item::user::{Pause, PausedBy, Role};
use crate::item::{Kind, User, expected};
use crate::outcome::Refusal;
use crate::statement::Statement;
use crate::{Height, Id, Signature};

#[cfg(test)]
mod tests;

impl State {
    /// Adds to a reputation, or takes from it.
    pub(super) fn rate(&mut self, user: Id, grade: i64) -> Result<(), Refusal> {
        // Who deleted its account in the meantime has nothing to lose.
        if grade == 0 || !self.is(user, User::KIND) {
            return Ok(());
        }
        self.change::<User>(user, |user| user.reputation = user.reputation.saturating_add(grade))
    }

    /// A provider failed a task: it loses the grade and pauses. Its other tasks go on until somebody finds that they do not. A pause that
    /// an alert holds stays the alert's.
    pub(super) fn fails(&mut self, user: Id, grade: i64) -> Result<(), Refusal> {
        if !self.is(user, User::KIND) {
            return Ok(());
        }
        self.rate(user, grade.saturating_neg())?;
        let until = self.height.saturating_add(self.policy().forced_pause_blocks);
        let longer = match &self.item::<User>(user)?.paused {
            Some(Pause { until: None, .. }) => false,
            Some(Pause { until: Some(end), .. }) => *end < until,
            None => true,
        };
        if !longer {
            return Ok(());
        }
        self.settle_hostings(user)?;
        self.change::<User>(user, |user| {
            let by = user.paused.as_ref().map(|pause| pause.by).filter(|by| *by == PausedBy::Alert);
            user.paused = Some(Pause { until: Some(until), by: by.unwrap_or(PausedBy::Failure) });
        })?;
        self.schedule(until.saturating_sub(self.height), Action::PauseEnds { user });
        // A second failure does not give it more time to come back.
        if self.hosts_anything(user) && !self.away.contains(&user) {
            let (due, _) = self.schedule(self.policy().not_back_blocks, Action::ReplaceIfPaused { user });
            self.away.put(user, due);
        }
        self.refresh_idle(user)?;
        self.emit("paused", &[user]);
        Ok(())
    }

    /// An attester did not do what it was asked, or what it says contradicts itself: that says nothing about anybody else.
    pub(super) fn attester_fails(&mut self, attester: Id, task: Id) -> Result<(), Refusal> {
        self.unbook(attester, Role::Attester, task)?;
        self.emit("attesterFailed", &[task, attester]);
        self.fails(attester, 1)
    }

    /// A paused hoster that is not back in time is replaced everywhere. Who came back meanwhile and failed again has a time of its own.
    pub(super) fn replace_if_paused(&mut self, user: Id) -> Result<(), Refusal> {
        if self.away.get(&user).is_none_or(|due| *due > self.height) {
            return Ok(());
        }
        self.away.take(&user);
        if self.is(user, User::KIND) && self.is_paused(user) { self.leave_hostings(user) } else { Ok(()) }
    }

    /// Pays everything that a user hosts up to now: to be called before its pause begins or ends, because who is paused is neither
    /// challenged nor paid.
    pub(crate) fn settle_hostings(&mut self, user: Id) -> Result<(), Refusal> {
        for (contract, _) in self.hosted_by(user) {
            self.settle(contract)?;
        }
        Ok(())
    }

    /// What an attester alone says of a set-up: that its encoder or hoster failed. Nobody is blamed for that until attesters of as many
    /// operators as the policy asks said the same, without a set-up that succeeded in between.
    pub(super) fn accuse_provider(&mut self, amendment: Id, user: Id, by: Id, failed: &str) -> Result<(), Refusal> {
        let mut all = self.doubts.get(&user).cloned().unwrap_or_default();
        if !all.iter().any(|other| self.same_operator(*other, by)) {
            all.insert(by);
        }
        if all.len() < self.policy().accusers.max(1) as usize {
            self.doubts.put(user, all);
            self.emit("providerAccused", &[amendment, user, by]);
            return Ok(());
        }
        self.doubts.take(&user);
        self.emit(failed, &[amendment, user]);
        self.fails(user, 1)
    }

    fn same_operator(&self, one: Id, other: Id) -> bool {
        let of = |user| self.item::<User>(user).ok()?.form.as_ref().map(|form| form.operator.as_str());
        one == other || of(one).is_some_and(|operator| !operator.is_empty() && of(other) == Some(operator))
    }

    /// Whether a user is paused.
    pub(super) fn is_paused(&self, user: Id) -> bool {
        self.item::<User>(user).map_or(true, |user| user.paused.is_some())
    }

    /// Whether a user hosts any contract.
    pub(super) fn hosts_anything(&self, user: Id) -> bool {
        self.hostings.range((user, 0)..=(user, Id::MAX)).next().is_some()
    }

    /// The contracts that a user hosts, with its place.
    pub(super) fn hosted_by(&self, user: Id) -> Vec<(Id, u32)> {
        self.hostings.range((user, 0)..=(user, Id::MAX)).map(|((_, contract), place)| (*contract, *place)).collect()
    }

    /// Whether a user signed a statement: with its key, or with the one that it changed so recently that somebody may have taken a
    /// signature of it before.
    pub(super) fn signed_by(&self, user: Id, said: &Statement, signature: &Signature) -> Result<bool, Refusal> {
        // What somebody signed before it deleted its account it still signed.
        let last = self.storage.versions(user).iter().rev().flatten().next();
        let User { signing_key, old_key, .. } = expected(user, last.map(|item| item.as_ref()))?;
        let old = old_key.filter(|old| self.height < old.until);
        Ok(said.is_signed(signing_key, signature) || old.is_some_and(|old| said.is_signed(&old.key, signature)))
    }

    /// First block after the task that begins now.
    pub(super) fn task_deadline(&self) -> Height {
        self.height.saturating_add(self.policy().task_blocks)
    }
}
