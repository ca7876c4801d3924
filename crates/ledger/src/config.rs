//! The section `ledger` of the configuration.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything that can be set. Times are in the unit that the name says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// Directory of the ledger.
    pub data: PathBuf,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Whether the API may be served beyond loopback without a token.
    pub allow_anonymous: bool,
    /// Certificate chain (PEM) that the API is served with; plain HTTP without.
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    pub tls_key: Option<PathBuf>,
    /// Milliseconds from block to block; 0 takes the seconds that the ledger's policy names. A laboratory may be faster.
    pub block_ms: u64,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("peermark-ledger"),
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)),
            allow_anonymous: false,
            tls_cert: None,
            tls_key: None,
            block_ms: 0,
        }
    }
}
