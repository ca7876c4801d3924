//! The typed HTTP client of a storage node: any node that serves the Archivist or Codex REST API, not only ours.
//!
//! It speaks HTTP/1.1, over TCP or TLS, through a pool of its own, because the load engine sends tens of thousands of requests per
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
mod service;
mod stream;
mod trust;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;

pub use body::RequestBody;
pub use call::{Answer, Call};
pub use endpoint::{Endpoint, shown_url};
pub use error::{ClientError, TlsProblem};
pub use exchange::{ByteSink, ResponseHead};
pub use service::{Access, Service, ServiceClient, ServiceError, authorisation};
pub use trust::{Trust, TrustError};
pub use wire::{
    DataItem, DataList, DebugInfo, Manifest, Received, RoutingPeer, RoutingTable, Space, Upload, VersionInfo,
};

use pool::Pool;

/// Largest document (anything but a content stream) that is read.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// Limits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Longest time for opening one connection, its handshake included.
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
    trust: Trust,
    base: String,
    options: ClientOptions,
    pool: Arc<Pool>,
    /// `Bearer ...`, with every call of the API.
    authorization: Option<HeaderValue>,
}

impl NodeClient {
    /// A client for `url` (`http://host:port` or `https://host:port`, optionally with the base path of the API), without any I/O.
    /// Without a path, the Archivist prefix is assumed; [`Self::connect`] finds out instead. Certificates are checked against the
    /// system's authorities; [`Self::trusting`] names others.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`].
    pub fn new(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        Self::trusting(url, options, Trust::system())
    }

    /// As [`Self::new`], with the authorities whose certificates are believed where `url` says `https`.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`].
    pub fn trusting(url: &str, options: ClientOptions, trust: Trust) -> Result<Self, ClientError> {
        let endpoint: Endpoint = url.parse()?;
        let base = endpoint.base_path().unwrap_or(discover::PREFIXES[0]).to_owned();
        Ok(Self::assemble(endpoint, trust, base, options, None))
    }

    /// A client for `url` whose base path was found by asking the node, unless `url` names one.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`], [`ClientError::NoApi`] when the server answers but has neither prefix, or whatever kept it from
    /// answering.
    pub async fn connect(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        Self::new(url, options)?.found().await
    }

    /// As [`Self::connect`], to a node whose API asks for a token.
    ///
    /// # Errors
    /// As [`Self::connect`], and [`ClientError::Token`] for one that no header may hold.
    pub async fn connect_with(url: &str, options: ClientOptions, token: Option<&str>) -> Result<Self, ClientError> {
        let client = Self::new(url, options)?;
        let Some(token) = token else { return client.found().await };
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_invalid| ClientError::Token)?;
        value.set_sensitive(true);
        let Inner { endpoint, trust, base, .. } = &*client.inner;
        Self::assemble(endpoint.clone(), trust.clone(), base.clone(), options, Some(value)).found().await
    }

    /// This client, or one of the base path that the node answers under, unless a path was named.
    async fn found(self) -> Result<Self, ClientError> {
        let client = self;
        let options = client.inner.options;
        if client.inner.endpoint.base_path().is_some() {
            return Ok(client);
        }
        let base = discover::find_base(&client).await?;
        Ok(client.at(base.to_owned(), options))
    }

    /// The same node with other limits and connections of its own, for use on another runtime.
    pub fn fork(&self, options: ClientOptions) -> Self {
        self.at(self.inner.base.clone(), options)
    }

    /// Where the node listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// Path under which the storage API lies, without a slash at its end.
    pub fn base_path(&self) -> &str {
        &self.inner.base
    }

    /// The same server under another base path, with connections of its own.
    fn at(&self, base: String, options: ClientOptions) -> Self {
        let Inner { endpoint, trust, authorization, .. } = &*self.inner;
        Self::assemble(endpoint.clone(), trust.clone(), base, options, authorization.clone())
    }

    fn assemble(
        endpoint: Endpoint,
        trust: Trust,
        base: String,
        options: ClientOptions,
        authorization: Option<HeaderValue>,
    ) -> Self {
        let pool = Arc::new(Pool::new(endpoint.clone(), trust.clone(), &options));
        Self { inner: Arc::new(Inner { endpoint, trust, base, options, pool, authorization }) }
    }
}
