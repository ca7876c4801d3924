//! The schema's versions, embedded. A version that was released is never edited: a change is a new file and a new number here.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Newest schema that this build knows. A file with a newer one is refused.
pub const SCHEMA_VERSION: i64 = 3;

/// What SQLite's header says about a file of ours (`PRAGMA application_id`): the bytes `pmrk`. It keeps peermark from adding its
/// tables to the database of another program.
pub(crate) const APPLICATION_ID: i64 = 0x706d_726b;

const VERSIONS: [(i64, &str, &str); 3] = [
    (1, "evidence", include_str!("../migrations/sqlite/0001_evidence.sql")),
    (2, "dht", include_str!("../migrations/sqlite/0002_dht.sql")),
    (3, "records", include_str!("../migrations/sqlite/0003_records.sql")),
];

/// Every version as sqlx applies them.
pub(crate) fn migrator() -> Migrator {
    let migrations = VERSIONS.into_iter().map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_last_file() {
        assert_eq!(VERSIONS.last().map(|(version, ..)| *version), Some(SCHEMA_VERSION));
        assert!(VERSIONS.is_sorted_by_key(|(version, ..)| *version));
    }
}
