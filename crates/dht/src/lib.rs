//! Publish and lookup latency in Kademlia networks, hop by hop.
//!
//! - [`engine`]: the lookup engine, on a [`host`] of its own; [`key`]: keys and distances of Kademlia over libp2p;
//! - [`operation`]: what one provide or retrieve was, with every RPC that it took; [`waterfall`] draws it;
//! - [`measure`]: what a server measures with;
//! - [`evidence`]: measured operations as observations and traces in a store;
//! - [`preset`]: public networks that can be measured; [`private`]: networks of this process;
//! - [`server`]: parsec's HTTP interface and its row in the database;
//! - [`scheduler`]: rounds over the servers of some fleets;
//! - [`report`]: what the tables say about a period.

pub mod engine;
pub mod evidence;
pub mod host;
pub mod key;
pub mod measure;
pub mod operation;
pub mod preset;
pub mod private;
mod provider_store;
pub mod report;
pub mod scheduler;
pub mod server;
mod table;
pub mod waterfall;
mod wire;
