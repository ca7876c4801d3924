//! Everything of the ledger and the judge that strangers' bytes are decoded by, one function each, with what has to hold for whatever is
//! decoded.
//!
//! The targets in `fuzz` call these with bytes that a fuzzer searches for; the tests below with random ones and with mutations of good
//! ones, so that every run of the tests goes the same ways.

use std::io;

use peermark_core::sealed::{Sealed, SigningKey};
use peermark_judge::case::Job;
use peermark_judge::import::{self, Format};
use peermark_judge::policy::Policy;

use crate::bundle::Bundle;
use crate::genesis::Genesis;
use crate::log::scan::{Scan, Step};
use crate::log::segment::{HEADER_BYTES, Header};
use crate::log::{File, Signer};
use crate::machine::Machine;
use crate::transaction::Transaction;

/// A sealed record, and what it says as a transaction.
pub fn entry(bytes: &[u8]) {
    let Ok(record) = Sealed::decode(bytes) else { return };
    assert_eq!(record.bytes(), bytes, "there is one encoding");
    if let Ok(transaction) = Transaction::of(&record) {
        let payload = transaction.payload().expect("what was read can be written");
        let again: Transaction = payload.to().expect("what was written can be read");
        assert_eq!(again, transaction, "a transaction is written as it is read");
    }
}

/// A genesis.
pub fn genesis(bytes: &[u8]) {
    if let Ok(genesis) = Genesis::decode(bytes) {
        assert_eq!(Genesis::decode(&genesis.encode()).ok(), Some(genesis), "a genesis is written as it is read");
    }
}

/// A bundle, and its evidence.
pub fn bundle(bytes: &[u8]) {
    let Ok(bundle) = Bundle::read(bytes) else { return };
    let mut again = Vec::new();
    bundle.write(&mut again).expect("memory takes everything");
    assert_eq!(Bundle::read(again.as_slice()).ok().as_ref(), Some(&bundle), "a bundle is written as it is read");
    drop(bundle.evidence.check(std::num::NonZeroUsize::MIN));
}

/// A checkpoint, beside the key of a log that is known.
pub fn note(bytes: &[u8]) {
    let (key, signer) = signer();
    if let Ok(checkpoint) = signer.open(bytes) {
        let again = checkpoint.sign(&key);
        assert_eq!(signer.open(again.as_bytes()), Ok(checkpoint), "a checkpoint is written as it is read");
    }
}

pub(crate) fn signer() -> (SigningKey, Signer) {
    let key = SigningKey::from_seed([9; 32]);
    let signer = Signer::new("lab-00000000", key.public()).expect("a good origin");
    (key, signer)
}

/// A segment of a log: its header, and every record up to what is none.
pub fn segment(bytes: &[u8]) {
    let Ok(header) = Header::decode("segment", bytes) else { return };
    assert_eq!(header.encode(), bytes[..HEADER_BYTES], "there is one header");
    let file = Memory(bytes.to_vec());
    let mut scan = Scan::new(&header);
    let mut next = header.first;
    while let Step::Record { index, bytes } = scan.next(&file).expect("memory can be read") {
        assert!(index == next && !bytes.is_empty(), "records are dense");
        next = next.saturating_add(1);
    }
    assert!(scan.offset() <= bytes.len() as u64, "nothing is read behind the end");
    scan.group_follows(&file).expect("memory can be read");
}

/// A snapshot of a state.
pub fn snapshot(genesis: &Genesis, bytes: &[u8]) {
    if let Ok(machine) = Machine::restore(genesis, bytes) {
        let again = Machine::restore(genesis, &machine.snapshot()).expect("what was written can be read");
        assert_eq!(again.snapshot(), machine.snapshot(), "a snapshot is written as it is read");
    }
}

/// Rows of measurements, in both formats.
pub fn reports(bytes: &[u8]) {
    for format in [Format::Ndjson, Format::Csv] {
        let imported = import::read(bytes, format);
        assert!(imported.refused.len() as u64 <= imported.refused_count, "what is told was counted");
    }
}

/// A judge's policy and a job.
pub fn rules(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(policy) = Policy::from_toml(text) {
        let again = policy.to_toml().expect("what was read can be written");
        assert_eq!(Policy::from_toml(&again).ok(), Some(policy), "a policy is written as it is read");
    }
    drop(Job::from_toml(text));
}

/// A file in memory, to read only.
#[derive(Debug)]
struct Memory(Vec<u8>);

impl File for Memory {
    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(from..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

#[cfg(test)]
mod tests;
