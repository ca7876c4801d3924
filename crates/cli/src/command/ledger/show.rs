//! `peermark ledger show`.

use std::process::ExitCode;

use clap::Args;
use peermark_attest::ledger::LedgerSource;
use peermark_attest::network::NetworkName;
use peermark_ledger::directory::Directory;
use peermark_ledger::verify::{Signatures, prove};

use crate::command::ledger::{LedgerError, SourceArgs, threads};
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// What to show: storage/17, storage/17/user/form/region, DB.status.idleHosters, queues.tasks, getUserByID/17, ...
    #[arg(value_name = "PATH", default_value = "storage")]
    path: String,
    #[command(flatten)]
    ledger: SourceArgs,
}

/// Prints a part of the state as JSON. A server is believed; a directory is replayed.
///
/// # Errors
/// [`ExpectedError`].
pub(super) async fn run(args: &ShowArgs) -> Result<ExitCode, ExpectedError> {
    let found = match args.ledger.source()? {
        LedgerSource::Server(client) => {
            let genesis = client.genesis_of(args.ledger.network.as_ref()).await.map_err(LedgerError::from)?;
            args.ledger.say_unnamed(&genesis.network());
            client.query(&args.path).await.map_err(LedgerError::from)?
        }
        LedgerSource::Directory(path) => {
            let directory = Directory::open(&path).map_err(LedgerError::from)?;
            NetworkName::require(args.ledger.network.as_ref(), directory.genesis())
                .map_err(|error| LedgerError::Data(format!("{}: {error}", path.display())))?;
            args.ledger.say_unnamed(&directory.genesis().network());
            let (files, identity) =
                (directory.files().map_err(LedgerError::from)?, directory.identity().map_err(LedgerError::from)?);
            let proven = prove(&files, &identity, directory.genesis().clone(), Signatures::Trusted, threads());
            let proven = proven.map_err(LedgerError::from)?;
            let found = proven.replay.machine().query(&args.path);
            found.map_err(|error| LedgerError::Data(error.to_string()))?
        }
    };
    let text = serde_json::to_string_pretty(&found).map_err(|error| ExpectedError::Output(error.into()))?;
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}
