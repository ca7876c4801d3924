//! Which monitor is asked, and by what right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use peermark_monitor::MonitorConfig;
use peermark_monitor::client::{Access, MonitorClient};
use peermark_node::client::Trust;

use crate::command::node::read_token;
use crate::config;
use crate::error::{ExpectedError, in_words};

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(super) struct AccessArgs {
    /// The monitor: host and port, or a URL; of a node, the node's API [default: where this machine's configuration lets it listen]
    #[arg(long, value_name = "ADDR")]
    api: Option<String>,
    /// File with the token that the monitor wants
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of the authorities whose certificates are believed [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Send the token to another machine over plain HTTP, where everybody on the way can read it
    #[arg(long)]
    insecure: bool,
    /// Longest time for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl AccessArgs {
    /// A client, without any I/O but reading the files that are named.
    ///
    /// # Errors
    /// [`ExpectedError`]; a token over plain HTTP to another machine is refused unless it is allowed.
    pub(super) fn client(&self, file: Option<&Path>) -> Result<MonitorClient, ExpectedError> {
        let url = match &self.api {
            Some(url) => url.clone(),
            None => {
                let settings: MonitorConfig = config::section("monitor", &NoFlags {}, file)?;
                let scheme = if settings.tls_cert.is_some() { "https" } else { "http" };
                format!("{scheme}://{}", reachable(settings.api))
            }
        };
        let trust = match &self.ca {
            Some(ca) => Trust::pem_file(ca).map_err(|error| ExpectedError::Configuration(in_words(&error)))?,
            None => Trust::system(),
        };
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let timeout = Duration::from_secs(self.timeout);
        Ok(MonitorClient::new(&Access { url, token, trust, insecure: self.insecure, timeout })?)
    }
}

/// Where a server that listens on every address is asked from its own machine.
fn reachable(listens: SocketAddr) -> SocketAddr {
    match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listens.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listens.port()),
        _ => listens,
    }
}

/// Nothing was given on the command line.
#[derive(serde::Serialize)]
struct NoFlags {}
