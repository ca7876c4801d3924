//! What a storage challenge found, and who is to blame.
//!
//! Whatever a hoster signed and does not hold is its fault at once. What an attester says without the hoster's signature is an
//! accusation: others ask for the same chunks, and only when enough of them say the same is the hoster paused and replaced.

use std::collections::{BTreeMap, BTreeSet};

use peermark_core::sealed::PublicKey;

use super::super::State;
use super::Accused;
use crate::Id;
use crate::feed_tree::ProofError;
use crate::item::hosting::{Amendment, ChallengeStatus, StorageChallenge};
use crate::item::user::Role;
use crate::item::{Contract, Feed};
use crate::outcome::Refusal;
use crate::statement;
use crate::transaction::StorageReport;
use crate::transaction::hosting::{Check, Found};

/// What one check shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Proved,
    Failed,
    /// The feed's root may be signed wrongly: nobody proved a chunk of it yet.
    RootDoubted {
        length: u64,
    },
}

impl State {
    /// The attester's report of a storage challenge.
    pub(super) fn report_storage(
        &mut self,
        user: Id,
        signer: PublicKey,
        report: &StorageReport,
    ) -> Result<Vec<Id>, Refusal> {
        let id = report.challenge;
        let challenge = self.item::<StorageChallenge>(id)?.clone();
        if challenge.attester != user {
            return Err(Refusal::not_allowed("only the challenge's attester reports it"));
        }
        if challenge.status != ChallengeStatus::Assigned {
            return Err(Refusal::not_now("the challenge is over"));
        }
        let chunks = self.drawn_chunks(id, &report.draw)?;
        let due = self.still_due(challenge.hoster, &chunks);
        self.change::<StorageChallenge>(id, |challenge| {
            challenge.checks = chunks.iter().map(|(contract, chunk)| (*contract, Some(*chunk))).collect();
        })?;
        if due.is_empty() {
            self.unbook(user, Role::Attester, id)?;
            self.end_storage_challenge(id, challenge.hoster, ChallengeStatus::Cancelled)?;
            return Ok(Vec::new());
        }
        match &report.found {
            Found::NoContact {} | Found::Unsigned {} => self.accuse(id, &challenge, due)?,
            Found::Answered { checks, contact } => {
                let said = statement::storage_contact(&self.network(), id, signer, &report.draw, checks);
                let signed = self.signed_by(challenge.hoster, &said, contact)?;
                let asked = chunks.into_iter().zip(checks);
                match signed && checks.len() == challenge.checks.len() {
                    true => self.answered(id, &challenge, asked, &due)?,
                    false => {
                        self.attester_fails(user, id)?;
                        self.end_storage_challenge(id, challenge.hoster, ChallengeStatus::AttesterFault)?;
                    }
                }
            }
        }
        Ok(Vec::new())
    }

    fn accuse(&mut self, id: Id, challenge: &StorageChallenge, due: BTreeMap<Id, u64>) -> Result<(), Refusal> {
        let (hoster, attester) = (challenge.hoster, challenge.attester);
        // Nobody is paid for saying that somebody else failed, and nobody loses by it unless others find the contrary.
        self.unbook(attester, Role::Attester, id)?;
        let count = due.len();
        let mut accused = match self.accused.get(&hoster) {
            Some(accused) => accused.clone(),
            None => Accused { checks: due, by: BTreeSet::new(), since: self.height },
        };
        accused.by.insert(attester);
        if accused.by.len() < self.policy().accusers.max(1) as usize {
            self.accused.put(hoster, accused);
            self.emit("hosterAccused", &[id, hoster]);
            return self.end_storage_challenge(id, hoster, ChallengeStatus::Unconfirmed);
        }
        self.accused.take(&hoster);
        self.hoster_fails(id, hoster, count)?;
        self.end_storage_challenge(id, hoster, ChallengeStatus::Failed)
    }

    /// A hoster failed a whole challenge: it is paused, and replaced everywhere.
    fn hoster_fails(&mut self, id: Id, hoster: Id, checks: usize) -> Result<(), Refusal> {
        self.emit("storageChallengeFailed", &[id, hoster]);
        self.fails(hoster, i64::try_from(checks).unwrap_or(i64::MAX))?;
        self.leave_hostings(hoster)
    }

    fn answered<'c>(
        &mut self,
        id: Id,
        challenge: &StorageChallenge,
        asked: impl Iterator<Item = ((Id, u64), &'c Check)>,
        due: &BTreeMap<Id, u64>,
    ) -> Result<(), Refusal> {
        let (hoster, attester) = (challenge.hoster, challenge.attester);
        let (mut proved, mut failed) = (Vec::new(), Vec::new());
        for ((contract, chunk), check) in asked {
            if !due.contains_key(&contract) {
                continue;
            }
            match self.check(contract, hoster, chunk, check)? {
                Shown::Proved => proved.push(contract),
                Shown::Failed => failed.push(contract),
                Shown::RootDoubted { length } => self.root_doubted(contract, chunk, length)?,
            }
        }
        self.note_proofs(hoster, attester, &proved, &failed)?;
        self.unbook(attester, Role::Attester, id)?;
        self.pay_held(id, &[(attester, self.policy().pay.storage)])?;
        self.rate(attester, 1)?;
        self.clear_accusers(hoster, !proved.is_empty())?;
        self.grade(id, hoster, &proved, &failed)?;
        let all_failed = proved.is_empty() && !failed.is_empty();
        let status = if all_failed { ChallengeStatus::Failed } else { ChallengeStatus::Settled };
        self.end_storage_challenge(id, hoster, status)
    }

    /// A grade for every proof, less one for every failure (`grade = round1(proved / all) * all`), and the contracts that failed go to
    /// others. Who proved nothing is paused too and loses all.
    fn grade(&mut self, id: Id, hoster: Id, proved: &[Id], failed: &[Id]) -> Result<(), Refusal> {
        for contract in proved {
            self.redeem(*contract, hoster)?;
            let feed = self.item::<Contract>(*contract)?.feed;
            self.prove_feed(feed)?;
        }
        if proved.is_empty() && !failed.is_empty() {
            return self.hoster_fails(id, hoster, failed.len());
        }
        let grade = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.rate(hoster, grade(proved.len()).saturating_sub(grade(failed.len())))?;
        for contract in failed {
            self.lose_place(*contract, hoster)?;
        }
        if !proved.is_empty() {
            self.emit("storageChallengeConfirmed", &[id, hoster]);
        }
        Ok(())
    }

    /// A hoster signed an answer: it can be reached. Those who said otherwise of the same chunks lose a grade where it proves them.
    fn clear_accusers(&mut self, hoster: Id, proved: bool) -> Result<(), Refusal> {
        let Some(accused) = self.accused.take(&hoster) else { return Ok(()) };
        if proved {
            for attester in accused.by {
                self.rate(attester, -1)?;
                self.emit("accusationRefuted", &[hoster, attester]);
            }
        }
        Ok(())
    }

    /// Whether what a hoster signed proves that it has the chunk of the feed and the encoding that was set up for it. Sizes that the
    /// proof shows are kept (S27, S30).
    fn check(&mut self, contract: Id, hoster: Id, chunk: u64, check: &Check) -> Result<Shown, Refusal> {
        let Check::Proved { length, proof, encoded } = check else { return Ok(Shown::Failed) };
        let feed_id = self.item::<Contract>(contract)?.feed;
        // A version that does not exist is the hoster's fault too: it signed this.
        let Some(root) = self.item::<Feed>(feed_id)?.versions.get(length).map(|version| version.root) else {
            return Ok(Shown::Failed);
        };
        let proven = self.proven_roots.get(&(feed_id, *length)).copied();
        let known = |node| self.node_size(feed_id, node);
        // Sizes are known of the root that was proven; one that replaced it has none, and its proofs tell none.
        let verified = match proven {
            Some(proven) => proof.verify(chunk, *length, &proven, known).or_else(|error| {
                let other = if proven == root { Err(error) } else { proof.verify(chunk, *length, &root, |_| None) };
                other.map(|_| BTreeMap::new())
            }),
            None => proof.verify(chunk, *length, &root, known),
        };
        let sizes = match verified {
            Ok(sizes) => sizes,
            Err(ProofError::Root) if !self.has_proven_root(feed_id, chunk) => {
                return Ok(Shown::RootDoubted { length: *length });
            }
            Err(_) => return Ok(Shown::Failed),
        };
        let Some(place) = self.hostings.get(&(hoster, contract)).copied() else { return Ok(Shown::Failed) };
        let holder = self.staffing.get(&contract).and_then(|staffing| staffing.holders.get(&place)).copied();
        let Some(holder) = holder else { return Ok(Shown::Failed) };
        let copy = self.item::<Amendment>(holder.amendment)?.copies.get(&place).copied();
        let bytes = encoded.iter().map(|chunk| chunk.bytes).fold(0, u64::saturating_add);
        let is_the_copy = copy.is_some_and(|copy| {
            copy.manifest == statement::manifest_digest(encoded) && copy.sizes.encoded_bytes == bytes
        });
        if !is_the_copy || !encoded.iter().any(|encoded| encoded.index == chunk) {
            return Ok(Shown::Failed);
        }
        if proven.is_none() {
            self.proven_roots.put((feed_id, *length), root);
            self.doubt_is_over(feed_id)?;
        }
        self.learn_sizes(feed_id, &sizes);
        Ok(Shown::Proved)
    }
}
