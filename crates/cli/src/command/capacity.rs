//! `peermark capacity`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use peermark_attest::capacity::{CapacityDocument, Question};

use super::judged::{OutputArgs, RuleArgs, in_file, print, text};
use crate::error::{Exit, ExpectedError};

#[derive(Debug, Args)]
pub(crate) struct CapacityCommand {
    /// A host, its jobs and what they cost; one more job, other hardware, history and pool as they are asked for (TOML)
    #[arg(long, value_name = "FILE")]
    host: PathBuf,
    #[command(flatten)]
    rules: RuleArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints the answers; exit code 100 where one more job does not fit or the other hardware is not enough.
///
/// # Errors
/// What cannot be read, parsed or printed.
pub(crate) fn run(command: &CapacityCommand) -> Result<ExitCode, ExpectedError> {
    let policy = command.rules.policy()?;
    let question = Question::from_toml(&text(&command.host)?).map_err(|error| in_file(&command.host, &error))?;
    let document = CapacityDocument::new(&question, &command.host.display().to_string(), &policy);
    print(&command.output, &document, || document.text())?;
    Ok(if document.fits() { ExitCode::SUCCESS } else { Exit::ThresholdFailed.into() })
}
