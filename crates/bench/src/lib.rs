//! The product's own figures, each measured beside its reference in the same run.
//!
//! Machines are noisy, so a figure is a ratio to a reference that was measured in turn with it, or carries the calibration of the
//! machine. Every benchmark says what it holds against, and whether it does.

mod dht;
mod exchange;
mod figure;
mod intervals;
mod judge;
mod large;
mod ledger;
mod load;
mod monitor;
mod peer;
mod stream;
mod swarm;

pub use dht::dht;
pub use exchange::exchange;
pub use figure::{BenchError, Figure, Hold, SCHEMA};
pub use intervals::intervals;
pub use judge::judge;
pub use large::large;
pub use ledger::ledger;
pub use load::load;
pub use monitor::monitor;
pub use peer::{PeerKind, serve};
pub use swarm::{idle, swarm};
