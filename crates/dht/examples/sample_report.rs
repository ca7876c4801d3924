//! Writes the report of invented rows to standard output, for work on its looks:
//! `cargo run -p peermark-dht --example sample_report > report.html`.

#[path = "../tests/it/report/fixture.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod fixture;

use std::io::Write;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let filled = fixture::filled(false).await;
    fixture::put_traces(&filled.store).await;
    let report = peermark_dht::report::read(&filled.store, &fixture::week()).await.map_err(std::io::Error::other)?;
    writeln!(std::io::stderr(), "{}", peermark_dht::report::text(&report))?;
    write!(std::io::stdout(), "{}", peermark_dht::report::html(&report))
}
