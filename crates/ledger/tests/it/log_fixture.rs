//! Logs for tests.

use std::path::Path;
use std::sync::Arc;

use peermark_core::Seed;
use peermark_core::sealed::SigningKey;
use peermark_ledger::log::{Disk, Files, Identity, Log, LogOptions, Verified, verify};
use rand_chacha::ChaCha8Rng;

use crate::log_disk::FaultyFiles;

/// Small segments, so that a test of some records has several.
pub(crate) const SEGMENT_BYTES: u64 = 4_096;

pub(crate) fn options(files: Arc<dyn Files>) -> LogOptions {
    let key = SigningKey::from_seed([7; 32]);
    let options = LogOptions::new(files, [0x6e; 32], "example.org/ledger", key);
    LogOptions { segment_bytes: SEGMENT_BYTES, reserve_bytes: 1_024, ..options }
}

pub(crate) fn identity() -> Identity {
    options(Arc::new(FaultyFiles::new())).identity().unwrap()
}

pub(crate) fn on_disk(directory: &Path) -> LogOptions {
    options(Arc::new(Disk::create(directory).unwrap()))
}

/// A record that names its number, of a length that differs from one to the next.
pub(crate) fn record(number: u64) -> Vec<u8> {
    let mut record = number.to_le_bytes().to_vec();
    record.resize(8 + (number * 37 % 113) as usize, number as u8);
    record
}

pub(crate) fn records(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    numbers.map(record).collect()
}

/// Everything that a log has.
pub(crate) fn all(log: &Log) -> Vec<Vec<u8>> {
    log.reader().iter(0).map(|found| found.unwrap().1).collect()
}

pub(crate) fn verified(files: &dyn Files) -> Verified {
    verify(files, &identity(), |_, _| {}).unwrap()
}

/// Randomness of one test.
pub(crate) fn chance(purpose: &str, number: u64) -> ChaCha8Rng {
    Seed(11).stream_at(purpose, number)
}
