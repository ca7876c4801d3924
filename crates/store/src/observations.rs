//! Every raw sample of one run in a file that other tools read without peermark: `observations.ndjson.zst`.
//!
//! Format `peermark.observations/1`: zstd frames one after the other, which any zstd tool joins; their text is one JSON object per
//! line. The first line is the [`Header`]; it names every column with its unit. Every further line is one [`Observation`] and
//! says all of it, so lines can be filtered and sorted without the others. Where the size cap was reached, the last line is
//! `{"truncated": n}` and `n` rows were left out; otherwise there is no such line.
//!
//! Invariants: lines do not span frames; a frame's text is at most [`MAX_FRAME_BYTES`] and a line [`MAX_LINE_BYTES`] long; frames
//! carry a checksum and the reader hands out no row of a frame before it has checked it.
//!
//! Recovery: the file is written as `*.partial` and gets its name when it is complete and synced, so a file under its own name is
//! whole. A frame is written after 1 MiB of text (some 2,600 rows) or one second, whichever comes first: a `.partial` that a killed
//! process left behind reads up to its last frame and then ends as [`FileEnd::Truncated`]. A loss of power may take more of a
//! `.partial`, since its frames are not synced one by one.

mod frames;
mod reader;
mod row;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use peermark_core::{Sample, Series};
use serde::{Deserialize, Serialize};

pub use reader::{FileEnd, ObservationReader, ReadError};
pub use row::RowProblem;
pub use writer::{ObservationWriter, WriteError, WriterOptions, Written};

/// The value of `schema` in the header of every file of this version.
pub const SCHEMA: &str = "peermark.observations/1";

/// Name of the file in the directory of its run.
pub const FILE_NAME: &str = "observations.ndjson.zst";

/// Extension of a file that is not complete.
const PARTIAL: &str = "partial";

/// Longest line, header included.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

/// Longest text of one frame.
pub const MAX_FRAME_BYTES: usize = 2 << 20;

/// Longest text of a label. Nine of them, with every letter escaped, fit a line.
pub const MAX_LABEL_BYTES: usize = 1024;

/// One operation and everything that is known of it: the record that readers of all four jobs share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What its whole series shares.
    pub labels: Arc<Labels>,
    /// The operation.
    pub sample: Sample,
    /// Number of the node that was measured; `None` where the subject is no numbered node.
    pub node: Option<u32>,
}

/// What many observations share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// What is measured by whom about whom.
    pub series: Series,
    /// The operation as the workload calls it: `fetch`, `upload`.
    pub op: String,
    /// The part of the run; empty where it has none.
    pub phase: String,
}

/// The first line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The run that every row belongs to.
    pub run: String,
    /// [`Series::schema`] of every row.
    pub series_schema: u32,
    /// The columns of every row, in their order.
    pub columns: Vec<Column>,
}

/// One column of every row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Key in the row's object.
    pub name: String,
    /// Unit of its numbers; empty where it has none.
    pub unit: String,
    /// What it says.
    pub doc: String,
}

/// Name, unit and meaning of every column, in their order.
const COLUMNS: [(&str, &str, &str); 20] = [
    ("kind", "", "what is measured, dotted"),
    ("class", "", "kind of evidence: RAW, WORKING, OFF_CHAIN or SELF_REPORT; never mixed in one aggregate"),
    ("observer", "", "who measures"),
    ("subject", "", "who is measured; network where any node may answer"),
    ("observer_region", "geohash", "where the observer is; empty where none is declared"),
    ("subject_region", "geohash", "where the subject is; empty where none is declared"),
    ("unit", "", "unit of the column value"),
    ("environment", "", "fingerprint of the machine and build"),
    ("op", "", "the operation as the workload calls it"),
    ("phase", "", "the part of the run; empty where it has none"),
    ("seq", "", "number of the operation within its series"),
    ("intended_ns", "ns since the run's epoch", "when the schedule wanted it to start; latency counts from here"),
    ("started_ns", "ns since the run's epoch", "when it really started; service time counts from here"),
    ("ended_ns", "ns since the run's epoch", "when it ended, or its deadline where it failed by it"),
    ("bytes", "bytes", "payload that was moved and verified"),
    ("value", "as column unit says", "the measured value"),
    ("outcome", "", "ok, or the class of the failure"),
    ("culprit", "", "who has to mend the failure: self, peer, path or third_party; null when ok"),
    ("node", "", "number of the node that was measured; null where there is none"),
    ("trace", "", "what the operation was about, an unsigned 64-bit number"),
];

impl Header {
    /// The header of a file of this version.
    pub fn new(run: &str) -> Self {
        let column =
            |(name, unit, doc): (&str, &str, &str)| Column { name: name.into(), unit: unit.into(), doc: doc.into() };
        Self {
            schema: SCHEMA.to_owned(),
            run: run.to_owned(),
            series_schema: Series::SCHEMA,
            columns: COLUMNS.into_iter().map(column).collect(),
        }
    }
}

/// Where a file is until it is complete: beside its place, with `.partial` after its name.
pub fn partial_path(path: &Path) -> PathBuf {
    path.with_added_extension(PARTIAL)
}
