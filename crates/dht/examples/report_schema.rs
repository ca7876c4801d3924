//! Writes the JSON Schema of `report.json` to standard output:
//! `cargo run -p peermark-dht --example report_schema > crates/dht/schema/dht-report.schema.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{:#}", peermark_dht::report::schema())
}
