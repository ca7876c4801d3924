//! Which version the tables in PostgreSQL have, and the missing ones of them.
//!
//! parsec's programs apply their migrations at start, with golang-migrate 4.19: its record is one row of `schema_migrations`, and
//! its lock is PostgreSQL's advisory lock on a number made from the names of database, schema and record. Taking the same lock
//! keeps one of them and one of us from filling an empty database at the same time.

use sqlx::{Connection, PgConnection, Row};

use crate::open::OpenError;

/// The version of parsec's schema that is written and read, as its migrations count.
pub const PARSEC_VERSION: i64 = 6;

/// The version of the tables of our own.
const OWN_VERSION: i64 = 1;

const PARSEC_TABLES: &str = include_str!("../../migrations/postgres/parsec_0006.sql");
const OWN_TABLES: &str = include_str!("../../migrations/postgres/0001_dht.sql");

/// Where golang-migrate keeps its record, in the schema that is current.
const RECORD: &str = "schema_migrations";

/// golang-migrate's `advisoryLockIDSalt`.
const LOCK_SALT: u32 = 1_486_364_155;

/// Brings both schemas up to date in one transaction under golang-migrate's lock.
pub(super) async fn bring_up_to_date(server: &str, connection: &mut PgConnection) -> Result<(), OpenError> {
    let failed = |source| OpenError::Schema { server: server.to_owned(), source };
    let mut transaction = connection.begin().await.map_err(failed)?;
    lock(&mut transaction).await.map_err(failed)?;
    match parsec_version(&mut transaction).await.map_err(failed)? {
        None => {
            if let Some(table) = first_table(&mut transaction).await.map_err(failed)? {
                return Err(OpenError::UnknownTables { server: server.to_owned(), table });
            }
            create_parsec_tables(&mut transaction).await.map_err(failed)?;
        }
        Some(record) => check_parsec(server, record)?,
    }
    match own_version(&mut transaction).await.map_err(failed)? {
        None => {
            create_own_schema(&mut transaction).await.map_err(failed)?;
            sqlx::raw_sql(OWN_TABLES).execute(&mut *transaction).await.map_err(failed)?;
        }
        Some(found) if found > OWN_VERSION => {
            return Err(OpenError::NewerTables { server: server.to_owned(), found, known: OWN_VERSION });
        }
        Some(_) => {}
    }
    transaction.commit().await.map_err(failed)
}

fn check_parsec(server: &str, (found, dirty): (i64, bool)) -> Result<(), OpenError> {
    let (server, expected) = (server.to_owned(), PARSEC_VERSION);
    match found.cmp(&expected) {
        _ if dirty => Err(OpenError::DirtyParsec { server, found }),
        std::cmp::Ordering::Less => Err(OpenError::OldParsec { server, found, expected }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(OpenError::NewParsec { server, found, expected }),
    }
}

async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let names = sqlx::query("SELECT current_database()::text AS database, current_schema()::text AS schema")
        .fetch_one(&mut *connection)
        .await?;
    let (database, schema): (String, Option<String>) = (names.try_get("database")?, names.try_get("schema")?);
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock_id(&schema.unwrap_or_default(), &database))
        .execute(connection)
        .await
        .map(drop)
}

/// golang-migrate's `GenerateAdvisoryLockId`.
fn lock_id(schema: &str, database: &str) -> i64 {
    crc32(format!("{schema}\0{RECORD}\0{database}").as_bytes()).wrapping_mul(LOCK_SALT).into()
}

/// CRC-32 as in ISO 3309, zip and Go's `hash/crc32` (IEEE).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

/// Version and dirtiness; `None` where no migration was ever recorded.
async fn parsec_version(connection: &mut PgConnection) -> Result<Option<(i64, bool)>, sqlx::Error> {
    if !is_there(connection, RECORD).await? {
        return Ok(None);
    }
    let record = sqlx::query("SELECT version, dirty FROM schema_migrations LIMIT 1").fetch_optional(connection).await?;
    record.map(|record| Ok((record.try_get("version")?, record.try_get("dirty")?))).transpose()
}

/// A table that parsec's migrations would find in their way.
async fn first_table(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    let names =
        ["runs", "nodes", "retrievals", "provides", "schedulers_ecs", "nodes_ecs", "retrievals_ecs", "provides_ecs"];
    for name in names {
        if is_there(connection, name).await? {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}

async fn create_parsec_tables(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(PARSEC_TABLES).execute(&mut *connection).await?;
    // golang-migrate makes its record before the first migration, so an empty one may be there.
    let record =
        "CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL)";
    sqlx::raw_sql(record).execute(&mut *connection).await?;
    sqlx::query("INSERT INTO schema_migrations (version, dirty) VALUES ($1, false)")
        .bind(PARSEC_VERSION)
        .execute(connection)
        .await
        .map(drop)
}

async fn own_version(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    if !is_there(connection, "peermark.schema_version").await? {
        return Ok(None);
    }
    let newest = "SELECT max(version)::bigint FROM peermark.schema_version";
    sqlx::query_scalar(newest).fetch_one(connection).await
}

/// Asks first: the statement alone wants the right to create schemas, also where an administrator has made this one.
async fn create_own_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let there: bool =
        sqlx::query_scalar("SELECT to_regnamespace('peermark') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !there {
        sqlx::raw_sql("CREATE SCHEMA peermark").execute(connection).await?;
    }
    Ok(())
}

async fn is_there(connection: &mut PgConnection, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32/ISO-HDLC, and a lock that was computed with another implementation of it.
    #[test]
    fn the_lock_is_golang_migrates() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(lock_id("public", "parsec"), 764_166_086);
    }
}
