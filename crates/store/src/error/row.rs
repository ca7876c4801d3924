//! Rows that cannot be read: damaged, or written by a version with longer lists of names. They are named, never guessed at.

use std::fmt;

use peermark_core::histogram::DecodeError;
use thiserror::Error;

/// What is wrong with one stored row.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RowError {
    /// A name of a closed list that this version does not have on it.
    #[error("{row}: unknown {column}: {found:?}")]
    UnknownName {
        /// Which row.
        row: RowKey,
        /// Which column.
        column: &'static str,
        /// What it holds.
        found: String,
    },
    /// A number that its type cannot take.
    #[error("{row}: {column} out of range: {found}")]
    OutOfRange {
        /// Which row.
        row: RowKey,
        /// Which column.
        column: &'static str,
        /// What it holds.
        found: i64,
    },
    /// Seconds that are no duration.
    #[error("{row}: not a duration in seconds: {found}")]
    NotADuration {
        /// Which row.
        row: RowKey,
        /// What it holds.
        found: f64,
    },
    /// A histogram that does not decode.
    #[error("{row}: damaged histogram")]
    Histogram {
        /// Which row.
        row: RowKey,
        /// What the decoder said.
        source: DecodeError,
    },
    /// A histogram of another count than its row says.
    #[error("{row}: histogram count: expected={expected}, found={found}")]
    Count {
        /// Which row.
        row: RowKey,
        /// What the row says.
        expected: i64,
        /// What the histogram holds.
        found: u64,
    },
    /// A document that does not parse.
    #[error("{row}: damaged document")]
    Json {
        /// Which row.
        row: RowKey,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// An environment whose fingerprint is not its key.
    #[error("{row}: fingerprint: expected the key, found={found}")]
    Fingerprint {
        /// Which row.
        row: RowKey,
        /// The fingerprint of what is stored.
        found: String,
    },
    /// A sealed record that does not decompress, or to what is none or another one than its row says.
    #[error("{row}: damaged record: {reason}")]
    Record {
        /// Which row.
        row: RowKey,
        /// What is wrong with it.
        reason: String,
    },
}

/// Names one row of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowKey {
    /// Of `env`.
    Environment {
        /// Its key.
        fingerprint: String,
    },
    /// Of `party`.
    Party {
        /// Its key.
        id: String,
    },
    /// Of `run`.
    Run {
        /// Its key.
        id: String,
    },
    /// Of `series`.
    Series {
        /// Its key.
        id: i64,
    },
    /// Of `hist`.
    Hist {
        /// The series.
        series: i64,
        /// The slice.
        t0_ns: i64,
        /// `ok` or the failure class.
        outcome: String,
    },
    /// Of `obs`.
    Obs {
        /// The series.
        series: i64,
        /// The observation's number.
        seq: i64,
    },
    /// Of `event`.
    Event {
        /// The run.
        run: String,
        /// The event's number.
        seq: i64,
    },
    /// Of `record`.
    Record {
        /// The chain.
        chain: i64,
        /// The record's number.
        seq: i64,
    },
    /// Of a table of the DHT measurements.
    Dht {
        /// The table.
        table: &'static str,
        /// Its key; of a hop, its operation's.
        id: i64,
    },
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment { fingerprint } => write!(f, "env {fingerprint:?}"),
            Self::Party { id } => write!(f, "party {id:?}"),
            Self::Run { id } => write!(f, "run {id:?}"),
            Self::Series { id } => write!(f, "series {id}"),
            Self::Hist { series, t0_ns, outcome } => {
                write!(f, "hist series={series} t0_ns={t0_ns} outcome={outcome:?}")
            }
            Self::Obs { series, seq } => write!(f, "obs series={series} seq={seq}"),
            Self::Event { run, seq } => write!(f, "event run={run:?} seq={seq}"),
            Self::Record { chain, seq } => write!(f, "record chain={chain} seq={seq}"),
            Self::Dht { table, id } => write!(f, "{table} {id}"),
        }
    }
}

impl RowKey {
    /// The number as the unsigned one that was stored.
    pub(crate) fn unsigned(&self, column: &'static str, found: i64) -> Result<u64, RowError> {
        u64::try_from(found).map_err(|_| RowError::OutOfRange { row: self.clone(), column, found })
    }

    /// The name as the item of the closed list that it stands for.
    pub(crate) fn named<T>(
        &self,
        column: &'static str,
        found: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<T, RowError> {
        parse(found).ok_or_else(|| RowError::UnknownName { row: self.clone(), column, found: found.to_owned() })
    }
}
