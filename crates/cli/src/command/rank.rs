//! `peermark rank`.

use std::process::ExitCode;

use clap::Args;
use peermark_attest::rank::RankDocument;
use peermark_attest::source::Judged;

use super::judged::{EvidenceArgs, OutputArgs, of_ledger, print};
use super::ledger::SourceArgs;
use crate::error::ExpectedError;

#[derive(Debug, Args)]
pub(crate) struct RankCommand {
    #[command(flatten)]
    evidence: EvidenceArgs,
    #[command(flatten)]
    ledger: SourceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints the ranks of every contract.
///
/// # Errors
/// What cannot be read, judged or printed.
pub(crate) fn run(command: &RankCommand) -> Result<ExitCode, ExpectedError> {
    if command.ledger.ledger.is_some() {
        let make = |judged: &Judged| Some(RankDocument::new(judged, None));
        of_ledger(&command.ledger, &command.output, make, RankDocument::text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (judged, observed) = command.evidence.judge()?;
    let document = RankDocument::new(&judged, observed);
    print(&command.output, &document, || document.text())?;
    Ok(ExitCode::SUCCESS)
}
