//! Where a server listens.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peermark_http::{BindError, Bound, Server};
use peermark_store::dht::MAX_PORT;
use tokio::time::timeout;

use super::config::{Listener, ServerConfig};
use super::error::ServerError;
use super::running::ServerParts;

/// Longest wait for a name of a listener.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// First of the ports that are tried where any port will do and the database must be able to hold it.
const FIRST_SMALL_PORT: u16 = 16_384;

/// How many of them are tried.
const SMALL_PORT_TRIES: u64 = 512;

/// Binds both listeners; neither answers yet.
pub(super) async fn bind(config: &ServerConfig, parts: &ServerParts) -> Result<(Bound, Bound), ServerError> {
    let api = resolve(&config.server_host, config.server_port).await?;
    let telemetry = resolve(&config.telemetry_host, config.telemetry_port).await?;
    let open = |listener| config.is_anonymous(listener);
    let api = if parts.store.is_some() && api.port() == 0 {
        bind_small_port(api.ip(), parts, open(Listener::Api)).await?
    } else {
        Server::bind(api, parts.token.clone(), open(Listener::Api)).await?
    };
    let telemetry = Server::bind(telemetry, parts.token.clone(), open(Listener::Telemetry)).await?;
    Ok((api, telemetry))
}

/// Any free port that the database can hold: those that the system gives for port 0 are above.
async fn bind_small_port(ip: IpAddr, parts: &ServerParts, open: bool) -> Result<Bound, BindError> {
    // Servers that start together begin at different ports.
    let first = parts.clock.wall_ms() ^ u64::from(std::process::id()).wrapping_mul(7919);
    let mut tries = (0..SMALL_PORT_TRIES).map(|n| {
        let offset = first.wrapping_add(n * 31) % u64::from(MAX_PORT - FIRST_SMALL_PORT);
        FIRST_SMALL_PORT + offset as u16
    });
    loop {
        let port = tries.next().unwrap_or(0);
        match Server::bind(SocketAddr::new(ip, port), parts.token.clone(), open).await {
            Err(BindError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AddrInUse && port != 0 => {}
            bound => return bound,
        }
    }
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, ServerError> {
    let failed = |source| ServerError::Resolve { host: host.to_owned(), source };
    let found = timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, port)))
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    let found: Vec<SocketAddr> = found.collect();
    // Schedulers reach IPv4 addresses only.
    let preferred = found.iter().find(|address| address.is_ipv4()).or(found.first());
    preferred.copied().ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))
}
