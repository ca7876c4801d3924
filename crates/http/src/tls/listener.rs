//! Connections after their handshake. A caller that is slow at it holds up nobody but itself.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use super::Tls;

/// Longest time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Handshakes at once. Who comes while there are so many waits in the system's queue.
const MAX_HANDSHAKES: usize = 256;

/// Pause after the system refused a connection for want of files, as axum does for plain listeners.
const NO_FILES: Duration = Duration::from_secs(1);

type Shaken = io::Result<(TlsStream<TcpStream>, SocketAddr)>;

/// A listener whose connections are encrypted. Dropping it ends the handshakes under way.
pub(crate) struct TlsListener {
    listener: TcpListener,
    tls: Tls,
    handshakes: JoinSet<Shaken>,
}

impl TlsListener {
    pub(crate) fn new(listener: TcpListener, tls: Tls) -> Self {
        Self { listener, tls, handshakes: JoinSet::new() }
    }

    fn begin(&mut self, stream: TcpStream, from: SocketAddr) {
        let acceptor = self.tls.acceptor.clone();
        self.handshakes.spawn(async move {
            stream.set_nodelay(true)?;
            let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
            Ok((shaken.map_err(|_elapsed| io::Error::from(io::ErrorKind::TimedOut))??, from))
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // Both branches keep what they have when the other one wins.
            tokio::select! {
                Some(ended) = self.handshakes.join_next() => match ended {
                    Ok(Ok(connection)) => return connection,
                    // Scanners and plain HTTP end here all day long.
                    Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                    Err(error) => tracing::error!(%error, "TLS handshake broke"),
                },
                accepted = self.listener.accept(), if self.handshakes.len() < MAX_HANDSHAKES => match accepted {
                    Ok((stream, from)) => self.begin(stream, from),
                    Err(error) if is_of_the_caller(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "cannot accept connections");
                        tokio::time::sleep(NO_FILES).await;
                    }
                },
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

fn is_of_the_caller(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}
