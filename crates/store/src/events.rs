//! Events of a run: state changes and aggregate ticks as JSON documents. A record for people; no evidence is read from them.

use peermark_core::Event;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::error::{RowError, RowKey, StoreError, bounded, signed};
use crate::samples::saturated;
use crate::store::Store;

/// Most events that one call writes or reads.
pub const MAX_EVENTS: u32 = 10_000;

/// Longest event as JSON.
const MAX_EVENT_BYTES: usize = 64 * 1024;

impl Store {
    /// Stores events of a run, all or none of them. What would not read back (a tick whose share is no number) is refused.
    ///
    /// # Errors
    /// [`StoreError::NoSuchRun`], [`StoreError::EventAlreadyStored`], [`StoreError::TooMany`] above [`MAX_EVENTS`],
    /// [`StoreError::Json`], an event beyond its bounds, or a failing database.
    pub async fn put_events(&self, run: &str, events: &[Event]) -> Result<(), StoreError> {
        const ACTION: &str = "store events";
        if events.len() > MAX_EVENTS as usize {
            let (found, limit) = (events.len() as u64, u64::from(MAX_EVENTS));
            return Err(StoreError::TooMany { what: "events", found, limit });
        }
        let mut transaction = self.begin_write(ACTION).await?;
        for event in events {
            let inserted = sqlx::query("INSERT INTO event (run, seq, at_ns, json) VALUES ($1, $2, $3, $4)")
                .bind(run)
                .bind(signed("seq", event.seq)?)
                .bind(signed("at_ns", event.at_ns)?)
                .bind(json_of(event)?)
                .execute(&mut *transaction)
                .await;
            inserted.map_err(|source| match source.as_database_error() {
                Some(error) if error.is_unique_violation() => StoreError::EventAlreadyStored { run: run.to_owned() },
                Some(error) if error.is_foreign_key_violation() => StoreError::NoSuchRun { id: run.to_owned() },
                _ => StoreError::Database { action: ACTION, source },
            })?;
        }
        transaction.commit().await.map_err(StoreError::while_doing(ACTION))
    }

    /// Events of a run from number `from` on, ascending, at most `limit` of them and never more than [`MAX_EVENTS`].
    ///
    /// # Errors
    /// That a row cannot be read, or a failing database.
    pub async fn events(&self, run: &str, from: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query("SELECT run, seq, json FROM event WHERE run = $1 AND seq >= $2 ORDER BY seq LIMIT $3")
            .bind(run)
            .bind(saturated(from))
            .bind(i64::from(limit.min(MAX_EVENTS)))
            .fetch_all(self.read())
            .await
            .map_err(StoreError::while_doing("read events"))?;
        rows.iter().map(event_of_row).collect()
    }
}

fn json_of(event: &Event) -> Result<String, StoreError> {
    let unreadable = |source| StoreError::Json { what: "event", source };
    let json = serde_json::to_string(event).map_err(unreadable)?;
    bounded("event", &json, MAX_EVENT_BYTES)?;
    serde_json::from_str::<Event>(&json).map_err(unreadable)?;
    Ok(json)
}

/// Reads a row of `run, seq, json`.
pub(crate) fn event_of_row(row: &SqliteRow) -> Result<Event, StoreError> {
    let failed = StoreError::while_doing("read an event");
    let json: &str = row.try_get("json").map_err(&failed)?;
    let run: String = row.try_get("run").map_err(&failed)?;
    let seq: i64 = row.try_get("seq").map_err(&failed)?;
    serde_json::from_str(json).map_err(|source| RowError::Json { row: RowKey::Event { run, seq }, source }.into())
}
