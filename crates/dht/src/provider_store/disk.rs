//! Provider records on disk, so that a server that starts again still holds what it was sent.
//!
//! A thread of its own writes behind: the swarm's task answers others from memory and never waits for a disk. What a crash takes is
//! the last tenth of a second of records, which their publishers sent to nineteen others too.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use libp2p::PeerId;
use peermark_core::Clock;
use rusqlite::{Connection, params};
use thiserror::Error;

/// Name of the file in the directory that is named.
const FILE_NAME: &str = "providers.db";

/// Changes that wait for the disk. Beyond it they are not kept, which is counted.
const MAX_WAITING: usize = 65_536;

/// How long changes are gathered for one transaction.
const GATHER: Duration = Duration::from_millis(100);

/// How often expired records are deleted.
const SWEEP: Duration = Duration::from_secs(3600);

/// Changes of one transaction.
const MAX_BATCH: usize = 4096;

/// Why records cannot be kept on disk.
#[derive(Debug, Error)]
#[error("keep provider records in {directory}")]
pub struct DiskError {
    directory: String,
    /// What the system or the database said.
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// One change.
#[derive(Debug)]
pub(super) enum Change {
    /// A provider of a key, until a moment of the wall clock.
    Add { key: Vec<u8>, provider: PeerId, addresses: Vec<u8>, until_ms: u64 },
    /// A provider no longer.
    Remove { key: Vec<u8>, provider: PeerId },
    /// A key that made room.
    Forget { key: Vec<u8> },
}

/// A record that was kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: Vec<u8>,
    pub(super) provider: PeerId,
    pub(super) addresses: Vec<u8>,
    pub(super) until_ms: u64,
}

/// Takes changes without waiting.
#[derive(Debug)]
pub(super) struct Disk {
    changes: SyncSender<Change>,
    lost: u64,
}

impl Disk {
    /// Opens the file, reads what is not expired and starts the writer, which ends with this value.
    pub(super) fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Vec<Kept>), DiskError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| DiskError {
            directory: directory.display().to_string(),
            source,
        };
        std::fs::create_dir_all(directory).map_err(|error| failed(error.into()))?;
        let connection = Connection::open(directory.join(FILE_NAME)).map_err(|error| failed(error.into()))?;
        let kept = prepare(&connection, clock.wall_ms()).map_err(|error| failed(error.into()))?;
        let (changes, receiver) = sync_channel(MAX_WAITING);
        std::thread::Builder::new()
            .name("providers".into())
            .spawn(move || write_behind(connection, &receiver, &*clock))
            .map_err(|error| failed(error.into()))?;
        Ok((Self { changes, lost: 0 }, kept))
    }

    /// Hands a change on.
    pub(super) fn change(&mut self, change: Change) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.changes.try_send(change) {
            if self.lost == 0 {
                tracing::warn!("the disk does not keep up: provider records are held in memory only");
            }
            self.lost += 1;
        }
    }
}

fn prepare(connection: &Connection, now_ms: u64) -> rusqlite::Result<Vec<Kept>> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS provider (
            key BLOB NOT NULL, peer BLOB NOT NULL, addresses BLOB NOT NULL, until_ms INTEGER NOT NULL,
            PRIMARY KEY (key, peer)
         ) STRICT, WITHOUT ROWID;",
    )?;
    expire(connection, now_ms)?;
    let mut statement =
        connection.prepare("SELECT key, peer, addresses, until_ms FROM provider ORDER BY until_ms LIMIT 1000000")?;
    let rows = statement.query_map([], |row| {
        let peer: Vec<u8> = row.get(1)?;
        let until_ms: i64 = row.get(3)?;
        Ok((row.get(0)?, peer, row.get(2)?, until_ms.unsigned_abs()))
    })?;
    let mut kept = Vec::new();
    for row in rows {
        let (key, peer, addresses, until_ms) = row?;
        // A row that is no record is left where it is; it expires.
        let Ok(provider) = PeerId::from_bytes(&peer) else { continue };
        kept.push(Kept { key, provider, addresses, until_ms });
    }
    Ok(kept)
}

/// Writes until the sender is gone and everything is written. Once an hour what has expired goes.
fn write_behind(mut connection: Connection, changes: &Receiver<Change>, clock: &dyn Clock) {
    let mut swept_ms = clock.wall_ms();
    loop {
        let mut batch = match changes.recv_timeout(SWEEP) {
            Ok(change) => vec![change],
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        while !batch.is_empty()
            && batch.len() < MAX_BATCH
            && let Ok(change) = changes.recv_timeout(GATHER)
        {
            batch.push(change);
        }
        let now_ms = clock.wall_ms();
        let sweep = now_ms.saturating_sub(swept_ms) >= SWEEP.as_millis() as u64;
        let written =
            write(&mut connection, &batch).and_then(|()| if sweep { expire(&connection, now_ms) } else { Ok(()) });
        if sweep {
            swept_ms = now_ms;
        }
        if let Err(error) = written {
            tracing::warn!(%error, changes = batch.len(), "cannot keep provider records on disk");
        }
    }
}

fn expire(connection: &Connection, now_ms: u64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM provider WHERE until_ms <= ?1", params![now_ms.cast_signed()]).map(drop)
}

fn write(connection: &mut Connection, batch: &[Change]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for change in batch {
        match change {
            Change::Add { key, provider, addresses, until_ms } => transaction
                .prepare_cached("INSERT OR REPLACE INTO provider VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![key, provider.to_bytes(), addresses, until_ms.cast_signed()])?,
            Change::Remove { key, provider } => transaction
                .prepare_cached("DELETE FROM provider WHERE key = ?1 AND peer = ?2")?
                .execute(params![key, provider.to_bytes()])?,
            Change::Forget { key } => {
                transaction.prepare_cached("DELETE FROM provider WHERE key = ?1")?.execute(params![key])?
            }
        };
    }
    transaction.commit()
}
