//! Writes the report of an invented run to standard output, for work on its looks:
//! `cargo run -p peermark-lab --example sample_report > report.html`.

#[path = "../tests/report/fixture.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod fixture;
#[path = "../tests/report/load.rs"]
mod load;

use std::io::Write;

fn main() -> std::io::Result<()> {
    write!(std::io::stdout(), "{}", peermark_lab::report::html(&fixture::network()))
}
