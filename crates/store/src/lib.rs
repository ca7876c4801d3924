//! Evidence at rest: runs, series, samples, histograms, events and results of all four jobs in one history.
//!
//! [`Store`] is the database (SQLite, one file). What a call has returned `Ok` for is on disk, and what a crash interrupts is
//! absent as a whole: every call writes one transaction. [`observations`] is the other half: every raw sample of one run in a
//! compressed file that other tools read without peermark. [`dht`] is what DHT schedulers and servers store, in the same file or, for
//! many of them together, in PostgreSQL with parsec's schema.
//!
//! Invariants: integers, text and blobs only, no floats in a measured column (parsec's seconds excepted); a failure is a row with
//! its class and culprit; a row that this version cannot read is a typed error naming the row, never a guess.

pub mod dht;
mod environment;
mod error;
mod events;
mod hists;
mod names;
pub mod observations;
mod open;
mod prune;
mod records;
mod rollup;
mod run;
mod samples;
mod schema;
mod series;
mod store;
mod verify;

pub use error::{RowError, RowKey, StoreError};
pub use events::MAX_EVENTS;
pub use hists::{Hist, MAX_HISTS};
pub use open::{OpenError, OpenOptions};
pub use prune::{OldRecord, Prune, Pruned};
pub use records::{
    ChainId, ChainKey, MAX_RECORD_BATCH, MAX_RECORD_PAGE_BYTES, MAX_RECORDS, NewRecord, Observed, RecordFilter,
    RecordMeta, RecordPage, StoredRecord,
};
pub use rollup::Rollup;
pub use run::{Ending, MAX_RESULT_BYTES, MAX_RUNS, Run, RunEnd, RunFilter, RunRecord, RunState, Validity};
pub use samples::{MAX_BATCH_ROWS, MAX_ROWS};
pub use schema::SCHEMA_VERSION;
pub use series::{Party, PartyKind, SeriesId, StoredSeries};
pub use store::{Size, Store};
pub use verify::{Integrity, MAX_PROBLEMS, Problem};
