//! `peermark up`: the main job.

pub(crate) mod dht;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use peermark_core::Seed;
use peermark_lab::report;
use peermark_lab::result::RunResult;
use peermark_lab::run::{Afterwards, Files, RunOptions, run as run_lab};
use peermark_lab::scenario::{HumanDuration, Scenario, Workload};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{Exit, ExpectedError};
use crate::output;
use crate::view::View;

#[derive(Debug, Args)]
pub(crate) struct UpCommand {
    /// Scenario file; without it the workload says what is run
    #[arg(value_name = "SCENARIO", conflicts_with = "workload")]
    pub(crate) scenario: Option<PathBuf>,
    /// Built-in workload; `dht` starts DHT servers and measures publishing and lookups instead of storage
    #[arg(long, value_name = "NAME", default_value = "load", value_parser = up_workload)]
    pub(crate) workload: UpWorkload,
    /// Storage nodes to start; node 0 is the hub. With dht: DHT servers, beside three measuring nodes per fleet
    #[arg(long, value_name = "N", help_heading = "Network")]
    pub(crate) nodes: Option<u32>,
    /// With dht: fleets that measure, of default, optprov and fullrt; all of them unless named
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = "Network")]
    pub(crate) fleets: Vec<String>,
    /// REST port of node 0; node i has this plus i
    #[arg(long, value_name = "PORT", help_heading = "Network")]
    pub(crate) api_port_base: Option<u16>,
    /// How long the load lasts: a duration such as 30s, or `forever` to leave the network up after 30 s of load until Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = lasting, help_heading = "Load")]
    pub(crate) lasting: Option<Lasting>,
    /// Arrivals per second of every phase; without it, half of what the network keeps up with
    #[arg(long, value_name = "RATE", help_heading = "Load")]
    pub(crate) rate: Option<f64>,
    /// Seed of topology, schedule and payloads; drawn and printed when absent
    #[arg(long, value_name = "SEED", help_heading = "Load")]
    pub(crate) seed: Option<u64>,
    /// Limit such as 'fetch.p99<50ms', or with dht 'fullrt/lookup.p99<50ms'; exit code 100 when it is not kept (repeatable)
    #[arg(long, value_name = "LIMIT", help_heading = "Load")]
    pub(crate) threshold: Vec<String>,
    /// Repeat the run so many times, each with its own seed and network
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Load")]
    pub(crate) repeat: u32,
    /// Leave the network up when the run is over; `peermark lab clean` stops it
    #[arg(long, help_heading = "Network")]
    pub(crate) keep: bool,
    /// Directory that gets one directory per run
    #[arg(long, value_name = "DIR", default_value = "runs", help_heading = "Output")]
    pub(crate) out: PathBuf,
    /// SQLite file with the history of all runs
    #[arg(long, value_name = "FILE", default_value = "peermark.db", help_heading = "Output")]
    pub(crate) store: PathBuf,
    /// Most bytes of compressed raw samples per run
    #[arg(long, value_name = "SIZE", default_value = "256MiB", help_heading = "Output")]
    pub(crate) samples_cap: peermark_core::ByteSize,
    /// Summary on stdout as text, or the whole result as JSON
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) format: Format,
    /// Dashboard in the browser: not built yet, so only `off`
    #[arg(long, value_name = "MODE", default_value = "off", help_heading = "Output")]
    pub(crate) dashboard: Dashboard,
}

/// What `up` can do without a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpWorkload {
    Storage(Workload),
    Dht,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dashboard {
    Off,
}

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    For(Duration),
    Forever,
}

pub(crate) fn workload(text: &str) -> Result<Workload, String> {
    let found = Workload::ALL.into_iter().find(|workload| workload.as_str() == text);
    found.ok_or_else(|| {
        let names: Vec<&str> = Workload::ALL.iter().map(|workload| workload.as_str()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn up_workload(text: &str) -> Result<UpWorkload, String> {
    match text {
        "dht" => Ok(UpWorkload::Dht),
        other => workload(other).map(UpWorkload::Storage).map_err(|names| format!("{names}, dht")),
    }
}

pub(crate) fn lasting(text: &str) -> Result<Lasting, String> {
    if text == "forever" {
        return Ok(Lasting::Forever);
    }
    let duration: HumanDuration =
        text.parse().map_err(|error| format!("{error}; write for example 30s, or forever"))?;
    if duration.0 < Duration::from_secs(1) || duration.0 > Duration::from_secs(7 * 86_400) {
        return Err("must lie between 1s and 7d".into());
    }
    Ok(Lasting::For(duration.0))
}

/// Runs `peermark up ...`.
///
/// # Errors
/// [`ExpectedError`] when the scenario cannot be run or gives no result.
pub(crate) fn run(command: UpCommand) -> Result<ExitCode, ExpectedError> {
    if command.workload == UpWorkload::Dht {
        return dht::run(&command);
    }
    let scenario = scenario(&command)?;
    let program = std::env::current_exe().map_err(ExpectedError::System)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let first_seed = command.seed.or(scenario.seed.map(|seed| seed.0)).unwrap_or_else(draw_seed);
    let mut failed = false;
    for repetition in 0..command.repeat {
        let seed = Seed(first_seed.wrapping_add(u64::from(repetition)));
        output::talk(&format!("seed {seed}"));
        let options = options(&command, &scenario, seed, program.clone());
        let result = runtime.block_on(one_run(options, command.format))?;
        failed |= result.thresholds.iter().any(|threshold| !threshold.ok);
    }
    Ok(if failed { Exit::ThresholdFailed.into() } else { ExitCode::SUCCESS })
}

/// The scenario with what the command line changes in it.
pub(crate) fn scenario(command: &UpCommand) -> Result<Scenario, ExpectedError> {
    if !command.fleets.is_empty() {
        return Err(ExpectedError::Configuration("--fleets goes with --workload dht".into()));
    }
    let mut scenario = match (&command.scenario, command.workload) {
        (Some(path), _) => Scenario::load(path)?,
        (None, UpWorkload::Storage(workload)) => workload.scenario(),
        (None, UpWorkload::Dht) => return Err(ExpectedError::Configuration("a DHT is no scenario".into())),
    };
    match command.nodes {
        Some(nodes) if command.scenario.is_none() => scenario.resize(nodes),
        Some(nodes) => scenario.nodes.count = nodes,
        None => {}
    }
    scenario.nodes.api_port_base = command.api_port_base.or(scenario.nodes.api_port_base);
    if let Some(Lasting::For(duration)) = command.lasting {
        scenario.duration = HumanDuration(duration);
    }
    if let Some(rate) = command.rate {
        scenario.phases.iter_mut().for_each(|phase| phase.rate = Some(rate));
    }
    scenario.thresholds.extend(command.threshold.iter().cloned());
    scenario.check()?;
    Ok(scenario)
}

#[expect(clippy::disallowed_methods, reason = "the one place where a seed is drawn; it is printed first")]
pub(crate) fn draw_seed() -> u64 {
    // Short enough to type.
    rand::random::<u32>().into()
}

fn options(command: &UpCommand, scenario: &Scenario, seed: Seed, program: PathBuf) -> RunOptions {
    let afterwards = match (command.keep, command.lasting == Some(Lasting::Forever)) {
        (true, _) => Afterwards::Keep,
        (false, true) => Afterwards::StayUntilStopped,
        (false, false) => Afterwards::Stop,
    };
    RunOptions {
        scenario: scenario.clone(),
        seed,
        run_id: peermark_lab::run::run_id(seed),
        out: command.out.clone(),
        store: command.store.clone(),
        program,
        version: env!("CARGO_PKG_VERSION").into(),
        commit: env!("PEERMARK_COMMIT").into(),
        afterwards,
        samples_cap_bytes: command.samples_cap.0,
        urls: Vec::new(),
    }
}

pub(crate) async fn one_run(options: RunOptions, format: Format) -> Result<RunResult, ExpectedError> {
    let stop = CancellationToken::new();
    let stopping = tokio::spawn(stop_on_signal(stop.clone()));
    let view = Arc::new(View::new());
    let shown = view.clone();
    let done = run_lab(options, move |event| shown.show(&event), stop).await;
    stopping.abort();
    view.finish();
    let (result, files) = done?;
    print(&result, &files, format)?;
    Ok(result)
}

fn print(result: &RunResult, files: &Files, format: Format) -> Result<(), ExpectedError> {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(result).unwrap_or_default(),
        Format::Text => {
            let (width, colour) = output::stdout_shape();
            report::summary(result, &[&shown(&files.report), &shown(&files.result)], width, colour)
        }
    };
    output::data(text.trim_end()).map_err(ExpectedError::Output)
}

/// A path as people look for it: from where they stand, where it lies below.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok().map(PathBuf::from)).unwrap_or_else(|| path.to_owned())
}

/// The first signal ends the run in order, the second at once: the nodes notice that their controller is gone.
pub(crate) async fn stop_on_signal(stop: CancellationToken) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    output::talk("stopping; once more to stop at once");
    stop.cancel();
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    #[expect(clippy::exit, clippy::disallowed_methods, reason = "the user asked twice")]
    std::process::exit(Exit::Aborted as i32);
}
