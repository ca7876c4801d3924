//! The ledger as its users see it: files on disk, other processes, disks that fail, entries over HTTP, a network that plays all roles.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and its fixtures with it")]

mod actor;
mod driver;
mod log_appending;
mod log_cut;
mod log_damage;
mod log_disk;
mod log_faults;
mod log_fixture;
mod log_kill;
mod log_proofs;
mod log_snapshots;
mod log_transparency;
mod log_writer;
mod rounds;
mod sequencer;
mod server;
mod work_alerts;
mod work_faults;
mod work_judged;
mod work_life;
mod work_map;
mod work_market;
mod work_performance;
mod work_random;
mod work_replacement;
mod work_roots;
mod work_setup;
mod work_storage;
