//! Somebody who signs entries.

use peermark_core::sealed::{Bytes, Draft, NO_PREVIOUS, Sealed, SigningKey, Value};
use peermark_ledger::genesis::{Genesis, Policy};
use peermark_ledger::machine::DOMAIN;
use peermark_ledger::transaction::{Grant, Register, Transaction, Transfer};

/// A signer that keeps its chain.
pub(crate) struct Actor {
    pub(crate) key: SigningKey,
    network: String,
    sequence: u64,
    last: [u8; 32],
}

impl Actor {
    pub(crate) fn new(seed: u8, network: &str) -> Self {
        Self { key: SigningKey::from_seed([seed; 32]), network: network.to_owned(), sequence: 0, last: NO_PREVIOUS }
    }

    /// One of many.
    pub(crate) fn numbered(number: u16, network: &str) -> Self {
        let mut seed = [99; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        Self { key: SigningKey::from_seed(seed), ..Self::new(0, network) }
    }

    /// The next entry of its chain.
    pub(crate) fn say(&mut self, transaction: &Transaction) -> Sealed {
        self.say_value(transaction.payload().unwrap())
    }

    pub(crate) fn say_value(&mut self, payload: Value) -> Sealed {
        let entry = self.draft(self.sequence + 1, self.last, payload);
        (self.sequence, self.last) = (entry.sequence(), entry.hash());
        entry
    }

    /// An entry at any place, which does not move its chain.
    pub(crate) fn draft(&self, sequence: u64, previous: [u8; 32], payload: Value) -> Sealed {
        let (domain, network) = (DOMAIN.to_owned(), self.network.clone());
        Sealed::seal(&self.key, Draft { domain, network, sequence, previous, payload }).unwrap()
    }

    pub(crate) fn register(&self) -> Transaction {
        let public = Bytes(self.key.public().0);
        let possession = Default::default();
        Transaction::Register(Register { noise_key: public, signing_key: public, work: 0, possession })
    }
}

pub(crate) fn transfer(to: &Actor, amount: u64) -> Transaction {
    Transaction::Transfer(Transfer { to: to.key.public(), amount })
}

pub(crate) fn grant(to: &Actor, amount: u64) -> Transaction {
    Transaction::Grant(Grant { to: to.key.public(), amount })
}

/// A ledger of a laboratory: the sequencer's seed is 1, the admin's 2.
pub(crate) fn genesis() -> Genesis {
    let admin = SigningKey::from_seed([2; 32]).public();
    Genesis {
        name: "lab".into(),
        sequencer: SigningKey::from_seed([1; 32]).public(),
        admins: vec![admin],
        admin_threshold: 1,
        grants: vec![(admin, 1_000_000)],
        beacon: peermark_ledger::beacon::BeaconRule::Checkpoint,
        policy: Policy::default(),
    }
}
