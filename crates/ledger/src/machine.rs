//! The state machine as ABCI shapes it: check, finalize, commit, query, snapshot.
//!
//! Who orders the entries is another question: today one sequencer with a log, later CometBFT.

use peermark_core::sealed::{Bytes, MAX_BYTES, NO_PREVIOUS, PublicKey, Sealed};

use thiserror::Error;

use crate::genesis::Genesis;
use crate::outcome::{Event, Outcome, Refusal};
use crate::state::{ChainEnd, Changes, State};
use crate::transaction::Transaction;
use crate::{Digest, Height, Id};

/// The domain of entries.
pub const DOMAIN: &str = "ledger";

/// Longest entry, but for what shows others' entries: so that a witness has room for any of them, and whoever signs two with one number
/// can always be shown to.
pub const MAX_ENTRY_BYTES: usize = MAX_BYTES - 256;

/// Version of a snapshot's form. What has another is not read: the log is replayed.
const SNAPSHOT_VERSION: u32 = 1;

/// Why bytes are no snapshot of this ledger.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RestoreError {
    /// Not a state.
    #[error("malformed snapshot")]
    Malformed,
    /// Of another version of this product.
    #[error("snapshot of version {found}, expected {SNAPSHOT_VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// Of another ledger.
    #[error("snapshot of another ledger")]
    Genesis,
}

/// A block to execute. Its entries may stand in any order.
#[derive(Clone, Debug)]
pub struct Block<'e> {
    /// One more than that of the block before.
    pub height: Height,
    /// Randomness that nobody chose: from the block before, or from a beacon outside.
    pub beacon: Digest,
    /// Entries whose signatures hold.
    pub entries: &'e [Sealed],
}

/// What a block did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockResult {
    /// What became of each entry, in the order in which they were executed: by signer and sequence.
    pub outcomes: Vec<Outcome>,
    /// What happened.
    pub events: Vec<Event>,
    /// Hash of the state afterwards.
    pub state: Digest,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Machine {
    state: State,
    network: String,
}

impl Machine {
    /// A ledger before its first block.
    pub fn new(genesis: Genesis) -> Self {
        Self { network: genesis.network(), state: State::new(genesis) }
    }

    /// What follows from the entries so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The name of the network that entries carry.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// Whether an entry could be taken next: form, network, signature, place in its signer's chain after `end` (the last one that
    /// was taken, in a block or waiting for one). Whether its transaction holds shows when its block is executed.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, entry: &Sealed, end: Option<&ChainEnd>) -> Result<(), Refusal> {
        self.check_unsigned(entry, end)?;
        entry.verify().map_err(|_| Refusal::Signature)
    }

    /// As [`Self::check`], of an entry whose signature is known to hold.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_unsigned(&self, entry: &Sealed, end: Option<&ChainEnd>) -> Result<(), Refusal> {
        let kept = self.state.chain_end(entry.signer());
        self.check_place(entry, end.or(kept))?;
        let transaction = Transaction::of(entry)?;
        can_be_shown(entry, Some(&transaction))?;
        // Whoever has an entry waiting was admitted by that one: a user registers and goes on in one block.
        let waits = end.is_some_and(|end| end.sequence > kept.map_or(0, |kept| kept.sequence));
        if waits { Ok(()) } else { self.state.admits(entry.signer(), &transaction) }
    }

    /// Everything that the next block depends on, in one form with a version.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = SNAPSHOT_VERSION.to_be_bytes().to_vec();
        // Writing to memory cannot fail, and no type of the state refuses to be written.
        let written = ciborium::into_writer(&self.state, &mut bytes);
        debug_assert!(written.is_ok(), "a state that cannot be written");
        bytes
    }

    /// The machine that [`Self::snapshot`] was taken of. That the bytes are those is the caller's to check: by their digest, and by
    /// replaying the log.
    ///
    /// # Errors
    /// [`RestoreError`].
    pub fn restore(genesis: &Genesis, bytes: &[u8]) -> Result<Self, RestoreError> {
        let Some((version, body)) = bytes.split_first_chunk() else { return Err(RestoreError::Malformed) };
        if u32::from_be_bytes(*version) != SNAPSHOT_VERSION {
            return Err(RestoreError::Version { found: u32::from_be_bytes(*version) });
        }
        let state: State = ciborium::from_reader(body).map_err(|_| RestoreError::Malformed)?;
        if state.genesis() != genesis {
            return Err(RestoreError::Genesis);
        }
        Ok(Self { network: genesis.network(), state })
    }

    /// Executes a block: what is due, then the queue, then the entries by (signer, sequence), each whole or not at all. Who gets a
    /// task is drawn before the entries, so that nobody who knows the block's randomness can still say something that changes it.
    pub fn finalize(&mut self, block: &Block<'_>) -> BlockResult {
        self.state.begin(block.height, block.beacon);
        self.state.run_due();
        self.state.staff_queue();
        let mut order: Vec<&Sealed> = block.entries.iter().collect();
        order.sort_by_cached_key(|entry| (entry.signer(), entry.sequence(), entry.hash()));
        let outcomes = order.into_iter().map(|entry| self.execute(entry)).collect();
        let events = self.state.end();
        BlockResult { outcomes, events, state: self.state.hash() }
    }

    /// What the last block changed, for a copy of the machine from before it.
    pub(crate) fn changes_for(&self, copy: &Self) -> Changes {
        self.state.changes_for(&copy.state)
    }

    /// Takes over what a block changed in the machine that this one is a copy of.
    pub(crate) fn absorb(&mut self, changes: Changes) {
        self.state.absorb(changes);
    }

    fn execute(&mut self, entry: &Sealed) -> Outcome {
        let hash = Bytes(entry.hash());
        let signer = entry.signer();
        let result = match self.check_place(entry, self.state.chains.get(&signer)) {
            Err(refusal) => Err(refusal),
            Ok(()) => self.transact(signer, hash, entry),
        };
        Outcome { entry: hash, result }
    }

    /// A refused transaction changes nothing but the place in its signer's chain: its number is used up. A stranger that may not say
    /// this leaves nothing behind, not even a place: keys cost nothing.
    fn transact(&mut self, signer: PublicKey, entry: Digest, sealed: &Sealed) -> Result<Vec<Id>, Refusal> {
        let transaction = Transaction::of(sealed);
        let shown = can_be_shown(sealed, transaction.as_ref().ok());
        let admitted = shown.and_then(|()| match &transaction {
            Ok(transaction) => self.state.admits(signer, transaction),
            Err(refusal) => Err(refusal.clone()),
        });
        if let Err(refusal) = admitted {
            if self.state.is_known(signer) {
                self.follow(signer, sealed.sequence(), entry);
            }
            return Err(refusal);
        }
        self.follow(signer, sealed.sequence(), entry);
        let result = transaction.and_then(|transaction| self.state.apply(signer, entry, &transaction));
        match &result {
            Ok(_) => self.state.keep(),
            Err(_) => self.state.take_back(),
        }
        result
    }

    fn follow(&mut self, signer: PublicKey, sequence: u64, last: Digest) {
        let suspended = self.state.chains.get(&signer).and_then(|end| end.suspended.clone());
        self.state.chains.put(signer, ChainEnd { sequence, last, suspended });
        self.state.keep();
    }

    fn check_place(&self, entry: &Sealed, end: Option<&ChainEnd>) -> Result<(), Refusal> {
        if entry.domain() != DOMAIN || entry.network() != self.network {
            let found = format!("{}/{}", entry.domain(), entry.network());
            return Err(Refusal::WrongNetwork { expected: format!("{DOMAIN}/{}", self.network), found });
        }
        let (sequence, last) = end.map_or((0, Bytes(NO_PREVIOUS)), |end| (end.sequence, end.last));
        if let Some(why) = end.and_then(|end| end.suspended.clone()) {
            return Err(Refusal::Suspended { why });
        }
        let expected = sequence.saturating_add(1);
        if entry.sequence() != expected {
            return Err(Refusal::Sequence { expected, found: entry.sequence() });
        }
        if Bytes(entry.previous()) == last { Ok(()) } else { Err(Refusal::Previous) }
    }
}

/// Refuses an entry that no witness has room for.
fn can_be_shown(entry: &Sealed, transaction: Option<&Transaction>) -> Result<(), Refusal> {
    let found = entry.bytes().len();
    if found <= MAX_ENTRY_BYTES || matches!(transaction, Some(Transaction::Evidence(_) | Transaction::Witness(_))) {
        return Ok(());
    }
    Err(Refusal::TooMany { what: "bytes of an entry".into(), found: found as u64, limit: MAX_ENTRY_BYTES as u64 })
}

#[cfg(test)]
mod tests {
    use peermark_core::sealed::{Draft, SigningKey, Value};

    use super::*;
    use crate::genesis::Policy;

    fn genesis() -> Genesis {
        Genesis {
            name: "lab".into(),
            sequencer: SigningKey::from_seed([1; 32]).public(),
            admins: vec![],
            admin_threshold: 1,
            grants: vec![],
            beacon: crate::beacon::BeaconRule::Checkpoint,
            policy: Policy::default(),
        }
    }

    /// Keys cost nothing: whoever is unknown is heard only where it pays for it, and leaves nothing behind otherwise.
    #[test]
    fn a_stranger_leaves_nothing_behind() {
        use crate::transaction::{Register, Transaction, Transfer};
        let rich = SigningKey::from_seed([5; 32]);
        let policy = Policy { work_bits: 6, ..Policy::default() };
        let mut machine = Machine::new(Genesis { grants: vec![(rich.public(), 10)], policy, ..genesis() });
        let network = machine.network().to_owned();
        let seal = |key: &SigningKey, sequence, previous, transaction: &Transaction| {
            let payload = transaction.payload().unwrap();
            Sealed::seal(key, Draft { domain: DOMAIN.into(), network: network.clone(), sequence, previous, payload })
                .unwrap()
        };
        let stranger = SigningKey::from_seed([6; 32]);
        let own = Bytes(stranger.public().0);
        let bits = |work| crate::statement::registration_bits(&network, stranger.public(), &own, &own, work);
        let register = |work| {
            Transaction::Register(Register { noise_key: own, possession: Default::default(), signing_key: own, work })
        };
        let [good, bad] = [true, false].map(|good| (0..).find(|work| (bits(*work) >= 6) == good).unwrap());
        let transfer = Transaction::Transfer(Transfer { to: stranger.public(), amount: 1 });
        for refused in [Transaction::Unpause {}, transfer.clone(), register(bad)] {
            let entry = seal(&stranger, 1, NO_PREVIOUS, &refused);
            assert!(machine.check(&entry, None).is_err(), "{refused:?}");
            let height = machine.state().height() + 1;
            let result = machine.finalize(&Block { height, beacon: Bytes([1; 32]), entries: &[entry] });
            assert!(result.outcomes[0].result.is_err());
            assert!(machine.state().chains.is_empty(), "{refused:?}");
        }
        let paid = seal(&rich, 1, NO_PREVIOUS, &transfer);
        let worked = seal(&stranger, 1, NO_PREVIOUS, &register(good));
        assert_eq!((machine.check(&paid, None), machine.check(&worked, None)), (Ok(()), Ok(())));
        // What follows in the same block is taken too.
        let end = ChainEnd { sequence: 1, last: Bytes(worked.hash()), suspended: None };
        assert_eq!(machine.check(&seal(&stranger, 2, worked.hash(), &Transaction::Unpause {}), Some(&end)), Ok(()));
        let height = machine.state().height() + 1;
        let result = machine.finalize(&Block { height, beacon: Bytes([1; 32]), entries: &[paid, worked] });
        assert!(result.outcomes.iter().all(|outcome| outcome.result.is_ok()), "{result:?}");
        assert_eq!(machine.state().chains.len(), 2);
    }

    #[test]
    fn what_is_refused_uses_its_number_and_nothing_else() {
        let mut machine = Machine::new(genesis());
        let key = SigningKey::from_seed([1; 32]);
        let seal = |sequence, previous, network: &str| {
            let draft =
                Draft { domain: DOMAIN.into(), network: network.into(), sequence, previous, payload: Value::Null };
            Sealed::seal(&key, draft).unwrap()
        };
        let first = seal(1, NO_PREVIOUS, machine.network());
        let second = seal(2, first.hash(), machine.network());
        let entries = [second.clone(), first.clone()];
        let result = machine.finalize(&Block { height: 1, beacon: Bytes([1; 32]), entries: &entries });
        assert_eq!(result.outcomes.len(), 2);
        assert!(result.outcomes.iter().all(|outcome| matches!(outcome.result, Err(Refusal::Malformed { .. }))));
        assert_eq!(result.outcomes[0].entry, Bytes(first.hash()));
        assert_eq!(machine.state().chains.get(&key.public()).unwrap().sequence, 2);
        assert!(machine.state().storage().is_empty());
        let third = seal(3, second.hash(), "other-00000000");
        assert!(matches!(machine.check(&third, None), Err(Refusal::WrongNetwork { .. })));
        let gap = seal(4, second.hash(), machine.network());
        assert_eq!(machine.check(&gap, None), Err(Refusal::Sequence { expected: 3, found: 4 }));
    }
}
