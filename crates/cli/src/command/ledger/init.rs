//! `peermark ledger init`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use peermark_core::sealed::{PublicKey, SigningKey};
use peermark_ledger::Amount;
use peermark_ledger::beacon::BeaconRule;
use peermark_ledger::directory::{Directory, write_key};
use peermark_ledger::genesis::{Genesis, Policy};
use serde_json::json;

use crate::command::judged::text;
use crate::command::ledger::LedgerError;
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Directory of the new ledger: missing or empty
    #[arg(long, value_name = "DIR", required_unless_present = "key")]
    data: Option<PathBuf>,
    /// Name of its network
    #[arg(long, default_value = "lab")]
    name: String,
    /// Public key of somebody who may change the rules and grant money; several times for several
    #[arg(long = "admin", value_name = "KEY")]
    admins: Vec<PublicKey>,
    /// Admins that must agree on new rules
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: u32,
    /// Money from the start: public key and amount; several times for several
    #[arg(long = "grant", value_name = "KEY=AMOUNT", value_parser = parse_grant)]
    grants: Vec<(PublicKey, Amount)>,
    /// TOML file with rules that differ from the defaults
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Public key of an external beacon whose signatures give the randomness; from the ledger's own blocks without
    #[arg(long, value_name = "KEY")]
    beacon: Option<PublicKey>,
    /// Make a key to sign entries with instead: a new file, readable by its owner alone
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    key: Option<PathBuf>,
}

fn parse_grant(text: &str) -> Result<(PublicKey, Amount), String> {
    let (key, amount) = text.split_once('=').ok_or("expected KEY=AMOUNT")?;
    let key = key.parse().map_err(|error| format!("{key}: {error}"))?;
    let amount = amount.parse().map_err(|error| format!("{amount}: {error}"))?;
    Ok((key, amount))
}

/// Makes a ledger or a key and says what it made, as JSON.
///
/// # Errors
/// [`ExpectedError`].
pub(super) fn run(args: &InitArgs) -> Result<ExitCode, ExpectedError> {
    if let Some(path) = &args.key {
        let key = write_key(path, draw_key()).map_err(LedgerError::from)?;
        let document = json!({ "schema": "peermark.ledger-key/1", "file": path, "public": key.public() });
        output::data(&document.to_string()).map_err(ExpectedError::Output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Some(data) = &args.data else {
        return Err(ExpectedError::Configuration("--data DIR says where the ledger goes".to_owned()));
    };
    let policy = match &args.policy {
        None => Policy::default(),
        Some(path) => {
            toml::from_str(&text(path)?).map_err(|error| LedgerError::Data(format!("{}: {error}", path.display())))?
        }
    };
    let seed = draw_key();
    let genesis = Genesis {
        name: args.name.clone(),
        sequencer: SigningKey::from_seed(seed).public(),
        admins: args.admins.clone(),
        admin_threshold: args.threshold,
        grants: args.grants.clone(),
        beacon: args.beacon.map_or(BeaconRule::Checkpoint, |key| BeaconRule::Signed { key }),
        policy,
    };
    let directory = Directory::create(data, genesis, seed).map_err(LedgerError::from)?;
    let genesis = directory.genesis();
    let document = json!({
        "schema": "peermark.ledger-genesis/1",
        "network": genesis.network(),
        "genesis": genesis.hash(),
        "sequencer": genesis.sequencer,
        "data": data,
    });
    output::data(&document.to_string()).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::disallowed_methods, reason = "a private key has to be what nobody can foresee, and is never printed")]
fn draw_key() -> [u8; 32] {
    rand::random()
}
