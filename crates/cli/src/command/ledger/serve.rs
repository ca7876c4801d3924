//! `peermark ledger serve`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use peermark_core::sealed::SigningKey;
use peermark_http::{Server, Tls};
use peermark_ledger::beacon::BeaconRule;
use peermark_ledger::config::LedgerConfig;
use peermark_ledger::directory::{Directory, read_key};
use peermark_ledger::log::LogError;
use peermark_ledger::sequencer::Sequencer;
use peermark_ledger::server::LedgerServer;
use peermark_probe::clock::MonotonicClock;
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::command::ledger::LedgerError;
use crate::command::service::{ApiArgs, TlsArgs};
use crate::config;
use crate::error::{Exit, ExpectedError};
use crate::output;

/// What is not given here comes from the section `ledger` of the configuration.
#[derive(Debug, Args, Serialize)]
pub(super) struct ServeArgs {
    /// Directory of the ledger
    #[arg(long, value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    #[serde(flatten)]
    tls: TlsArgs,
    /// Milliseconds from block to block [default: what the ledger's policy says]
    #[arg(long, value_name = "MS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    block_ms: Option<u64>,
    /// File with the key of the beacon that the genesis names (ledger init --beacon), where this process signs for it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    beacon_key: Option<PathBuf>,
    /// Stop when stdin is closed: how a ledger notices that its controller is gone, however it went
    #[arg(long, hide = true)]
    #[serde(skip)]
    exit_with_stdin: bool,
}

/// Serves a ledger until it is stopped.
///
/// # Errors
/// [`ExpectedError`].
pub(super) fn run(args: &ServeArgs, file: Option<&Path>) -> Result<ExitCode, ExpectedError> {
    let settings: LedgerConfig = config::section("ledger", args, file)?;
    let token = args.api.token()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let beacon = args.beacon_key.as_deref().map(read_key).transpose().map_err(LedgerError::from)?;
    runtime.block_on(serve(settings, token, beacon, args.exit_with_stdin)).map(|()| ExitCode::SUCCESS)
}

async fn serve(
    settings: LedgerConfig,
    token: Option<Arc<str>>,
    beacon: Option<SigningKey>,
    exit_with_stdin: bool,
) -> Result<(), ExpectedError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ExpectedError::System)?;
    let directory = Directory::open(&settings.data).map_err(LedgerError::from)?;
    let wanted = match &directory.genesis().beacon {
        BeaconRule::Checkpoint => None,
        BeaconRule::Signed { key } => Some(*key),
    };
    if wanted != beacon.as_ref().map(SigningKey::public) {
        let text = "the genesis names a beacon: --beacon-key FILE with its key, and no other, is needed";
        let none = "the genesis names no beacon: --beacon-key is not needed";
        return Err(ExpectedError::Configuration(if wanted.is_some() { text } else { none }.to_owned()));
    }
    let mut bound = Server::bind(settings.api, token, settings.allow_anonymous).await?;
    if let (Some(certificate), Some(key)) = (&settings.tls_cert, &settings.tls_key) {
        let tls = Tls::from_pem_files(certificate, key);
        bound = bound.with_tls(tls.map_err(|error| ExpectedError::Configuration(error.to_string()))?);
    }
    let clock = Arc::new(MonotonicClock::new());
    let sequencer = Sequencer::open(&directory, clock, Box::new(end)).map_err(LedgerError::from)?;
    let policy_ms = u64::from(sequencer.read(|machine| machine.state().policy().block_seconds)).saturating_mul(1_000);
    let block_ms = if settings.block_ms == 0 { policy_ms } else { settings.block_ms };
    let network = sequencer.network().to_owned();
    let height = sequencer.block_end().height;
    let server = LedgerServer::start(sequencer, bound, Duration::from_millis(block_ms), beacon);
    let line = json!({
        "schema": "peermark.ledger/1",
        "api": server.url(),
        "network": network,
        "height": height,
        "block_ms": block_ms,
        "pid": std::process::id(),
    });
    output::data(&line.to_string()).map_err(ExpectedError::Output)?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        () = output::stdin_closed(), if exit_with_stdin => {}
    }
    server.shutdown().await.map_err(|error| ExpectedError::Unavailable(error.to_string()))
}

/// The disk failed in a way after which nothing may be acknowledged: what is really on it shows when the ledger is opened anew.
#[expect(clippy::exit, clippy::disallowed_methods, reason = "a second sync may succeed without the bytes of the first")]
fn end(error: &LogError) {
    output::talk(&format!("error: {error}"));
    std::process::exit(Exit::Unavailable as i32)
}
