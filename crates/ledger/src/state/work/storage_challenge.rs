//! Storage challenges: one attester asks one hoster for one chunk of each of its contracts.

use std::collections::{BTreeMap, BTreeSet};

use super::super::State;
use super::super::agenda::Action;
use super::cycle::Begun;
use super::{Accused, Subject};
use crate::Id;
use crate::item::Contract;
use crate::item::hosting::{ChallengeStatus, ContractStatus, StorageChallenge};
use crate::item::user::{Job, Role};
use crate::outcome::Refusal;
use crate::select::{Draws, Search, Terms};

impl State {
    pub(super) fn begin_storage_challenge(&mut self, hoster: Id) -> Result<Begun, Refusal> {
        if self.is_paused(hoster) {
            return Ok(Begun::Nothing);
        }
        let checks = self.checks_of(hoster)?;
        if checks.is_empty() {
            return Ok(Begun::Nothing);
        }
        self.drop_stale_accusation(hoster);
        let mut kept = vec![(Role::Hoster, hoster)];
        if let Some(accused) = self.accused.get(&hoster) {
            kept.extend(accused.by.iter().map(|attester| (Role::Attester, *attester)));
        }
        let terms = Terms { parties: self.parties_of(checks.keys().copied())?, ..Terms::default() };
        let avoid: BTreeSet<Id> = kept.iter().map(|(_, user)| *user).collect();
        let search = Search { about: hoster, wanted: vec![(Role::Attester, 1)], terms, kept, avoid };
        let attester = self.select(&search).ok().and_then(|mut team| team.remove(&Role::Attester)?.pop());
        let Some(attester) = attester else { return Ok(Begun::Waits) };
        let plans: Result<BTreeSet<Id>, Refusal> =
            checks.keys().map(|contract| Ok(self.item::<Contract>(*contract)?.plan)).collect();
        if !self.hold_for(&plans?, self.storage.len(), self.policy().pay.storage)? {
            return Ok(Begun::Unpaid);
        }
        let deadline = self.task_deadline();
        let challenge =
            self.create(StorageChallenge { hoster, attester, checks, deadline, status: ChallengeStatus::Assigned });
        self.book(attester, Role::Attester, challenge, Job::StorageChallenge, 0)?;
        self.active_storage.put(challenge, ());
        self.schedule(self.policy().task_blocks.saturating_add(1), Action::StorageChallengeTimeout { challenge });
        self.emit("storageChallenge", &[challenge]);
        Ok(Begun::Live(challenge))
    }

    /// An accusation that nobody could be found to check is dropped after a while: it must not stop the challenges.
    fn drop_stale_accusation(&mut self, hoster: Id) {
        let stale = self.height.saturating_sub(self.policy().forced_pause_blocks);
        if self.accused.get(&hoster).is_some_and(|accused| accused.since < stale) {
            self.accused.take(&hoster);
            self.emit("accusationDropped", &[hoster]);
        }
    }

    /// What to ask for: of a hoster that somebody accused the same chunks again, so that refusing a hard one helps nobody; otherwise one
    /// chunk of each contract, any of them as likely as the others.
    fn checks_of(&self, hoster: Id) -> Result<BTreeMap<Id, u64>, Refusal> {
        if let Some(Accused { checks, .. }) = self.accused.get(&hoster) {
            let again = self.still_due(hoster, checks);
            if !again.is_empty() {
                return Ok(again);
            }
        }
        let mut contracts: Vec<Id> = Vec::new();
        for (contract, _) in self.hosted_by(hoster) {
            if self.item::<Contract>(contract)?.status == ContractStatus::Active {
                contracts.push(contract);
            }
        }
        let mut draws = Draws::new(self.draw("chunks", &hoster));
        let most = self.policy().challenge_contracts as usize;
        while contracts.len() > most {
            let at = draws.below(contracts.len() as u64) as usize;
            contracts.swap_remove(at);
        }
        contracts.sort_unstable();
        let mut checks = BTreeMap::new();
        for contract in contracts {
            let ranges = &self.item::<Contract>(contract)?.ranges;
            checks.extend(chunk_at(ranges, draws.below(chunks_in(ranges))).map(|chunk| (contract, chunk)));
        }
        Ok(checks)
    }

    /// The checks of contracts that a hoster still has and that are active: outside their windows there is no blame, and none of who is
    /// paused.
    pub(super) fn still_due(&self, hoster: Id, checks: &BTreeMap<Id, u64>) -> BTreeMap<Id, u64> {
        if self.is_paused(hoster) {
            return BTreeMap::new();
        }
        let due = |contract: &Id| {
            self.hostings.contains(&(hoster, *contract))
                && self.item::<Contract>(*contract).is_ok_and(|item| item.status == ContractStatus::Active)
        };
        checks.iter().filter(|(contract, _)| due(contract)).map(|(contract, chunk)| (*contract, *chunk)).collect()
    }

    /// No report in time: the attester failed, nothing is said about the hoster.
    pub(super) fn storage_timeout(&mut self, id: Id) -> Result<(), Refusal> {
        let challenge = self.item::<StorageChallenge>(id)?.clone();
        if challenge.status != ChallengeStatus::Assigned {
            return Ok(());
        }
        self.attester_fails(challenge.attester, id)?;
        self.end_storage_challenge(id, challenge.hoster, ChallengeStatus::TimedOut)
    }

    pub(super) fn end_storage_challenge(&mut self, id: Id, hoster: Id, status: ChallengeStatus) -> Result<(), Refusal> {
        self.change::<StorageChallenge>(id, |challenge| challenge.status = status)?;
        self.active_storage.take(&id);
        self.give_back(id)?;
        self.next_challenge(Subject::Storage(hoster), id);
        Ok(())
    }
}

/// Chunks of ranges, both ends within.
pub(super) fn chunks_in(ranges: &[(u64, u64)]) -> u64 {
    ranges.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1)).fold(0, u64::saturating_add)
}

/// The chunk at a place, counted over all ranges in their order.
fn chunk_at(ranges: &[(u64, u64)], mut place: u64) -> Option<u64> {
    for (first, last) in ranges {
        let count = last.saturating_sub(*first).saturating_add(1);
        if place < count {
            return first.checked_add(place);
        }
        place -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One chunk uniformly over all chunks of a contract: a short range is not asked for more often than a long one, and no range's last
    /// chunk is left out.
    #[test]
    fn every_chunk_of_a_contract_is_as_likely_as_the_others() {
        let ranges = [(3, 3), (10, 17), (40, 40)];
        let all: Vec<u64> = (0..chunks_in(&ranges)).filter_map(|place| chunk_at(&ranges, place)).collect();
        assert_eq!(all, [3, 10, 11, 12, 13, 14, 15, 16, 17, 40]);
        assert_eq!(chunk_at(&ranges, chunks_in(&ranges)), None);
    }
}
