//! One module per command: it turns arguments into calls.

pub(crate) mod attest;
pub(crate) mod bench;
pub(crate) mod capacity;
pub(crate) mod config;
pub(crate) mod dht;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod judged;
pub(crate) mod lab;
pub(crate) mod ledger;
pub(crate) mod load;
pub(crate) mod monitor;
pub(crate) mod node;
pub(crate) mod qualify;
pub(crate) mod rank;
pub(crate) mod service;
pub(crate) mod sla;
pub(crate) mod up;
