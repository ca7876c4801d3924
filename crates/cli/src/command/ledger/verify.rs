//! `peermark ledger verify`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use peermark_attest::network::{NetworkName, OtherNetwork, unnamed};
use peermark_core::sealed::Bytes;
use peermark_ledger::bundle::{Bundle, BundleError, Checked};
use peermark_ledger::directory::{Directory, DirectoryError};
use peermark_ledger::genesis::Genesis;
use peermark_ledger::verify::{ProveError, Proven, Signatures, prove};
use serde_json::{Value, json};

use crate::command::ledger::{LedgerError, log_exit_code, threads};
use crate::command::up::Format;
use crate::error::{Exit, ExpectedError};
use crate::output;

const BUNDLE_SCHEMA: &str = "peermark.bundle-verification/1";

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Directory of the ledger
    #[arg(long, value_name = "DIR", required_unless_present = "bundle")]
    data: Option<PathBuf>,
    /// A statement with its evidence (peermark explain HOSTER --bundle FILE): recompute it and compare byte by byte
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    bundle: Option<PathBuf>,
    /// The network that it must be of: its name and 8 to 64 digits of the hash of its genesis. Another is refused; without it, what is
    /// found holds for a network that you have not named
    #[arg(long, value_name = "NAME-HHHHHHHH")]
    network: Option<NetworkName>,
    /// Believe the ledger's own writer that the signatures of entries hold
    #[arg(long, conflicts_with = "bundle")]
    trust_signatures: bool,
    /// Lines for people, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Recomputes everything. Exit code 100 where something differs, is damaged or is of another network than the one that was named; 69
/// where it cannot be read.
///
/// # Errors
/// [`ExpectedError`].
pub(super) fn run(args: &VerifyArgs) -> Result<ExitCode, ExpectedError> {
    let network = args.network.as_ref();
    let mut document = match (&args.data, &args.bundle) {
        (_, Some(bundle)) => verify_bundle(bundle, network)?,
        (Some(data), None) => verify_directory(data, network, args.trust_signatures)?,
        (None, None) => return Err(ExpectedError::Configuration("--data DIR or --bundle FILE".to_owned())),
    };
    document["network_named"] = json!(network.is_some());
    match args.format {
        Format::Json => output::data(&document.to_string()),
        Format::Text => output::data(&text(&document)),
    }
    .map_err(ExpectedError::Output)?;
    let is_sound = document["faults"].as_array().is_some_and(Vec::is_empty);
    Ok(if is_sound { ExitCode::SUCCESS } else { Exit::ThresholdFailed.into() })
}

fn verify_directory(path: &Path, network: Option<&NetworkName>, trust: bool) -> Result<Value, ExpectedError> {
    let schema = "peermark.ledger-verification/1";
    let directory = match Directory::open(path) {
        Err(error @ DirectoryError::Genesis { .. }) => return Ok(faulty(schema, &error)),
        opened => opened.map_err(LedgerError::from)?,
    };
    if let Err(error) = NetworkName::require(network, directory.genesis()) {
        return Ok(faulty(schema, &error));
    }
    let files = directory.files().map_err(LedgerError::from)?;
    let identity = directory.identity().map_err(LedgerError::from)?;
    let signatures = if trust { Signatures::Trusted } else { Signatures::All };
    match prove(&files, &identity, directory.genesis().clone(), signatures, threads()) {
        Ok(proven) => Ok(document(schema, &proven)),
        Err(ProveError::Log(error)) if log_exit_code(&error) == Exit::Unavailable => {
            Err(LedgerError::from(ProveError::Log(error)).into())
        }
        Err(error) => Ok(faulty(schema, &error)),
    }
}

/// What does not hold at all.
fn faulty(schema: &str, error: &dyn std::error::Error) -> Value {
    json!({ "schema": schema, "faults": [peermark_core::in_words(error)] })
}

fn document(schema: &str, proven: &Proven) -> Value {
    let told =
        |damage: &[peermark_ledger::log::Damage]| -> Vec<String> { damage.iter().map(ToString::to_string).collect() };
    json!({
        "schema": schema,
        "network": proven.replay.machine().network(),
        "records": proven.log.size,
        "root": Bytes(proven.log.root),
        "checkpoint": proven.log.checkpoint.as_ref().map(|checkpoint| checkpoint.size),
        "height": proven.height(),
        "state": proven.state(),
        "entries": proven.entries,
        "refused": proven.refused,
        "signatures": proven.signatures,
        "snapshots": proven.log.snapshots,
        "faults": told(&proven.log.faults),
        "unfinished": told(&proven.log.unfinished),
    })
}

fn verify_bundle(path: &Path, network: Option<&NetworkName>) -> Result<Value, ExpectedError> {
    let file = File::open(path).map_err(|source| ExpectedError::Read { path: path.to_owned(), source })?;
    match checked_bundle(file, network) {
        Err(error @ BundleError::Io { .. }) => Err(LedgerError::from(error).into()),
        Err(error) => Ok(faulty(BUNDLE_SCHEMA, &error)),
        Ok(Err(error)) => Ok(faulty(BUNDLE_SCHEMA, &error)),
        Ok(Ok((bundle, checked))) => Ok(recomputed(&bundle, &checked)),
    }
}

type OfNetwork<T> = Result<T, OtherNetwork>;

/// Reads a bundle and checks its evidence, where it is of the network that was named.
fn checked_bundle(file: File, network: Option<&NetworkName>) -> Result<OfNetwork<(Bundle, Checked)>, BundleError> {
    let bundle = Bundle::read(BufReader::new(file))?;
    if let Err(error) = NetworkName::require(network, &Genesis::decode(&bundle.evidence.genesis)?) {
        return Ok(Err(error));
    }
    let checked = bundle.evidence.check(threads())?;
    Ok(Ok((bundle, checked)))
}

/// What the evidence of a bundle leads to, beside what its statement says.
fn recomputed(bundle: &Bundle, checked: &Checked) -> Value {
    let machine = checked.replay.machine();
    let recomputed = peermark_attest::statement::document_of(machine, bundle.subject);
    let (same, faults) = match recomputed {
        Ok(recomputed) if recomputed == bundle.document => (true, Vec::new()),
        Ok(_) => (false, vec!["the statement is not what follows from the evidence".to_owned()]),
        Err(error) => (false, vec![format!("no statement follows from the evidence: {error}")]),
    };
    json!({
        "schema": BUNDLE_SCHEMA,
        "network": machine.network(),
        "genesis": machine.state().genesis().hash(),
        "signer": checked.signer,
        "records": checked.checkpoint.size,
        "root": Bytes(checked.checkpoint.root),
        "height": checked.height(),
        "state": machine.state().hash(),
        "subject": bundle.subject,
        "same": same,
        "faults": faults,
    })
}

fn text(document: &Value) -> String {
    let mut text = String::new();
    let Some(members) = document.as_object() else { return text };
    for (name, value) in
        members.iter().filter(|(name, _)| !["schema", "faults", "unfinished", "network_named"].contains(&name.as_str()))
    {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text += &format!("{name:<11} {value}\n");
    }
    let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
    if let (Some(false), Some(network)) = (document["network_named"].as_bool(), document["network"].as_str()) {
        text += &format!("note        {}\n", unnamed(network));
    }
    for unfinished in list("unfinished") {
        text += &format!("unfinished  {}\n", unfinished.as_str().unwrap_or_default());
    }
    for fault in list("faults") {
        text += &format!("FAULT       {}\n", fault.as_str().unwrap_or_default());
    }
    text += if list("faults").is_empty() { "everything holds" } else { "DOES NOT HOLD" };
    text
}
