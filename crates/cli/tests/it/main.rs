//! The binary, driven as a user drives it: real processes on loopback, exit codes, files, and nothing left behind.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attest;
mod bad_input;
mod bench;
mod dht;
mod dht_report;
mod faults;
mod judged;
mod ledger;
mod ledger_judged;
mod monitor;
mod monitor_faces;
mod one_reader;
mod program;
mod runs;
mod town;
mod up_dht;

// The people of the ledger's own tests.
#[expect(dead_code, reason = "the ledger's tests use the rest")]
#[path = "../../../ledger/tests/it/driver.rs"]
mod driver;
#[expect(dead_code, reason = "the ledger's tests use the rest")]
#[path = "../../../ledger/tests/it/rounds.rs"]
mod rounds;
