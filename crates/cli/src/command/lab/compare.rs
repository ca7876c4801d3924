//! `peermark lab compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use peermark_lab::compare::{Comparison, compare, default_min_effect, read_result};
use peermark_lab::result::RunResult;

use super::logs::find_run;
use crate::command::up::Format;
use crate::error::{Exit, ExpectedError};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct CompareCommand {
    /// Runs of the baseline: ids, beginnings of ids, or paths
    #[arg(value_name = "A", required = true)]
    a: Vec<String>,
    /// Runs that are compared with the baseline
    #[arg(long, value_name = "B", num_args = 1.., required = true)]
    vs: Vec<String>,
    /// Smallest change of interest, such as 5%
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    min_effect: Option<f64>,
    /// Exit with 100 when a metric became worse
    #[arg(long, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// Compare runs that differ in more than version and commit
    #[arg(long)]
    allow_different: bool,
    /// Directory that holds one directory per run
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Table, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Worse,
}

fn ratio(text: &str) -> Result<f64, String> {
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    match number.trim().parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 && value / scale < 10.0 => Ok(value / scale),
        _ => Err("a ratio such as 5% or 0.05".into()),
    }
}

pub(crate) fn run(command: &CompareCommand) -> Result<ExitCode, ExpectedError> {
    let a = read_arm(&command.a, &command.out)?;
    let b = read_arm(&command.vs, &command.out)?;
    let min_effect = command.min_effect.unwrap_or_else(default_min_effect);
    let comparison =
        compare(&a, &b, min_effect, command.allow_different).map_err(|error| ExpectedError::Runs(error.to_string()))?;
    let text = match command.format {
        Format::Json => serde_json::to_string_pretty(&comparison).unwrap_or_default(),
        Format::Text => table(&comparison),
    };
    output::data(text.trim_end()).map_err(ExpectedError::Output)?;
    let failed = command.fail_on == Some(FailOn::Worse) && comparison.has_worse();
    Ok(if failed { Exit::ThresholdFailed.into() } else { ExitCode::SUCCESS })
}

fn read_arm(names: &[String], runs: &Path) -> Result<Vec<RunResult>, ExpectedError> {
    let read = |name: &String| {
        let path = Path::new(name);
        let path = if path.exists() { path.to_owned() } else { find_run(runs, Some(name))? };
        read_result(&path).map_err(|error| ExpectedError::Runs(error.to_string()))
    };
    names.iter().map(read).collect()
}

fn table(comparison: &Comparison) -> String {
    let percent = |ratio: f64| format!("{:+.1} %", ratio * 100.0);
    let mut lines = vec![format!(
        "A: {} runs, B: {} runs, smallest change of interest {:.1} %",
        comparison.a.len(),
        comparison.b.len(),
        comparison.min_effect * 100.0
    )];
    lines.push(format!("{:<28} {:>9}  {:<22} {:<16} runs", "metric", "change", "95 % interval", "verdict"));
    for metric in &comparison.metrics {
        let change = metric.change.map_or("n/a".into(), percent);
        let interval = match (metric.low, metric.high) {
            (Some(low), Some(high)) => format!("[{}, {}]", percent(low), percent(high)),
            _ => "n/a".into(),
        };
        let reason = metric.reason.as_deref().map_or(String::new(), |reason| format!("  ({reason})"));
        let runs = format!("{}/{}", metric.runs_a, metric.runs_b);
        lines.push(format!("{:<28} {change:>9}  {interval:<22} {:<16} {runs}{reason}", metric.metric, metric.verdict));
    }
    lines.extend(comparison.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.join("\n")
}
