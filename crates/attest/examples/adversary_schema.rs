//! Writes the JSON Schema of what `peermark attest simulate` prints to standard output:
//! `cargo run -p peermark-attest --example adversary_schema > crates/attest/schema/adversary.schema.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let schema = peermark_attest::simulate::schema();
    writeln!(std::io::stdout(), "{schema:#}")
}
