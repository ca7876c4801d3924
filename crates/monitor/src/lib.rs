//! A node that tests itself: tasks on a cron schedule, every attempt kept and sealed, answered over REST, a Redis bus and metrics.
//!
//! The way of an attempt: the agenda of `peermark_probe` wants a task ([`task`], [`tasks`]) -> `runner` gives it what it needs and
//! makes an [`attempt`] of whatever comes -> `journal` -> [`history`], where it is sealed and on disk -> [`state`], which answers
//! every front through [`desk`]: `http`, [`bus`], [`metrics`].
//!
//! Around it: [`slots`] and [`dialback`] are what it does for the tests of others; [`client`]
//! asks a monitor from elsewhere, [`fleet`] shows many of them in one view, [`install`] makes it a service of the system.
//!
//! Contracts: every attempt is kept, also what failed, was skipped or hung; a failed attempt never hides the latest success, and
//! both say how old they are; a failure names who has to mend it and what to do; nothing is tested off this machine that the
//! configuration does not name.

pub mod attempt;
mod budget;
pub mod bus;
pub mod child;
pub mod client;
pub mod config;
pub mod desk;
pub mod dialback;
mod entry;
mod error;
pub mod fleet;
pub mod history;
mod http;
pub mod icmp;
pub mod install;
mod journal;
pub mod metrics;
mod pause;
mod runner;
mod server;
pub mod slots;
pub mod spark;
pub mod state;
mod status;
pub mod stun;
pub mod task;
pub mod tasks;
pub mod terminal;

pub use client::BASE;
pub use config::MonitorConfig;
pub use error::MonitorError;
pub use http::Orders;
pub use server::{Listen, Monitor, MonitorOptions, NETWORK};
