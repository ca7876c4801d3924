//! Snapshots: the state that follows from a beginning of the log, so that a start need not replay everything.
//!
//! A file begins with magic (8), version (u32), genesis hash (32), height (u64), size of the log (u64), root of the tree (32), hash of
//! the state (32) and length of the state's bytes (u64); these bytes follow, and the SHA-256 of everything before. Numbers are
//! little-endian. A snapshot proves nothing by itself: whoever wants proof replays the log and compares the hash of the state.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use peermark_core::sealed::{Bytes, Digest32};
use sha2::{Digest, Sha256};

use super::Identity;
use super::error::{Damage, LogError, hex};
use super::files::{File, Files, replace};
use super::reader::Reader;

/// Snapshots that are kept.
pub const KEEP: usize = 3;

/// Longest state that is kept, bytes.
pub const MAX_STATE_BYTES: u64 = 4 << 30;

const MAGIC: [u8; 8] = *b"PMLSNAPS";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 132;
const DIGEST_BYTES: usize = 32;
const SUFFIX: &str = ".snapshot";

/// A state and the beginning of the log that it follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Height of its last block.
    pub height: u64,
    /// Records that it follows from: those below this index.
    pub size: u64,
    /// Root of the tree of these records.
    pub root: Digest32,
    /// Hash of the state, as the state machine makes it.
    pub state_hash: Digest32,
    /// The state, as the state machine writes it.
    pub bytes: Vec<u8>,
}

/// The snapshots beside a log. Copies share everything.
#[derive(Clone, Debug)]
pub struct Snapshots {
    reader: Reader,
}

impl Snapshots {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader }
    }

    /// Keeps a snapshot, and removes the oldest ones beyond [`KEEP`].
    ///
    /// # Errors
    /// [`LogError::Snapshot`] where it follows from more than has been synced, or from another log; [`LogError::NoSpace`]: those that
    /// are there stay; [`LogError::Fatal`]: the process must end, and the log is written no more.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), LogError> {
        let refused = |reason| LogError::Snapshot { height: snapshot.height, reason };
        if snapshot.bytes.len() as u64 > MAX_STATE_BYTES {
            return Err(refused("the state is too large"));
        }
        if snapshot.size > self.reader.size() {
            return Err(refused("the log does not reach so far"));
        }
        if self.reader.root(snapshot.size)? != snapshot.root {
            return Err(refused("the log has another root there"));
        }
        let _writing = self.reader.0.writing_snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = &self.reader.0;
        shared.writing()?;
        let files = self.files();
        let bytes = encode(&self.reader.identity().genesis, snapshot);
        shared.note(replace(files, &name_of(snapshot.height), &bytes))?;
        let heights = self.heights()?;
        for height in heights.iter().take(heights.len().saturating_sub(KEEP)) {
            // Should it come back after a crash, the next one removes it again.
            let name = name_of(*height);
            files.remove(&name).map_err(LogError::io("remove", &name))?;
        }
        Ok(())
    }

    /// Heights of the snapshots that are there, lowest first.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn heights(&self) -> Result<Vec<u64>, LogError> {
        heights(self.files())
    }

    /// The snapshot at a height.
    ///
    /// # Errors
    /// [`LogError::Snapshot`] where there is none; [`LogError::Damaged`] where its bytes are not what was written, or the log's root
    /// is another; [`LogError::Io`].
    pub fn read(&self, height: u64) -> Result<Snapshot, LogError> {
        let name = name_of(height);
        let snapshot = load(self.files(), height, &self.reader.identity().genesis)?;
        if snapshot.size > self.reader.size() {
            let size = self.reader.size();
            return Err(Damage::new(&name, 52, format!("at most {size} records"), snapshot.size.to_string()).into());
        }
        let root = self.reader.root(snapshot.size)?;
        if root != snapshot.root {
            return Err(Damage::new(&name, 60, format!("root {}", hex(&root)), hex(&snapshot.root)).into());
        }
        Ok(snapshot)
    }

    fn files(&self) -> &dyn Files {
        &*self.reader.0.files
    }
}

/// SHA-256 of the state of each sound snapshot in a directory, by height. What is not sound is for [`super::verify`] to tell.
///
/// # Errors
/// [`LogError::Io`].
pub fn snapshots_in(files: &dyn Files, identity: &Identity) -> Result<BTreeMap<u64, Bytes<32>>, LogError> {
    let mut found = BTreeMap::new();
    for height in heights(files)? {
        match load(files, height, &identity.genesis) {
            Ok(snapshot) => {
                found.insert(height, Bytes(Sha256::digest(&snapshot.bytes).into()));
            }
            Err(LogError::Io { action, file, source }) => return Err(LogError::Io { action, file, source }),
            Err(_) => {}
        }
    }
    Ok(found)
}

/// Heights of the snapshots in a directory, lowest first.
pub(crate) fn heights(files: &dyn Files) -> Result<Vec<u64>, LogError> {
    let names = files.list().map_err(LogError::io("list", "the snapshots"))?;
    Ok(names.iter().filter_map(|name| height_of(name)).collect())
}

/// Reads a snapshot and checks its digest.
pub(crate) fn load(files: &dyn Files, height: u64, genesis: &Digest32) -> Result<Snapshot, LogError> {
    let name = name_of(height);
    let file = match files.open(&name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LogError::Snapshot { height, reason: "there is none" });
        }
        opened => opened.map_err(LogError::io("open", &name))?,
    };
    let bytes = read_whole(&*file, &name)?;
    Ok(decode(&name, height, genesis, bytes)?)
}

/// Name of the file of the snapshot at a height.
pub(crate) fn name_of(height: u64) -> String {
    format!("{height:020}{SUFFIX}")
}

fn height_of(name: &str) -> Option<u64> {
    let height = name.strip_suffix(SUFFIX)?.parse().ok()?;
    (name_of(height) == name).then_some(height)
}

fn read_whole(file: &dyn File, name: &str) -> Result<Vec<u8>, LogError> {
    let length = file.len().map_err(LogError::io("read", name))?;
    let most = MAX_STATE_BYTES + (HEADER_BYTES + DIGEST_BYTES) as u64;
    if length > most {
        return Err(Damage::new(name, most, "the end", format!("{length} bytes")).into());
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    let read = file.read_at(&mut bytes, 0).map_err(LogError::io("read", name))?;
    bytes.truncate(read);
    Ok(bytes)
}

fn encode(genesis: &Digest32, snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + snapshot.bytes.len() + DIGEST_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(genesis);
    bytes.extend(snapshot.height.to_le_bytes());
    bytes.extend(snapshot.size.to_le_bytes());
    bytes.extend(snapshot.root);
    bytes.extend(snapshot.state_hash);
    bytes.extend((snapshot.bytes.len() as u64).to_le_bytes());
    bytes.extend(&snapshot.bytes);
    let digest: Digest32 = Sha256::digest(&bytes).into();
    bytes.extend(digest);
    bytes
}

fn decode(name: &str, height: u64, genesis: &Digest32, mut bytes: Vec<u8>) -> Result<Snapshot, Damage> {
    let damage = |offset: usize, expected: String, found: String| Damage::new(name, offset as u64, expected, found);
    if bytes.len() < HEADER_BYTES + DIGEST_BYTES {
        let least = HEADER_BYTES + DIGEST_BYTES;
        return Err(damage(0, format!("at least {least} bytes"), bytes.len().to_string()));
    }
    let end = bytes.len() - DIGEST_BYTES;
    let array = |at: usize| -> Digest32 { std::array::from_fn(|byte| bytes[at + byte]) };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let (stated, digest): (_, Digest32) = (array(end), Sha256::digest(&bytes[..end]).into());
    if stated != digest {
        return Err(damage(end, format!("SHA-256 {}", hex(&digest)), hex(&stated)));
    }
    if bytes[..8] != MAGIC || bytes[8..12] != VERSION.to_le_bytes() {
        return Err(damage(0, format!("a snapshot of version {VERSION}"), "another file".to_owned()));
    }
    if array(12) != *genesis {
        return Err(damage(12, format!("genesis {}", hex(genesis)), hex(&array(12))));
    }
    if number(44) != height {
        return Err(damage(44, format!("height {height}"), number(44).to_string()));
    }
    if number(124) != (end - HEADER_BYTES) as u64 {
        return Err(damage(124, format!("{} bytes", end - HEADER_BYTES), number(124).to_string()));
    }
    let (size, root, state_hash) = (number(52), array(60), array(92));
    bytes.truncate(end);
    bytes.drain(..HEADER_BYTES);
    Ok(Snapshot { height, size, root, state_hash, bytes })
}
