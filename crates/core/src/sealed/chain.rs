//! The order of one signer's records.

use thiserror::Error;

use super::key::PublicKey;
use super::record::Sealed;
use super::{Digest32, NO_PREVIOUS};

/// The end of one signer's records in one domain and network, as far as they were seen. It takes the next one and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    domain: String,
    network: String,
    signer: PublicKey,
    next: u64,
    last: Digest32,
}

/// Why a record is not the next one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ChainError {
    /// It is of another domain.
    #[error("record of another domain")]
    Domain,
    /// It is about another network.
    #[error("record of another network")]
    Network,
    /// Somebody else signed it.
    #[error("record of another signer")]
    Signer,
    /// The signature does not hold.
    #[error("signature of the record does not hold")]
    Signature,
    /// Records between the last one and this one are missing.
    #[error("records are missing: expected={expected}, found={found}")]
    Gap {
        /// The next number.
        expected: u64,
        /// Its number.
        found: u64,
    },
    /// It was seen before, or is older than what this chain remembers.
    #[error("record {found} again, next is {expected}")]
    Replay {
        /// The next number.
        expected: u64,
        /// Its number.
        found: u64,
    },
    /// The signer gave one number to two records: proof that it does not keep one history.
    #[error("two different records have the number {found}")]
    Equivocation {
        /// The number.
        found: u64,
    },
    /// It has the right number but follows another record.
    #[error("record {found} does not follow the last one")]
    WrongPrevious {
        /// Its number.
        found: u64,
    },
}

impl Chain {
    /// A chain from its beginning.
    pub fn new(domain: impl Into<String>, network: impl Into<String>, signer: PublicKey) -> Self {
        Self { domain: domain.into(), network: network.into(), signer, next: 1, last: NO_PREVIOUS }
    }

    /// A chain whose records up to `sequence`, with the hash `last`, were seen before. `sequence` 0 is [`Self::new`].
    pub fn resume(self, sequence: u64, last: Digest32) -> Self {
        Self { next: sequence.saturating_add(1), last, ..self }
    }

    /// Takes the next record. Nothing changes where it is refused. The signature is checked before the order: who can be blamed
    /// comes before for what.
    ///
    /// # Errors
    /// [`ChainError`].
    pub fn accept(&mut self, record: &Sealed) -> Result<(), ChainError> {
        if record.domain() != self.domain {
            return Err(ChainError::Domain);
        }
        if record.network() != self.network {
            return Err(ChainError::Network);
        }
        if record.signer() != self.signer {
            return Err(ChainError::Signer);
        }
        record.verify().map_err(|_| ChainError::Signature)?;
        let (expected, found) = (self.next, record.sequence());
        if found > expected {
            return Err(ChainError::Gap { expected, found });
        }
        let hash = record.hash();
        if found < expected {
            let is_last = found + 1 == expected;
            return Err(if is_last && hash != self.last {
                ChainError::Equivocation { found }
            } else {
                ChainError::Replay { expected, found }
            });
        }
        if record.previous() != self.last {
            return Err(ChainError::WrongPrevious { found });
        }
        // Numbers end with u64: the last one has no successor.
        self.next = self.next.saturating_add(1);
        self.last = hash;
        Ok(())
    }

    /// Number of the record that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Hash of the last record; [`NO_PREVIOUS`] before the first.
    pub fn last(&self) -> Digest32 {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Draft, SigningKey, Value};
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed([7; 32])
    }

    fn chain() -> Chain {
        Chain::new("monitor", "lab", key().public())
    }

    fn record(sequence: u64, previous: Digest32, payload: &str) -> Sealed {
        let draft =
            Draft { domain: "monitor".into(), network: "lab".into(), sequence, previous, payload: payload.into() };
        Sealed::seal(&key(), draft).unwrap()
    }

    #[test]
    fn records_follow_each_other() {
        let mut chain = chain();
        let mut last = NO_PREVIOUS;
        for sequence in 1..=5 {
            let record = record(sequence, last, "said");
            chain.accept(&record).unwrap();
            last = record.hash();
            assert_eq!((chain.next(), chain.last()), (sequence + 1, last));
        }
        let resumed = Chain::new("monitor", "lab", key().public()).resume(5, last);
        assert_eq!(resumed, chain);
    }

    #[test]
    fn everything_but_the_next_is_refused_and_changes_nothing() {
        let mut chain = chain();
        let first = record(1, NO_PREVIOUS, "first");
        let second = record(2, first.hash(), "second");
        assert_eq!(chain.accept(&second), Err(ChainError::Gap { expected: 1, found: 2 }));
        chain.accept(&first).unwrap();
        assert_eq!(chain.accept(&first), Err(ChainError::Replay { expected: 2, found: 1 }));
        let other = record(1, NO_PREVIOUS, "something else");
        assert_eq!(chain.accept(&other), Err(ChainError::Equivocation { found: 1 }));
        let stray = record(2, [9; 32], "second");
        assert_eq!(chain.accept(&stray), Err(ChainError::WrongPrevious { found: 2 }));
        let before = chain.clone();
        assert!(chain.accept(&stray).is_err());
        assert_eq!(chain, before);
        chain.accept(&second).unwrap();
        assert_eq!(chain.accept(&other), Err(ChainError::Replay { expected: 3, found: 1 }));
    }

    #[test]
    fn other_domains_networks_signers_and_signatures_are_refused() {
        let seal = |key: &SigningKey, domain: &str, network: &str| {
            let (domain, network) = (domain.to_owned(), network.to_owned());
            let draft = Draft { domain, network, sequence: 1, previous: NO_PREVIOUS, payload: Value::Null };
            Sealed::seal(key, draft).unwrap()
        };
        let mut chain = chain();
        assert_eq!(chain.accept(&seal(&key(), "ledger", "lab")), Err(ChainError::Domain));
        assert_eq!(chain.accept(&seal(&key(), "monitor", "other")), Err(ChainError::Network));
        let other = SigningKey::from_seed([8; 32]);
        assert_eq!(chain.accept(&seal(&other, "monitor", "lab")), Err(ChainError::Signer));
        let mut bytes = seal(&key(), "monitor", "lab").bytes().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(chain.accept(&Sealed::decode(&bytes).unwrap()), Err(ChainError::Signature));
        assert_eq!(chain.next(), 1);
    }
}
