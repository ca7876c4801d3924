//! Writes the JSON Schema of the `result.json` of a run that measures a DHT to standard output:
//! `cargo run -p peermark-lab --example dht_schema > crates/lab/schema/dht-lab.schema.json`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let schema = peermark_lab::dht::result::schema();
    writeln!(std::io::stdout(), "{schema:#}")
}
