//! The DHT crate from outside: private networks of real hosts, real HTTP servers, good and bad ones, and real databases, all on
//! loopback and free ports. The one stand-in is what some servers measure with ([`server_measure`]).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and its fixtures with it")]

mod engine;
mod report;
mod scheduler_capacity;
mod scheduler_database;
mod scheduler_faults;
mod scheduler_fixture;
mod scheduler_interface;
mod scheduler_postgres;
mod scheduler_rounds;
mod scheduler_servers;
mod server_bad_input;
mod server_conformance;
mod server_ecs;
mod server_evidence;
mod server_measure;
mod server_metrics;
mod server_rig;
mod server_rows;
mod server_stopping;
