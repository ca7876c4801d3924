//! `peermark ledger export`.

use std::process::ExitCode;

use clap::Args;
use peermark_attest::export::lines;

use crate::command::ledger::SourceArgs;
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    ledger: SourceArgs,
}

/// Prints every record up to the last checkpoint.
///
/// # Errors
/// [`ExpectedError`].
pub(super) async fn run(args: &ExportArgs) -> Result<ExitCode, ExpectedError> {
    let loaded = args.ledger.load().await?;
    args.ledger.say_unnamed(loaded.checked.replay.machine().network());
    for line in lines(&loaded.evidence) {
        output::data(&line).map_err(ExpectedError::Output)?;
    }
    Ok(ExitCode::SUCCESS)
}
