//! Why a call on an open store fails, and what else SQLite's codes say.

mod row;

use thiserror::Error;

pub use row::{RowError, RowKey};

use crate::dht::NodeId;
use crate::run::RunState;
use crate::series::SeriesId;

/// SQLite's primary result codes that say something about the file.
pub(crate) const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_NOMEM: u32 = 7;
const SQLITE_IOERR: u32 = 10;
pub(crate) const SQLITE_CORRUPT: u32 = 11;
pub(crate) const SQLITE_FULL: u32 = 13;
const SQLITE_CANTOPEN: u32 = 14;
pub(crate) const SQLITE_NOTADB: u32 = 26;

/// Why a call on an open store failed. The store is unchanged by the call.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused or broke.
    #[error("cannot {action}")]
    Database {
        /// What was being done.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A row holds something that this version does not know.
    #[error("unreadable row")]
    Row(#[from] RowError),
    /// No run has this id or begins with this prefix.
    #[error("no run {id:?} in the store")]
    NoSuchRun {
        /// What was asked for.
        id: String,
    },
    /// More than one run begins with this prefix.
    #[error("run prefix {prefix:?} is ambiguous: {}{}", candidates.join(", "), if *more > 0 { format!(" and {more} more") } else { String::new() })]
    AmbiguousRun {
        /// The prefix.
        prefix: String,
        /// Newest first, at most ten.
        candidates: Vec<String>,
        /// How many more there are.
        more: u64,
    },
    /// A run of this id is already there.
    #[error("run {id:?} is already in the store")]
    DuplicateRun {
        /// The id.
        id: String,
    },
    /// The run was already finished.
    #[error("run {id:?} has already ended: {}", state.as_str())]
    AlreadyEnded {
        /// The id.
        id: String,
        /// How it ended.
        state: RunState,
    },
    /// A run id that could not be the name of a directory.
    #[error("not a run id: {id:?} (1 to 128 letters, digits, '.', '_' or '-', not beginning with '.' or '-')")]
    BadRunId {
        /// What was given.
        id: String,
    },
    /// The environment was not put before it was referred to.
    #[error("no environment {fingerprint:?} in the store")]
    NoSuchEnvironment {
        /// Its fingerprint.
        fingerprint: String,
    },
    /// No series has this id.
    #[error("no series {series} in the store")]
    NoSuchSeries {
        /// The id.
        series: SeriesId,
    },
    /// Evidence is written once: something of the batch is already there, and nothing of it was written.
    #[error("{what} already in the store, series {series}")]
    AlreadyStored {
        /// What kind of evidence.
        what: &'static str,
        /// The series.
        series: SeriesId,
    },
    /// An event of the batch is already there, and nothing of it was written.
    #[error("an event of the batch is already in the store, run {run:?}")]
    EventAlreadyStored {
        /// The run.
        run: String,
    },
    /// More than one call takes or returns.
    #[error("too many {what}: {found}, at most {limit} in one call")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many may be.
        limit: u64,
    },
    /// A text that is longer than its column takes.
    #[error("{what} too long: {bytes} bytes, at most {limit}")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A number beyond what its column takes.
    #[error("{what} does not fit: {value} is above {limit}")]
    DoesNotFit {
        /// Which number.
        what: &'static str,
        /// The number.
        value: u64,
        /// The highest that fits.
        limit: i64,
    },
    /// A port that parsec's schema cannot hold; nothing was asked of the database.
    #[error("{what} {port} is above {}: parsec's schema holds ports as SMALLINT", crate::dht::MAX_PORT)]
    PortTooHigh {
        /// Which port.
        what: &'static str,
        /// The port.
        port: u16,
    },
    /// No server has this row.
    #[error("no server {} in the database", node.0)]
    NoSuchNode {
        /// Its id.
        node: NodeId,
    },
    /// A round without a name could not be told from one that was written before.
    #[error("a round has no name")]
    NamelessRound,
    /// The round is of a scheduler that is not, or no longer, in the database.
    #[error("round {batch:?} is of a scheduler that is not in the database")]
    DanglingRound {
        /// Name of the round.
        batch: String,
    },
    /// A trace refers to an observation that is not in the database.
    #[error("a trace names an observation that is not in the store")]
    NoSuchObservation,
    /// A word that is not on its closed list.
    #[error("unknown {what}: {found:?}")]
    UnknownName {
        /// Which list.
        what: &'static str,
        /// The word.
        found: String,
    },
    /// A time slice that ends before it begins.
    #[error("histogram slice ends before it begins: {t0_ns} ns to {t1_ns} ns")]
    BackwardSlice {
        /// Its beginning.
        t0_ns: u64,
        /// Its end.
        t1_ns: u64,
    },
    /// No chain has this id.
    #[error("no chain {chain} in the store")]
    NoSuchChain {
        /// The id.
        chain: i64,
    },
    /// A record of the batch is already there, and nothing of it was written.
    #[error("record {seq} is already in the store, chain {chain}")]
    RecordAlreadyStored {
        /// The chain.
        chain: i64,
        /// Its number.
        seq: u64,
    },
    /// A document that is not JSON, or that would not read back.
    #[error("{what} is not readable JSON")]
    Json {
        /// Which document.
        what: &'static str,
        /// What the parser said.
        source: serde_json::Error,
    },
}

impl StoreError {
    /// Whether the disk, or what the store may use of it, is full: reading still works, and deleting makes room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Database { source, .. } if primary_code(source) == Some(SQLITE_FULL))
    }

    /// Whether the same call may succeed later, for what is in the way is outside of it: another process holds the lock, the disk is
    /// full or fails, descriptors or memory are short, every connection is busy.
    pub fn may_pass(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        let passing = [SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN];
        matches!(source, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_))
            || primary_code(source).is_some_and(|code| passing.contains(&code))
    }

    /// Whether the file is damaged: it is no database any more, or a row of it cannot be read.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Row(_) => true,
            Self::Database { source, .. } => {
                matches!(primary_code(source), Some(SQLITE_CORRUPT | SQLITE_NOTADB))
            }
            _ => false,
        }
    }

    /// For `map_err`: the database failed while doing `action`.
    pub(crate) fn while_doing(action: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Database { action, source }
    }
}

/// The number as the database takes it.
pub(crate) fn signed(what: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::DoesNotFit { what, value, limit: i64::MAX })
}

/// Refuses a text above its column's bound.
pub(crate) fn bounded<'t>(what: &'static str, text: &'t str, limit: usize) -> Result<&'t str, StoreError> {
    if text.len() > limit { Err(StoreError::TooLong { what, bytes: text.len(), limit }) } else { Ok(text) }
}

/// SQLite's extended result codes carry the primary one in their low byte.
pub(crate) fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
