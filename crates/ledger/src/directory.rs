//! What a ledger keeps in its directory beside the log: the genesis and the sequencer's key.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peermark_core::sealed::{Bytes, SigningKey, Value};
use thiserror::Error;

use crate::genesis::{Genesis, GenesisError};
use crate::log::{CHECKPOINT, CheckpointError, Disk, Files, Identity, LogOptions, Signer};

const GENESIS: &str = "genesis.cbor";
const KEY: &str = "sequencer.key";
const LOG: &str = "log";

/// Longest genesis that is read, bytes.
const MAX_GENESIS_BYTES: u64 = 1 << 20;

/// Longest key or checkpoint that is read, bytes.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// A directory with a ledger.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    genesis: Genesis,
}

/// Why a directory holds no ledger, or cannot be made to hold one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// There is something already.
    #[error("{} is there already and not an empty directory", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// There is none.
    #[error("{} holds no ledger: {GENESIS} is missing", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// A file cannot be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The genesis is none.
    #[error("{}", path.display())]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: GenesisError,
    },
    /// The key is none, or not the genesis's.
    #[error("{}: {why}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The name does not do for checkpoints.
    #[error(transparent)]
    Name(#[from] CheckpointError),
}

impl Directory {
    /// Makes a ledger in a directory that is missing or empty. It is made beside it and moved there whole, so that a crash leaves
    /// all of it or nothing. The key's file is readable by its owner alone.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn create(path: &Path, genesis: Genesis, key_seed: [u8; 32]) -> Result<Self, DirectoryError> {
        genesis.check().map_err(|source| DirectoryError::Genesis { path: path.join(GENESIS), source })?;
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| DirectoryError::Io { action, path, source }
        };
        let name = path.file_name().ok_or_else(|| DirectoryError::Exists { path: path.to_owned() })?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(failed("create", parent))?;
        let mut draft = name.to_owned();
        draft.push(".draft");
        let draft = parent.join(draft);
        // What an earlier attempt left behind.
        match fs::remove_dir_all(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &draft)(error)),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&draft).map_err(failed("create", &draft))?;
        let (key, file) = (draft.join(KEY), draft.join(GENESIS));
        write(&key, format!("{}\n", Bytes(key_seed)).as_bytes(), 0o600).map_err(failed("write", &key))?;
        write(&file, &genesis.encode(), 0o644).map_err(failed("write", &file))?;
        sync_directory(&draft).map_err(failed("sync", &draft))?;
        // A directory takes the place of an empty one, and of nothing else.
        match fs::rename(&draft, path) {
            Ok(()) => sync_directory(parent).map_err(failed("sync", parent))?,
            Err(error) => {
                drop(fs::remove_dir_all(&draft));
                return Err(match error.kind() {
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                        DirectoryError::Exists { path: path.to_owned() }
                    }
                    _ => failed("create", path)(error),
                });
            }
        }
        Ok(Self { path: path.to_owned(), genesis })
    }

    /// A ledger that is there.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let file = path.join(GENESIS);
        let failed = |source| DirectoryError::Io { action: "read", path: file.clone(), source };
        match fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(DirectoryError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(failed(error)),
            Ok(found) if found.len() > MAX_GENESIS_BYTES => {
                return Err(failed(io::Error::other("file is too large for a genesis")));
            }
            Ok(_) => {}
        }
        let bytes = fs::read(&file).map_err(failed)?;
        let genesis =
            Genesis::decode(&bytes).map_err(|source| DirectoryError::Genesis { path: file.clone(), source })?;
        Ok(Self { path: path.to_owned(), genesis })
    }

    /// What the network agreed on.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The log's files, to read only.
    ///
    /// # Errors
    /// [`DirectoryError::Io`].
    pub fn files(&self) -> Result<Disk, DirectoryError> {
        let path = self.path.join(LOG);
        Disk::open(&path).map_err(|source| DirectoryError::Io { action: "open", path, source })
    }

    /// The last checkpoint, as a signed note; `None` before the first.
    ///
    /// # Errors
    /// [`DirectoryError::Io`].
    pub fn note(&self) -> Result<Option<String>, DirectoryError> {
        let path = self.path.join(LOG).join(CHECKPOINT);
        match read_text(&path) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(DirectoryError::Io { action: "read", path, source }),
        }
    }

    /// Which log it is.
    ///
    /// # Errors
    /// [`DirectoryError::Name`].
    pub fn identity(&self) -> Result<Identity, DirectoryError> {
        let signer = Signer::new(&self.genesis.network(), self.genesis.sequencer)?;
        Ok(Identity { genesis: self.genesis.hash().0, signer })
    }

    /// How its sequencer opens the log.
    ///
    /// # Errors
    /// [`DirectoryError`] where the key is missing or another.
    pub fn log_options(&self) -> Result<LogOptions, DirectoryError> {
        let path = self.path.join(LOG);
        let files = Disk::create(&path).map_err(|source| DirectoryError::Io { action: "create", path, source })?;
        let files: Arc<dyn Files> = Arc::new(files);
        Ok(LogOptions::new(files, self.genesis.hash().0, &self.genesis.network(), self.key()?))
    }

    /// The sequencer's key.
    ///
    /// # Errors
    /// [`DirectoryError::Key`] and [`DirectoryError::Io`].
    pub fn key(&self) -> Result<SigningKey, DirectoryError> {
        let path = self.path.join(KEY);
        let key = read_key(&path)?;
        if key.public() == self.genesis.sequencer {
            Ok(key)
        } else {
            Err(DirectoryError::Key { path, why: "not the key of the genesis's sequencer" })
        }
    }
}

/// Reads a key: a file with the 64 hex digits of its seed.
///
/// # Errors
/// [`DirectoryError::Key`] and [`DirectoryError::Io`].
pub fn read_key(path: &Path) -> Result<SigningKey, DirectoryError> {
    let text =
        read_text(path).map_err(|source| DirectoryError::Io { action: "read", path: path.to_owned(), source })?;
    let Bytes(seed) = text
        .trim()
        .parse()
        .map_err(|_| DirectoryError::Key { path: path.to_owned(), why: "not a key: 64 hex digits are expected" })?;
    Ok(SigningKey::from_seed(seed))
}

/// A key or a note: not more than [`MAX_TEXT_BYTES`] of it.
fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_TEXT_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_TEXT_BYTES {
        return Err(io::Error::other("file is too large"));
    }
    Ok(text)
}

/// Writes a key where there is no file yet, readable by its owner alone.
///
/// # Errors
/// [`DirectoryError::Io`].
pub fn write_key(path: &Path, seed: [u8; 32]) -> Result<SigningKey, DirectoryError> {
    write(path, format!("{}\n", Bytes(seed)).as_bytes(), 0o600).map_err(|source| DirectoryError::Io {
        action: "create",
        path: path.to_owned(),
        source,
    })?;
    Ok(SigningKey::from_seed(seed))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path).and_then(|directory| directory.sync_all())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The one form of a genesis.
impl Genesis {
    /// Its one form, which [`Self::hash`] is of.
    pub fn encode(&self) -> Vec<u8> {
        // Its types hold nothing that the encoding refuses.
        Value::of(self).and_then(|value| value.encode()).unwrap_or_default()
    }

    /// Reads the one form.
    ///
    /// # Errors
    /// [`GenesisError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GenesisError> {
        let genesis: Self = Value::decode(bytes)?.to()?;
        genesis.check()?;
        Ok(genesis)
    }
}
