//! The block store: blocks by SHA-256 digest, under a quota, behind a memory cache.
//!
//! One writer thread owns the only writing connection and commits what has queued up in one transaction (group commit); one
//! reader thread serves misses of the memory cache. Both are fed by bounded channels.
//!
//! Durability: a finished upload is acknowledged only after its transaction was synced (`synchronous=FULL`); everything else is
//! committed with `synchronous=NORMAL`, which never corrupts and may lose the last transactions at a power cut. Blocks fetched
//! from peers are cache: they belong to no dataset of this node and are evicted, oldest first, when the quota is reached. Blocks
//! of an upload that did not finish are removed when it is dropped or when the store opens again.
//!
//! Blocks are verified by their hash when they come from disk; a block that fails is removed and counted, and reads as missing.

mod memory_cache;
mod reader;
mod schema;
mod upload;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::content::{Digest, Manifest};
use memory_cache::MemoryCache;
pub use upload::Upload;

/// Requests that may wait for a thread of the store; senders wait beyond it.
const QUEUE: usize = 256;

/// Where blocks are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In `blocks.db` of this directory.
    Directory(PathBuf),
    /// In memory: lost at the end of the process.
    Memory,
}

/// How the store is opened.
#[derive(Clone, Debug)]
pub struct BlocksConfig {
    /// Where blocks are kept.
    pub location: Location,
    /// Most bytes of blocks that are kept.
    pub quota_bytes: u64,
    /// Most bytes of blocks in the memory cache.
    pub cache_bytes: u64,
}

/// Why the store could not do what was asked.
#[derive(Debug, Error)]
pub enum BlocksError {
    /// The file could not be opened or created.
    #[error("cannot open block store at {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Blocks of datasets fill the quota; nothing more can be evicted.
    #[error("quota full: {used} of {quota} bytes used, {needed} more needed")]
    QuotaFull {
        /// Bytes of all blocks.
        used: u64,
        /// The quota.
        quota: u64,
        /// Bytes that were to be added.
        needed: u64,
    },
    /// The database failed.
    #[error("block store: {0}")]
    Database(#[from] rusqlite::Error),
    /// The database failed while many requests shared its transaction.
    #[error("block store: {0}")]
    Shared(Arc<BlocksError>),
    /// The store was closed.
    #[error("block store is closed")]
    Closed,
}

/// A dataset whose manifest is stored here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// Digest of the manifest block.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
    /// Whether it is a dataset of this node, not cache of another one's.
    pub own: bool,
}

/// Numbers that are kept, not counted on demand.
#[derive(Debug, Default)]
pub struct BlockCounters {
    /// Blocks in the store.
    pub count: AtomicU64,
    /// Bytes of all blocks in the store.
    pub bytes: AtomicU64,
    /// Bytes of blocks that belong to datasets of this node and cannot be evicted.
    pub pinned_bytes: AtomicU64,
    /// Reads answered by the memory cache.
    pub cache_hits: AtomicU64,
    /// Reads that had to ask the database.
    pub cache_misses: AtomicU64,
    /// Blocks that failed their hash when read from disk, and were removed.
    pub corrupt: AtomicU64,
    /// Cached blocks removed to make room.
    pub evicted: AtomicU64,
}

/// The store. Cheap to clone; closes when the last clone is gone.
#[derive(Clone, Debug)]
pub struct Blocks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    write: mpsc::Sender<writer::Write>,
    read: mpsc::Sender<reader::Read>,
    cache: MemoryCache,
    counters: Arc<BlockCounters>,
    quota_bytes: u64,
}

impl Blocks {
    /// Opens or creates the store and starts its threads.
    ///
    /// # Errors
    /// [`BlocksError::Open`] when the file cannot be opened, is no block store, or is one of a newer version.
    pub fn open(config: &BlocksConfig) -> Result<Self, BlocksError> {
        let counters = Arc::new(BlockCounters::default());
        let (write, writes) = mpsc::channel(QUEUE);
        let (read, reads) = mpsc::channel(QUEUE);
        let database = schema::open(&config.location)?;
        writer::start(database.writer, writes, config.quota_bytes, counters.clone())?;
        reader::start(database.reader, reads, write.downgrade(), counters.clone())?;
        let cache = MemoryCache::new(config.cache_bytes);
        Ok(Self { inner: Arc::new(Inner { write, read, cache, counters, quota_bytes: config.quota_bytes }) })
    }

    /// The file that a directory's store is in.
    pub fn file(directory: &Path) -> PathBuf {
        directory.join("blocks.db")
    }

    /// Counters that are maintained on every change.
    pub fn counters(&self) -> &BlockCounters {
        &self.inner.counters
    }

    /// Most bytes of blocks that are kept.
    pub fn quota_bytes(&self) -> u64 {
        self.inner.quota_bytes
    }

    /// A block from the memory cache alone: never waits.
    pub fn get_cached(&self, digest: &Digest) -> Option<Bytes> {
        let found = self.inner.cache.get(digest);
        let counter = if found.is_some() { &self.inner.counters.cache_hits } else { &self.inner.counters.cache_misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// A block, verified; `None` when it is not here.
    ///
    /// # Errors
    /// [`BlocksError`] when the database fails.
    pub async fn get(&self, digest: Digest) -> Result<Option<Bytes>, BlocksError> {
        if let Some(bytes) = self.get_cached(&digest) {
            return Ok(Some(bytes));
        }
        let (reply, answer) = oneshot::channel();
        self.read(reader::Read::Get { digest, reply }).await?;
        let found = answer.await.map_err(|_| BlocksError::Closed)??;
        if let Some(bytes) = &found {
            self.inner.cache.insert(digest, bytes.clone());
        }
        Ok(found)
    }

    /// Whether a block is here.
    ///
    /// # Errors
    /// [`BlocksError`] when the database fails.
    pub async fn has(&self, digest: Digest) -> Result<bool, BlocksError> {
        if self.inner.cache.contains(&digest) {
            return Ok(true);
        }
        let (reply, answer) = oneshot::channel();
        self.read(reader::Read::Has { digest, reply }).await?;
        answer.await.map_err(|_| BlocksError::Closed)?
    }

    /// Keeps verified blocks from peers as cache. Returns once they are committed. A full quota is no error here: what does not
    /// fit is simply not kept. A block that is a manifest is listed as one.
    ///
    /// # Errors
    /// [`BlocksError`] when the database fails.
    pub async fn keep(&self, digest: Digest, bytes: Bytes, manifest: Option<Manifest>) -> Result<(), BlocksError> {
        self.inner.cache.insert(digest, bytes.clone());
        let (reply, answer) = oneshot::channel();
        self.write(writer::Write::Keep { digest, bytes, manifest, reply }).await?;
        answer.await.map_err(|_| BlocksError::Closed)?
    }

    /// As [`Self::keep`], but returns as soon as the writer has the request: the block is cache, its loss costs a fetch.
    ///
    /// # Errors
    /// [`BlocksError::Closed`] when the store was closed.
    pub async fn keep_soon(&self, digest: Digest, bytes: Bytes) -> Result<(), BlocksError> {
        self.inner.cache.insert(digest, bytes.clone());
        let (reply, _) = oneshot::channel();
        self.write(writer::Write::Keep { digest, bytes, manifest: None, reply }).await
    }

    /// Begins an upload: its blocks are pinned at once and become a dataset with [`Upload::finish`].
    ///
    /// # Errors
    /// [`BlocksError`] when the database fails.
    pub async fn begin_upload(&self) -> Result<Upload, BlocksError> {
        let (reply, answer) = oneshot::channel();
        self.write(writer::Write::BeginUpload { reply }).await?;
        let id = answer.await.map_err(|_| BlocksError::Closed)??;
        Ok(Upload::new(self.clone(), id))
    }

    /// Removes a dataset and every block that no other dataset needs, or a single block. Returns whether there was anything.
    ///
    /// # Errors
    /// [`BlocksError`] when the database fails.
    pub async fn delete(&self, digest: Digest) -> Result<bool, BlocksError> {
        let (reply, answer) = oneshot::channel();
        self.write(writer::Write::Delete { digest, reply }).await?;
        let (found, removed) = answer.await.map_err(|_| BlocksError::Closed)??;
        removed.iter().for_each(|gone| self.inner.cache.remove(gone));
        Ok(found)
    }

    /// The manifests stored here, oldest first: at most `limit` after the first `skip`.
    ///
    /// # Errors
    /// [`BlocksError`] when the database fails.
    pub async fn manifests(&self, skip: u64, limit: u32) -> Result<Vec<StoredManifest>, BlocksError> {
        let (reply, answer) = oneshot::channel();
        self.read(reader::Read::Manifests { skip, limit, reply }).await?;
        answer.await.map_err(|_| BlocksError::Closed)?
    }

    async fn write(&self, request: writer::Write) -> Result<(), BlocksError> {
        self.inner.write.send(request).await.map_err(|_| BlocksError::Closed)
    }

    async fn read(&self, request: reader::Read) -> Result<(), BlocksError> {
        self.inner.read.send(request).await.map_err(|_| BlocksError::Closed)
    }
}

#[cfg(test)]
mod tests;
