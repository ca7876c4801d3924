//! The reading thread: serves what the memory cache does not hold.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::{mpsc, oneshot};

use super::writer::Write;
use super::{BlockCounters, BlocksError, StoredManifest};
use crate::content::{Digest, Manifest, digest_of};

type Reply<T> = oneshot::Sender<Result<T, BlocksError>>;

/// A request to the reading thread.
#[derive(Debug)]
pub(super) enum Read {
    Get { digest: Digest, reply: Reply<Option<Bytes>> },
    Has { digest: Digest, reply: Reply<bool> },
    Manifests { skip: u64, limit: u32, reply: Reply<Vec<StoredManifest>> },
}

struct Reader {
    connection: Connection,
    writer: mpsc::WeakSender<Write>,
    counters: Arc<BlockCounters>,
}

/// Starts the thread; it ends when the last sender is gone.
pub(super) fn start(
    connection: Connection,
    mut requests: mpsc::Receiver<Read>,
    writer: mpsc::WeakSender<Write>,
    counters: Arc<BlockCounters>,
) -> Result<(), BlocksError> {
    let reader = Reader { connection, writer, counters };
    spawn("blocks-read", move || {
        while let Some(request) = requests.blocking_recv() {
            reader.serve(request);
        }
    })
}

/// A named thread with a small stack: the store's threads only call SQLite.
pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), BlocksError> {
    let builder = std::thread::Builder::new().name(name.into()).stack_size(512 << 10);
    builder.spawn(run).map(drop).map_err(|error| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOMEM);
        BlocksError::Database(rusqlite::Error::SqliteFailure(code, Some(format!("cannot start thread: {error}"))))
    })
}

impl Reader {
    fn serve(&self, request: Read) {
        // A requester that went away needs no answer, so a failed send is no error.
        match request {
            Read::Get { digest, reply } => drop(reply.send(self.get(digest))),
            Read::Has { digest, reply } => drop(reply.send(self.has(digest))),
            Read::Manifests { skip, limit, reply } => drop(reply.send(self.manifests(skip, limit))),
        }
    }

    fn get(&self, digest: Digest) -> Result<Option<Bytes>, BlocksError> {
        let mut statement = self.connection.prepare_cached("SELECT data FROM block WHERE digest = ?1")?;
        let found: Option<Vec<u8>> = statement.query_row(params![digest.0], |row| row.get(0)).optional()?;
        let Some(bytes) = found else { return Ok(None) };
        if digest_of(&bytes) == digest {
            return Ok(Some(bytes.into()));
        }
        tracing::error!(?digest, "block on disk fails its hash; removing it");
        self.counters.corrupt.fetch_add(1, Ordering::Relaxed);
        if let Some(writer) = self.writer.upgrade() {
            let (reply, _) = oneshot::channel();
            // A full queue only delays the removal until the block is read again.
            drop(writer.try_send(Write::DropCorrupt { digest, reply }));
        }
        Ok(None)
    }

    fn has(&self, digest: Digest) -> Result<bool, BlocksError> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM block WHERE digest = ?1")?;
        Ok(statement.query_row(params![digest.0], |_| Ok(())).optional()?.is_some())
    }

    fn manifests(&self, skip: u64, limit: u32) -> Result<Vec<StoredManifest>, BlocksError> {
        let sql = "SELECT m.digest, m.body, b.refs > 0 FROM manifest m JOIN block b ON b.id = m.block \
                   ORDER BY m.block LIMIT ?1 OFFSET ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![limit, skip.min(i64::MAX as u64) as i64], |row| {
            Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, Vec<u8>>(1)?, row.get(2)?))
        })?;
        let mut found = Vec::new();
        for row in rows {
            let (digest, body, own) = row?;
            if let Ok(manifest) = Manifest::decode(&body) {
                found.push(StoredManifest { digest: Digest(digest), manifest, own });
            }
        }
        Ok(found)
    }
}
