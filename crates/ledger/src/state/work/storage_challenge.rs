//! Storage challenges: one attester asks one hoster for one chunk of each of its contracts.
//!
//! Everybody knows from the block before that a challenge begins, of whom and by whom, and it runs for some blocks. Were the chunks drawn
//! from the beacon too, a hoster could fetch these few from others in that time and keep nothing. So its attester draws them, with a
//! signature that it shows when it asks: its hash says which.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::sealed::Bytes;

use super::super::State;
use super::super::agenda::Action;
use super::super::hashing::hash_of;
use super::cycle::Begun;
use super::{Accused, Subject};
use crate::item::hosting::{ChallengeStatus, ContractStatus, StorageChallenge};
use crate::item::user::{Job, Role};
use crate::item::{Contract, User};
use crate::outcome::Refusal;
use crate::select::{Draws, Search, Terms};
use crate::statement::storage_draw;
use crate::{Id, Signature};

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
        let seed = self.draw("chunks", &(hoster, attester));
        let deadline = self.task_deadline();
        let challenge = self.create(StorageChallenge {
            hoster,
            attester,
            checks,
            seed,
            deadline,
            status: ChallengeStatus::Assigned,
        });
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

    /// What to ask for: of a hoster that somebody accused the same chunks again, so that refusing a hard one helps nobody; otherwise any
    /// chunk of each contract.
    fn checks_of(&self, hoster: Id) -> Result<BTreeMap<Id, Option<u64>>, Refusal> {
        if let Some(Accused { checks, .. }) = self.accused.get(&hoster) {
            let again = self.still_due(hoster, checks);
            if !again.is_empty() {
                return Ok(again.into_iter().map(|(contract, chunk)| (contract, Some(chunk))).collect());
            }
        }
        let mut contracts: Vec<Id> = Vec::new();
        for (contract, _) in self.hosted_by(hoster) {
            if self.item::<Contract>(contract)?.status == ContractStatus::Active {
                contracts.push(contract);
            }
        }
        let mut draws = Draws::new(self.draw("contracts", &hoster));
        let most = self.policy().challenge_contracts as usize;
        while contracts.len() > most {
            let at = draws.below(contracts.len() as u64) as usize;
            contracts.swap_remove(at);
        }
        Ok(contracts.into_iter().map(|contract| (contract, None)).collect())
    }

    /// The chunks that a storage challenge asks for, by contract, once its attester drew them: any chunk of a contract is as likely as the
    /// others. For attesters, for hosters that are asked, and for whoever wants to check a report.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] where the attester did not sign this draw.
    pub fn drawn_chunks(&self, challenge: Id, draw: &Signature) -> Result<BTreeMap<Id, u64>, Refusal> {
        let item = self.item::<StorageChallenge>(challenge)?;
        let said = storage_draw(&self.network(), challenge, &item.seed);
        if !said.is_signed(&Bytes(self.item::<User>(item.attester)?.address.0), draw) {
            return Err(Refusal::invalid("draw", "the attester did not sign it for this challenge"));
        }
        let mut checks = BTreeMap::new();
        for (contract, chunk) in &item.checks {
            let ranges = &self.item::<Contract>(*contract)?.ranges;
            let mut draws = Draws::new(hash_of("chunk", &(draw, contract)));
            let drawn = || chunk_at(ranges, draws.below(chunks_in(ranges)));
            checks.extend(chunk.or_else(drawn).map(|chunk| (*contract, chunk)));
        }
        Ok(checks)
    }

    /// The checks of contracts that a hoster still has and that are active: outside their windows there is no blame, and none of who is
    /// paused.
    pub(super) fn still_due<T: Copy>(&self, hoster: Id, checks: &BTreeMap<Id, T>) -> BTreeMap<Id, T> {
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
