//! The handle on one database.
//!
//! Two pools stand behind it: one connection that writes, so that writers of this process queue in order instead of meeting
//! each other's locks, and a few that only read. Every write is one transaction that takes the write lock at its beginning:
//! SQLite refuses to turn a reading transaction into a writing one when somebody else wrote meanwhile, whatever the timeout.

use sqlx::{Pool, Sqlite, Transaction};

use crate::error::StoreError;

/// Evidence of many runs in one database. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Store {
    write: Pool<Sqlite>,
    read: Pool<Sqlite>,
}

impl Store {
    pub(crate) fn new(write: Pool<Sqlite>, read: Pool<Sqlite>) -> Self {
        Self { write, read }
    }

    /// Closes every connection after its running call and folds the write-ahead log into the file. Calls that come later, also
    /// on clones, fail. Dropping the last clone instead loses nothing but leaves the log for the next one who opens.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    /// For queries.
    pub(crate) fn read(&self) -> &Pool<Sqlite> {
        &self.read
    }

    /// A transaction that holds the write lock. It is rolled back unless it is committed.
    pub(crate) async fn begin_write(&self, action: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.write.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::while_doing(action))
    }

    /// A transaction in which every query sees the database at one moment.
    pub(crate) async fn begin_read(&self, action: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.read.begin().await.map_err(StoreError::while_doing(action))
    }
}
