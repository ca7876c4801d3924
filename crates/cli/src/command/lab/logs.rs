//! `peermark lab logs`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::error::ExpectedError;
use crate::output;

/// Most of a log that is printed at once, counted from its end.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct LogsCommand {
    /// Number of the node
    node: u32,
    /// Run, by its id or the beginning of it; the latest when absent
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Go on as the log grows, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Directory that holds one directory per run
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
}

pub(crate) fn run(command: &LogsCommand) -> Result<ExitCode, ExpectedError> {
    let directory = find_run(&command.out, command.run.as_deref())?;
    let path = directory.join("nodes").join(format!("{:03}", command.node)).join("log");
    let read = |source| ExpectedError::Read { path: path.clone(), source };
    let mut file = File::open(&path).map_err(read)?;
    let size = file.metadata().map_err(read)?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(MAX_BYTES))).map_err(read)?;
    loop {
        let mut text = Vec::new();
        (&mut file).take(MAX_BYTES).read_to_end(&mut text).map_err(read)?;
        if !text.is_empty() {
            output::data(String::from_utf8_lossy(&text).trim_end_matches('\n')).map_err(ExpectedError::Output)?;
        }
        if !command.follow {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The directory of a run by the beginning of its id, or of the latest.
pub(super) fn find_run(runs: &std::path::Path, prefix: Option<&str>) -> Result<PathBuf, ExpectedError> {
    let read = |source| ExpectedError::Read { path: runs.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(runs).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.join("nodes").is_dir() && prefix.is_none_or(|prefix| name.starts_with(prefix)) {
            found.push((name, path));
        }
    }
    found.sort();
    match (prefix, found.len()) {
        (_, 0) => Err(ExpectedError::Runs(format!(
            "no run {}in {}",
            prefix.map_or(String::new(), |p| format!("{p}... ")),
            runs.display()
        ))),
        (Some(prefix), 2..) if !found.iter().any(|(name, _)| name == prefix) => {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            Err(ExpectedError::Runs(format!("{prefix} is the beginning of several runs: {}", names.join(", "))))
        }
        _ => Ok(found.pop().map(|(_, path)| path).unwrap_or_default()),
    }
}
