//! The one binary: argument tree, configuration, composition, exit codes. No logic.

mod args;
mod command;
mod config;
mod error;
mod output;
mod view;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use error::ExpectedError;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    output::start_log(cli.verbose);
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            output::talk(&format!("error: {error}"));
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                output::talk(&format!("  because: {cause}"));
                source = cause.source();
            }
            error.exit_code().into()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, ExpectedError> {
    match cli.command {
        Command::Up(up) => command::up::run(*up),
        Command::Load(load) => command::load::run(load),
        Command::Dht(dht) => command::dht::run(dht, cli.config.as_deref()),
        Command::Monitor(monitor) => command::monitor::run(monitor, cli.config.as_deref()),
        Command::Config(config) => command::config::run(&config, cli.config.as_deref()),
        Command::Doctor(doctor) => command::doctor::run(&doctor),
        Command::Lab(lab) => command::lab::run(lab),
        Command::Ledger(ledger) => command::ledger::run(ledger, cli.config.as_deref()),
        Command::Attest(attest) => command::attest::run(&attest),
        Command::Rank(rank) => command::rank::run(&rank),
        Command::Qualify(qualify) => command::qualify::run(&qualify),
        Command::Explain(explain) => command::explain::run(&explain),
        Command::Sla(sla) => command::sla::run(&sla),
        Command::Capacity(capacity) => command::capacity::run(&capacity),
        Command::Bench(bench) => command::bench::run(bench),
        Command::Node(node) => command::node::run(node, cli.config.as_deref()),
    }
}
