//! A server that parsec's scheduler, or ours, drives: HTTP interface, row in the database with its heartbeat, metrics, evidence.
//!
//! [`DhtServer::start`] composes it around a [`crate::measure::Measure`], in parsec's order: bind, row without a heartbeat, answer,
//! first heartbeat after the startup delay. [`RunningServer::shutdown`] takes it apart in the order that schedulers need: the row
//! says offline before anybody is turned away.
//!
//! What differs from parsec on purpose: readiness means that the routing table is not empty; every operation has a deadline; the
//! number of operations at once is bounded; a refusal can never be read as an answer without measurements; quantiles are those of
//! the last 24 hours, over all schedulers that are named.

mod config;
mod dependencies;
mod disk;
mod ecs;
mod error;
mod heartbeat;
mod http;
mod listen;
mod metrics;
mod operations;
mod place;
mod redact;
mod running;
mod state;

pub use config::{Listener, ServerConfig};
pub use dependencies::{CRATE_VERSIONS, EngineFacts, dependencies};
pub use ecs::EcsError;
pub use error::ServerError;
pub use heartbeat::{Beat, beats};
pub use http::OPENAPI;
pub use redact::without_secrets;
pub use running::{DhtServer, RunningServer, ServerParts};
