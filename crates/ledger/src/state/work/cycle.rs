//! Challenges go on for as long as there is something to challenge, one at a time for each subject.

use std::collections::BTreeSet;

use super::super::State;
use super::super::agenda::Task;
use super::{Cycle, Subject};
use crate::Id;
use crate::item::hosting::{ChallengeStatus, StorageChallenge};
use crate::item::user::Role;
use crate::item::{Contract, Feed, Plan};
use crate::outcome::Refusal;
use crate::select::Draws;

/// Challenges are staffed before everything else: what is hosted already comes before what is new.
const CHALLENGE_IMPORTANCE: u32 = u32::MAX;

/// Blocks after which a plan that could not pay is gone.
const PLAN_ENDS: u64 = 2;

/// What became of an attempt to begin a challenge.
pub(super) enum Begun {
    /// It is under way.
    Live(Id),
    /// Attesters are missing.
    Waits,
    /// A plan cannot pay for it: it ends, and the challenge is tried again without it.
    Unpaid,
    /// There is nothing to challenge: the cycle ends.
    Nothing,
}

impl State {
    /// A planned challenge is due.
    pub(super) fn make_challenge(&mut self, subject: Subject) -> Result<(), Refusal> {
        let due = matches!(self.cycles.get(&subject), Some(Cycle::Planned(at)) if *at <= self.height);
        if !due || self.try_challenge(subject)? {
            return Ok(());
        }
        self.cycles.put(subject, Cycle::Queued);
        let task = match subject {
            Subject::Storage(hoster) => Task::StorageChallenge { hoster },
            Subject::Performance(feed) => Task::PerformanceChallenge { feed },
            Subject::Raw(_) => return Ok(()),
        };
        self.enqueue(CHALLENGE_IMPORTANCE, task);
        Ok(())
    }

    /// Begins a challenge; `false` where attesters are missing.
    pub(super) fn try_challenge(&mut self, subject: Subject) -> Result<bool, Refusal> {
        let begun = match subject {
            Subject::Storage(hoster) => self.begin_storage_challenge(hoster)?,
            Subject::Performance(feed) => self.begin_performance_challenge(feed)?,
            Subject::Raw(_) => Begun::Nothing,
        };
        match begun {
            Begun::Live(challenge) => {
                self.cycles.put(subject, Cycle::Live(challenge));
            }
            Begun::Waits => return Ok(false),
            Begun::Unpaid => {
                self.cycles.take(&subject);
                self.start_cycle(subject, PLAN_ENDS);
            }
            Begun::Nothing => {
                self.cycles.take(&subject);
            }
        }
        Ok(true)
    }

    /// A challenge ended: the next one is planned after the usual pause, give or take a fifth by the beacon, so that nobody can tell
    /// when it comes.
    pub(super) fn next_challenge(&mut self, subject: Subject, challenge: Id) {
        self.cycles.take(&subject);
        let pause = self.policy().challenge_pause_blocks;
        let jitter = pause / 5;
        let more = Draws::new(self.draw("jitter", &challenge)).below(jitter.saturating_mul(2).saturating_add(1));
        self.start_cycle(subject, pause.saturating_sub(jitter).saturating_add(more));
    }

    /// Ends live challenges of which nothing is left to challenge, because contracts ended or rest: nobody is blamed for them.
    pub(super) fn cancel_idle_challenges(&mut self, feed: Id, hosters: &[Id]) -> Result<(), Refusal> {
        for hoster in hosters {
            let Some(Cycle::Live(id)) = self.cycle_of(Subject::Storage(*hoster)) else { continue };
            let challenge = self.item::<StorageChallenge>(id)?.clone();
            if self.still_due(*hoster, &challenge.checks).is_empty() {
                self.unbook(challenge.attester, Role::Attester, id)?;
                self.end_storage_challenge(id, *hoster, ChallengeStatus::Cancelled)?;
            }
        }
        match self.cycle_of(Subject::Performance(feed)) {
            Some(Cycle::Live(id)) if self.active_contracts(feed)?.is_empty() => self.cancel_measuring(id),
            _ => Ok(()),
        }
    }

    /// Whoever may not judge hosters of these contracts: sponsors of their plans and publishers of their feeds.
    pub(super) fn parties_of(&self, contracts: impl IntoIterator<Item = Id>) -> Result<BTreeSet<Id>, Refusal> {
        let mut parties = BTreeSet::new();
        for contract in contracts {
            let contract = self.item::<Contract>(contract)?;
            parties.insert(self.item::<Plan>(contract.plan)?.sponsor);
            parties.insert(self.item::<Feed>(contract.feed)?.publisher);
        }
        Ok(parties)
    }
}
