//! What a host is, and why it does not start.

use std::io;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use peermark_node::network::ListenFailed;
use thiserror::Error;

use super::{DiskError, Scope};

/// What a host is.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its identity.
    pub key: Keypair,
    /// Addresses to listen on; none for a client that is never dialled.
    pub listen: Vec<Multiaddr>,
    /// Name of the Kademlia protocol.
    pub protocol: String,
    /// Whether it answers others, and so is in their tables. A client only asks.
    pub server: bool,
    /// Where it may connect to.
    pub scope: Scope,
    /// How long a connection stays open without use. It decides whether lookups run on warm or on cold connections.
    pub idle_timeout: Duration,
    /// Peers per bucket, and peers that a lookup aims at.
    pub k: usize,
    /// Keys whose providers a server keeps.
    pub max_keys: usize,
    /// Directory in which they are kept over a restart; in memory only without.
    pub provider_store: Option<PathBuf>,
    /// Questions a second that this host asks on average, dials included; unlimited without. Strangers' networks get a limit.
    pub max_questions_per_s: Option<NonZeroU32>,
}

/// Why a host does not start.
#[derive(Debug, Error)]
pub enum HostError {
    /// A setting cannot be used.
    #[error("{name}: {reason}")]
    Setting {
        /// Which.
        name: &'static str,
        /// Why.
        reason: String,
    },
    /// The transport cannot be set up.
    #[error("set up the transport")]
    Transport {
        /// What the system said.
        source: io::Error,
    },
    /// Provider records cannot be kept.
    #[error(transparent)]
    Records(#[from] DiskError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenFailed),
}
