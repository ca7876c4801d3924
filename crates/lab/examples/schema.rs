//! Writes the JSON Schema of `result.json` to standard output:
//! `cargo run -p peermark-lab --example schema > crates/lab/schema/run.schema.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let schema = peermark_lab::report::schema();
    writeln!(std::io::stdout(), "{schema:#}")
}
