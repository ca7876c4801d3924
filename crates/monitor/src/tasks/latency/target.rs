//! What latency is measured to, and one probe of it.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use peermark_core::Clock;
use peermark_node::client::{Call, ClientError, ClientOptions, NodeClient};
use tokio::net::{TcpStream, UdpSocket};

use crate::icmp::{Mark, PingError, ping};
use crate::stun::{self, MAX_ANSWER_BYTES, Transaction};

/// Longest document that a probe reads.
const MAX_ANSWER: usize = 1 << 20;

/// One entry of `monitor.latency.targets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Time to an open TCP connection.
    Tcp { host: String, port: u16 },
    /// Time to the whole answer to a GET on an open connection, and to a new TCP connection apart.
    Http { url: String, base: String, path: String, host: String, port: u16 },
    /// Time of a STUN Binding request over UDP.
    Stun { host: String, port: u16 },
    /// Time of an echo request.
    Icmp { host: String },
}

impl Target {
    /// Reads an entry.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?}: expected tcp://HOST:PORT, http(s)://HOST[:PORT][/PATH], stun://HOST:PORT or icmp://HOST")
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let with_port = || host_port(rest, None).ok_or_else(wrong);
        match scheme {
            "tcp" => with_port().map(|(host, port)| Self::Tcp { host, port }),
            "stun" => with_port().map(|(host, port)| Self::Stun { host, port }),
            "icmp" => {
                let host = rest.trim_start_matches('[').trim_end_matches(']');
                is_host(host).then(|| Self::Icmp { host: host.to_owned() }).ok_or_else(wrong)
            }
            "http" | "https" => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                let port = if scheme == "http" { 80 } else { 443 };
                let (host, port) = host_port(authority, Some(port)).ok_or_else(wrong)?;
                let base = format!("{scheme}://{authority}");
                let invalid = |error: ClientError| format!("{text:?}: {error}");
                NodeClient::new(&base, ClientOptions::default()).map_err(invalid)?;
                Ok(Self::Http { url: text.to_owned(), base, path: format!("/{path}"), host, port })
            }
            _ => Err(wrong()),
        }
    }

    /// The name to look up, and the port; 0 where there is none.
    pub(super) fn destination(&self) -> (&str, u16) {
        match self {
            Self::Tcp { host, port } | Self::Http { host, port, .. } | Self::Stun { host, port } => (host, *port),
            Self::Icmp { host } => (host, 0),
        }
    }
}

fn host_port(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, default?),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (is_host(host) && port != 0).then(|| (host.to_owned(), port))
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = self.destination();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        match self {
            Self::Tcp { .. } => write!(f, "tcp://{host}:{port}"),
            Self::Http { url, .. } => f.write_str(url),
            Self::Stun { .. } => write!(f, "stun://{host}:{port}"),
            Self::Icmp { .. } => write!(f, "icmp://{host}"),
        }
    }
}

/// What one probe took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Probe {
    /// The figure of the target: connect, answer or round trip, ns.
    pub(super) total_ns: u64,
    /// Time to an open TCP connection, ns; `None` where there is none.
    pub(super) connect_ns: Option<u64>,
}

/// Why a probe has no figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Nobody answered, or not in time.
    Why(String),
    /// The system does not let this user ask.
    NotPermitted(String),
}

/// A target whose name was looked up.
pub(super) struct Prober<'a> {
    pub(super) target: &'a Target,
    pub(super) address: SocketAddr,
    pub(super) timeout: Duration,
    pub(super) clock: &'a dyn Clock,
    client: Option<NodeClient>,
}

impl<'a> Prober<'a> {
    pub(super) fn new(target: &'a Target, address: SocketAddr, timeout: Duration, clock: &'a dyn Clock) -> Self {
        let client = match target {
            Target::Http { base, .. } => {
                let options = ClientOptions { connect_timeout: timeout, timeout, max_connections: 1 };
                // It was tried when the configuration was read.
                NodeClient::new(base, options).ok()
            }
            _ => None,
        };
        Self { target, address, timeout, clock, client }
    }

    /// Opens what the probes use, so that the first one does not pay for it alone.
    pub(super) async fn prepare(&self) -> Result<(), Lost> {
        if self.client.is_some() { self.get().await.map(drop) } else { Ok(()) }
    }

    /// One probe, at most for the timeout. `mark` is random.
    pub(super) async fn probe(&self, mark: &Mark) -> Result<Probe, Lost> {
        match self.target {
            Target::Tcp { .. } => {
                let connect_ns = self.connect().await?;
                Ok(Probe { total_ns: connect_ns, connect_ns: Some(connect_ns) })
            }
            Target::Http { .. } => {
                let connect_ns = self.connect().await?;
                Ok(Probe { total_ns: self.get().await?, connect_ns: Some(connect_ns) })
            }
            Target::Stun { .. } => Ok(Probe { total_ns: self.stun(mark).await?, connect_ns: None }),
            Target::Icmp { .. } => {
                let round_trip = ping(self.clock, self.address.ip(), mark, self.timeout).await;
                let total_ns = round_trip.map_err(|error| match error {
                    PingError::NotPermitted => Lost::NotPermitted(error.to_string()),
                    other => Lost::Why(told(&other)),
                })?;
                Ok(Probe { total_ns, connect_ns: None })
            }
        }
    }

    async fn connect(&self) -> Result<u64, Lost> {
        self.timed(async { TcpStream::connect(self.address).await.map(drop) }).await
    }

    async fn get(&self) -> Result<u64, Lost> {
        let (Some(client), Target::Http { path, .. }) = (&self.client, self.target) else {
            return Err(Lost::Why("no HTTP".into()));
        };
        let started_ns = self.clock.now_ns();
        let call = Call {
            method: Method::GET,
            path,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            max_answer_bytes: MAX_ANSWER,
            timeout: self.timeout,
        };
        let answer = client.call(call).await.map_err(|error| Lost::Why(told(&error)))?;
        // What it says is no matter of latency, but a server that fails was not measured as one that serves.
        if answer.status >= 500 {
            return Err(Lost::Why(format!("HTTP status {}", answer.status)));
        }
        Ok(self.clock.now_ns().saturating_sub(started_ns))
    }

    async fn stun(&self, mark: &Mark) -> Result<u64, Lost> {
        let mut transaction = Transaction::default();
        transaction.copy_from_slice(&mark[..12]);
        let any: IpAddr = match self.address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        self.timed(async {
            let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
            socket.connect(self.address).await?;
            socket.send(&stun::request(&transaction)).await?;
            let mut buffer = [0; MAX_ANSWER_BYTES];
            loop {
                let length = socket.recv(&mut buffer).await?;
                if stun::answer(&buffer[..length], &transaction).is_some() {
                    return Ok(());
                }
            }
        })
        .await
    }

    async fn timed(&self, work: impl Future<Output = io::Result<()>>) -> Result<u64, Lost> {
        let started_ns = self.clock.now_ns();
        match tokio::time::timeout(self.timeout, work).await {
            Ok(Ok(())) => Ok(self.clock.now_ns().saturating_sub(started_ns)),
            Ok(Err(error)) => Err(Lost::Why(error.to_string())),
            Err(_) => Err(Lost::Why(format!("no answer within {:?}", self.timeout))),
        }
    }
}

/// An error with its innermost source.
fn told(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if inner.to_string() == error.to_string() { error.to_string() } else { format!("{error}: {inner}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_told_as_they_were_written() {
        for text in
            ["tcp://a.example:22", "tcp://[::1]:22", "stun://s.example:3478", "icmp://192.0.2.1", "http://a:8/x?y=1"]
        {
            assert_eq!(Target::read(text).unwrap().to_string(), text);
        }
        let http = Target::read("http://a.example").unwrap();
        assert_eq!(http.destination(), ("a.example", 80));
        for text in
            ["a", "tcp://a", "tcp://a:0", "tcp://:1", "ftp://a:1", "icmp://", "icmp://-x y", "http://", "stun://a:x"]
        {
            assert!(Target::read(text).is_err(), "{text}");
        }
    }
}
