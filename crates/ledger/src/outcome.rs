//! What became of an entry, and what happened because of it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Digest, Id};

/// Why an entry, or a transaction in it, is refused. The state does not change. The text is for people, the variant is closed.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "refusal")]
#[non_exhaustive]
pub enum Refusal {
    /// Not in the one form of an entry.
    #[error("malformed entry: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// Of another domain or network.
    #[error("entry of another network: expected={expected}, found={found}")]
    WrongNetwork {
        /// Ours.
        expected: String,
        /// Its.
        found: String,
    },
    /// The signature does not hold.
    #[error("signature does not hold")]
    Signature,
    /// The signer's entries are missing before this one, or it comes again.
    #[error("out of order: expected sequence {expected}, found {found}")]
    Sequence {
        /// Next of the signer.
        expected: u64,
        /// Its number.
        found: u64,
    },
    /// It does not follow the signer's last entry.
    #[error("does not follow the signer's last entry")]
    Previous,
    /// The signer proved to keep two histories, or was revoked.
    #[error("signer is suspended: {why}")]
    Suspended {
        /// What it did.
        why: String,
    },
    /// The signer may not say this.
    #[error("not allowed: {what}")]
    NotAllowed {
        /// What it lacks.
        what: String,
    },
    /// It names what does not exist.
    #[error("unknown {what}: {id}")]
    Unknown {
        /// Which kind.
        what: String,
        /// What was named.
        id: String,
    },
    /// It names an entry of another kind.
    #[error("entry {id} is a {found}, not a {expected}")]
    WrongKind {
        /// The entry.
        id: Id,
        /// What was expected.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A value outside its range, or values that contradict each other.
    #[error("invalid {what}: {why}")]
    Invalid {
        /// Which field.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// It would spend what is not there.
    #[error("over budget: {what}: needed={needed}, available={available}")]
    OverBudget {
        /// Which account or capacity.
        what: String,
        /// Needed.
        needed: u64,
        /// There.
        available: u64,
    },
    /// It comes too early, too late, or a second time.
    #[error("not now: {what}")]
    NotNow {
        /// Why.
        what: String,
    },
    /// It is there already.
    #[error("{what} exists already")]
    Exists {
        /// What.
        what: String,
    },
    /// More than a bound allows.
    #[error("too many {what}: {found}, at most {limit}")]
    TooMany {
        /// What.
        what: String,
        /// How many.
        found: u64,
        /// The bound.
        limit: u64,
    },
}

impl Refusal {
    /// A value outside its range.
    pub fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), why: why.into() }
    }

    /// Something that does not exist.
    pub fn unknown(what: impl Into<String>, id: impl ToString) -> Self {
        Self::Unknown { what: what.into(), id: id.to_string() }
    }

    /// Something that this signer may not do.
    pub fn not_allowed(what: impl Into<String>) -> Self {
        Self::NotAllowed { what: what.into() }
    }

    /// Something at the wrong time.
    pub fn not_now(what: impl Into<String>) -> Self {
        Self::NotNow { what: what.into() }
    }
}

/// Something that happened in a block. Names are those of the database that this ledger follows: `hostingStarted`, `dropHosting`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub name: String,
    /// Whom and what it concerns, in the order that the name implies.
    pub ids: Vec<Id>,
    /// More, where a name alone does not tell: a reason.
    pub detail: Option<String>,
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Hash of the entry.
    pub entry: Digest,
    /// Ids that it created, in order; or why it was refused.
    pub result: Result<Vec<Id>, Refusal>,
}
