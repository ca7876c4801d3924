//! Opening a database: whose file it is, which schema it has, how it is set up.
//!
//! Durability: write-ahead log with `synchronous = FULL`. A commit is synced before its call returns, so what a caller was told is
//! stored survives a loss of power and not only the end of the process. NORMAL would save one `fdatasync` per transaction
//! and lose the last ones; since evidence is written in batches, that sync is paid once for thousands of rows.
//!
//! Order: a file is looked at before anything in it changes, so that the database of another program, or of a newer peermark,
//! stays as it was. Then comes the write-ahead log, then every missing schema version in one transaction.

mod error;

use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

pub use error::OpenError;

use crate::error::{SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_NOTADB, primary_code};
use crate::schema::{APPLICATION_ID, SCHEMA_VERSION, migrator};
use crate::store::Store;

/// How long a call waits for another process that writes. Longer than any batch of ours takes, checkpoint included.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause between attempts to switch to the write-ahead log, which SQLite does not wait for by itself, and their number: as long
/// as [`BUSY_TIMEOUT`] together.
const WAL_RETRY: Duration = Duration::from_millis(20);
const WAL_ATTEMPTS: u32 = 500;

/// SQLite's default since 2016, which no store changes.
const PAGE_BYTES: u64 = 4096;

/// Connections that only read.
const READERS: u32 = 4;

/// Pages that a small store keeps in memory per connection, as SQLite takes it: negative is KiB.
const SMALL_CACHE: &str = "-512";

/// Pages of log that a small store gathers before it folds them into the file: 1 MiB, which also bounds what of the log is mapped.
const SMALL_LOG_PAGES: &str = "256";

/// How to open a store. The default is what [`Store::open`] does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Take little memory: one connection that writes, one that reads, 512 KiB of pages each, a log of about 1 MiB. For a process in
    /// which the store is not the main thing; large queries are slower.
    pub small: bool,
    /// The file does not grow beyond this: what would make it grow fails as on a full disk ([`crate::StoreError::is_full`]). A file
    /// that is larger already stays as it is and does not grow. Its log comes on top.
    pub max_bytes: Option<u64>,
}

/// Whether opening may create the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Create {
    Yes,
    No,
}

impl Store {
    /// Opens the store at `path` and creates the file where there is none. Directories are not created.
    ///
    /// Several processes may have the same file open; each waits up to 10 s for the one that writes. The file needs a local
    /// file system: the write-ahead log shares memory between its users.
    ///
    /// # Errors
    /// [`OpenError`], each naming the path.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, OpenOptions::default()).await
    }

    /// As [`Store::open`], in another way than the default one.
    ///
    /// # Errors
    /// [`OpenError`], each naming the path.
    pub async fn open_with(path: &Path, options: OpenOptions) -> Result<Self, OpenError> {
        open_file(path, Create::Yes, options).await
    }

    /// Opens the store at `path`, which must exist: for readers, who should not leave an empty file behind a mistyped name.
    ///
    /// # Errors
    /// [`OpenError`], each naming the path.
    pub async fn open_existing(path: &Path) -> Result<Self, OpenError> {
        if !path.exists() {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        open_file(path, Create::No, OpenOptions::default()).await
    }

    /// A store in memory, gone with its last clone. One connection serves reads and writes.
    ///
    /// # Errors
    /// [`OpenError`] with the path `:memory:`.
    pub async fn open_memory() -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true).disable_statement_logging();
        // A second connection would see a database of its own, and a closed one takes the database with it.
        let pool = PoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options)
            .await
            .map_err(|source| classify(path, source))?;
        let mut connection = pool.acquire().await.map_err(|source| classify(path, source))?;
        migrate(path, &mut connection).await?;
        drop(connection);
        Ok(Self::in_memory(pool))
    }
}

impl OpenOptions {
    fn apply(self, mut options: SqliteConnectOptions) -> SqliteConnectOptions {
        if self.small {
            options = options
                .pragma("cache_size", SMALL_CACHE)
                .pragma("wal_autocheckpoint", SMALL_LOG_PAGES)
                .pragma("journal_size_limit", "1048576")
                .statement_cache_capacity(32);
        }
        if let Some(bytes) = self.max_bytes {
            // Pages have SQLite's default size. At least one, because 0 means no limit.
            options = options.pragma("max_page_count", (bytes / PAGE_BYTES).max(1).to_string());
        }
        options
    }
}

async fn open_file(path: &Path, create: Create, how: OpenOptions) -> Result<Store, OpenError> {
    // An absolute path cannot be taken for a URI or for ":memory:".
    let absolute = std::path::absolute(path)
        .map_err(|error| OpenError::CannotOpen { path: path.to_owned(), source: sqlx::Error::Io(error) })?;
    let options = SqliteConnectOptions::new()
        .filename(absolute)
        .create_if_missing(create == Create::Yes)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging();
    let options = how.apply(options);

    let mut connection = options.connect().await.map_err(|source| classify(path, source))?;
    inspect(path, &mut connection).await?;
    use_write_ahead_log(&mut connection).await.map_err(|source| classify(path, source))?;
    migrate(path, &mut connection).await?;
    connection.close().await.map_err(|source| classify(path, source))?;

    let pool = |connections| PoolOptions::new().max_connections(connections).test_before_acquire(false);
    let write = pool(1).connect_with(options.clone()).await.map_err(|source| classify(path, source))?;
    let read = pool(if how.small { 1 } else { READERS })
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(|source| classify(path, source))?;
    Ok(Store::in_file(write, read))
}

/// Refuses what is not ours to change. Looks at one moment: another process may be making the file a store right now.
async fn inspect(path: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let failed = |source| classify(path, source);
    let mut moment = connection.begin().await.map_err(failed)?;
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *moment).await.map_err(failed)?;
    let application_id: i64 =
        sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *moment).await.map_err(failed)?;
    if application_id != APPLICATION_ID && (application_id != 0 || tables > 0) {
        return Err(OpenError::Foreign { path: path.to_owned(), application_id });
    }
    if tables == 0 {
        return Ok(());
    }
    let newest: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
        .fetch_one(&mut *moment)
        .await
        .map_err(failed)?;
    match newest {
        Some(found) if found > SCHEMA_VERSION => Err(OpenError::NewerSchema { path: path.to_owned(), found }),
        _ => Ok(()),
    }
}

/// Lasting property of the file; tried again while another process opens it for the first time too.
async fn use_write_ahead_log(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut attempts = 1..WAL_ATTEMPTS;
    loop {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
            Err(error) if primary_code(&error) == Some(SQLITE_BUSY) && attempts.next().is_some() => {
                tokio::time::sleep(WAL_RETRY).await;
            }
            other => return other.map(drop),
        }
    }
}

/// Applies every missing version in one transaction that holds the write lock, so that of two processes which open a new file
/// the second finds it done.
async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let failed = |source| classify(path, source);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    // Part of the transaction like any other write to the file's first page. The number is APPLICATION_ID.
    sqlx::query("PRAGMA application_id = 1886220907").execute(&mut *transaction).await.map_err(failed)?;
    migrator()
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|source| OpenError::Migrate { path: path.to_owned(), source })?;
    transaction.commit().await.map_err(failed)
}

fn classify(path: &Path, source: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match primary_code(&source) {
        Some(SQLITE_NOTADB) => OpenError::NotADatabase { path, source },
        Some(SQLITE_CORRUPT) => OpenError::Damaged { path, source },
        _ => OpenError::CannotOpen { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_connection_that_writes_syncs_every_commit_and_holds_references() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(&directory.path().join("peermark.db")).await.expect("a new store");
        let mut transaction = store.begin_write("look").await.expect("the write lock");
        for (pragma, expected) in [("PRAGMA synchronous", 2), ("PRAGMA foreign_keys", 1)] {
            let found: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *transaction).await.expect("a number");
            assert_eq!(found, expected, "{pragma}");
        }
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *transaction).await.expect("a word");
        assert_eq!(mode, "wal");
    }
}
