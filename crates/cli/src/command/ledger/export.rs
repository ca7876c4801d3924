//! `peermark ledger export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use peermark_attest::evidence::{self, StoreEvidenceError};
use peermark_attest::export::lines;
use peermark_attest::ledger::Loaded;
use peermark_core::in_words;
use peermark_probe::environment::environment;
use peermark_store::Store;
use serde_json::json;

use crate::command::ledger::{LedgerError, SourceArgs};
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    ledger: SourceArgs,
    /// Instead of printing records: write what the ledger admitted as measurements into this store (SQLite), as one run beside
    /// those of the other jobs
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

/// Prints every record up to the last checkpoint, or stores the measurements among them.
///
/// # Errors
/// [`ExpectedError`].
pub(super) async fn run(args: &ExportArgs) -> Result<ExitCode, ExpectedError> {
    let loaded = args.ledger.load().await?;
    args.ledger.say_unnamed(loaded.checked.replay.machine().network());
    if let Some(path) = &args.store {
        return store(&loaded, path).await;
    }
    for line in lines(&loaded.evidence) {
        output::data(&line).map_err(ExpectedError::Output)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn store(loaded: &Loaded, path: &Path) -> Result<ExitCode, ExpectedError> {
    let store = Store::open(path).await.map_err(|error| ExpectedError::Store(Box::new(error)))?;
    let environment = environment(env!("CARGO_PKG_VERSION"), env!("PEERMARK_COMMIT"));
    let stored = evidence::store(loaded, &store, &environment).await;
    store.close().await;
    let stored = stored.map_err(|error| {
        let text = format!("{}: {}", path.display(), in_words(&error));
        match error {
            StoreEvidenceError::Stored { .. } => LedgerError::Data(text).into(),
            _ => ExpectedError::Unavailable(text),
        }
    })?;
    let line = json!({
        "schema": "peermark.ledger-stored/1",
        "run": stored.run,
        "series": stored.series,
        "operations": stored.operations,
    });
    output::data(&line.to_string()).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}
