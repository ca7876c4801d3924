//! The lab: start a network of real storage nodes on this machine, load it, break it, watch it and report what was seen; or start a
//! DHT and measure publishing and lookups in it ([`dht`]).

pub mod compare;
pub mod dht;
pub mod guard;
pub mod launch;
pub mod leftovers;
pub mod report;
pub mod result;
pub mod run;
pub mod scenario;
