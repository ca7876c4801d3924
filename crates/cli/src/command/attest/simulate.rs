//! `peermark attest simulate`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use peermark_attest::simulate::{self, Scope};
use peermark_core::Seed;
use peermark_judge::adversary::Effort;

use crate::command::up::Format;
use crate::error::{Exit, ExpectedError};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Seed of the simulation: the same seed gives the same figures on any number of cores
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Trials per setting of the gates; the zoo takes a fifth, committee sizes and histories a tenth, shares of liars a twentieth. 500 take
    /// about 20 minutes on two cores, 6 minutes with --gates
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: u32,
    /// Epochs per trial
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    epochs: u32,
    /// The gates alone
    #[arg(long)]
    gates: bool,
    /// Table, or one JSON document (schema peermark.adversary/1)
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Write the page to this file too
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Simulates and prints; exit code 100 where a gate is missed.
///
/// # Errors
/// [`ExpectedError::Output`] when output could not be written.
pub(super) fn run(args: &SimulateArgs) -> Result<ExitCode, ExpectedError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let effort = Effort { trials: args.trials, epochs: args.epochs, threads };
    let scope = if args.gates { Scope::Gates } else { Scope::Everything };
    let report = simulate::run(scope, &effort, Seed(args.seed), |part| output::talk(&format!("simulating: {part}")));
    if let Some(path) = &args.html {
        std::fs::write(path, simulate::html(&report)).map_err(ExpectedError::Output)?;
    }
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&report).map_err(|error| ExpectedError::Output(error.into()))?,
        Format::Text => simulate::text(&report),
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(if report.held { ExitCode::SUCCESS } else { Exit::ThresholdFailed.into() })
}
