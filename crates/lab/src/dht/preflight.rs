//! What could make the figures wrong, asked before they are measured: a client of its own joins the network as the measuring nodes
//! did, publishes one record, looks it up, and looks for one that is not there.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::network::DhtNetwork;
use super::result::PreflightCheck;
use super::{DhtError, DhtOptions};
use crate::launch::{NodeProcess, Started, tail};

/// Longest time for all checks: two operations, and the wait for calm.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// What `peermark dht probe check --format json` prints.
#[derive(Debug, Deserialize)]
struct Answer {
    checks: Vec<PreflightCheck>,
}

/// Has a process of the product's own make the checks. A guard ends it when this process is gone.
pub(super) async fn run(
    network: &DhtNetwork,
    options: &DhtOptions,
    directory: &Path,
) -> Result<Vec<PreflightCheck>, DhtError> {
    let joins = options.plan.measurers.first().map(|plan| plan.joins.clone()).unwrap_or_default();
    let probe = network.command(&["dht", "probe", "check"], &joins);
    let mut command = Command::new(&network.launcher().program);
    command.args(["lab", "guard", "--"]).arg(probe.as_std().get_program()).args(probe.as_std().get_args());
    command.args(["--seed", &options.seed.to_string(), "--format", "json"]);
    command.env_clear().current_dir(directory.join("nodes"));
    let log = directory.join("nodes").join("preflight.log");
    let mut process = NodeProcess::start(options.plan.total_nodes(), command, &log, Started::Leased, true)?;
    let mut said = String::new();
    let read = async {
        match process.stdout() {
            Some(stdout) => stdout.take(MAX_ANSWER_BYTES).read_to_string(&mut said).await,
            None => Ok(0),
        }
    };
    let read = tokio::time::timeout(PATIENCE, read).await;
    let stopped = process.stop().await;
    let gave_none = |reason: String| DhtError::Preflight { reason, tail: tail(&log) };
    match (read, stopped) {
        (Err(_), _) => return Err(gave_none(format!("nothing within {} s", PATIENCE.as_secs()))),
        (Ok(Err(error)), _) | (_, Err(error)) => return Err(gave_none(error.to_string())),
        (Ok(Ok(_)), Ok(_)) => {}
    }
    // Its exit code says whether a check failed, which the answer says, too.
    let answer: Answer = serde_json::from_str(&said).map_err(|error| gave_none(error.to_string()))?;
    Ok(answer.checks)
}
