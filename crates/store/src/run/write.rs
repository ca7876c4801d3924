//! Beginning, finishing and deleting runs.

use serde::de::IgnoredAny;
use sqlx::sqlite::SqliteConnection;

use super::{MAX_RESULT_BYTES, RunEnd, RunRecord, RunState, Validity, run_of_row, select_runs};
use crate::error::{StoreError, bounded, signed};
use crate::store::Store;

/// Longest run id.
const MAX_ID_BYTES: usize = 128;

/// Longest of the other texts of a run.
const MAX_TEXT_BYTES: usize = 1024;

impl Store {
    /// Stores that a run has begun. Its environment must be stored before.
    ///
    /// # Errors
    /// [`StoreError::BadRunId`], [`StoreError::DuplicateRun`], [`StoreError::NoSuchEnvironment`], a text or number beyond its
    /// bound, or a failing database.
    pub async fn begin_run(&self, run: &RunRecord) -> Result<(), StoreError> {
        const ACTION: &str = "begin a run";
        if !is_run_id(&run.id) {
            return Err(StoreError::BadRunId { id: run.id.clone() });
        }
        let mut transaction = self.begin_write(ACTION).await?;
        let inserted = sqlx::query(
            "INSERT INTO run (id, kind, name, scenario_fingerprint, seed, version, \"commit\", env, started_wall_ms, state) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&run.id)
        .bind(bounded("run kind", &run.kind, MAX_TEXT_BYTES)?)
        .bind(bounded("run name", &run.name, MAX_TEXT_BYTES)?)
        .bind(bounded("scenario fingerprint", &run.scenario_fingerprint, MAX_TEXT_BYTES)?)
        .bind(run.seed.0.cast_signed())
        .bind(bounded("version", &run.version, MAX_TEXT_BYTES)?)
        .bind(bounded("commit", &run.commit, MAX_TEXT_BYTES)?)
        .bind(&run.environment)
        .bind(signed("started_wall_ms", run.started_wall_ms)?)
        .bind(RunState::Started.as_str())
        .execute(&mut *transaction)
        .await;
        inserted.map_err(|source| match source.as_database_error() {
            Some(error) if error.is_unique_violation() => StoreError::DuplicateRun { id: run.id.clone() },
            Some(error) if error.is_foreign_key_violation() => {
                StoreError::NoSuchEnvironment { fingerprint: run.environment.clone() }
            }
            _ => StoreError::Database { action: ACTION, source },
        })?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }

    /// Stores how a run ended. Done once per run.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], [`StoreError::AlreadyEnded`], a result that is no JSON or larger than [`MAX_RESULT_BYTES`], or a
    /// failing database.
    pub async fn finish_run(&self, id: &str, end: &RunEnd) -> Result<(), StoreError> {
        const ACTION: &str = "finish a run";
        if let Some(json) = &end.result_json {
            bounded("result", json, MAX_RESULT_BYTES)?;
            serde_json::from_str::<IgnoredAny>(json).map_err(|source| StoreError::Json { what: "result", source })?;
        }
        let duration_ns = signed("duration_ns", end.duration_ns)?;
        let mut transaction = self.begin_write(ACTION).await?;
        let state = state_of(&mut transaction, id).await?;
        if state != RunState::Started {
            return Err(StoreError::AlreadyEnded { id: id.to_owned(), state });
        }
        sqlx::query("UPDATE run SET state = $2, validity = $3, duration_ns = $4, result = $5 WHERE id = $1")
            .bind(id)
            .bind(RunState::Ended(end.ending).as_str())
            .bind(end.validity.map(Validity::as_str))
            .bind(duration_ns)
            .bind(end.result_json.as_deref())
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::while_doing(ACTION))?;
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }

    /// Deletes a run with its series, histograms, observations and events. Environments and parties stay, others may refer to
    /// them. The space is used again by later evidence; the file does not shrink.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`] or a failing database.
    pub async fn delete_run(&self, id: &str) -> Result<(), StoreError> {
        const ACTION: &str = "delete a run";
        let mut transaction = self.begin_write(ACTION).await?;
        let deleted = sqlx::query("DELETE FROM run WHERE id = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await
            .map_err(StoreError::while_doing(ACTION))?;
        if deleted.rows_affected() == 0 {
            return Err(StoreError::NoSuchRun { id: id.to_owned() });
        }
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }
}

async fn state_of(connection: &mut SqliteConnection, id: &str) -> Result<RunState, StoreError> {
    let row = sqlx::query(select_runs!("run WHERE id = $1"))
        .bind(id)
        .fetch_optional(connection)
        .await
        .map_err(StoreError::while_doing("read a run"))?
        .ok_or_else(|| StoreError::NoSuchRun { id: id.to_owned() })?;
    Ok(run_of_row(&row)?.state)
}

/// Ids name directories: nothing that a path or a command line would read as something else.
fn is_run_id(id: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&id.len())
        && !id.starts_with(['.', '-'])
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_names_of_directories() {
        for good in ["20260730-101500-ab12", "a", "A.b_c-d", &"x".repeat(128)] {
            assert!(is_run_id(good), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "-rf", "a/b", "a b", "ü", "a\0", &"x".repeat(129)] {
            assert!(!is_run_id(bad), "{bad}");
        }
    }
}
