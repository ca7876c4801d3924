//! Many monitors in one view: a grid node x task, worst first, in which silence is a state of its own.
//!
//! - [`config`]: `nodes.toml`: which monitors, how often, which alerts;
//! - [`poll`]: asks each monitor in turn on the engine's schedule; attempts that are new go into the store, each once;
//! - [`state`]: the view, in memory; [`document`]: what of it programs read;
//! - [`terminal`], [`page`], [`metrics`]: the same for people, browsers and Prometheus; [`server`]: served over HTTP;
//! - [`alert`]: rules with hysteresis; [`webhook`]: who is told, until it is taken; [`rules`]: the rules for those who have a Prometheus.
//!
//! A node's own clock stamps its attempts and this machine's clock says how long a node has been silent; the two are never
//! subtracted from each other. Ages are those that the node reported, plus the time since it did.

pub mod alert;
pub mod config;
pub mod document;
mod fetch;
#[cfg(test)]
pub(crate) mod fixture;
mod keep;
pub mod metrics;
pub mod page;
pub mod poll;
pub mod rules;
pub mod server;
pub mod state;
mod tell;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod webhook;

pub use config::{FleetConfig, FleetConfigError};
pub use document::FleetDocument;
pub use keep::{KeepError, Keeper, RUN};
pub use poll::{Fleet, FleetError, FleetOptions};
