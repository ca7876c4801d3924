//! Machines and kinds of build, each stored once under its fingerprint.
//!
//! The fingerprint leaves out version and commit, since equal fingerprints must mean that two runs differ in the code alone. So
//! those two belong to the run, and an [`Environment`] is put together from both.

use peermark_core::Environment;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use crate::error::{RowError, RowKey, StoreError};
use crate::store::Store;

/// What `env.json` holds: everything that the fingerprint covers.
#[derive(Serialize, Deserialize)]
struct Machine {
    kernel: String,
    cpu: String,
    cores: u32,
    memory_bytes: u64,
    governor: Option<String>,
    build: String,
}

impl Machine {
    fn with_code(self, version: String, commit: String) -> Environment {
        let Self { kernel, cpu, cores, memory_bytes, governor, build } = self;
        Environment { version, commit, kernel, cpu, cores, memory_bytes, governor, build }
    }
}

impl Store {
    /// Stores where something was measured, unless it is there already, and returns its fingerprint. Runs and series refer to
    /// it, so it comes before them. Version and commit are not stored here but with each run.
    ///
    /// # Errors
    /// [`StoreError`] when the database fails.
    pub async fn put_environment(&self, environment: &Environment) -> Result<String, StoreError> {
        const ACTION: &str = "store an environment";
        let Environment { kernel, cpu, cores, memory_bytes, governor, build, version: _, commit: _ } =
            environment.clone();
        let machine = Machine { kernel, cpu, cores, memory_bytes, governor, build };
        let json =
            serde_json::to_string(&machine).map_err(|source| StoreError::Json { what: "environment", source })?;
        let fingerprint = environment.fingerprint();
        let mut transaction = self.begin_write(ACTION).await?;
        sqlx::query("INSERT INTO env (fingerprint, json) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(&fingerprint)
            .bind(json)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::while_doing(ACTION))?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))?;
        Ok(fingerprint)
    }

    /// Machine and build of a run.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or that the stored row cannot be read.
    pub async fn environment_of(&self, run: &str) -> Result<Environment, StoreError> {
        let row = sqlx::query(
            "SELECT e.fingerprint, e.json, r.version, r.\"commit\" FROM run r JOIN env e ON e.fingerprint = r.env \
             WHERE r.id = $1",
        )
        .bind(run)
        .fetch_optional(self.read())
        .await
        .map_err(StoreError::while_doing("read an environment"))?
        .ok_or_else(|| StoreError::NoSuchRun { id: run.to_owned() })?;
        let text =
            |column: &str| row.try_get::<String, _>(column).map_err(StoreError::while_doing("read an environment"));
        Ok(parse(text("fingerprint")?, &text("json")?)?.with_code(text("version")?, text("commit")?))
    }
}

/// Checks that a stored environment is readable and is what its key says.
pub(crate) fn check(fingerprint: String, json: &str) -> Result<(), RowError> {
    let found = parse(fingerprint.clone(), json)?.with_code(String::new(), String::new()).fingerprint();
    if found == fingerprint {
        return Ok(());
    }
    Err(RowError::Fingerprint { row: RowKey::Environment { fingerprint }, found })
}

fn parse(fingerprint: String, json: &str) -> Result<Machine, RowError> {
    serde_json::from_str(json).map_err(|source| RowError::Json { row: RowKey::Environment { fingerprint }, source })
}
