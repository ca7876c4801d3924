//! `peermark attest ...`.

mod simulate;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::ExpectedError;

#[derive(Debug, Args)]
pub(crate) struct AttestCommand {
    #[command(subcommand)]
    command: AttestSubcommand,
}

#[derive(Debug, Subcommand)]
enum AttestSubcommand {
    /// What liars do to the estimates: simulated worlds whose truth is known, the whole zoo of attacks, gates, breaking points
    Simulate(simulate::SimulateArgs),
}

/// Runs `peermark attest ...`.
///
/// # Errors
/// [`ExpectedError`] when output could not be written.
pub(crate) fn run(command: &AttestCommand) -> Result<ExitCode, ExpectedError> {
    match &command.command {
        AttestSubcommand::Simulate(args) => simulate::run(args),
    }
}
