//! One module per command: it turns arguments into calls.

pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod dht;
pub(crate) mod doctor;
pub(crate) mod lab;
pub(crate) mod load;
pub(crate) mod monitor;
pub(crate) mod node;
pub(crate) mod up;
