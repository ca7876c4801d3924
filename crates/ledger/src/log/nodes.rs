//! The tree's hashes on disk, so that a proof reads as many as the tree has levels.
//!
//! The file `nodes` begins with magic (8), version (u32), genesis hash (32) and the CRC-32C of these; hashes of 32 bytes follow at the
//! places of [`stored_at`]. All of it follows from the segments: what is missing or differs is made anew.

use peermark_core::sealed::Digest32;

use super::error::{Damage, LogError};
use super::files::{DRAFT, File, Files, place as place_file};
use super::tree::{Frontier, stored_at, stored_count, subtrees};

/// Name of the file.
pub(crate) const NODES: &str = "nodes";

pub(crate) const HEADER_BYTES: u64 = 48;
const HASH_BYTES: u64 = 32;
const MAGIC: [u8; 8] = *b"PMLNODES";
const VERSION: u32 = 1;

/// The file.
#[derive(Debug)]
pub(crate) struct Nodes(Box<dyn File>);

impl Nodes {
    /// The file that is there, where it is one of this log.
    pub(crate) fn open(files: &dyn Files, genesis: &Digest32) -> Result<Option<Self>, LogError> {
        let file = match files.open(NODES) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(LogError::io("open", NODES))?,
        };
        let expected = header(genesis);
        let mut bytes = vec![0; expected.len()];
        let length = file.read_at(&mut bytes, 0).map_err(LogError::io("read", NODES))?;
        Ok((bytes[..length] == expected).then_some(Self(file)))
    }

    /// An empty file under a name of its own, until [`Self::replace`].
    pub(crate) fn draft(files: &dyn Files, genesis: &Digest32) -> Result<Self, LogError> {
        let name = format!("{NODES}{DRAFT}");
        let file = files.create(&name).map_err(|source| LogError::writing(&name, source))?;
        file.write_all_at(&header(genesis), 0).map_err(|source| LogError::writing(&name, source))?;
        Ok(Self(file))
    }

    /// Puts a draft in its place.
    pub(crate) fn replace(&self, files: &dyn Files) -> Result<(), LogError> {
        place_file(files, &*self.0, NODES)
    }

    /// Writes the hashes that follow those of a tree of `size` records.
    pub(crate) fn write(&self, size: u64, hashes: &[Digest32]) -> Result<(), LogError> {
        let written = self.0.write_all_at(hashes.as_flattened(), place(stored_count(size)));
        written.map_err(|source| LogError::writing(NODES, source))
    }

    pub(crate) fn sync(&self) -> Result<(), LogError> {
        self.0.sync_data().map_err(LogError::fatal("sync", NODES))
    }

    /// Cuts what follows the hashes of a tree of `size` records.
    pub(crate) fn cut(&self, size: u64) -> Result<(), LogError> {
        self.0.set_len(place(stored_count(size))).map_err(LogError::fatal("cut", NODES))
    }

    /// The hash of a complete subtree; zeros where the file ends before it, as where it was lost.
    pub(crate) fn get(&self, level: u32, number: u64) -> Result<Digest32, LogError> {
        let mut hash = [0; 32];
        self.0.read_at(&mut hash, place(stored_at(level, number))).map_err(LogError::io("read", NODES))?;
        Ok(hash)
    }

    /// The tree of the first `size` records, as the file has it.
    pub(crate) fn frontier(&self, size: u64) -> Result<Frontier, LogError> {
        let peaks: Vec<_> =
            subtrees(0, size).map(|(level, number)| self.get(level, number)).collect::<Result<_, _>>()?;
        // As many as the size has ones.
        Ok(Frontier::new(size, peaks).unwrap_or_default())
    }

    /// Compares the file with what belongs into it after the hashes of a tree of `size` records. `false` where it ends before.
    pub(crate) fn compare(&self, size: u64, hashes: &[Digest32]) -> Result<Result<bool, Damage>, LogError> {
        let start = place(stored_count(size));
        let mut found = vec![[0; 32]; hashes.len()];
        let length = self.0.read_at(found.as_flattened_mut(), start).map_err(LogError::io("read", NODES))?;
        let (found, expected) = (&found.as_flattened()[..length], hashes.as_flattened());
        let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
        Ok(match differs {
            Some(at) => Err(Damage::new(
                NODES,
                start + at as u64,
                format!("{:02x}", expected[at]),
                format!("{:02x}", found[at]),
            )),
            None => Ok(length == expected.len()),
        })
    }

    pub(crate) fn len(&self) -> Result<u64, LogError> {
        self.0.len().map_err(LogError::io("read", NODES))
    }
}

/// Where the hash of this number begins, bytes.
pub(crate) fn place(number: u64) -> u64 {
    HEADER_BYTES + number * HASH_BYTES
}

fn header(genesis: &Digest32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(genesis);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}
