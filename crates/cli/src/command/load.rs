//! `peermark load URL...`: load on nodes that run already.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use peermark_core::Seed;
use peermark_lab::run::{Afterwards, RunOptions, run_id};
use peermark_lab::scenario::{HumanDuration, Scenario, Workload};

use crate::command::up::{Format, Lasting, draw_seed, lasting, one_run, workload};
use crate::error::{Exit, ExpectedError};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct LoadCommand {
    /// Nodes, such as http://127.0.0.1:8080; the base path of the API is found by asking
    #[arg(value_name = "URL", required = true)]
    urls: Vec<String>,
    /// Built-in workload
    #[arg(long, value_name = "NAME", value_parser = workload)]
    workload: Option<Workload>,
    /// How long the load lasts
    #[arg(long = "for", value_name = "DURATION", value_parser = lasting, default_value = "30s")]
    lasting: Lasting,
    /// Arrivals per second of every phase; without it, half of what the network keeps up with
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    /// Seed of schedule and payloads; drawn and printed when absent
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Limit such as 'fetch.p99<50ms'; exit code 100 when it is not kept (repeatable)
    #[arg(long, value_name = "LIMIT")]
    threshold: Vec<String>,
    /// Directory that gets one directory per run
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// SQLite file with the history of all runs
    #[arg(long, value_name = "FILE", default_value = "peermark.db")]
    store: PathBuf,
    /// Summary on stdout as text, or the whole result as JSON
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Runs `peermark load ...`.
///
/// # Errors
/// [`ExpectedError`] when a node does not answer as one or the load gives no result.
pub(crate) fn run(command: LoadCommand) -> Result<ExitCode, ExpectedError> {
    let Lasting::For(duration) = command.lasting else {
        return Err(ExpectedError::Configuration("--for: a load on running nodes needs an end".into()));
    };
    // With one node there is nobody to fetch from: what it can do alone is measured.
    let alone = if command.urls.len() == 1 { Workload::Upload } else { Workload::Load };
    let mut scenario = scenario(&command, command.workload.unwrap_or(alone));
    scenario.duration = HumanDuration(duration);
    if let Some(rate) = command.rate {
        scenario.phases.iter_mut().for_each(|phase| phase.rate = Some(rate));
    }
    scenario.check()?;
    let seed = Seed(command.seed.unwrap_or_else(draw_seed));
    output::talk(&format!("seed {seed}"));
    let options = RunOptions {
        scenario,
        seed,
        run_id: run_id(seed),
        out: command.out,
        store: command.store,
        program: PathBuf::new(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: env!("PEERMARK_COMMIT").into(),
        afterwards: Afterwards::Stop,
        samples_cap_bytes: 256 << 20,
        urls: command.urls,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(ExpectedError::System)?;
    let result = runtime.block_on(one_run(options, command.format))?;
    let failed = result.thresholds.iter().any(|threshold| !threshold.ok);
    Ok(if failed { Exit::ThresholdFailed.into() } else { ExitCode::SUCCESS })
}

fn scenario(command: &LoadCommand, workload: Workload) -> Scenario {
    let mut scenario = workload.scenario();
    scenario.resize(command.urls.len() as u32);
    Scenario { name: format!("load-{}", workload.as_str()), thresholds: command.threshold.clone(), ..scenario }
}
