//! The database file: opening it, its version, its tables.
//!
//! `block.refs` counts the datasets of this node that a block belongs to; 0 means cache. `member` says which. `manifest` lists
//! the manifest blocks that are here, so that listing datasets reads no data. `counter` holds the totals, updated in the same
//! transaction as the rows they count.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Blocks, BlocksError, Location};

/// Version of the tables, in SQLite's `user_version`.
const VERSION: i64 = 1;

/// `application_id` of the file ("pmrk"), so that another program's database is not taken for ours.
const APPLICATION_ID: i64 = 0x706d_726b;

const TABLES: &str = "
CREATE TABLE block (
    id     INTEGER PRIMARY KEY,
    digest BLOB    NOT NULL UNIQUE,
    size   INTEGER NOT NULL,
    refs   INTEGER NOT NULL,
    data   BLOB    NOT NULL
);
CREATE INDEX block_cached ON block (id) WHERE refs = 0;
CREATE TABLE dataset (
    id       INTEGER PRIMARY KEY,
    manifest BLOB UNIQUE
);
CREATE TABLE member (
    dataset INTEGER NOT NULL REFERENCES dataset (id) ON DELETE CASCADE,
    block   INTEGER NOT NULL,
    PRIMARY KEY (dataset, block)
) WITHOUT ROWID;
CREATE TABLE manifest (
    block  INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    body   BLOB NOT NULL
);
CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counter VALUES ('blocks', 0), ('bytes', 0), ('pinned_bytes', 0);
";

/// The connections of an open store.
pub(super) struct Database {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
}

/// Opens the writing and the reading connection, creating or checking the tables.
pub(super) fn open(location: &Location) -> Result<Database, BlocksError> {
    match location {
        Location::Directory(directory) => {
            let path = Blocks::file(directory);
            let open = |source| BlocksError::Open { path: path.display().to_string(), source };
            let writer = open_writer(&path).map_err(open)?;
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(&path, flags).map_err(open)?;
            reader.busy_timeout(Duration::from_secs(5)).map_err(open)?;
            reader.pragma_update(None, "cache_size", -512).map_err(open)?;
            Ok(Database { writer, reader })
        }
        Location::Memory => {
            // Both connections see one database that lives as long as either of them.
            let name = format!("file:blocks-{:032x}?mode=memory&cache=shared", rand::random::<u128>());
            let open = |source| BlocksError::Open { path: "memory".into(), source };
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let writer = Connection::open_with_flags(&name, flags).map_err(open)?;
            prepare(&writer).map_err(open)?;
            let reader = Connection::open_with_flags(&name, flags).map_err(open)?;
            // Shared-cache readers would fail with SQLITE_LOCKED beside a writer; blocks are immutable, so a dirty read is
            // either the block or nothing, and its hash is checked.
            reader.pragma_update(None, "read_uncommitted", true).map_err(open)?;
            Ok(Database { writer, reader })
        }
    }
}

fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let writer = Connection::open_with_flags(path, flags)?;
    writer.busy_timeout(Duration::from_secs(5))?;
    // 16 KiB pages: a 64 KiB block takes 5 pages, not 17.
    writer.pragma_update(None, "page_size", 16_384)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "synchronous", "NORMAL")?;
    writer.pragma_update(None, "cache_size", -1024)?;
    writer.pragma_update(None, "journal_size_limit", 32 << 20)?;
    prepare(&writer)?;
    Ok(writer)
}

fn prepare(writer: &Connection) -> rusqlite::Result<()> {
    writer.pragma_update(None, "foreign_keys", true)?;
    let version: i64 = writer.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i64 = writer.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = writer.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    match (application, version, tables) {
        (0, 0, 0) => {
            writer.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;"))?;
            writer.pragma_update(None, "application_id", APPLICATION_ID)?;
            writer.pragma_update(None, "user_version", VERSION)
        }
        (APPLICATION_ID, VERSION, _) => Ok(()),
        (APPLICATION_ID, newer, _) => {
            Err(not_ours(format!("version {newer} of the file, this program reads {VERSION}")))
        }
        _ => Err(not_ours("the file is another program's database".into())),
    }
}

fn not_ours(reason: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB), Some(reason))
}
