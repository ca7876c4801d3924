//! Performance challenges: a committee measures all hosters of a feed, or one user while idle. Its members commit before any of them
//! reveals, so that nobody can copy; what a member misses costs that member alone.

use std::collections::BTreeSet;

use super::super::State;
use super::super::agenda::Action;
use super::cycle::Begun;
use super::{ObservationKey, Subject};
use crate::Id;
use crate::item::hosting::{ChallengeStatus, ContractStatus, PerformanceChallenge, RawRequest};
use crate::item::user::{Job, Role};
use crate::item::{Contract, Feed, Plan};
use crate::outcome::Refusal;
use crate::select::{Draws, Search, Terms};
use crate::transaction::Commit;

/// Most hosters of one round: an entry has no room for the reports about more.
const MOST_MEASURED: usize = 64;
/// Most areas for which a committee is looked for.
const MOST_AREAS: usize = 256;

impl State {
    pub(super) fn begin_performance_challenge(&mut self, feed: Id) -> Result<Begun, Refusal> {
        let contracts = self.active_contracts(feed)?;
        let hosters = self.hosters_of(&contracts)?;
        if hosters.is_empty() {
            return Ok(Begun::Nothing);
        }
        let hosters = self.some_of(feed, hosters);
        let parties = self.parties_of(contracts.iter().copied())?;
        let mut regions = BTreeSet::new();
        for contract in &contracts {
            regions.extend(self.terms_of(*contract)?.regions);
        }
        let terms = Terms { parties, regions: regions.into_iter().take(MOST_AREAS).collect(), ..Terms::default() };
        self.begin_measuring(feed, Some(feed), None, hosters, terms)
    }

    /// Hosters of these contracts that are not paused.
    fn hosters_of(&self, contracts: &[Id]) -> Result<BTreeSet<Id>, Refusal> {
        let mut hosters = BTreeSet::new();
        for contract in contracts {
            let active = &self.item::<Contract>(*contract)?.active_hosters;
            hosters.extend(active.iter().copied().filter(|hoster| !self.is_paused(*hoster)));
        }
        Ok(hosters)
    }

    /// As many as one report has room for, drawn where there are more.
    pub(super) fn some_of(&self, feed: Id, hosters: BTreeSet<Id>) -> Vec<Id> {
        let mut hosters: Vec<Id> = hosters.into_iter().collect();
        let mut draws = Draws::new(self.draw("hosters", &feed));
        while hosters.len() > MOST_MEASURED {
            let at = draws.below(hosters.len() as u64) as usize;
            hosters.swap_remove(at);
        }
        hosters.sort_unstable();
        hosters
    }

    /// Draws a committee and begins.
    pub(super) fn begin_measuring(
        &mut self,
        about: Id,
        feed: Option<Id>,
        raw: Option<RawRequest>,
        hosters: Vec<Id>,
        terms: Terms,
    ) -> Result<Begun, Refusal> {
        let committee = self.policy().committee.max(1);
        // A search in vain is dear, and many users may wait to be measured.
        let idle = self.idle.range((Role::Attester, 0)..=(Role::Attester, Id::MAX));
        if idle.take(committee as usize).count() < committee as usize {
            return Ok(Begun::Waits);
        }
        let kept: Vec<(Role, Id)> = hosters.iter().map(|hoster| (Role::Hoster, *hoster)).collect();
        let avoid = hosters.iter().copied().collect();
        let search = Search { about, wanted: vec![(Role::Attester, committee)], terms, kept, avoid };
        let team = self.select(&search).ok().and_then(|mut team| team.remove(&Role::Attester));
        let Some(mut attester_ids) = team else { return Ok(Begun::Waits) };
        attester_ids.sort_unstable();
        let pay = self.policy().pay.performance.saturating_mul(attester_ids.len() as u64);
        if !self.hold_for(&self.plans_of(feed)?, self.storage.len(), pay)? {
            return Ok(Begun::Unpaid);
        }
        let (commits, reveals) = (self.policy().commit_blocks, self.policy().reveal_blocks);
        let commit_by = self.height.saturating_add(commits);
        let challenge = self.create(PerformanceChallenge {
            feed,
            raw,
            hosters,
            attester_ids: attester_ids.clone(),
            commit_by,
            reveal_by: commit_by.saturating_add(reveals),
            commits: Default::default(),
            reveals: Default::default(),
            status: ChallengeStatus::Assigned,
        });
        let job = if raw.is_some() { Job::RawBenchmark } else { Job::PerformanceChallenge };
        for attester in attester_ids {
            self.book(attester, Role::Attester, challenge, job, 0)?;
        }
        self.active_performance.put(challenge, ());
        self.schedule(commits.saturating_add(1), Action::CommitsClose { challenge });
        self.emit(if raw.is_some() { "rawBenchmark" } else { "performanceChallenge" }, &[challenge]);
        Ok(Begun::Live(challenge))
    }

    /// An attester commits to its report.
    pub(super) fn commit_performance(&mut self, user: Id, commit: &Commit) -> Result<Vec<Id>, Refusal> {
        let challenge = self.item::<PerformanceChallenge>(commit.challenge)?;
        if !challenge.attester_ids.contains(&user) {
            return Err(Refusal::not_allowed("only the challenge's committee commits"));
        }
        if challenge.status != ChallengeStatus::Assigned || challenge.commits.contains_key(&user) {
            return Err(Refusal::not_now("commits are closed, or it committed"));
        }
        self.change::<PerformanceChallenge>(commit.challenge, |challenge| {
            challenge.commits.insert(user, commit.hash);
        })?;
        Ok(Vec::new())
    }

    /// No more commits. Who has none failed; the others reveal now, unless they are too few.
    pub(super) fn commits_close(&mut self, id: Id) -> Result<(), Refusal> {
        let challenge = self.item::<PerformanceChallenge>(id)?.clone();
        if challenge.status != ChallengeStatus::Assigned {
            return Ok(());
        }
        for attester in &challenge.attester_ids {
            if !challenge.commits.contains_key(attester) {
                self.attester_fails(*attester, id)?;
            }
        }
        if challenge.commits.len() < quorum(challenge.attester_ids.len()) {
            for attester in challenge.commits.keys() {
                self.unbook(*attester, Role::Attester, id)?;
            }
            return self.end_measuring(id, &challenge, ChallengeStatus::TooSmall);
        }
        self.change::<PerformanceChallenge>(id, |challenge| challenge.status = ChallengeStatus::Committed)?;
        self.schedule(self.policy().reveal_blocks, Action::RevealsClose { challenge: id });
        Ok(())
    }

    /// No more reveals. Who has none failed; where they are enough the round counts.
    pub(super) fn reveals_close(&mut self, id: Id) -> Result<(), Refusal> {
        let challenge = self.item::<PerformanceChallenge>(id)?.clone();
        if challenge.status != ChallengeStatus::Committed {
            return Ok(());
        }
        let plans = self.plans_of(challenge.feed)?;
        let mut earned = Vec::with_capacity(challenge.reveals.len());
        for attester in challenge.commits.keys() {
            if challenge.reveals.contains_key(attester) {
                self.unbook(*attester, Role::Attester, id)?;
                earned.push((*attester, self.policy().pay.performance));
                self.rate(*attester, 1)?;
            } else {
                self.attester_fails(*attester, id)?;
            }
        }
        self.pay_held(id, &earned)?;
        let enough = challenge.reveals.len() >= quorum(challenge.attester_ids.len());
        let status = if enough { ChallengeStatus::Settled } else { ChallengeStatus::TooSmall };
        match (enough, challenge.raw) {
            (true, None) => self.settle_measuring(id, &challenge, &plans)?,
            (true, Some(raw)) => self.settle_raw(id, &challenge, raw)?,
            (false, _) => self.forget_observations(&challenge, id)?,
        }
        self.end_measuring(id, &challenge, status)
    }

    /// What follows for hosters: nothing from one member's word. A hoster that more than half of the committee could not get anything
    /// from is paused, with a timer until it is replaced. Nothing follows for one that paused or whose windows closed meanwhile.
    fn settle_measuring(
        &mut self,
        id: Id,
        challenge: &PerformanceChallenge,
        plans: &BTreeSet<Id>,
    ) -> Result<(), Refusal> {
        let active = challenge.feed.map_or(Ok(Vec::new()), |feed| self.active_contracts(feed))?;
        let due = self.hosters_of(&active)?;
        let mut bytes = 0_u64;
        for hoster in &challenge.hosters {
            let (mut reached, mut not_reached) = (0, 0);
            let mut seen = Vec::new();
            for key in self.observation_keys(id, challenge, *hoster)? {
                let Some(observation) = self.observations.get(&key) else { continue };
                seen.push(observation.bytes);
                let served = super::reveal::served(&observation.outcomes);
                if served > 0 {
                    reached += 1;
                } else if observation.outcomes.counted() > 0 {
                    not_reached += 1;
                }
            }
            bytes = bytes.saturating_add(typical_sum(seen));
            let all = challenge.attester_ids.len();
            if !due.contains(hoster) {
                continue;
            }
            if not_reached * 2 > all {
                self.emit("performanceChallengeFailed", &[id, *hoster]);
                self.fails(*hoster, 1)?;
            } else if reached * 2 > all {
                self.rate(*hoster, 1)?;
            }
        }
        self.emit("performanceChallengeConfirmed", &[id]);
        self.count_traffic(plans, bytes)
    }

    fn end_measuring(
        &mut self,
        id: Id,
        challenge: &PerformanceChallenge,
        status: ChallengeStatus,
    ) -> Result<(), Refusal> {
        self.change::<PerformanceChallenge>(id, |challenge| challenge.status = status)?;
        self.active_performance.take(&id);
        self.give_back(id)?;
        if let Some(feed) = challenge.feed {
            self.next_challenge(Subject::Performance(feed), id);
        } else if let (Some(raw), Some(user)) = (challenge.raw, challenge.hosters.first()) {
            self.cycles.take(&Subject::Raw(*user));
            if status == ChallengeStatus::TooSmall {
                self.request_raw(*user, raw.reason)?;
            }
        }
        Ok(())
    }

    /// Ends a round of which nothing is left to measure.
    pub(super) fn cancel_measuring(&mut self, id: Id) -> Result<(), Refusal> {
        let challenge = self.item::<PerformanceChallenge>(id)?.clone();
        for attester in &challenge.attester_ids {
            self.unbook(*attester, Role::Attester, id)?;
        }
        self.forget_observations(&challenge, id)?;
        self.end_measuring(id, &challenge, ChallengeStatus::Cancelled)
    }

    fn forget_observations(&mut self, challenge: &PerformanceChallenge, id: Id) -> Result<(), Refusal> {
        for hoster in &challenge.hosters {
            for key in self.observation_keys(id, challenge, *hoster)? {
                self.observations.take(&key);
            }
        }
        Ok(())
    }

    fn observation_keys(
        &self,
        id: Id,
        challenge: &PerformanceChallenge,
        hoster: Id,
    ) -> Result<Vec<ObservationKey>, Refusal> {
        let mut keys = Vec::with_capacity(challenge.reveals.len());
        for (attester, record) in &challenge.reveals {
            let record = self.item::<crate::item::Record>(*record)?;
            if let crate::item::record::Body::Working(working) = &record.body {
                let (epoch, region) = (self.epoch_of(record.at), working.region.clone());
                keys.push(ObservationKey { epoch, hoster, region, challenge: id, attester: *attester });
            }
        }
        Ok(keys)
    }

    pub(super) fn active_contracts(&self, feed: Id) -> Result<Vec<Id>, Refusal> {
        let active = |id: &Id| self.item::<Contract>(*id).is_ok_and(|item| item.status == ContractStatus::Active);
        Ok(self.item::<Feed>(feed)?.contracts.iter().copied().filter(active).collect())
    }

    /// The plans that share what measuring a feed costs.
    fn plans_of(&self, feed: Option<Id>) -> Result<BTreeSet<Id>, Refusal> {
        let Some(feed) = feed else { return Ok(BTreeSet::new()) };
        let plan = |id: Id| Ok(self.item::<Contract>(id)?.plan);
        let plans: Result<BTreeSet<Id>, Refusal> = self.active_contracts(feed)?.into_iter().map(plan).collect();
        let mut plans = plans?;
        plans.retain(|plan| self.item::<Plan>(*plan).is_ok());
        Ok(plans)
    }
}

/// What all attesters together saw, where each counts as the low median of them: a minority cannot add to it.
fn typical_sum(mut seen: Vec<u64>) -> u64 {
    seen.sort_unstable();
    let median = seen.len().checked_sub(1).and_then(|last| seen.get(last / 2)).copied().unwrap_or(0);
    median.saturating_mul(seen.len() as u64)
}

/// Members of a committee that must have reported for a round to count: two thirds, rounded up.
pub(super) fn quorum(committee: usize) -> usize {
    committee.saturating_mul(2).div_ceil(3)
}
