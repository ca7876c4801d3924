//! `peermark dht ...`: publish and lookup latency in DHTs.

pub(crate) mod database;
pub(crate) mod engine;
mod probe;
mod report;
mod scheduler;
mod server;

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::ExpectedError;

#[derive(Debug, Args)]
pub(crate) struct DhtCommand {
    #[command(subcommand)]
    command: DhtSubcommand,
}

#[derive(Debug, Subcommand)]
enum DhtSubcommand {
    /// Run a measuring node that schedulers drive over HTTP, as parsec's servers are
    Server(Box<server::ServerArgs>),
    /// Do one operation and show where its time went
    Probe(Box<probe::ProbeArgs>),
    /// What the tables say about a period: latency per fleet and region, errors, changes, where the time went
    Report(Box<report::ReportArgs>),
    /// Have the servers of some fleets publish and look up, round by round, as parsec's scheduler does; or draw their capacity curve
    Scheduler(Box<scheduler::SchedulerArgs>),
}

/// Runs `peermark dht ...`.
///
/// # Errors
/// [`ExpectedError`] of the command.
pub(crate) fn run(command: DhtCommand, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    match command.command {
        DhtSubcommand::Server(args) => server::run(*args, file),
        DhtSubcommand::Probe(args) => probe::run(*args),
        DhtSubcommand::Report(args) => report::run(&args),
        DhtSubcommand::Scheduler(args) => scheduler::run(*args),
    }
}
