//! `peermark explain HOSTER`.

use std::fs::OpenOptions;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use peermark_attest::explain::ExplainDocument;
use peermark_attest::statement::{document_of, explain};
use peermark_ledger::Id;

use super::judged::{EvidenceArgs, OutputArgs, print};
use super::ledger::{LedgerError, SourceArgs, block_on};
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ExplainCommand {
    /// The hoster: its name in the measurements, its id in a ledger
    #[arg(value_name = "HOSTER")]
    hoster: String,
    #[command(flatten)]
    evidence: EvidenceArgs,
    #[command(flatten)]
    ledger: SourceArgs,
    /// Write the statement with everything that it follows from to a new file, for `ledger verify --bundle`
    #[arg(long, value_name = "FILE", requires = "ledger")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints why a hoster stands where it stands.
///
/// # Errors
/// What cannot be read, judged or printed, and a hoster that nobody measured.
pub(crate) fn run(command: &ExplainCommand) -> Result<ExitCode, ExpectedError> {
    if command.ledger.ledger.is_some() {
        return of_ledger(command);
    }
    let (judged, observed) = command.evidence.judge()?;
    let document = ExplainDocument::new(&judged, &command.hoster, observed).ok_or_else(|| {
        let known: Vec<&str> = judged.statement.hosters.iter().map(|hoster| hoster.hoster.as_str()).take(20).collect();
        ExpectedError::Evidence(format!("nobody measured {}; measured were {}", command.hoster, known.join(", ")))
    })?;
    print(&command.output, &document, || document.text())?;
    Ok(ExitCode::SUCCESS)
}

fn of_ledger(command: &ExplainCommand) -> Result<ExitCode, ExpectedError> {
    let evidence = |text: String| ExpectedError::Evidence(text);
    let no_id = |error| evidence(format!("{}: in a ledger a hoster is named by its id: {error}", command.hoster));
    let hoster: Id = command.hoster.parse().map_err(no_id)?;
    let loaded = block_on(command.ledger.load())?;
    let machine = loaded.checked.replay.machine();
    let said = explain(machine, hoster).map_err(|error| evidence(error.to_string()))?;
    if let Some(path) = &command.bundle {
        let document = document_of(machine, hoster).map_err(|error| evidence(error.to_string()))?;
        write(path, &loaded.bundle(hoster, document))?;
        output::talk(&format!("evidence and statement: {}", path.display()));
    }
    print(&command.output, &said, || said.text(ExplainDocument::text))?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, bundle: &peermark_ledger::bundle::Bundle) -> Result<(), ExpectedError> {
    let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(ExpectedError::Output)?;
    bundle.write(BufWriter::new(&file)).map_err(LedgerError::from)?;
    file.sync_all().map_err(ExpectedError::Output)
}
