//! `peermark monitor verify`: whether a history is what its node signed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use peermark_monitor::MonitorError;
use peermark_monitor::config::HistoryConfig;
use peermark_monitor::history::{History, HistoryOptions};
use peermark_node::identity;
use peermark_probe::clock::MonotonicClock;
use peermark_probe::environment::environment;
use serde_json::json;

use crate::command::up::Format;
use crate::error::{Exit, ExpectedError};

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Directory of the node or monitor, which must not run meanwhile
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Lines for people, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Walks the whole chain: signatures, order, rollups, and that each observation is what its record says.
///
/// # Errors
/// [`ExpectedError`] when the history or its key cannot be read.
pub(super) async fn run(args: VerifyArgs) -> Result<ExitCode, ExpectedError> {
    if !args.data.join(identity::FILE).exists() {
        return Err(ExpectedError::Unavailable(format!("{} holds no key of a node or monitor", args.data.display())));
    }
    let key = identity::load_or_create(&args.data)?;
    let options = HistoryOptions {
        key: identity::signing_key(&args.data, &key)?,
        node: key.public().to_peer_id().to_string(),
        network: peermark_monitor::NETWORK.into(),
        environment: environment(env!("CARGO_PKG_VERSION"), env!("PEERMARK_COMMIT")),
        config: HistoryConfig::default(),
        clock: Arc::new(MonotonicClock::new()),
    };
    let history = History::open(&args.data, options).await.map_err(MonitorError::from)?;
    let found = history.verify().await.map_err(MonitorError::from)?;
    history.close().await;
    let document = json!({
        "schema": "peermark.monitor-verification/1",
        "signer": key.public().to_peer_id().to_string(),
        "records": found.records,
        "kept": found.kept,
        "observations": found.observations,
        "rollups": found.rollups,
        "pruned_upto": found.pruned_upto,
        "head": found.head,
        "faults": found.faults,
    });
    super::print(args.format, &document, || {
        let mut text = format!(
            "{} records up to {} signed and in order, {} observations as their records say, {} rollups vouched for\n",
            found.records, found.head, found.observations, found.rollups
        );
        for fault in &found.faults {
            text += &format!("FAULT: {fault}\n");
        }
        text
    })?;
    Ok(if found.is_sound() { ExitCode::SUCCESS } else { Exit::ThresholdFailed.into() })
}
