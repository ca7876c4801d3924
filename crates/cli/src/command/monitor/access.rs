//! Which monitor is asked, and by what right.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use clap::Args;
use peermark_monitor::MonitorConfig;
use peermark_monitor::client::MonitorClient;

use crate::command::service::AccessArgs;
use crate::config;
use crate::error::ExpectedError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(super) struct MonitorArgs {
    /// The monitor: host and port, or a URL; of a node, the node's API [default: where this machine's configuration lets it listen]
    #[arg(long, value_name = "ADDR")]
    api: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
}

impl MonitorArgs {
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
        Ok(MonitorClient::new(&self.access.to(url)?)?)
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
