//! Connections that are kept alive between calls, bounded in number.
//!
//! An idle connection is driven by nobody. [`Pool::take`] therefore looks at it once before it hands it out: if the node closed it
//! or said something unasked meanwhile, it is dropped and the next one is looked at.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::{ClientError, ClientOptions, Endpoint, RequestBody};

/// One connection: the side that takes requests and the side that moves bytes, driven together by the call that holds it.
pub(super) struct Link {
    pub(super) sender: SendRequest<RequestBody>,
    /// Boxed, because links move between the pool and the calls.
    transport: Box<Connection<TokioIo<TcpStream>, RequestBody>>,
    ended: bool,
}

impl Link {
    /// Moves bytes. Ready once the connection is closed; may be called again after that.
    pub(super) fn poll_transport(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.ended && Pin::new(&mut self.transport).poll(cx).is_ready() {
            // Its error, if any, reaches the pending request or body; a second copy here would add nothing.
            self.ended = true;
        }
        if self.ended { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Whether the connection can take a request at once.
    fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_transport(cx).is_pending() && self.sender.is_ready()
    }
}

/// A connection in use, with the right to use one.
pub(super) struct Taken {
    pub(super) link: Link,
    /// Whether the connection carried a request before.
    pub(super) reused: bool,
    permit: OwnedSemaphorePermit,
}

/// The connections of one client.
pub(super) struct Pool {
    endpoint: Endpoint,
    connect_timeout: Duration,
    addresses: OnceCell<Vec<SocketAddr>>,
    /// Last in, first out: under light load few connections stay warm and the others age out at the node. A connection is opened
    /// only when this is empty and a permit is held, so there are never more of them than permits.
    idle: Mutex<Vec<Link>>,
    permits: Arc<Semaphore>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("endpoint", &self.endpoint).field("permits", &self.permits).finish_non_exhaustive()
    }
}

impl Pool {
    pub(super) fn new(endpoint: Endpoint, options: &ClientOptions) -> Self {
        let permits = options.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            endpoint,
            connect_timeout: options.connect_timeout,
            addresses: OnceCell::new(),
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// A usable connection: an idle one where there is, else a new one. Waits while all permitted ones are in use.
    pub(super) async fn take(&self) -> Result<Taken, ClientError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore of a pool is never closed");
        while let Some(mut link) = self.pop() {
            if std::future::poll_fn(|cx| Poll::Ready(link.is_usable(cx))).await {
                return Ok(Taken { link, reused: true, permit });
            }
        }
        let link = self.open().await?;
        Ok(Taken { link, reused: false, permit })
    }

    /// Keeps a connection whose exchange is complete, if it can carry another one.
    pub(super) fn give_back(&self, mut taken: Taken, cx: &mut Context<'_>) {
        if taken.link.is_usable(cx) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(taken.link);
        }
        drop(taken.permit);
    }

    fn pop(&self) -> Option<Link> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    async fn open(&self) -> Result<Link, ClientError> {
        let stream = match tokio::time::timeout(self.connect_timeout, self.dial()).await {
            Ok(stream) => stream?,
            Err(_elapsed) => {
                let source = io::Error::from(io::ErrorKind::TimedOut);
                return Err(ClientError::Connect { addr: self.endpoint.to_string(), source });
            }
        };
        // Requests are small and answers are awaited: a delayed segment would be measured as the node's latency.
        stream.set_nodelay(true).map_err(|source| ClientError::Connect { addr: self.endpoint.to_string(), source })?;
        let (sender, transport) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::from_head)?;
        Ok(Link { sender, transport: Box::new(transport), ended: false })
    }

    async fn dial(&self) -> Result<TcpStream, ClientError> {
        let addresses = self.addresses.get_or_try_init(|| self.resolve()).await?;
        let mut failure = None;
        for address in addresses {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => failure = Some(ClientError::Connect { addr: address.to_string(), source }),
            }
        }
        Err(failure.unwrap_or_else(|| ClientError::Resolve {
            host: self.endpoint.host().to_owned(),
            source: io::ErrorKind::NotFound.into(),
        }))
    }

    /// Resolved once: a name server's mood is not what is measured.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, ClientError> {
        let host = self.endpoint.host();
        let found = tokio::net::lookup_host((host, self.endpoint.port()))
            .await
            .map_err(|source| ClientError::Resolve { host: host.to_owned(), source })?;
        Ok(found.collect())
    }
}
