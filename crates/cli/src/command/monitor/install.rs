//! `peermark monitor install --print`.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use peermark_monitor::install::{UnitOptions, systemd_unit};

use crate::config::default_file;
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// Print the systemd unit; nothing is installed. Save it as /etc/systemd/system/peermark-monitor.service
    #[arg(long, required = true)]
    print: bool,
    /// Account that the service runs as [default: one of its own, for as long as it runs]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Arguments of `peermark monitor run`, after --
    #[arg(last = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// [`ExpectedError`] for a configuration file that is not there, or text that no unit can hold.
pub(super) fn run(args: &InstallArgs, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    let program = std::env::current_exe().map_err(ExpectedError::System)?;
    let read =
        |path: &Path| path.canonicalize().map_err(|source| ExpectedError::Read { path: path.to_owned(), source });
    // What would be read here is what the service reads, wherever it is started.
    let config = file.or(default_file()).map(read).transpose()?;
    let options = UnitOptions { program, config, user: args.user.clone(), arguments: args.arguments.clone() };
    let unit = systemd_unit(&options).map_err(|error| ExpectedError::Configuration(error.to_string()))?;
    for path in options.in_homes() {
        output::talk(&format!(
            "warning: {} is in a home directory, which the account of a service can seldom read: copy it to /usr/local/bin or \
             /etc/peermark",
            path.display()
        ));
    }
    output::data(unit.trim_end()).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}
