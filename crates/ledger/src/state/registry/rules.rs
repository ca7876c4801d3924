//! Money and rules, and proof against those who keep two histories.

use peermark_core::sealed::{Bytes, NO_PREVIOUS, PublicKey, Sealed};

use crate::item::record::Body;
use crate::item::user::{Pause, PausedBy};
use crate::item::{Record, User};
use crate::machine::DOMAIN;
use crate::outcome::Refusal;
use crate::state::accounts::Account;
use crate::state::hashing::hash_of;
use crate::state::table::Table;
use crate::state::{ChainEnd, State, Witnessed};
use crate::transaction::{Evidence, Grant, PolicyChange, Transfer, Witness};
use crate::{Digest, Height, Id};

impl State {
    fn admin(&self, signer: PublicKey) -> Result<(), Refusal> {
        if self.genesis.admins.contains(&signer) { Ok(()) } else { Err(Refusal::not_allowed("the signer is no admin")) }
    }

    /// New money, once as many admins as the genesis asks have asked for the same.
    pub(super) fn grant(&mut self, signer: PublicKey, grant: &Grant) -> Result<Vec<Id>, Refusal> {
        self.admin(signer)?;
        let before = self.balance(&Account::Money(grant.to));
        if grant.amount == 0 || before.checked_add(grant.amount).is_none() {
            return Err(Refusal::invalid("amount", "nothing, or more than an account holds"));
        }
        let asked = hash_of("grant", grant);
        let lasts = self.policy().vote_blocks;
        let votes = vote(&mut self.grant_votes, (asked, signer), self.height, lasts)?;
        if votes.len() < self.genesis.admin_threshold as usize {
            self.emit_with("grantVoted", &[], format!("{} to {}", grant.amount, grant.to));
            return Ok(vec![]);
        }
        for vote in votes {
            self.grant_votes.take(&vote);
        }
        self.mint(grant.to, grant.amount);
        self.emit_with("granted", &[], format!("{} to {}", grant.amount, grant.to));
        Ok(vec![])
    }

    pub(super) fn transfer_money(&mut self, signer: PublicKey, transfer: &Transfer) -> Result<Vec<Id>, Refusal> {
        if transfer.amount == 0 {
            return Err(Refusal::invalid("amount", "nothing"));
        }
        self.transfer(&Account::Money(signer), Account::Money(transfer.to), transfer.amount)?;
        self.emit_with("transferred", &[], format!("{} from {signer} to {}", transfer.amount, transfer.to));
        Ok(vec![])
    }

    /// New rules, once enough admins have asked for the very same.
    pub(super) fn change_policy(&mut self, signer: PublicKey, change: &PolicyChange) -> Result<Vec<Id>, Refusal> {
        self.admin(signer)?;
        let newest = self.policies.iter().next_back();
        let (last_from, version) =
            newest.map_or((0, self.genesis.policy.version), |(from, last)| (*from, last.version));
        let next = version.saturating_add(1);
        if change.policy.version != next {
            let why = format!("expected={next}, found={}", change.policy.version);
            return Err(Refusal::invalid("policy version", why));
        }
        if change.from <= self.height || change.from <= last_from {
            return Err(Refusal::invalid("from", "not after this block and the newest rules"));
        }
        change.policy.validate().map_err(|why| Refusal::invalid("policy", why))?;
        let asked = hash_of("policy", change);
        let lasts = self.policy().vote_blocks;
        let votes = vote(&mut self.policy_votes, (asked, signer), self.height, lasts)?.len();
        self.emit_with("policyVoted", &[], format!("version {next}: {votes} of {}", self.genesis.admin_threshold));
        if votes < self.genesis.admin_threshold as usize {
            return Ok(vec![]);
        }
        // What else was asked for is for a version that is taken now.
        let done = |key: &Digest| !change.observe_only || *key == asked;
        let over: Vec<_> = self.policy_votes.iter().map(|(key, _)| *key).filter(|(key, _)| done(key)).collect();
        for key in over {
            self.policy_votes.take(&key);
        }
        let table = if change.observe_only { &mut self.observed_policies } else { &mut self.policies };
        table.put(change.from, change.policy.clone());
        let name = if change.observe_only { "policyObserved" } else { "policyChanged" };
        self.emit_with(name, &[], format!("version {next} from block {}", change.from));
        Ok(vec![])
    }

    /// Two entries of one signer with one number: whoever shows them suspends it.
    pub(super) fn evidence(
        &mut self,
        signer: PublicKey,
        entry: Digest,
        evidence: &Evidence,
    ) -> Result<Vec<Id>, Refusal> {
        let (offender, sequence) = self.read_evidence(evidence)?;
        self.convict(signer, entry, offender, sequence)
    }

    /// One of two entries that do not fit into one: it is kept until the same signer shows another one, which may be the other half.
    pub(super) fn witness(&mut self, signer: PublicKey, entry: Digest, witness: &Witness) -> Result<Vec<Id>, Refusal> {
        let shown = self.read_shown(&witness.entry)?;
        let (offender, sequence) = (shown.signer(), shown.sequence());
        self.not_suspended(offender)?;
        let shown = Witnessed { offender, sequence, hash: Bytes(shown.hash()) };
        match self.witnessed.take(&signer) {
            Some(before) if (before.offender, before.sequence) == (offender, sequence) && before.hash != shown.hash => {
                self.convict(signer, entry, offender, sequence)
            }
            _ => {
                self.witnessed.put(signer, shown);
                Ok(vec![])
            }
        }
    }

    fn convict(
        &mut self,
        signer: PublicKey,
        entry: Digest,
        offender: PublicKey,
        sequence: u64,
    ) -> Result<Vec<Id>, Refusal> {
        let end = self.chains.get(&offender).cloned();
        let why = format!("two histories from number {sequence}");
        let end = end.unwrap_or(ChainEnd { sequence: 0, last: Bytes(NO_PREVIOUS), suspended: None });
        self.chains.put(offender, ChainEnd { suspended: Some(why.clone()), ..end });
        let observer = self.user_by_address.get(&signer).copied();
        self.suspend(offender, observer, entry, why)
    }

    /// Whom two entries prove to keep two histories, and from which number.
    pub(super) fn read_evidence(&self, evidence: &Evidence) -> Result<(PublicKey, u64), Refusal> {
        let (first, second) = (self.read_shown(&evidence.first)?, self.read_shown(&evidence.second)?);
        if first.signer() != second.signer() || first.sequence() != second.sequence() {
            return Err(Refusal::invalid("evidence", "not of one signer and one number"));
        }
        if first.hash() == second.hash() {
            return Err(Refusal::invalid("evidence", "the same entry twice"));
        }
        self.not_suspended(first.signer())?;
        Ok((first.signer(), first.sequence()))
    }

    /// An entry of this ledger that its signer signed, whatever it says.
    fn read_shown(&self, bytes: &[u8]) -> Result<Sealed, Refusal> {
        let sealed = Sealed::decode(bytes).map_err(|error| Refusal::invalid("evidence", error.to_string()))?;
        if sealed.domain() != DOMAIN || sealed.network() != self.genesis.network() {
            return Err(Refusal::invalid("evidence", "not of this ledger"));
        }
        sealed.verify().map_err(|_| Refusal::Signature)?;
        Ok(sealed)
    }

    fn not_suspended(&self, signer: PublicKey) -> Result<(), Refusal> {
        match self.chains.get(&signer).is_some_and(|end| end.suspended.is_some()) {
            true => Err(Refusal::Exists { what: "the suspension".into() }),
            false => Ok(()),
        }
    }

    fn suspend(
        &mut self,
        who: PublicKey,
        observer: Option<Id>,
        entry: Digest,
        why: String,
    ) -> Result<Vec<Id>, Refusal> {
        let Ok(user) = self.user_of(who) else {
            self.emit_with("suspended", &[], format!("{who}: {why}"));
            return Ok(vec![]);
        };
        self.change::<User>(user, |user| user.paused = Some(Pause { until: None, by: PausedBy::Failure }))?;
        self.refresh_idle(user)?;
        self.emit_with("suspended", &[user], why.clone());
        self.leave_hostings(user)?;
        let body = Body::Evidence { what: why };
        let record = Record { subject: user, observer, at: self.height, entry: Some(entry), body };
        Ok(vec![self.create(record)])
    }
}

/// Most things that one admin may have asked for and that nobody else did.
const MOST_VOTES: usize = 16;

/// An admin asks for something. Gives everybody that asks for the same; what was asked for too long ago counts no more.
fn vote(
    votes: &mut Table<(Digest, PublicKey), Height>,
    (asked, signer): (Digest, PublicKey),
    now: Height,
    lasts: u64,
) -> Result<Vec<(Digest, PublicKey)>, Refusal> {
    let over = |at: Height| at.saturating_add(lasts) <= now;
    let old: Vec<_> = votes.iter().filter(|(_, at)| over(**at)).map(|(key, _)| *key).collect();
    for key in old {
        votes.take(&key);
    }
    if votes.contains(&(asked, signer)) {
        return Err(Refusal::Exists { what: "this admin's vote".into() });
    }
    let own = votes.iter().filter(|((_, admin), _)| *admin == signer).count();
    if own >= MOST_VOTES {
        let (found, limit) = (own as u64 + 1, MOST_VOTES as u64);
        return Err(Refusal::TooMany { what: "votes of this admin that wait for others".into(), found, limit });
    }
    votes.put((asked, signer), now);
    Ok(votes.range((asked, LEAST)..=(asked, MOST)).map(|(key, _)| *key).collect())
}

const LEAST: PublicKey = PublicKey([0; 32]);
const MOST: PublicKey = PublicKey([255; 32]);
