//! Why a store could not be opened.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;
use thiserror::Error;

use crate::schema::SCHEMA_VERSION;

/// Why a store could not be opened. Nothing was changed, except that a new file may have been created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened, created or written.
    #[error("cannot open store {}", path.display())]
    CannotOpen {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: sqlx::Error,
    },
    /// There is no such file and none was to be created.
    #[error("no store at {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is no SQLite database.
    #[error("not a database: {}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The file is a SQLite database, but damaged.
    #[error("damaged database: {}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The file is a sound SQLite database of another program.
    #[error("not a peermark store: {} (application id {application_id:#x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What its header says; 0 where the program did not sign it.
        application_id: i64,
    },
    /// A later version of peermark wrote the file.
    #[error("store {} has schema {found}, this version reads up to {SCHEMA_VERSION}: use a newer peermark", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the schema of {} up to date", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: MigrateError,
    },
    /// There is no such way to use TLS.
    #[error("unknown ssl mode {found:?}: one of {}", crate::dht::SSL_MODES.join(", "))]
    SslMode {
        /// What was asked for.
        found: String,
    },
    /// The PostgreSQL server cannot be reached, or does not let us in.
    #[error("cannot connect to PostgreSQL {server}")]
    Connect {
        /// Role, host, port and database.
        server: String,
        /// What the driver or the server said.
        source: sqlx::Error,
    },
    /// The PostgreSQL server broke or refused while the schema was looked at or written. Nothing of it was written.
    #[error("cannot bring the schema of PostgreSQL {server} up to date")]
    Schema {
        /// Role, host, port and database.
        server: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// parsec's tables are older than what we write.
    #[error(
        "parsec's schema in {server} is at version {found}, {expected} is needed: run parsec's own migrations first"
    )]
    OldParsec {
        /// Role, host, port and database.
        server: String,
        /// Its version.
        found: i64,
        /// The one that is needed.
        expected: i64,
    },
    /// One of parsec's migrations was interrupted.
    #[error(
        "parsec's schema in {server} is dirty at version {found}: repair it, then run parsec's own migrations first"
    )]
    DirtyParsec {
        /// Role, host, port and database.
        server: String,
        /// The version whose migration was interrupted.
        found: i64,
    },
    /// parsec's tables are newer than what we know.
    #[error("parsec's schema in {server} is at version {found}, this version knows {expected}: use a newer peermark")]
    NewParsec {
        /// Role, host, port and database.
        server: String,
        /// Its version.
        found: i64,
        /// The newest that is known.
        expected: i64,
    },
    /// There are tables of parsec's names, but nothing says what they are.
    #[error("{server} has a table {table:?} but no record of parsec's migrations")]
    UnknownTables {
        /// Role, host, port and database.
        server: String,
        /// The first of them.
        table: String,
    },
    /// A later version of peermark wrote the tables of our own.
    #[error(
        "the schema peermark in {server} has version {found}, this version reads up to {known}: use a newer peermark"
    )]
    NewerTables {
        /// Role, host, port and database.
        server: String,
        /// Its version.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
}
