//! Connections to PostgreSQL: every call ends, and a connection that was given up on is not used again.

use std::time::Duration;

use sqlx::pool::{PoolConnection, PoolOptions};
use sqlx::{Connection, PgConnection, Pool, Postgres};

use crate::dht::options::{PostgresOptions, TIMEOUT};
use crate::dht::schema;
use crate::error::StoreError;
use crate::open::OpenError;

/// How long one call may work once it has its connection. Longer than the server gives a statement, so that a server that answers
/// says itself what took too long.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// A scheduler or a server makes few calls at a time, and many of them share one database.
const CONNECTIONS: u32 = 4;

/// How long a connection that was idle may take to say that it is still there. All of them together take less than [`TIMEOUT`],
/// so that one call finds out about every connection whose other end has silently gone.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that nobody needs are closed, also those whose other end has silently gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Connects, brings the schema up to date, and keeps connections for the calls.
pub(super) async fn open(options: &PostgresOptions) -> Result<Pool<Postgres>, OpenError> {
    let (connect, mut connection) = options.connect().await?;
    let server = options.address();
    let broke = |source| OpenError::Schema { server: server.clone(), source };
    let late = |_| broke(timed_out());
    tokio::time::timeout(CALL_TIMEOUT, schema::bring_up_to_date(&server, &mut connection)).await.map_err(late)??;
    // The schema is written: how the connection ends does not matter.
    drop(tokio::time::timeout(CALL_TIMEOUT, connection.close()).await);
    let pool = PoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_there(connection)));
    Ok(pool.connect_lazy_with(connect))
}

/// Runs one call on a connection of its own.
pub(super) async fn call<T>(
    pool: &Pool<Postgres>,
    action: &'static str,
    work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let connection = pool.acquire().await.map_err(StoreError::while_doing(action))?;
    let mut lease = Lease { connection: Some(connection) };
    let Some(connection) = lease.connection.as_mut() else {
        return Err(StoreError::Database { action, source: sqlx::Error::PoolClosed });
    };
    let result = tokio::time::timeout(CALL_TIMEOUT, work(connection))
        .await
        .unwrap_or_else(|_| Err(StoreError::Database { action, source: timed_out() }));
    if !is_broken(&result) {
        lease.give_back();
    }
    result
}

/// An error has the connection closed without a word to the other end.
async fn is_there(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let ping = tokio::time::timeout(PING_TIMEOUT, connection.ping());
    ping.await.map_err(|_| timed_out()).flatten().map(|()| true)
}

fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

fn is_broken<T>(result: &Result<T, StoreError>) -> bool {
    matches!(
        result,
        Err(StoreError::Database { source: sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_), .. })
    )
}

/// Holds the connection of a running call. Given back, it serves others; dropped with a call that timed out, failed or was
/// cancelled half-way, it is closed without a word to a server that may not be listening.
struct Lease {
    connection: Option<PoolConnection<Postgres>>,
}

impl Lease {
    fn give_back(mut self) {
        drop(self.connection.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
