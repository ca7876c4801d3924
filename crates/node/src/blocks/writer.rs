//! The writing thread: one transaction for everything that has queued up.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot};

use super::reader::spawn;
use super::{BlockCounters, BlocksError};
use crate::content::{Digest, Manifest};

type Reply<T> = oneshot::Sender<Result<T, BlocksError>>;

/// Requests in one transaction at most: bounds how long the first of them waits for the others.
const BATCH: usize = 128;

/// A request to the writing thread.
#[derive(Debug)]
pub(super) enum Write {
    Keep { digest: Digest, bytes: Bytes, manifest: Option<Manifest>, reply: Reply<()> },
    BeginUpload { reply: Reply<i64> },
    Put { upload: i64, blocks: Vec<(Digest, Bytes)>, reply: Reply<()> },
    Finish { upload: i64, digest: Digest, bytes: Bytes, manifest: Manifest, reply: Reply<()> },
    Abort { upload: i64 },
    Delete { digest: Digest, reply: Reply<(bool, Vec<Digest>)> },
    DropCorrupt { digest: Digest, reply: Reply<()> },
}

/// Totals of the store, committed with the rows that they count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    blocks: u64,
    bytes: u64,
    pinned_bytes: u64,
}

struct Writer {
    connection: Connection,
    quota_bytes: u64,
    totals: Totals,
    counters: Arc<BlockCounters>,
}

/// One open transaction with its view of the totals.
struct Batch<'a> {
    transaction: Transaction<'a>,
    quota_bytes: u64,
    totals: Totals,
    evicted: u64,
}

/// An answer that waits for the commit.
type Pending = Box<dyn FnOnce(Option<&Arc<BlocksError>>) + Send>;

/// Cleans up after unfinished uploads, then starts the thread; it ends when the last sender is gone.
pub(super) fn start(
    connection: Connection,
    mut requests: mpsc::Receiver<Write>,
    quota_bytes: u64,
    counters: Arc<BlockCounters>,
) -> Result<(), BlocksError> {
    let totals = load_totals(&connection)?;
    let mut writer = Writer { connection, quota_bytes, totals, counters };
    writer.remove_unfinished()?;
    writer.publish(writer.totals, 0);
    spawn("blocks-write", move || {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(first) = requests.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(next) = requests.try_recv()
            {
                batch.push(next);
            }
            writer.commit(batch.drain(..));
        }
    })
}

fn load_totals(connection: &Connection) -> Result<Totals, BlocksError> {
    let value = |name: &str| -> rusqlite::Result<u64> {
        connection
            .query_row("SELECT value FROM counter WHERE name = ?1", [name], |row| row.get::<_, i64>(0))
            .map(|v| v.max(0) as u64)
    };
    Ok(Totals { blocks: value("blocks")?, bytes: value("bytes")?, pinned_bytes: value("pinned_bytes")? })
}

impl Writer {
    fn publish(&mut self, totals: Totals, evicted: u64) {
        self.totals = totals;
        self.counters.count.store(totals.blocks, Ordering::Relaxed);
        self.counters.bytes.store(totals.bytes, Ordering::Relaxed);
        self.counters.pinned_bytes.store(totals.pinned_bytes, Ordering::Relaxed);
        self.counters.evicted.fetch_add(evicted, Ordering::Relaxed);
    }

    fn remove_unfinished(&mut self) -> Result<(), BlocksError> {
        let mut batch = begin(&mut self.connection, self.quota_bytes, self.totals)?;
        let sql = "SELECT id FROM dataset WHERE manifest IS NULL";
        let ids: Vec<i64> =
            batch.transaction.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for id in ids {
            batch.remove_dataset(id, &mut Vec::new())?;
        }
        let (totals, evicted) = batch.commit()?;
        self.publish(totals, evicted);
        Ok(())
    }

    fn commit(&mut self, requests: impl Iterator<Item = Write>) {
        let requests: Vec<Write> = requests.collect();
        let durable = requests.iter().any(|request| matches!(request, Write::Finish { .. }));
        let mut pending: Vec<Pending> = Vec::with_capacity(requests.len());
        let result = self.try_commit(requests, durable, &mut pending);
        let failure = match result {
            Ok(()) => None,
            Err(error) => {
                tracing::error!(%error, "block store: a transaction failed");
                Some(Arc::new(error))
            }
        };
        pending.into_iter().for_each(|answer| answer(failure.as_ref()));
    }

    fn try_commit(
        &mut self,
        requests: Vec<Write>,
        durable: bool,
        pending: &mut Vec<Pending>,
    ) -> Result<(), BlocksError> {
        if durable {
            self.connection.pragma_update(None, "synchronous", "FULL")?;
        }
        let mut batch = begin(&mut self.connection, self.quota_bytes, self.totals)?;
        for request in requests {
            batch.apply(request, pending)?;
        }
        let (totals, evicted) = batch.commit()?;
        self.publish(totals, evicted);
        if durable {
            self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        }
        Ok(())
    }
}

fn begin(connection: &mut Connection, quota_bytes: u64, totals: Totals) -> Result<Batch<'_>, BlocksError> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    Ok(Batch { transaction, quota_bytes, totals, evicted: 0 })
}

/// Answers `reply` after the commit: with `value`, or with the transaction's failure.
fn later<T: Send + 'static>(reply: Reply<T>, value: Result<T, BlocksError>) -> Pending {
    Box::new(move |failure| {
        let answer = match failure {
            Some(error) => Err(BlocksError::Shared(error.clone())),
            None => value,
        };
        // A requester that went away needs no answer.
        drop(reply.send(answer));
    })
}

/// Separates what concerns one request (full quota) from what fails the transaction.
fn own_error<T>(result: Result<T, BlocksError>) -> Result<Result<T, BlocksError>, BlocksError> {
    match result {
        Err(error @ BlocksError::QuotaFull { .. }) => Ok(Err(error)),
        Err(error) => Err(error),
        Ok(value) => Ok(Ok(value)),
    }
}

impl Batch<'_> {
    fn commit(self) -> Result<(Totals, u64), BlocksError> {
        let Totals { blocks, bytes, pinned_bytes } = self.totals;
        for (name, value) in [("blocks", blocks), ("bytes", bytes), ("pinned_bytes", pinned_bytes)] {
            let mut statement = self.transaction.prepare_cached("UPDATE counter SET value = ?2 WHERE name = ?1")?;
            statement.execute(params![name, value as i64])?;
        }
        self.transaction.commit()?;
        Ok((self.totals, self.evicted))
    }

    fn apply(&mut self, request: Write, pending: &mut Vec<Pending>) -> Result<(), BlocksError> {
        match request {
            Write::Keep { digest, bytes, manifest, reply } => {
                // What does not fit is not kept: the reader has its bytes already.
                let _kept = own_error(self.insert(digest, &bytes, 0, manifest.as_ref()))?;
                pending.push(later(reply, Ok(())));
            }
            Write::BeginUpload { reply } => {
                self.transaction.execute("INSERT INTO dataset (manifest) VALUES (NULL)", [])?;
                pending.push(later(reply, Ok(self.transaction.last_insert_rowid())));
            }
            Write::Put { upload, blocks, reply } => {
                let done = own_error(
                    blocks.iter().try_for_each(|(digest, bytes)| self.add_member(upload, *digest, bytes, None)),
                )?;
                pending.push(later(reply, done));
            }
            Write::Finish { upload, digest, bytes, manifest, reply } => {
                let done = own_error(self.finish(upload, digest, &bytes, &manifest))?;
                pending.push(later(reply, done));
            }
            Write::Abort { upload } => self.remove_dataset(upload, &mut Vec::new())?,
            Write::Delete { digest, reply } => {
                let done = self.delete(digest)?;
                pending.push(later(reply, Ok(done)));
            }
            Write::DropCorrupt { digest, reply } => {
                if let Some((id, size, refs)) = self.find(digest)? {
                    self.transaction.execute("DELETE FROM member WHERE block = ?1", [id])?;
                    self.remove_block(id, size, refs > 0)?;
                }
                pending.push(later(reply, Ok(())));
            }
        }
        Ok(())
    }

    fn find(&self, digest: Digest) -> Result<Option<(i64, u64, i64)>, BlocksError> {
        let mut statement = self.transaction.prepare_cached("SELECT id, size, refs FROM block WHERE digest = ?1")?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64, row.get(2)?));
        Ok(statement.query_row(params![digest.0], row).optional()?)
    }

    /// Inserts a block unless it is here; returns its id and its references before.
    fn insert(
        &mut self,
        digest: Digest,
        bytes: &[u8],
        refs: i64,
        manifest: Option<&Manifest>,
    ) -> Result<(i64, i64), BlocksError> {
        if let Some((id, _, refs)) = self.find(digest)? {
            self.remember_manifest(id, digest, bytes, manifest)?;
            return Ok((id, refs));
        }
        let size = bytes.len() as u64;
        self.make_room(size)?;
        let mut statement =
            self.transaction.prepare_cached("INSERT INTO block (digest, size, refs, data) VALUES (?1, ?2, ?3, ?4)")?;
        let id = statement.insert(params![digest.0, size as i64, refs, bytes])?;
        drop(statement);
        self.totals.blocks += 1;
        self.totals.bytes += size;
        self.totals.pinned_bytes += if refs > 0 { size } else { 0 };
        self.remember_manifest(id, digest, bytes, manifest)?;
        Ok((id, refs))
    }

    fn remember_manifest(
        &self,
        id: i64,
        digest: Digest,
        bytes: &[u8],
        manifest: Option<&Manifest>,
    ) -> Result<(), BlocksError> {
        if manifest.is_some() {
            let mut statement =
                self.transaction.prepare_cached("INSERT OR IGNORE INTO manifest VALUES (?1, ?2, ?3)")?;
            statement.execute(params![id, digest.0, bytes])?;
        }
        Ok(())
    }

    fn add_member(
        &mut self,
        upload: i64,
        digest: Digest,
        bytes: &[u8],
        manifest: Option<&Manifest>,
    ) -> Result<(), BlocksError> {
        let (id, refs_before) = self.insert(digest, bytes, 0, manifest)?;
        let mut statement = self.transaction.prepare_cached("INSERT OR IGNORE INTO member VALUES (?1, ?2)")?;
        if statement.execute(params![upload, id])? == 1 {
            self.transaction.prepare_cached("UPDATE block SET refs = refs + 1 WHERE id = ?1")?.execute([id])?;
            self.totals.pinned_bytes += if refs_before == 0 { bytes.len() as u64 } else { 0 };
        }
        Ok(())
    }

    fn finish(&mut self, upload: i64, digest: Digest, bytes: &[u8], manifest: &Manifest) -> Result<(), BlocksError> {
        let mut known = self.transaction.prepare_cached("SELECT 1 FROM dataset WHERE manifest = ?1")?;
        let twice = known.query_row(params![digest.0], |_| Ok(())).optional()?.is_some();
        drop(known);
        if twice {
            // The same content again: the dataset is here already, the second set of references is not needed.
            return self.remove_dataset(upload, &mut Vec::new());
        }
        self.add_member(upload, digest, bytes, Some(manifest))?;
        self.transaction.execute("UPDATE dataset SET manifest = ?2 WHERE id = ?1", params![upload, digest.0])?;
        Ok(())
    }

    /// Evicts cached blocks, oldest first, until `size` more bytes fit.
    fn make_room(&mut self, size: u64) -> Result<(), BlocksError> {
        while self.totals.bytes + size > self.quota_bytes {
            let sql = "SELECT id, size FROM block WHERE refs = 0 ORDER BY id LIMIT 64";
            let mut statement = self.transaction.prepare_cached(sql)?;
            let oldest: Vec<(i64, i64)> =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
            drop(statement);
            if oldest.is_empty() {
                let (used, quota) = (self.totals.bytes, self.quota_bytes);
                return Err(BlocksError::QuotaFull { used, quota, needed: size });
            }
            for (id, bytes) in oldest {
                if self.totals.bytes + size <= self.quota_bytes {
                    break;
                }
                self.remove_block(id, bytes as u64, false)?;
                self.evicted += 1;
            }
        }
        Ok(())
    }

    fn remove_block(&mut self, id: i64, size: u64, pinned: bool) -> Result<(), BlocksError> {
        self.transaction.prepare_cached("DELETE FROM block WHERE id = ?1")?.execute([id])?;
        self.transaction.prepare_cached("DELETE FROM manifest WHERE block = ?1")?.execute([id])?;
        self.totals.blocks = self.totals.blocks.saturating_sub(1);
        self.totals.bytes = self.totals.bytes.saturating_sub(size);
        self.totals.pinned_bytes = self.totals.pinned_bytes.saturating_sub(if pinned { size } else { 0 });
        Ok(())
    }

    /// Removes a dataset and the blocks that no other dataset needs; their digests are added to `removed`.
    fn remove_dataset(&mut self, dataset: i64, removed: &mut Vec<Digest>) -> Result<(), BlocksError> {
        let sql =
            "SELECT b.id, b.size, b.digest, b.refs FROM member m JOIN block b ON b.id = m.block WHERE m.dataset = ?1";
        let members: Vec<(i64, i64, [u8; 32], i64)> = self
            .transaction
            .prepare_cached(sql)?
            .query_map([dataset], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (id, size, digest, refs) in members {
            if refs > 1 {
                self.transaction.prepare_cached("UPDATE block SET refs = refs - 1 WHERE id = ?1")?.execute([id])?;
            } else {
                self.remove_block(id, size as u64, true)?;
                removed.push(Digest(digest));
            }
        }
        self.transaction.execute("DELETE FROM dataset WHERE id = ?1", [dataset])?;
        Ok(())
    }

    fn delete(&mut self, digest: Digest) -> Result<(bool, Vec<Digest>), BlocksError> {
        let mut removed = Vec::new();
        let sql = "SELECT id FROM dataset WHERE manifest = ?1";
        let dataset: Option<i64> = self.transaction.query_row(sql, params![digest.0], |row| row.get(0)).optional()?;
        if let Some(id) = dataset {
            self.remove_dataset(id, &mut removed)?;
            return Ok((true, removed));
        }
        match self.find(digest)? {
            Some((id, size, 0)) => {
                self.remove_block(id, size, false)?;
                Ok((true, vec![digest]))
            }
            // A block that a dataset of this node needs goes with its dataset, not alone.
            Some(_) | None => Ok((false, removed)),
        }
    }
}
