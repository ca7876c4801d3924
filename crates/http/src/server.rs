//! A server from bind to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::middleware::from_fn_with_state;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bind::{BindError, check_bind};
use crate::guard::{Guard, guard};
use crate::tls::{Tls, TlsListener};

/// How long open requests may take to end once the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A running server. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    is_encrypted: bool,
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
    tls: Option<Tls>,
}

/// Who calls: the other end of the connection, which is a proxy's where one stands between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(pub SocketAddr);

/// Plain connections, which send at once what is written.
struct PlainListener(TcpListener);

impl Listener for PlainListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, from) = Listener::accept(&mut self.0).await;
        drop(stream.set_nodelay(true));
        (stream, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, PlainListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, PlainListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Caller {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Bound {
    /// Where it will listen.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it will listen, as callers write it: `https://` with a certificate, else `http://`.
    pub fn url(&self) -> String {
        url(self.address, self.tls.is_some())
    }

    /// Answers with TLS alone: a caller that speaks plain HTTP is disconnected. Handshakes are bounded to ten seconds each and to
    /// 256 at once. Who may listen where is as without: a certificate says who answers, not who may ask.
    #[must_use]
    pub fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Begins to answer, behind a [`Guard`]. Handlers can ask who calls: `ConnectInfo<Caller>`.
    pub fn serve(self, router: Router) -> Server {
        let Self { address, listener, token, tls } = self;
        let is_encrypted = tls.is_some();
        let router = router.layer(from_fn_with_state(Guard::new(address, token), guard));
        let (stop, mut stopped) = watch::channel(false);
        let service = router.into_make_service_with_connect_info::<Caller>();
        let shutdown = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let task = tokio::spawn(async move {
            let ended = match tls {
                Some(tls) => {
                    axum::serve(TlsListener::new(listener, tls), service).with_graceful_shutdown(shutdown).await
                }
                None => axum::serve(PlainListener(listener), service).with_graceful_shutdown(shutdown).await,
            };
            if let Err(error) = ended {
                tracing::error!(%error, "HTTP server ended");
            }
        });
        Server { address, is_encrypted, stop, task }
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
        Ok(Bound { address, listener, token, tls: None })
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

    /// Where it listens, as callers write it: `https://` with a certificate, else `http://`.
    pub fn url(&self) -> String {
        url(self.address, self.is_encrypted)
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

fn url(address: SocketAddr, is_encrypted: bool) -> String {
    format!("{}://{address}", if is_encrypted { "https" } else { "http" })
}
