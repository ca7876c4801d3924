//! `peermark up --workload dht`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use peermark_core::Seed;
use peermark_lab::dht::plan::{DEFAULT_SERVERS, DhtPlan, FLEETS, PlanError};
use peermark_lab::dht::result::DhtResult;
use peermark_lab::dht::{DhtError, DhtFiles, DhtOptions, run as run_lab};
use peermark_lab::report;
use tokio_util::sync::CancellationToken;

use super::{Format, Lasting, UpCommand, draw_seed, shown, stop_on_signal};
use crate::error::{Exit, ExpectedError};
use crate::output;
use crate::view::View;

/// How long the schedulers run where nothing is said.
const DEFAULT_DURATION: Duration = Duration::from_secs(30);

/// Runs `peermark up --workload dht ...`.
///
/// # Errors
/// [`ExpectedError`] when the arguments cannot be used or the run gives no result.
pub(super) fn run(command: &UpCommand) -> Result<ExitCode, ExpectedError> {
    let lasting = lasting(command)?;
    let program = std::env::current_exe().map_err(ExpectedError::System)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let first_seed = command.seed.unwrap_or_else(draw_seed);
    let mut code = ExitCode::SUCCESS;
    for repetition in 0..command.repeat {
        let seed = Seed(first_seed.wrapping_add(u64::from(repetition)));
        output::talk(&format!("seed {seed}"));
        let options = DhtOptions {
            plan: plan(command, seed).map_err(DhtError::Plan)?,
            seed,
            run_id: peermark_lab::run::run_id(seed),
            lasting,
            thresholds: command.threshold.clone(),
            out: command.out.clone(),
            store: command.store.clone(),
            program: program.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            commit: env!("PEERMARK_COMMIT").into(),
        };
        let result = runtime.block_on(Box::pin(one_run(options, command.format)))?;
        if result.stopped {
            return Ok(Exit::Aborted.into());
        }
        if result.thresholds.iter().any(|threshold| !threshold.ok) {
            code = Exit::ThresholdFailed.into();
        }
    }
    Ok(code)
}

/// What the arguments ask for.
///
/// # Errors
/// [`PlanError`] for what would be no network.
pub(crate) fn plan(command: &UpCommand, seed: Seed) -> Result<DhtPlan, PlanError> {
    let fleets = match command.fleets.as_slice() {
        [] => FLEETS.to_vec(),
        named => DhtPlan::fleets(named)?,
    };
    DhtPlan::new(command.nodes.unwrap_or(DEFAULT_SERVERS), &fleets, seed)
}

/// The time of a run; what storage runs alone can do is refused by name.
fn lasting(command: &UpCommand) -> Result<Duration, ExpectedError> {
    let refused = [
        ("--rate", command.rate.is_some(), "its rounds have an interval of their own"),
        ("--keep", command.keep, "its nodes end with the run"),
        ("--api-port-base", command.api_port_base.is_some(), "its nodes take free ports"),
    ];
    if let Some((flag, _, why)) = refused.into_iter().find(|(_, given, _)| *given) {
        return Err(ExpectedError::Configuration(format!("{flag} does not go with --workload dht: {why}")));
    }
    match command.lasting {
        None => Ok(DEFAULT_DURATION),
        Some(Lasting::For(duration)) => Ok(duration),
        Some(Lasting::Forever) => {
            let text =
                "--for forever does not go with --workload dht: `peermark dht scheduler` runs until it is stopped";
            Err(ExpectedError::Configuration(text.into()))
        }
    }
}

async fn one_run(options: DhtOptions, format: Format) -> Result<DhtResult, ExpectedError> {
    let stop = CancellationToken::new();
    let stopping = tokio::spawn(stop_on_signal(stop.clone()));
    let view = Arc::new(View::new());
    let to_view = view.clone();
    let done = run_lab(options, move |event| to_view.show(&event), stop).await;
    stopping.abort();
    view.finish();
    let (result, files) = done?;
    print(&result, &files, format)?;
    Ok(result)
}

fn print(result: &DhtResult, files: &DhtFiles, format: Format) -> Result<(), ExpectedError> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(result).unwrap_or_default(),
        Format::Text => {
            let (width, colour) = output::stdout_shape();
            let files: Vec<_> = files.report.iter().chain([&files.result]).map(|path| shown(path)).collect();
            let files: Vec<_> = files.iter().map(std::path::PathBuf::as_path).collect();
            report::dht_summary(result, &files, width, colour)
        }
    };
    output::data(text.trim_end()).map_err(ExpectedError::Output)
}
