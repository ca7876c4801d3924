//! `peermark doctor ...`: whether the instrument itself can be trusted on this machine.

mod machine;
mod pairs;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use peermark_core::Seed;
use peermark_judge::compare::{RunNoise, false_alarm_rate};
use peermark_probe::doctor::stall_check;
use serde_json::json;

use crate::command::up::Format;
use crate::error::{Exit, ExpectedError};
use crate::output;

/// Fixed by what the check is known for: 2 s of 10 s at 5,000 per second.
const STALL_RATE: f64 = 5_000.0;
const STALL_RUN: Duration = Duration::from_secs(10);
const STALL: Duration = Duration::from_secs(2);

/// Comparisons that are simulated for each number of runs.
const COMPARISONS: u32 = 4_000;

/// Share of identical arms that may be called better or worse.
pub(crate) const MAX_FALSE_ALARMS: f64 = 0.05;

#[derive(Debug, Args)]
pub(crate) struct DoctorCommand {
    #[command(subcommand)]
    command: Option<DoctorSubcommand>,
    #[command(flatten)]
    here: machine::MachineArgs,
    /// Lines for people, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum DoctorSubcommand {
    /// Stall a server for 2 of 10 s and see whether the load engine reports what its users would have felt
    Load,
    /// Print how often identical arms would be called better or worse
    Compare {
        /// Seed of the simulation
        #[arg(long, value_name = "SEED", default_value_t = 1)]
        seed: u64,
        /// Compare so many pairs of arms of this very binary, three real runs an arm, instead of simulating
        #[arg(long, value_name = "PAIRS", value_parser = clap::value_parser!(u32).range(1..=1000))]
        pairs: Option<u32>,
    },
}

/// Runs `peermark doctor ...`.
///
/// # Errors
/// [`ExpectedError`] when a check could not be run.
pub(crate) fn run(command: &DoctorCommand) -> Result<ExitCode, ExpectedError> {
    let ok = match command.command {
        None => machine::run(&command.here, command.format)?,
        Some(DoctorSubcommand::Load) => load(command.format)?,
        Some(DoctorSubcommand::Compare { seed, pairs: None }) => compare(Seed(seed), command.format)?,
        Some(DoctorSubcommand::Compare { seed, pairs: Some(pairs) }) => {
            pairs::compare_runs(seed, pairs, command.format)?
        }
    };
    Ok(if ok { ExitCode::SUCCESS } else { Exit::ThresholdFailed.into() })
}

fn load(format: Format) -> Result<bool, ExpectedError> {
    let check = stall_check(STALL_RUN, STALL, STALL_RATE).map_err(|error| ExpectedError::Runs(error.to_string()))?;
    let ms = |ns: u64| ns as f64 / 1e6;
    let text = match format {
        Format::Json => json!({
            "schema": "peermark.doctor/1",
            "check": "load",
            "requests": check.requests,
            "failed": check.failed,
            "expected_p99_ns": check.expected_p99_ns,
            "p99_ns": check.p99_ns,
            "uncorrected_p99_ns": check.uncorrected_p99_ns,
            "relative_error": check.relative_error(),
            "ok": check.is_passed(),
        })
        .to_string(),
        Format::Text => format!(
            "a server that stands still for 2 of 10 s at 5,000 requests per second\n\
             p99 as it must be      {:>9.1} ms (arithmetic)\n\
             p99 as measured here   {:>9.1} ms ({:+.1} %)\n\
             p99 of a tool that waits for a free connection before it starts its watch {:>9.1} ms\n\
             {} requests, {} failed; {}",
            ms(check.expected_p99_ns),
            ms(check.p99_ns),
            check.relative_error() * 100.0,
            ms(check.uncorrected_p99_ns),
            check.requests,
            check.failed,
            if check.is_passed() {
                "ok: within 3 %"
            } else {
                "NOT within 3 %: do not trust latencies on this machine now"
            },
        ),
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(check.is_passed())
}

fn compare(seed: Seed, format: Format) -> Result<bool, ExpectedError> {
    let noises = [
        ("lognormal, 5 %", RunNoise::Lognormal { sigma: 0.05 }),
        ("lognormal, 20 %", RunNoise::Lognormal { sigma: 0.2 }),
        ("heavy-tailed, 20 %", RunNoise::HeavyTailed { sigma: 0.2 }),
    ];
    let mut rows = Vec::new();
    for (name, noise) in noises {
        for runs in [3, 5, 10] {
            let alarms = false_alarm_rate(noise, runs, 1, COMPARISONS, seed);
            rows.push((name, runs, alarms.rate()));
        }
    }
    // Twice the standard error of a rate of 5 % over this many comparisons.
    let tolerance = 2.0 * (MAX_FALSE_ALARMS * (1.0 - MAX_FALSE_ALARMS) / f64::from(COMPARISONS)).sqrt();
    let ok = rows.iter().all(|(_, _, rate)| *rate <= MAX_FALSE_ALARMS + tolerance);
    let text = match format {
        Format::Json => {
            let rows: Vec<_> = rows
                .iter()
                .map(|(noise, runs, rate)| json!({ "noise": noise, "runs_per_arm": runs, "false_alarm_ratio": rate }))
                .collect();
            json!({ "schema": "peermark.doctor/1", "check": "compare", "seed": seed, "comparisons": COMPARISONS, "rows": rows, "ok": ok })
                .to_string()
        }
        Format::Text => {
            let head = format!(
                "identical arms called better or worse, {COMPARISONS} simulated comparisons each (at most 5 %)"
            );
            let line = |(noise, runs, rate): &(&str, usize, f64)| {
                format!("{noise:<20} {runs:>3} runs per arm  {:>5.2} %", rate * 100.0)
            };
            std::iter::once(head).chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
        }
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(ok)
}
