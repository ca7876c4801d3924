//! A server that does nothing but answer, for measuring the generator itself.
//!
//! One thread, loopback, HTTP/1.1 with keep-alive: every request head gets the same two bytes. It can be made to stand still once, as
//! a whole process does that is stopped or swapped out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::thread::{OwnThread, ThreadError};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";

/// Connections that it serves at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;

/// Longest request head.
const MAX_HEAD_BYTES: usize = 8192;

/// A stall of the whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stall {
    /// From the first request to the stall.
    pub(crate) after: Duration,
    /// How long nothing is answered.
    pub(crate) length: Duration,
}

/// A running server; it ends when this is dropped.
pub(crate) struct TrivialServer {
    url: String,
    _stop: DropGuard,
    _thread: OwnThread<()>,
}

impl TrivialServer {
    /// Starts it on a free port of loopback, on `core` if there is one.
    pub(crate) fn start(core: Option<usize>, stall: Option<Stall>) -> Result<Self, ThreadError> {
        let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = OwnThread::start("peermark-trivial", core, async move {
            // A failing accept ends the server; the generator then counts refused connections.
            let _ = stopped.run_until_cancelled(serve(listener, stall)).await;
        })?;
        Ok(Self { url, _stop: stop.drop_guard(), _thread: thread })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn serve(listener: std::net::TcpListener, stall: Option<Stall>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let first_request = Arc::new(Notify::new());
    if let Some(stall) = stall {
        tokio::spawn(stand_still(stall, Arc::clone(&first_request)));
    }
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let permit = Arc::clone(&connections).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, _) = listener.accept().await?;
        let first_request = Arc::clone(&first_request);
        tokio::spawn(async move {
            // A broken connection is the client's to notice.
            let _ = answer(stream, &first_request).await;
            drop(permit);
        });
    }
}

async fn stand_still(stall: Stall, first_request: Arc<Notify>) {
    first_request.notified().await;
    tokio::time::sleep(stall.after).await;
    // Blocks the only thread on purpose: nothing is accepted, read or written until it is over.
    std::thread::sleep(stall.length);
}

async fn answer(mut stream: TcpStream, first_request: &Notify) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = [0; MAX_HEAD_BYTES];
    let mut filled = 0;
    loop {
        if filled == head.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let read = stream.read(&mut head[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        // The generator sends no body and awaits each answer, so a head at the end of what was read is one request.
        if head[..filled].ends_with(b"\r\n\r\n") {
            first_request.notify_one();
            stream.write_all(ANSWER).await?;
            filled = 0;
        }
    }
}
