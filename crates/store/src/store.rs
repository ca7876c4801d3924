//! The handle on one database.
//!
//! Two pools stand behind it: one connection that writes, so that writers of this process queue in order instead of meeting
//! each other's locks, and a few that only read. Every write is one transaction that takes the write lock at its beginning:
//! SQLite refuses to turn a reading transaction into a writing one when somebody else wrote meanwhile, whatever the timeout.

use sqlx::{Error, Pool, Sqlite, Transaction};

use crate::error::StoreError;

/// Evidence of many runs in one database. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    write: Pool<Sqlite>,
    read: Pool<Sqlite>,
    /// In a file, so that a connection can be made anew without losing anything.
    in_file: bool,
}

/// Bytes of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Of the file, without its log.
    pub file_bytes: u64,
    /// What of it holds something. The rest is used again before the file grows.
    pub used_bytes: u64,
}

impl Store {
    pub(crate) fn in_file(write: Pool<Sqlite>, read: Pool<Sqlite>) -> Self {
        Self { write, read, in_file: true }
    }

    pub(crate) fn in_memory(pool: Pool<Sqlite>) -> Self {
        Self { write: pool.clone(), read: pool, in_file: false }
    }

    /// Closes every connection after its running call and folds the write-ahead log into the file. Calls that come later, also
    /// on clones, fail. Dropping the last clone instead loses nothing but leaves the log for the next one who opens.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// How large the database is.
    ///
    /// # Errors
    /// A failing database.
    pub async fn size(&self) -> Result<Size, StoreError> {
        let sizes: (i64, i64, i64) = sqlx::query_as(
            "SELECT page_size, page_count, freelist_count \
             FROM pragma_page_size, pragma_page_count, pragma_freelist_count",
        )
        .fetch_one(self.read())
        .await
        .map_err(StoreError::while_doing("read the size of the store"))?;
        let [page, count, free] = [sizes.0, sizes.1, sizes.2].map(i64::unsigned_abs);
        Ok(Size { file_bytes: page * count, used_bytes: page * count.saturating_sub(free) })
    }

    /// For queries.
    pub(crate) fn read(&self) -> &Pool<Sqlite> {
        &self.read
    }

    /// A transaction that holds the write lock. It is rolled back unless it is committed.
    pub(crate) async fn begin_write(&self, action: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        let failed = StoreError::while_doing(action);
        match self.write.begin_with("BEGIN IMMEDIATE").await {
            // On a full disk SQLite rolls back by itself. The driver then fails to do it again and takes the connection to be in
            // that transaction for ever, so it needs another connection.
            Err(Error::InvalidSavePointStatement) if self.in_file => {
                let stuck = self.write.acquire().await.map_err(&failed)?;
                stuck.close().await.map_err(&failed)?;
                self.write.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)
            }
            begun => begun.map_err(&failed),
        }
    }

    /// A transaction in which every query sees the database at one moment.
    pub(crate) async fn begin_read(&self, action: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.read.begin().await.map_err(StoreError::while_doing(action))
    }
}
