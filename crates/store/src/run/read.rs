//! Listing and finding runs.

use sqlx::{QueryBuilder, Row, Sqlite};

use super::{MAX_RUNS, Run, RunFilter, run_of_row, select_runs};
use crate::error::{StoreError, signed};
use crate::store::Store;

/// Candidates that an ambiguous prefix names.
const NAMED_CANDIDATES: u32 = 10;

impl Store {
    /// Runs that pass the filter, newest first.
    ///
    /// # Errors
    /// [`StoreError`] when a row cannot be read or the database fails.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let mut query = QueryBuilder::<Sqlite>::new(select_runs!("run WHERE started_wall_ms >= "));
        query.push_bind(signed("since_wall_ms", filter.since_wall_ms.unwrap_or(0))?);
        if let Some(kind) = &filter.kind {
            query.push(" AND kind = ").push_bind(kind);
        }
        if let Some(name) = &filter.name {
            query.push(" AND name = ").push_bind(name);
        }
        query.push(" ORDER BY started_wall_ms DESC, id DESC LIMIT ");
        query.push_bind(i64::from(filter.limit.min(MAX_RUNS)));
        let rows = query.build().fetch_all(self.read()).await.map_err(StoreError::while_doing("list runs"))?;
        rows.iter().map(run_of_row).collect()
    }

    /// One run.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or that its row cannot be read.
    pub async fn run(&self, id: &str) -> Result<Run, StoreError> {
        let row = sqlx::query(select_runs!("run WHERE id = $1"))
            .bind(id)
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::while_doing("read a run"))?
            .ok_or_else(|| StoreError::NoSuchRun { id: id.to_owned() })?;
        run_of_row(&row)
    }

    /// The newest run of this kind and name that came to its end, thresholds kept or not; aborted runs do not count.
    ///
    /// # Errors
    /// [`StoreError`] when the row cannot be read or the database fails.
    pub async fn latest_run(&self, kind: &str, name: &str) -> Result<Option<Run>, StoreError> {
        let row = sqlx::query(select_runs!("latest_run WHERE kind = $1 AND name = $2"))
            .bind(kind)
            .bind(name)
            .fetch_optional(self.read())
            .await
            .map_err(StoreError::while_doing("find the latest run"))?;
        row.as_ref().map(run_of_row).transpose()
    }

    /// The result document of a run as it was stored; `None` while it runs or where an aborted run left none.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`] or a failing database.
    pub async fn result_json(&self, id: &str) -> Result<Option<String>, StoreError> {
        let failed = StoreError::while_doing("read a result");
        let row = sqlx::query("SELECT result FROM run WHERE id = $1")
            .bind(id)
            .fetch_optional(self.read())
            .await
            .map_err(&failed)?
            .ok_or_else(|| StoreError::NoSuchRun { id: id.to_owned() })?;
        row.try_get("result").map_err(&failed)
    }

    /// The full id of the one run whose id begins with `prefix`. A full id wins over longer ones that begin with it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], or [`StoreError::AmbiguousRun`] naming the newest candidates.
    pub async fn resolve_run(&self, prefix: &str) -> Result<String, StoreError> {
        if prefix.is_empty() {
            return Err(StoreError::NoSuchRun { id: String::new() });
        }
        let failed = StoreError::while_doing("find a run");
        // substr, not LIKE: '_' is a letter of ids and a wildcard there.
        let rows = sqlx::query(
            "SELECT id, count(*) OVER () AS matching FROM run WHERE substr(id, 1, length($1)) = $1 \
             ORDER BY (id = $1) DESC, started_wall_ms DESC, id DESC LIMIT $2",
        )
        .bind(prefix)
        .bind(i64::from(NAMED_CANDIDATES))
        .fetch_all(self.read())
        .await
        .map_err(&failed)?;
        let Some(first) = rows.first() else {
            return Err(StoreError::NoSuchRun { id: prefix.to_owned() });
        };
        let matching: i64 = first.try_get("matching").map_err(&failed)?;
        let mut candidates: Vec<String> =
            rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>().map_err(&failed)?;
        if matching == 1 || candidates[0] == prefix {
            return Ok(candidates.swap_remove(0));
        }
        let more = matching.unsigned_abs() - candidates.len() as u64;
        Err(StoreError::AmbiguousRun { prefix: prefix.to_owned(), candidates, more })
    }
}
