//! `peermark ledger ...`.

mod access;
mod export;
mod init;
mod serve;
mod show;
mod submit;
mod verify;

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use peermark_attest::client::{LedgerClientError, ServiceError};
use peermark_attest::ledger::SourceError;
use peermark_ledger::bundle::BundleError;
use peermark_ledger::directory::DirectoryError;
use peermark_ledger::log::LogError;
use peermark_ledger::sequencer::SequencerError;
use peermark_ledger::verify::ProveError;

use crate::error::{Exit, ExpectedError, service_exit_code};

pub(crate) use access::SourceArgs;

#[derive(Debug, Args)]
pub(crate) struct LedgerCommand {
    #[command(subcommand)]
    command: LedgerSubcommand,
}

#[derive(Debug, Subcommand)]
enum LedgerSubcommand {
    /// Make a new ledger, or a key to sign entries with
    Init(init::InitArgs),
    /// Take entries, close blocks, let others read and follow
    Serve(serve::ServeArgs),
    /// Sign a transaction and hand it to a ledger
    Submit(submit::SubmitArgs),
    /// Read the state: entries by id, lookups, queues, pools, under the names of its paths
    Show(show::ShowArgs),
    /// Recompute everything from the first record, or from a bundle, and compare
    Verify(verify::VerifyArgs),
    /// Write every record of a ledger, decoded, one JSON document a line
    Export(export::ExportArgs),
}

/// Runs `peermark ledger ...`.
///
/// # Errors
/// [`ExpectedError`].
pub(crate) fn run(command: LedgerCommand, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    match command.command {
        LedgerSubcommand::Init(args) => init::run(&args),
        LedgerSubcommand::Serve(args) => serve::run(&args, file),
        LedgerSubcommand::Submit(args) => block_on(submit::run(&args)),
        LedgerSubcommand::Show(args) => block_on(show::run(&args)),
        LedgerSubcommand::Verify(args) => verify::run(&args),
        LedgerSubcommand::Export(args) => block_on(export::run(&args)),
    }
}

/// Runs one command that asks a server.
///
/// # Errors
/// [`ExpectedError::System`] without a runtime, and what the command says.
pub(crate) fn block_on<T>(command: impl Future<Output = Result<T, ExpectedError>>) -> Result<T, ExpectedError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExpectedError::System)?;
    runtime.block_on(command)
}

/// As many threads as there are cores.
pub(crate) fn threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// What a ledger can be stopped by, and the exit code of each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// The directory.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// Its sequencer.
    #[error(transparent)]
    Sequencer(#[from] SequencerError),
    /// Reading one.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Asking one.
    #[error(transparent)]
    Client(#[from] LedgerClientError),
    /// What it keeps does not hold.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A file with a transaction, a policy or the like.
    #[error("{0}")]
    Data(String),
}

impl LedgerError {
    pub(crate) fn exit_code(&self) -> Exit {
        match self {
            Self::Directory(error) => directory_exit_code(error),
            Self::Sequencer(SequencerError::Directory(error)) | Self::Source(SourceError::Directory(error)) => {
                directory_exit_code(error)
            }
            Self::Sequencer(SequencerError::Log(error))
            | Self::Source(SourceError::Log(error))
            | Self::Prove(ProveError::Log(error)) => log_exit_code(error),
            Self::Bundle(BundleError::Io { .. }) | Self::Source(SourceError::Evidence(BundleError::Io { .. })) => {
                Exit::Unavailable
            }
            Self::Sequencer(SequencerError::Replay(_)) | Self::Bundle(_) | Self::Prove(_) | Self::Data(_) => {
                Exit::BadData
            }
            Self::Source(SourceError::Client(error)) | Self::Client(error) => client_exit_code(error),
            Self::Source(SourceError::NoCheckpoint) | Self::Sequencer(_) => Exit::Unavailable,
            Self::Source(_) => Exit::BadData,
        }
    }
}

/// A log that cannot be read or written is not there; one that is damaged is bad data.
pub(crate) fn log_exit_code(error: &LogError) -> Exit {
    match error {
        LogError::Damaged(_) | LogError::Checkpoint(_) => Exit::BadData,
        _ => Exit::Unavailable,
    }
}

fn directory_exit_code(error: &DirectoryError) -> Exit {
    match error {
        DirectoryError::Io { .. } => Exit::Unavailable,
        _ => Exit::BadData,
    }
}

fn client_exit_code(error: &LedgerClientError) -> Exit {
    match error {
        LedgerClientError::Service(error) => match error {
            // A ledger refuses what it does not take with 4xx, whatever was wrong with it.
            ServiceError::Refused { status: 402..=499, .. } => Exit::BadData,
            error => service_exit_code(error),
        },
        LedgerClientError::Late { .. } => Exit::Unavailable,
        _ => Exit::BadData,
    }
}

impl From<LedgerError> for ExpectedError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(Box::new(error))
    }
}
