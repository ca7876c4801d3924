//! `peermark monitor ...`: ask monitors, give them orders, watch many of them.

mod access;
mod fleet;
mod install;
mod run;
mod verify;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use peermark_core::Clock;
use peermark_lab::scenario::HumanDuration;
use peermark_monitor::client::MonitorClient;
use peermark_monitor::desk::MAX_HISTORY;
use peermark_monitor::terminal;
use peermark_probe::clock::MonotonicClock;
use serde::Serialize;

use crate::command::up::Format;
use crate::error::ExpectedError;
use crate::output;

use access::MonitorArgs;

#[derive(Debug, Args)]
pub(crate) struct MonitorCommand {
    #[command(subcommand)]
    command: MonitorSubcommand,
}

#[derive(Debug, Subcommand)]
enum MonitorSubcommand {
    /// Run self-tests on their schedule until stopped; the API's address is printed as one line of JSON
    Run(Box<run::RunArgs>),
    /// Every task: state, last result, age, next run, trend, and what to do
    Tasks(Asking),
    /// The latest success of a task
    Get(Named),
    /// The latest success of every task
    GetAll(Asking),
    /// Attempts of a task
    History(HistoryArgs),
    /// Run a task now, outside of its schedule
    RunNow(Named),
    /// Hold scheduled runs back
    Pause(PauseArgs),
    /// End a pause
    Resume(Asking),
    /// Many monitors in one grid, worst first, in one store, with alerts
    Fleet(Box<fleet::FleetArgs>),
    /// Whether a history is what its node signed: the whole chain, offline
    Verify(verify::VerifyArgs),
    /// The monitor as a service of the system
    Install(install::InstallArgs),
}

#[derive(Debug, Args)]
struct Asking {
    #[command(flatten)]
    access: MonitorArgs,
    /// Lines for people, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Debug, Args)]
struct Named {
    /// The task
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    #[command(flatten)]
    named: Named,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    since: HumanDuration,
    /// At most so many attempts, the newest
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_HISTORY)))]
    limit: u32,
}

#[derive(Debug, Args)]
struct PauseArgs {
    /// For how long; at most 30 days
    #[arg(long = "for", value_name = "DURATION")]
    length: HumanDuration,
    /// Why: it is shown wherever the monitor is
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    asking: Asking,
}

/// Runs `peermark monitor ...`.
///
/// # Errors
/// [`ExpectedError`] when the monitor cannot be asked or refuses.
pub(crate) fn run(command: MonitorCommand, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    match command.command {
        MonitorSubcommand::Run(args) => run::run(&args, file),
        MonitorSubcommand::Verify(args) => runtime()?.block_on(verify::run(args)),
        MonitorSubcommand::Fleet(args) => fleet::run(*args),
        MonitorSubcommand::Install(args) => install::run(&args, file),
        asked => runtime()?.block_on(ask(asked, file)).map(|()| ExitCode::SUCCESS),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, ExpectedError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExpectedError::System)
}

async fn ask(command: MonitorSubcommand, file: Option<&Path>) -> Result<(), ExpectedError> {
    match command {
        MonitorSubcommand::Tasks(asking) => {
            let status = asking.client(file)?.status().await?;
            asking.print(&status, || terminal::tasks(&status))
        }
        MonitorSubcommand::Get(Named { name, asking }) => {
            let result = asking.client(file)?.result(&name).await?;
            asking.print(&result, || terminal::results(std::slice::from_ref(&result)))
        }
        MonitorSubcommand::GetAll(asking) => {
            let results = asking.client(file)?.results().await?;
            asking.print(&results, || terminal::results(&results))
        }
        MonitorSubcommand::History(HistoryArgs { named: Named { name, asking }, since, limit }) => {
            let back_ms = u64::try_from(since.0.as_millis()).unwrap_or(u64::MAX);
            let since_ms = MonotonicClock::new().wall_ms().saturating_sub(back_ms);
            let history = asking.client(file)?.history(&name, since_ms, limit).await?;
            asking.print(&history, || terminal::history(&history))
        }
        MonitorSubcommand::RunNow(Named { name, asking }) => {
            let ticket = asking.client(file)?.run_now(&name).await?;
            asking.print(&ticket, || {
                format!("{} will run; ask for it with: peermark monitor get {}\n", ticket.name, ticket.name)
            })
        }
        MonitorSubcommand::Pause(PauseArgs { length, reason, asking }) => {
            let pause = asking.client(file)?.pause(seconds(length.0), &reason).await?;
            let until = || format!("paused until {}: {}\n", peermark_page::format::utc(pause.until_ms), pause.reason);
            asking.print(&pause, until)
        }
        MonitorSubcommand::Resume(asking) => {
            asking.client(file)?.resume().await?;
            asking.print(&serde_json::json!({ "paused": null }), || "scheduled runs go on\n".to_owned())
        }
        // They ask nobody; `run` took them.
        MonitorSubcommand::Run(_)
        | MonitorSubcommand::Verify(_)
        | MonitorSubcommand::Fleet(_)
        | MonitorSubcommand::Install(_) => Ok(()),
    }
}

/// A part of a second is a second: nobody pauses for nothing.
fn seconds(length: Duration) -> u64 {
    length.as_secs() + u64::from(length.subsec_nanos() > 0)
}

impl Asking {
    fn client(&self, file: Option<&Path>) -> Result<MonitorClient, ExpectedError> {
        self.access.client(file)
    }

    fn print(&self, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), ExpectedError> {
        print(self.format, document, text)
    }
}

/// One JSON document or text, on stdout.
fn print(format: Format, document: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), ExpectedError> {
    let out = match format {
        Format::Json => serde_json::to_string(document).map_err(|error| ExpectedError::Output(error.into()))?,
        Format::Text => text(),
    };
    output::data(out.trim_end()).map_err(ExpectedError::Output)
}
