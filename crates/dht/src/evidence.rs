//! Measured operations as evidence: every operation of a server becomes one observation of a series and one trace with its hops.
//!
//! [`Evidence::begin`] opens a run of kind `dht` with one series for provides and one for retrieves (class RAW: asked for, with
//! load of our own making; observer = the own peer id, subject = `network`). A [`Recorder`] takes operations without waiting; one
//! task batches them into the store. While the database answers nothing is dropped; while it does not, a bounded number waits and
//! what exceeds it is counted.

mod convert;
mod recorder;
mod writer;

pub use convert::{sample_of, trace_of};
pub use recorder::{Evidence, EvidenceOptions, Finished, Recorder, RecorderEnd, RunFacts};
