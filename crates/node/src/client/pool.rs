//! Connections that are kept alive between calls, bounded in number.
//!
//! An idle connection is driven by nobody. [`Pool::take`] therefore looks at it once before it hands it out: if the node closed it
//! or said something unasked meanwhile, it is dropped and the next one is looked at.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::stream::{Stream, encrypt};
use super::{ClientError, ClientOptions, Endpoint, RequestBody, Trust};

/// One connection: the side that takes requests and the side that moves bytes, driven together by the call that holds it.
pub(super) struct Link {
    pub(super) sender: SendRequest<RequestBody>,
    /// Boxed, because links move between the pool and the calls.
    transport: Box<Connection<TokioIo<Stream>, RequestBody>>,
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

/// Marks the addresses as lost unless a connection comes of them; also where the caller's own deadline ends the try.
struct Lost<'a>(&'a AtomicBool);

impl Lost<'_> {
    fn found(self) {
        std::mem::forget(self);
    }
}

impl Drop for Lost<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The connections of one client.
pub(super) struct Pool {
    endpoint: Endpoint,
    trust: Trust,
    connect_timeout: Duration,
    /// What the name meant when it was looked up last; nothing after a failure to connect, so that a node that moved is found again.
    addresses: AsyncMutex<Option<Arc<[SocketAddr]>>>,
    /// Whether the latest try to connect ended without a connection.
    is_lost: AtomicBool,
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
    pub(super) fn new(endpoint: Endpoint, trust: Trust, options: &ClientOptions) -> Self {
        let permits = options.max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            endpoint,
            trust,
            connect_timeout: options.connect_timeout,
            addresses: AsyncMutex::new(None),
            is_lost: AtomicBool::new(false),
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
        let until = Instant::now() + self.connect_timeout;
        let lost = Lost(&self.is_lost);
        let connected = tokio::time::timeout_at(until, self.connect(until)).await.unwrap_or_else(|_elapsed| {
            let source = io::Error::from(io::ErrorKind::TimedOut);
            Err(ClientError::Connect { addr: self.endpoint.to_string(), source })
        });
        let stream = connected?;
        lost.found();
        let (sender, transport) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::from_head)?;
        Ok(Link { sender, transport: Box::new(transport), ended: false })
    }

    async fn connect(&self, until: Instant) -> Result<Stream, ClientError> {
        let stream = self.dial(until).await?;
        // Requests are small and answers are awaited: a delayed segment would be measured as the node's latency.
        stream.set_nodelay(true).map_err(|source| ClientError::Connect { addr: self.endpoint.to_string(), source })?;
        if self.endpoint.is_encrypted() {
            // Boxed, so that the calls of those who do without are no larger for it.
            Box::pin(encrypt(stream, &self.endpoint, &self.trust)).await
        } else {
            Ok(Stream::Plain(stream))
        }
    }

    /// Tries each address in turn. One that swallows packets takes no more than its share of the time that is left.
    async fn dial(&self, until: Instant) -> Result<TcpStream, ClientError> {
        let addresses = self.resolved().await?;
        let mut failure = None;
        for (tried, address) in addresses.iter().enumerate() {
            let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = until.saturating_duration_since(Instant::now()) / left;
            let connected = tokio::time::timeout(share, TcpStream::connect(address)).await;
            match connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => return Ok(stream),
                Err(source) => failure = Some(ClientError::Connect { addr: address.to_string(), source }),
            }
        }
        Err(failure.unwrap_or_else(|| ClientError::Resolve {
            host: self.endpoint.host().to_owned(),
            source: io::ErrorKind::NotFound.into(),
        }))
    }

    /// Resolved once for as long as the node is there: a name server's mood is not what is measured.
    async fn resolved(&self) -> Result<Arc<[SocketAddr]>, ClientError> {
        let mut known = self.addresses.lock().await;
        if self.is_lost.swap(false, Ordering::Relaxed) {
            *known = None;
        }
        if let Some(addresses) = &*known {
            return Ok(Arc::clone(addresses));
        }
        let host = self.endpoint.host();
        let found = tokio::net::lookup_host((host, self.endpoint.port()))
            .await
            .map_err(|source| ClientError::Resolve { host: host.to_owned(), source })?;
        let found: Arc<[SocketAddr]> = found.collect();
        *known = Some(Arc::clone(&found));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    fn pool(port: u16) -> Pool {
        let endpoint: Endpoint = format!("http://localhost:{port}").parse().unwrap();
        let options = ClientOptions {
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
            max_connections: 1,
        };
        Pool::new(endpoint, Trust::default(), &options)
    }

    #[tokio::test]
    async fn a_node_that_moved_is_found_again() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = pool(here.local_addr().unwrap().port());
        *pool.addresses.lock().await = Some([gone].into());
        let failed = pool.take().await.map(drop).unwrap_err();
        assert!(matches!(failed, ClientError::Connect { .. }), "{failed:?}");
        pool.take().await.map(drop).unwrap();
        // Also where the caller had no time to see it fail.
        let (silent, _queued) = swallows().await;
        *pool.addresses.lock().await = Some([silent.local_addr().unwrap()].into());
        assert!(tokio::time::timeout(Duration::from_millis(200), pool.take()).await.is_err());
        pool.take().await.map(drop).unwrap();
    }

    /// A port whose queue of connections is full: the kernel drops what comes.
    async fn swallows() -> (TcpListener, Vec<TcpStream>) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queued.push(stream);
            assert!(queued.len() < 100, "the queue never fills");
        }
        (listener, queued)
    }

    #[tokio::test]
    async fn an_address_that_says_nothing_leaves_time_for_the_next_one() {
        let (silent, _queued) = swallows().await;
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pool = pool(here.local_addr().unwrap().port());
        *pool.addresses.lock().await = Some([silent.local_addr().unwrap(), here.local_addr().unwrap()].into());
        pool.take().await.map(drop).unwrap();
    }
}
