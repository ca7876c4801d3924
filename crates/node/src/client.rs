//! The typed HTTP client of a storage node: any node that serves the Archivist or Codex REST API, not only ours.
//!
//! It speaks HTTP/1.1 over plain TCP through a pool of its own, because the load engine sends tens of thousands of requests per
//! second from one thread and has to know what happened to each. Three contracts follow:
//!
//! * **Nothing runs in the background.** A connection is driven by the call that uses it. Dropping the call (a deadline, a stop)
//!   closes the connection, and no task outlives it.
//! * **Everything is bounded**: connections ([`ClientOptions::max_connections`]; further calls wait their turn), documents (1 MiB),
//!   problem texts, and time ([`ClientOptions::timeout`] covers a whole call). Streams are handed on chunk by chunk.
//! * **Nothing is retried once a byte of it was written.** A pooled connection that turns out to be closed before that is replaced
//!   silently; every other failure is the caller's to count, as a [`ClientError`] with a [`ClientError::failure`] class.
//!
//! A client belongs to the runtime that first used it: take a [`NodeClient::fork`] for another one.

mod api;
mod body;
mod call;
mod discover;
mod endpoint;
mod error;
mod exchange;
mod pool;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use body::RequestBody;
pub use call::{Answer, Call};
pub use endpoint::Endpoint;
pub use error::ClientError;
pub use exchange::{ByteSink, ResponseHead};
pub use wire::{
    DataItem, DataList, DebugInfo, Manifest, Received, RoutingPeer, RoutingTable, Space, Upload, VersionInfo,
};

use pool::Pool;

/// Largest document (anything but a content stream) that is read.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// Limits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Longest time for opening one connection.
    pub connect_timeout: Duration,
    /// Longest time for a whole call, from waiting for a connection to the last byte.
    pub timeout: Duration,
    /// Connections that may be in use at once; a further call waits for one in order of arrival.
    pub max_connections: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), timeout: Duration::from_secs(30), max_connections: 64 }
    }
}

/// A client of one node. Clones share the connections.
#[derive(Clone, Debug)]
pub struct NodeClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoint: Endpoint,
    base: String,
    options: ClientOptions,
    pool: Arc<Pool>,
}

impl NodeClient {
    /// A client for `url` (`http://host:port`, optionally with the base path of the API), without any I/O. Without a path, the
    /// Archivist prefix is assumed; [`Self::connect`] finds out instead.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`].
    pub fn new(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let endpoint: Endpoint = url.parse()?;
        let base = endpoint.base_path().unwrap_or(discover::PREFIXES[0]).to_owned();
        Ok(Self::assemble(endpoint, base, options))
    }

    /// A client for `url` whose base path was found by asking the node, unless `url` names one.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`], [`ClientError::NoApi`] when the server answers but has neither prefix, or whatever kept it from
    /// answering.
    pub async fn connect(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let client = Self::new(url, options)?;
        if client.inner.endpoint.base_path().is_some() {
            return Ok(client);
        }
        let base = discover::find_base(&client).await?;
        Ok(Self::assemble(client.inner.endpoint.clone(), base.to_owned(), options))
    }

    /// The same node with other limits and connections of its own, for use on another runtime.
    pub fn fork(&self, options: ClientOptions) -> Self {
        Self::assemble(self.inner.endpoint.clone(), self.inner.base.clone(), options)
    }

    /// Where the node listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Path under which the storage API lies, without a slash at its end.
    pub fn base_path(&self) -> &str {
        &self.inner.base
    }

    fn assemble(endpoint: Endpoint, base: String, options: ClientOptions) -> Self {
        let pool = Arc::new(Pool::new(endpoint.clone(), &options));
        Self { inner: Arc::new(Inner { endpoint, base, options, pool }) }
    }
}
