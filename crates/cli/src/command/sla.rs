//! `peermark sla CONTRACT`.

use std::process::ExitCode;

use clap::Args;
use peermark_attest::sla::SlaDocument;
use peermark_attest::source::Judged;

use super::judged::{EvidenceArgs, OutputArgs, of_ledger, print};
use super::ledger::SourceArgs;
use crate::error::{Exit, ExpectedError};

#[derive(Debug, Args)]
pub(crate) struct SlaCommand {
    /// The contract; rows that name none belong to `-`
    #[arg(value_name = "CONTRACT", allow_hyphen_values = true)]
    contract: String,
    #[command(flatten)]
    evidence: EvidenceArgs,
    #[command(flatten)]
    ledger: SourceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints whether the promises of a contract are kept; exit code 100 where one FAILS.
///
/// # Errors
/// What cannot be read, judged or printed, and a contract that nobody measured.
pub(crate) fn run(command: &SlaCommand) -> Result<ExitCode, ExpectedError> {
    if command.ledger.ledger.is_some() {
        let make = |judged: &Judged| SlaDocument::new(judged, &command.contract, None);
        let said = of_ledger(&command.ledger, &command.output, make, SlaDocument::text)?;
        let is_broken = said.iter().any(SlaDocument::is_broken);
        return Ok(if is_broken { Exit::ThresholdFailed.into() } else { ExitCode::SUCCESS });
    }
    let (judged, observed) = command.evidence.judge()?;
    let document = SlaDocument::new(&judged, &command.contract, observed).ok_or_else(|| {
        let mut known: Vec<&str> =
            judged.statement.contracts.iter().map(|contract| contract.contract.as_str()).take(20).collect();
        known.dedup();
        ExpectedError::Evidence(format!("nobody measured {}; measured were {}", command.contract, known.join(", ")))
    })?;
    print(&command.output, &document, || document.text())?;
    Ok(if document.is_broken() { Exit::ThresholdFailed.into() } else { ExitCode::SUCCESS })
}
