//! `peermark lab ...`: around runs.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct LabCommand {
    #[command(subcommand)]
    command: LabSubcommand,
}

#[derive(Debug, Subcommand)]
enum LabSubcommand {
    /// Run a foreign program and end it when stdin closes
    #[command(hide = true)]
    Guard {
        #[arg(last = true, required = true)]
        program: Vec<String>,
    },
}

/// Runs `peermark lab ...`.
///
/// # Errors
/// [`ExpectedError`].
pub(crate) fn run(command: LabCommand) -> Result<ExitCode, ExpectedError> {
    match command.command {
        LabSubcommand::Guard { program } => {
            let (name, arguments) = program.split_first().ok_or_else(|| ExpectedError::Runs("no program".into()))?;
            let status = peermark_lab::guard::run(name, arguments).map_err(|error| {
                output::talk(&format!("cannot start {name}: {error}"));
                ExpectedError::System(error)
            })?;
            Ok(peermark_lab::guard::exit_code(status).into())
        }
    }
}
