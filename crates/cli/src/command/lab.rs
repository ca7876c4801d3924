//! `peermark lab ...`: around runs.

mod compare;
mod logs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use peermark_core::Seed;
use peermark_lab::dht::{DhtError, RUN_KIND, RUN_NAME};
use peermark_lab::launch::{Blueprint, Topology};
use peermark_lab::leftovers;
use peermark_store::{RunFilter, RunState, Store, StoreError};
use serde_json::json;

use crate::command::up::{Format, UpCommand, UpWorkload, scenario};
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct LabCommand {
    #[command(subcommand)]
    command: LabSubcommand,
}

#[derive(Debug, Subcommand)]
enum LabSubcommand {
    /// Print what `up` would do with the same arguments, and do nothing
    Plan(Box<UpCommand>),
    /// List the runs in the history, newest first
    List {
        /// SQLite file with the history
        #[arg(long, value_name = "FILE", default_value = "peermark.db")]
        store: PathBuf,
        /// Most runs to list
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Table, or one JSON document
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: Format,
    },
    /// Print the log of a node
    Logs(logs::LogsCommand),
    /// Compare two arms of repeated runs, metric by metric
    Compare(compare::CompareCommand),
    /// Find and end processes that runs left behind
    Clean {
        /// Directory that holds one directory per run
        #[arg(long, value_name = "DIR", default_value = "runs")]
        out: PathBuf,
        /// Also end the nodes of runs whose controller still runs
        #[arg(long)]
        all: bool,
        /// Only say what would be ended
        #[arg(long)]
        dry_run: bool,
    },
    /// Run a foreign program and end it when stdin closes
    #[command(hide = true)]
    Guard {
        #[arg(last = true, required = true)]
        program: Vec<String>,
    },
}

/// Runs `peermark lab ...`.
///
/// # Errors
/// [`ExpectedError`].
pub(crate) fn run(command: LabCommand) -> Result<ExitCode, ExpectedError> {
    match command.command {
        LabSubcommand::Plan(up) => plan(&up),
        LabSubcommand::List { store, limit, format } => list(&store, limit, format),
        LabSubcommand::Logs(command) => logs::run(&command),
        LabSubcommand::Compare(command) => compare::run(&command),
        LabSubcommand::Clean { out, all, dry_run } => clean(&out, all, dry_run),
        LabSubcommand::Guard { program } => guard(&program),
    }
}

fn plan(up: &UpCommand) -> Result<ExitCode, ExpectedError> {
    if up.workload == UpWorkload::Dht {
        return dht_plan(up);
    }
    let scenario = scenario(up)?;
    let seed = up.seed.map(Seed).or(scenario.seed).unwrap_or(Seed(0));
    let blueprint = Blueprint::new(&scenario, seed, "RUN", &up.out.join("RUN"));
    let topology = Topology::draw(scenario.total_nodes(), scenario.nodes.dials, seed);
    let nodes: Vec<_> = blueprint
        .nodes
        .iter()
        .map(|node| json!({ "node": node.index, "kind": node.kind, "dials": topology.dials_of(node.index) }))
        .collect();
    let document = json!({
        "schema": "peermark.plan/1",
        "seed": seed,
        "seed_given": up.seed.is_some() || scenario.seed.is_some(),
        "scenario": scenario,
        "scenario_fingerprint": scenario.fingerprint(),
        "nodes": nodes,
    });
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn dht_plan(up: &UpCommand) -> Result<ExitCode, ExpectedError> {
    let seed = Seed(up.seed.unwrap_or(0));
    let plan = crate::command::up::dht::plan(up, seed).map_err(DhtError::Plan)?;
    let mut document = peermark_lab::dht::plan_document(&plan);
    document["schema"] = "peermark.plan/1".into();
    document["seed"] = json!(seed);
    document["seed_given"] = up.seed.is_some().into();
    output::data(&format!("{document:#}")).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs of the lab, newest first. Runs of kind `dht` are those of single servers, too, which the lab did not start.
async fn lab_runs(store: &Store, limit: u32) -> Result<Vec<peermark_store::Run>, StoreError> {
    let lab = RunFilter { kind: Some("lab".into()), limit, ..RunFilter::default() };
    let (kind, name) = (Some(RUN_KIND.to_owned()), Some(RUN_NAME.to_owned()));
    let mut runs = store.runs(&lab).await?;
    runs.extend(store.runs(&RunFilter { kind, name, limit, ..RunFilter::default() }).await?);
    runs.sort_by(|a, b| (b.record.started_wall_ms, &b.record.id).cmp(&(a.record.started_wall_ms, &a.record.id)));
    runs.truncate(limit as usize);
    Ok(runs)
}

fn list(path: &std::path::Path, limit: u32, format: Format) -> Result<ExitCode, ExpectedError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExpectedError::System)?;
    let runs = runtime.block_on(async {
        let store = Store::open_existing(path).await.map_err(|error| ExpectedError::Runs(error.to_string()))?;
        lab_runs(&store, limit).await.map_err(|error| ExpectedError::Runs(error.to_string()))
    })?;
    let state = |run: &peermark_store::Run| match run.state {
        RunState::Started => "started".to_owned(),
        RunState::Ended(ending) => format!("{ending:?}").to_lowercase(),
    };
    let validity = |run: &peermark_store::Run| {
        run.validity.map_or("-".to_owned(), |validity| format!("{validity:?}").to_uppercase())
    };
    let lines: Vec<String> = match format {
        Format::Json => {
            let rows: Vec<_> = runs
                .iter()
                .map(|run| {
                    json!({ "run_id": run.record.id, "scenario": run.record.name, "seed": run.record.seed, "state": state(run),
                        "validity": validity(run), "version": run.record.version, "commit": run.record.commit,
                        "started_wall_ms": run.record.started_wall_ms, "duration_ns": run.duration_ns })
                })
                .collect();
            vec![json!({ "schema": "peermark.runs/1", "runs": rows }).to_string()]
        }
        Format::Text => {
            let head =
                format!("{:<32} {:<14} {:<10} {:<8} {:>9}  commit", "run", "scenario", "state", "validity", "seconds");
            let rows = runs.iter().map(|run| {
                let seconds = run.duration_ns.map_or("-".into(), |ns| format!("{:.1}", ns as f64 / 1e9));
                let record = &run.record;
                format!(
                    "{:<32} {:<14} {:<10} {:<8} {seconds:>9}  {}",
                    record.id,
                    record.name,
                    state(run),
                    validity(run),
                    record.commit
                )
            });
            std::iter::once(head).chain(rows).collect()
        }
    };
    lines.iter().try_for_each(|line| output::data(line)).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn clean(runs: &std::path::Path, all: bool, dry_run: bool) -> Result<ExitCode, ExpectedError> {
    let found = leftovers::find(runs, all).map_err(|source| ExpectedError::Read { path: runs.to_owned(), source })?;
    for leftover in &found {
        let verb = if dry_run { "would end" } else { "ended" };
        if !dry_run {
            leftovers::kill(leftover);
        }
        output::data(&format!("{verb} node {} of run {} (pid {})", leftover.node, leftover.run_id, leftover.pid))
            .map_err(ExpectedError::Output)?;
    }
    if found.is_empty() {
        output::talk("nothing was left behind");
    }
    Ok(ExitCode::SUCCESS)
}

fn guard(program: &[String]) -> Result<ExitCode, ExpectedError> {
    let (name, arguments) = program.split_first().ok_or_else(|| ExpectedError::Runs("no program".into()))?;
    let status = peermark_lab::guard::run(name, arguments).map_err(|error| {
        output::talk(&format!("cannot start {name}: {error}"));
        ExpectedError::System(error)
    })?;
    Ok(peermark_lab::guard::exit_code(status).into())
}
