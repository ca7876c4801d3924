//! Writes the report of an invented run to standard output, for work on its looks:
//! `cargo run -p peermark-lab --example sample_report > report.html`.

#[path = "../tests/report/fixture.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod fixture;
#[path = "../tests/report/load.rs"]
mod load;

use std::io::Write;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let run = fixture::network();
    let files = [Path::new("runs/sample/report.html"), Path::new("runs/sample/result.json")];
    write!(std::io::stderr(), "{}", peermark_lab::report::summary(&run, &files, 100, true))?;
    write!(std::io::stdout(), "{}", peermark_lab::report::html(&run))
}
