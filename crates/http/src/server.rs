//! A server from bind to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bind::{BindError, check_bind};
use crate::guard::{Guard, guard};

/// How long open requests may take to end once the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A running server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// A listener that is bound and does not answer yet: who connects waits until it is served. For servers that have to say where
/// they listen before they do.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    listener: TcpListener,
    token: Option<Arc<str>>,
}

impl Bound {
    /// Where it will listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer, behind a [`Guard`].
    pub fn serve(self, router: Router) -> Server {
        let Self { address, listener, token } = self;
        let router = router.layer(from_fn_with_state(Guard::new(address, token), guard));
        let (stop, mut stopped) = watch::channel(false);
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true)));
        let shutdown = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(shutdown).await {
                tracing::error!(%error, "HTTP server ended");
            }
        });
        Server { address, stop, task }
    }
}

impl Server {
    /// Binds without serving. Port 0 takes a free one.
    ///
    /// # Errors
    /// [`BindError`] when the address is open to strangers or the system refuses it.
    pub async fn bind(address: SocketAddr, token: Option<Arc<str>>, allow_anonymous: bool) -> Result<Bound, BindError> {
        check_bind(address, token.is_some(), allow_anonymous)?;
        let listener = TcpListener::bind(address).await.map_err(|source| BindError::Io { address, source })?;
        let address = listener.local_addr().map_err(|source| BindError::Io { address, source })?;
        Ok(Bound { address, listener, token })
    }

    /// Binds and serves, behind a [`Guard`]. Port 0 takes a free one.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub async fn start(
        address: SocketAddr,
        router: Router,
        token: Option<Arc<str>>,
        allow_anonymous: bool,
    ) -> Result<Self, BindError> {
        Ok(Self::bind(address, token, allow_anonymous).await?.serve(router))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests and waits for the open ones, at most five seconds.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        let abort = self.task.abort_handle();
        if tokio::time::timeout(DRAIN, self.task).await.is_err() {
            abort.abort();
        }
    }
}
