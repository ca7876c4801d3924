//! The storage node, and the typed client that drives any node with the same REST API.
//!
//! With the feature `server` (default) this is the whole node: a libp2p host that exchanges blocks by Bitswap 1.2, finds content
//! through its peers and the Kademlia DHT, keeps blocks under a quota and serves the Archivist and Codex REST API. Without it
//! only [`client`] is built, which knows nothing of libp2p.

#[cfg(feature = "server")]
pub mod bitswap;
#[cfg(feature = "server")]
pub mod blocks;
pub mod client;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod content;
#[cfg(feature = "server")]
pub mod dataset;
#[cfg(feature = "server")]
pub mod dial;
#[cfg(feature = "server")]
pub mod error;
#[cfg(all(feature = "server", any(test, feature = "fuzzing")))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod identity;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "server")]
pub mod network;
#[cfg(feature = "server")]
mod pay;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
mod state;
#[cfg(feature = "server")]
mod wire;

#[cfg(feature = "server")]
pub use config::{Mode, NodeConfig, StoreKind};
#[cfg(feature = "server")]
pub use error::NodeError;
#[cfg(feature = "server")]
pub use server::{BoundNode, Extension, Node};
