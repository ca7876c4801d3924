//! Sealed records beside the observations that they speak of. What a record means is its owner's business; the store keeps its
//! bytes, its number and what it is looked up by, and writes it together with its observation or not at all.

mod packed;
mod read;
mod write;

use peermark_core::Sample;
use peermark_core::sealed::PublicKey;

use crate::series::SeriesId;

pub(crate) use packed::Bases;
pub(crate) use write::insert as insert_record;

/// Most records that one call writes.
pub const MAX_RECORD_BATCH: usize = 10_000;

/// Most records that one query returns.
pub const MAX_RECORDS: u32 = 10_000;

/// Most bytes of records that one query returns, counted as they are stored and as they were signed together. The first one comes
/// whatever its length.
pub const MAX_RECORD_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Identifies a chain within one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId(pub i64);

/// Whose records, about what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainKey {
    /// What kind of records.
    pub domain: String,
    /// The network that they are about.
    pub network: String,
    /// Who signs them.
    pub signer: PublicKey,
}

/// A record to store.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'r> {
    /// What it is looked up by.
    pub meta: RecordMeta<'r>,
    /// The record, at most [`peermark_core::sealed::MAX_BYTES`].
    pub sealed: &'r [u8],
    /// What it observed; `None` where it did not observe anything.
    pub observed: Option<Observed>,
}

/// What a record is looked up by. The texts take at most 128 bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMeta<'r> {
    /// Its number in the chain, from 1.
    pub seq: u64,
    /// What its payload is.
    pub kind: &'r str,
    /// What it is about.
    pub topic: &'r str,
    /// How that ended; empty where the kind has no such thing.
    pub status: &'r str,
    /// When it ended, Unix ms by its signer's clock, which may have gone backwards.
    pub ended_ms: u64,
}

/// The observation of a record. Its number is the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The series.
    pub series: SeriesId,
    /// The sample; its `seq` is not looked at.
    pub sample: Sample,
}

/// A record as it is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number in the chain.
    pub seq: u64,
    /// What its payload is.
    pub kind: String,
    /// What it is about.
    pub topic: String,
    /// How that ended.
    pub status: String,
    /// When it ended, Unix ms.
    pub ended_ms: u64,
    /// The series of its observation.
    pub series: Option<SeriesId>,
    /// The record.
    pub sealed: Vec<u8>,
}

/// What one query returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordPage {
    /// In the order of the filter.
    pub records: Vec<StoredRecord>,
    /// Whether the page ends because of [`MAX_RECORD_PAGE_BYTES`]: there are more.
    pub cut: bool,
    /// Rows that could not be read and are left out.
    pub unreadable: u64,
}

/// Which records of a chain to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFilter<'f> {
    /// From this number on, ascending.
    From(u64),
    /// The highest numbers of a topic and status; descending.
    Newest {
        /// What they are about.
        topic: &'f str,
        /// How that ended.
        status: &'f str,
    },
    /// Those of a topic that ended at this time or later, the latest ones; descending by end.
    Since {
        /// What they are about.
        topic: &'f str,
        /// Unix ms.
        ended_ms: u64,
    },
}
