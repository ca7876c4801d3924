//! `peermark ledger submit`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use peermark_attest::client::prove_possession;
use peermark_core::sealed::Bytes;
use peermark_ledger::directory::read_key;
use peermark_ledger::transaction::Transaction;
use serde_json::json;

use crate::command::judged::bounded_text;
use crate::command::ledger::{LedgerError, SourceArgs};
use crate::error::{Exit, ExpectedError};
use crate::output;

/// Longest transaction as text: an entry has at most 65,535 bytes, and bytes are two digits each.
const MAX_TRANSACTION: u64 = 1 << 20;

/// How often it is asked whether the block is closed.
const ASK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// File with the key that signs (peermark ledger init --key FILE)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File with a key that a registration or a change of keys names (repeatable): it signs that it is yours
    #[arg(long, value_name = "FILE")]
    prove: Vec<PathBuf>,
    /// File with the transaction as JSON, such as {"transfer": {"to": "KEY", "amount": 5}}; - for standard input
    #[arg(value_name = "FILE")]
    transaction: PathBuf,
    /// Return when the entry is on the ledger's disk, without waiting for its block
    #[arg(long)]
    no_wait: bool,
    /// Longest wait for the block
    #[arg(long, value_name = "SECONDS", default_value_t = 120, conflicts_with = "no_wait", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: u64,
    #[command(flatten)]
    ledger: SourceArgs,
}

/// Signs, submits, waits for the block and prints what became of it. Exit code 100 where the transaction is refused, 69 where no block
/// comes in time.
///
/// # Errors
/// [`ExpectedError`].
pub(super) async fn run(args: &SubmitArgs) -> Result<ExitCode, ExpectedError> {
    let client = args.ledger.client()?;
    let key = read_key(&args.key).map_err(LedgerError::from)?;
    let text = text(&args.transaction)?;
    let bad = |error| LedgerError::Data(format!("{}: not a transaction: {error}", args.transaction.display()));
    let mut transaction: Transaction = serde_json::from_str(&text).map_err(bad)?;
    let proving = args.prove.iter().map(|path| read_key(path)).collect::<Result<Vec<_>, _>>();
    let proving = proving.map_err(LedgerError::from)?;
    let network = client.genesis_of(args.ledger.network.as_ref()).await.map_err(LedgerError::from)?.network();
    prove_possession(&mut transaction, &network, key.public(), &proving);
    let height = client.status().await.map_err(LedgerError::from)?.height;
    let submitted = client.submit(&key, network.clone(), &transaction).await;
    let (entry, receipt) = submitted.map_err(LedgerError::from)?;
    args.ledger.say_unnamed(&network);
    let hash = Bytes(entry.hash());
    let mut document = json!({
        "schema": "peermark.ledger-receipt/1",
        "network": network,
        "network_named": args.ledger.network.is_some(),
        "entry": hash,
        "signer": entry.signer(),
        "sequence": entry.sequence(),
        "index": receipt.index,
        "leaf": receipt.leaf,
    });
    let mut late = None;
    if !args.no_wait {
        match client.executed(&hash, height, ASK_EVERY, Duration::from_secs(args.wait)).await {
            Ok(executed) => {
                document["height"] = json!(executed.height);
                match &executed.outcome.result {
                    Ok(ids) => document["ids"] = json!(ids),
                    Err(refusal) => document["refused"] = json!(refusal.to_string()),
                }
            }
            Err(error) => late = Some(error),
        }
    }
    // Before anything that went wrong later: it is on the disk, and whoever asked has to know which entry it is.
    output::data(&document.to_string()).map_err(ExpectedError::Output)?;
    match late {
        Some(error) => Err(LedgerError::from(error).into()),
        None if document["refused"].is_null() => Ok(ExitCode::SUCCESS),
        None => Ok(Exit::ThresholdFailed.into()),
    }
}

/// A file, or standard input, up to [`MAX_TRANSACTION`].
fn text(path: &Path) -> Result<String, ExpectedError> {
    if path.as_os_str() == "-" {
        bounded_text(std::io::stdin(), path, MAX_TRANSACTION)
    } else {
        let file = File::open(path).map_err(|source| ExpectedError::Read { path: path.to_owned(), source })?;
        bounded_text(file, path, MAX_TRANSACTION)
    }
}
