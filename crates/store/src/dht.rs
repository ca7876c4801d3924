//! What DHT schedulers and servers store: parsec's tables, and the hops of every operation beside them.
//!
//! Two databases with one meaning. PostgreSQL has parsec's exact schema, so that its programs work on the same database, and
//! the tables of our own in a schema `peermark`. SQLite has the same tables in the file of [`crate::Store`].
//!
//! Every call ends. On PostgreSQL it waits at most 10 s for a connection and 15 s for its work, and no statement works longer than
//! 10 s; a connection that was given up on is thrown away, so that calls succeed again as soon as the server is back. On SQLite it
//! waits as every call of [`crate::Store`] does. A call that failed may have arrived: rounds and traces that are written again are
//! stored once.

mod codes;
mod connection;
mod limits;
mod measured;
mod options;
mod packed;
mod postgres;
mod rows;
mod schema;
mod sqlite;
mod trace;
mod unpacked;

use std::path::Path;

use sqlx::{Pool, Postgres};

pub use limits::{MAX_FLEETS, MAX_MEASURED, MAX_NODES, MAX_ROUND_ROWS};
pub use options::{PostgresOptions, SSL_MODES};
pub use rows::{
    Cursor, HEARTBEAT_WINDOW_MS, LiveNode, MAX_PORT, Measured, MeasuredFilter, MeasurementRow, NewNode, NodeId,
    RoundRows, RoundWritten, SchedulerId, SeenNode,
};
pub use schema::PARSEC_VERSION;
pub use trace::{MAX_BATCH_HOPS, MAX_HOPS, MAX_TRACES, Trace, TraceHop};

use crate::error::StoreError;
use crate::open::OpenError;
use crate::store::Store;

/// The DHT tables in one database: PostgreSQL with parsec's exact schema, or SQLite with the same meaning. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DhtStore {
    database: Database,
}

#[derive(Clone, Debug)]
enum Database {
    Sqlite(Store),
    Postgres(Pool<Postgres>),
}

/// Does the same on whichever database it is.
macro_rules! on {
    ($store:expr, $module:ident :: $call:ident ( $($argument:expr),* )) => {
        match &$store.database {
            Database::Sqlite(database) => sqlite::$module::$call(database, $($argument),*).await,
            Database::Postgres(database) => postgres::$module::$call(database, $($argument),*).await,
        }
    };
}

impl DhtStore {
    /// The DHT tables of the SQLite store at `path`, which is created where it is missing: the same file as [`crate::Store`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::of(&Store::open(path).await?))
    }

    /// The DHT tables beside the evidence of an open store.
    pub fn of(store: &Store) -> Self {
        Self { database: Database::Sqlite(store.clone()) }
    }

    /// Connects to PostgreSQL. An empty database gets parsec's schema at version [`PARSEC_VERSION`], one that has it is used as it
    /// is, and any other version is refused; the tables of our own are brought up to date.
    ///
    /// # Errors
    /// [`OpenError`], after at most 10 s without an answer from the server.
    pub async fn connect_postgres(options: &PostgresOptions) -> Result<Self, OpenError> {
        choose_crypto();
        Ok(Self { database: Database::Postgres(connection::open(options).await?) })
    }

    /// Closes the connections after their running calls. Calls that come later, also on clones and on the [`Store`] that this is
    /// of, fail.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite(store) => store.close().await,
            Database::Postgres(pool) => pool.close().await,
        }
    }

    /// Stores that a scheduler has started.
    ///
    /// # Errors
    /// [`StoreError`]; a text beyond its bound before anything is asked of the database.
    pub async fn insert_scheduler(
        &self,
        fleets: &[String],
        dependencies: &serde_json::Value,
        now_ms: u64,
    ) -> Result<SchedulerId, StoreError> {
        let (fleets, dependencies) = (limits::fleets(fleets)?, limits::document(dependencies)?);
        let now_ms = limits::moment("created_at", now_ms)?;
        on!(self, directory::insert_scheduler(fleets, &dependencies, now_ms))
    }

    /// Stores that a server has started; it has no heartbeat yet.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::PortTooHigh`] and a text beyond its bound before anything is asked of the database.
    pub async fn insert_node(&self, node: &NewNode, now_ms: u64) -> Result<NodeId, StoreError> {
        let dependencies = limits::node(node)?;
        let now_ms = limits::moment("created_at", now_ms)?;
        on!(self, directory::insert_node(node, &dependencies, now_ms))
    }

    /// Says that a server is alive: sets `last_heartbeat` and clears `offline_since`.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NoSuchNode`] where its row is gone.
    pub async fn heartbeat(&self, node: NodeId, now_ms: u64) -> Result<(), StoreError> {
        let now_ms = limits::moment("last_heartbeat", now_ms)?;
        on!(self, directory::heartbeat(node, now_ms))
    }

    /// Says that a server is gone: sets `offline_since` and touches nothing else.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::NoSuchNode`] where its row is gone.
    pub async fn mark_offline(&self, node: NodeId, now_ms: u64) -> Result<(), StoreError> {
        let now_ms = limits::moment("offline_since", now_ms)?;
        on!(self, directory::mark_offline(node, now_ms))
    }

    /// Servers of the fleets that are not offline and whose heartbeat is at most two minutes older than `now_ms`, by id, at most
    /// [`MAX_NODES`]. No fleets, no servers. A row whose address or port nobody could call is left out and logged.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn live_nodes(&self, fleets: &[String], now_ms: u64) -> Result<Vec<LiveNode>, StoreError> {
        let fleets = limits::fleets(fleets)?;
        let since_ms = limits::clamped(now_ms.saturating_sub(HEARTBEAT_WINDOW_MS));
        on!(self, directory::live_nodes(fleets, since_ms))
    }

    /// Servers of any fleet that started or sent a heartbeat since `from_ms`, whether or not they take requests, by id, at most
    /// [`MAX_NODES`] of the newest: what says why a server takes no part.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn nodes_since(&self, from_ms: u64) -> Result<Vec<SeenNode>, StoreError> {
        let from_ms = limits::clamped(from_ms);
        on!(self, directory::nodes_since(from_ms))
    }

    /// Writes a round in one transaction, unless an earlier try had arrived after all.
    ///
    /// Texts that servers sent are cut at their bounds and freed of NUL, which PostgreSQL cannot hold, so that no answer of a server
    /// costs the round. Neither does a server whose row is gone: its measurements are left out and counted, and it is passed over in
    /// `offline`. So is there a server whose last heartbeat is newer than the moment at which it was offline.
    ///
    /// # Errors
    /// [`StoreError`]; nothing of the round is in the database then, or all of it is and the next try will find it.
    /// [`StoreError::DanglingRound`] will not pass with time: the scheduler was deleted.
    pub async fn write_round(&self, scheduler: SchedulerId, rows: &RoundRows) -> Result<RoundWritten, StoreError> {
        let round = limits::round(rows)?;
        on!(self, measurements::write_round(scheduler, &round))
    }

    /// Measurements in the order of time, at most `limit` and never more than [`MAX_MEASURED`]. The next page begins `after` the
    /// cursor of the last row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn measured(&self, filter: &MeasuredFilter, limit: u32) -> Result<Vec<Measured>, StoreError> {
        let span = limits::span(filter)?;
        on!(self, measurements::measured(&span, limit.min(MAX_MEASURED)))
    }

    /// Stores operations with every hop, all or none of them. The same slice written again is stored once.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::TooMany`], [`StoreError::UnknownName`] and numbers out of range before anything is asked of the
    /// database.
    pub async fn put_traces(&self, traces: &[Trace]) -> Result<(), StoreError> {
        if traces.is_empty() {
            return Ok(());
        }
        let batch = packed::pack(traces)?;
        on!(self, traces::put(&batch))
    }

    /// Traces whose start lies in the filter's time and whose fleet is one of its fleets, in the order of time, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn traces(&self, filter: &MeasuredFilter, limit: u32) -> Result<Vec<Trace>, StoreError> {
        let page = self.traces_with_cursors(filter, limit).await?;
        Ok(page.into_iter().map(|(_, trace)| trace).collect())
    }

    /// As [`DhtStore::traces`], each with its place: the next page begins `after` that of the last. Never more than [`MAX_TRACES`]; a
    /// page also ends, after one operation at least, before it would hold more than 200,000 hops.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn traces_with_cursors(
        &self,
        filter: &MeasuredFilter,
        limit: u32,
    ) -> Result<Vec<(Cursor, Trace)>, StoreError> {
        let span = limits::span(filter)?;
        on!(self, traces::get(&span, limit.min(MAX_TRACES as u32)))
    }
}

/// TLS of this process uses ring. The binary has two providers (QUIC brings the other), and where nobody chose, the first use of TLS
/// ends the process.
fn choose_crypto() {
    // An error says that somebody has chosen already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}
