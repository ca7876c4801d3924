//! The binary, driven as a user drives it: real processes on loopback, exit codes, files, and nothing left behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attest;
mod bad_input;
mod bench;
mod dht;
mod dht_report;
mod faults;
mod judged;
mod monitor;
mod monitor_faces;
mod one_reader;
mod program;
mod runs;
mod up_dht;
