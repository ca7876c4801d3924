//! Nodes as their callers and their peers see them: real nodes in this process, on loopback and free ports.
//!
//! - `fleet` starts nodes and joins them, `rest` calls them over HTTP, `wait` is the only way to wait for a condition;
//! - every other module is tests, by what they are about.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and its fixtures with it")]
#![expect(clippy::float_cmp, reason = "metrics are whole numbers in decimal text")]

mod bad_input;
mod datasets;
mod dialling;
mod exchange;
mod fleet;
mod hostile;
mod information;
mod intruder;
mod large;
mod metrics;
mod openapi;
mod own_routes;
mod payment;
mod problems;
mod rest;
mod starting;
mod tls;
mod wait;
