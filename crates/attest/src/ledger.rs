//! A ledger as it is read by whoever wants to know something: from its own directory, or from a server. Either way everything up to a
//! checkpoint is replayed and checked here; nothing is believed.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use peermark_ledger::Id;
use peermark_ledger::bundle::{Bundle, BundleError, Checked, Evidence};
use peermark_ledger::directory::{Directory, DirectoryError};
use peermark_ledger::genesis::Genesis;
use peermark_ledger::log::{self, CheckpointError, Damage, LogError, Signer};
use thiserror::Error;

use crate::client::{LedgerClient, LedgerClientError};
use crate::network::{NetworkName, OtherNetwork};

/// Most records that are read.
const MAX_RECORDS: usize = 50_000_000;

/// Most bytes of records that are read: all of them are held until they are checked.
const MAX_BYTES: u64 = peermark_ledger::bundle::MAX_RECORDS_BYTES;

/// Where a ledger is.
#[derive(Clone, Debug)]
pub enum LedgerSource {
    /// In a directory of this machine. It may be served meanwhile.
    Directory(PathBuf),
    /// At a server.
    Server(LedgerClient),
}

/// Why a ledger cannot be read, or does not hold.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The directory holds none.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Its files cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Its files are damaged.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// What it says does not hold.
    #[error(transparent)]
    Evidence(#[from] BundleError),
    /// Its server cannot be asked.
    #[error(transparent)]
    Client(#[from] LedgerClientError),
    /// Its checkpoint is another's.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// It is of another network than the one that was named.
    #[error(transparent)]
    Network(#[from] OtherNetwork),
    /// It has no checkpoint yet.
    #[error("the ledger has no checkpoint yet")]
    NoCheckpoint,
    /// It is longer than what is read.
    #[error("the ledger has more than {MAX_RECORDS} records")]
    TooLong,
    /// It is larger than what is read.
    #[error("the ledger has more than {max_bytes} bytes of records")]
    TooLarge {
        /// Bytes that are read at most.
        max_bytes: u64,
    },
    /// The server has fewer records than its checkpoint signs.
    #[error("the server has {found} records, its checkpoint signs {expected}")]
    Short {
        /// Records it has.
        found: u64,
        /// Records it signed.
        expected: u64,
    },
}

/// A ledger that was read and checked.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it was read from.
    pub evidence: Evidence,
    /// What follows from it.
    pub checked: Checked,
    /// Whether the reader named its network. Where it did not, the genesis is what the ledger says about itself.
    pub named: bool,
}

/// Records as they come, and not more than are read.
struct Gathered {
    records: Vec<Vec<u8>>,
    wanted: usize,
    bytes: u64,
    max_bytes: u64,
}

impl LedgerSource {
    /// Reads and checks it up to its last checkpoint, every signature too. The ledger of another network than `network` is refused
    /// before anything else of it is read.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn load(&self, network: Option<&NetworkName>, threads: NonZeroUsize) -> Result<Loaded, SourceError> {
        let evidence = match self {
            Self::Directory(path) => from_directory(path, network)?,
            Self::Server(client) => from_server(client, network).await?,
        };
        let checked = evidence.check(threads)?;
        Ok(Loaded { evidence, checked, named: network.is_some() })
    }
}

fn from_directory(path: &Path, network: Option<&NetworkName>) -> Result<Evidence, SourceError> {
    let directory = Directory::open(path)?;
    let genesis = directory.genesis();
    NetworkName::require(network, genesis)?;
    // Before the records: whoever writes meanwhile may sign more than was read.
    let note = directory.note()?.ok_or(SourceError::NoCheckpoint)?;
    let mut gathered = Gathered::new(signed(genesis, &note)?, MAX_BYTES);
    let mut refused = None;
    let found = log::verify(&directory.files()?, &directory.identity()?, |_, record| {
        if refused.is_none() {
            refused = gathered.add(record.to_vec()).err();
        }
    })?;
    // What a crash, or a writer that is at work, leaves at the end is no damage.
    match (found.faults.into_iter().next(), refused) {
        (Some(fault), _) => Err(fault.into()),
        (None, Some(refused)) => Err(refused),
        (None, None) => Ok(Evidence { genesis: genesis.encode(), note, records: gathered.records }),
    }
}

async fn from_server(client: &LedgerClient, network: Option<&NetworkName>) -> Result<Evidence, SourceError> {
    let genesis = client.genesis().await?;
    NetworkName::require(network, &genesis)?;
    let note = client.checkpoint().await?;
    let mut gathered = Gathered::new(signed(&genesis, &note)?, MAX_BYTES);
    while !gathered.is_full() {
        let page = client.log(gathered.records.len() as u64).await?;
        if page.is_empty() {
            let (found, expected) = (gathered.records.len() as u64, gathered.wanted as u64);
            return Err(SourceError::Short { found, expected });
        }
        for record in page {
            gathered.add(record)?;
        }
    }
    Ok(Evidence { genesis: genesis.encode(), note, records: gathered.records })
}

impl Gathered {
    fn new(wanted: usize, max_bytes: u64) -> Self {
        Self { records: Vec::new(), wanted, bytes: 0, max_bytes }
    }

    fn is_full(&self) -> bool {
        self.records.len() >= self.wanted
    }

    /// Takes the next record; those behind the last that is wanted are left out.
    fn add(&mut self, record: Vec<u8>) -> Result<(), SourceError> {
        if self.is_full() {
            return Ok(());
        }
        self.bytes = self.bytes.saturating_add(record.len() as u64);
        if self.bytes > self.max_bytes {
            return Err(SourceError::TooLarge { max_bytes: self.max_bytes });
        }
        self.records.push(record);
        Ok(())
    }
}

/// How many records a checkpoint signs.
fn signed(genesis: &Genesis, note: &str) -> Result<usize, SourceError> {
    let checkpoint = Signer::new(&genesis.network(), genesis.sequencer)?.open(note.as_bytes())?;
    usize::try_from(checkpoint.size).ok().filter(|size| *size <= MAX_RECORDS).ok_or(SourceError::TooLong)
}

impl Loaded {
    /// A statement about somebody with everything that it follows from.
    pub fn bundle(&self, subject: Id, document: Vec<u8>) -> Bundle {
        Bundle { evidence: self.evidence.clone(), subject, document }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What somebody else serves is held in memory before it is checked.
    #[test]
    fn no_more_is_read_than_is_signed_and_allowed() {
        let mut gathered = Gathered::new(3, 10);
        for bytes in [5, 4] {
            gathered.add(vec![0; bytes]).unwrap();
        }
        let refused = gathered.add(vec![0; 2]).unwrap_err();
        assert!(matches!(refused, SourceError::TooLarge { max_bytes: 10 }), "{refused}");
        let mut gathered = Gathered::new(1, 10);
        for bytes in [10, 1_000] {
            gathered.add(vec![0; bytes]).unwrap();
        }
        assert_eq!((gathered.records.len(), gathered.is_full()), (1, true));
    }
}
