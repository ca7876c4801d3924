//! `peermark dht report`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use peermark_core::Clock;
use peermark_dht::report::{self, DhtReport, ReportOptions, Span, TableRule};
use peermark_lab::scenario::HumanDuration;
use peermark_probe::clock::MonotonicClock;

use super::database::DatabaseArgs;
use crate::command::up::Format;
use crate::error::ExpectedError;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    period: PeriodArgs,
    #[command(flatten)]
    rows: RowArgs,
    /// Directory that gets report.html and report.json
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
    /// Short table, or the JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Period")]
struct PeriodArgs {
    /// Beginning: RFC 3339 (2026-01-31T09:00:00Z), a date, or how long ago (36h) [default: --last before the end]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "last")]
    from: Option<Moment>,
    /// End, not included: as --from [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Moment>,
    /// Length of the period that ends at --until
    #[arg(long, value_name = "DURATION", default_value = "7d")]
    last: HumanDuration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
struct RowArgs {
    /// Fleets (repeatable, or separated by commas) [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    fleets: Vec<String>,
    /// Set provides apart whose server had fewer peers in its routing table [default: 20; in a lab 1]
    #[arg(long, value_name = "PEERS")]
    min_rt_provide: Option<u32>,
    /// Set lookups apart whose server had fewer peers in its routing table [default: 20; in a lab 1]
    #[arg(long, value_name = "PEERS")]
    min_rt_retrieve: Option<u32>,
    /// The limits of ProbeLab's reports on the public IPFS network: more than 190 peers for provides, more than 200 for lookups
    #[arg(long, conflicts_with_all = ["min_rt_provide", "min_rt_retrieve"])]
    probelab_limits: bool,
    /// When operations are given up: what failed counts as at or above it
    #[arg(long, value_name = "DURATION", default_value = "3m")]
    deadline: HumanDuration,
}

/// A moment as it was given.
#[derive(Clone, Copy, Debug)]
enum Moment {
    AtMs(u64),
    Ago(Duration),
}

impl Moment {
    fn ms(self, now_ms: u64) -> u64 {
        match self {
            Self::AtMs(at_ms) => at_ms,
            Self::Ago(ago) => now_ms.saturating_sub(milliseconds(ago)),
        }
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    // A date alone is its first moment.
    let midnight = format!("{text}T00:00:00Z");
    let read = humantime::parse_rfc3339_weak(text).or_else(|_| humantime::parse_rfc3339(&midnight));
    if let Some(since) = read.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()) {
        return Ok(Moment::AtMs(milliseconds(since)));
    }
    let ago: HumanDuration = text
        .parse()
        .map_err(|_| "a moment such as 2026-01-31T09:00:00Z or 2026-01-31, or how long ago, such as 36h")?;
    Ok(Moment::Ago(ago.0))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Runs `peermark dht report`.
///
/// # Errors
/// [`ExpectedError`] when the period has no length, the database cannot be read or output cannot be written.
pub(crate) fn run(args: &ReportArgs) -> Result<ExitCode, ExpectedError> {
    let mut options = options(args, MonotonicClock::new().wall_ms())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExpectedError::System)?;
    let report = runtime.block_on(async {
        let databases = args.database.open_existing().await?;
        options.place.clone_from(&databases.place);
        let report = report::read(&databases.dht, &options).await;
        databases.dht.close().await;
        if let Some(observations) = databases.observations {
            observations.close().await;
        }
        report.map_err(|error| ExpectedError::Unavailable(format!("cannot read {}: {error}", databases.place)))
    })?;
    let document = serde_json::to_string_pretty(&report).map_err(|error| ExpectedError::Output(error.into()))?;
    if let Some(directory) = &args.out {
        write(directory, &report, &document).map_err(ExpectedError::Output)?;
    }
    let text = match args.format {
        Format::Json => document,
        Format::Text => report::text(&report),
    };
    output::data(&text).map_err(ExpectedError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn options(args: &ReportArgs, now_ms: u64) -> Result<ReportOptions, ExpectedError> {
    let until_ms = args.period.until.map_or(now_ms, |until| until.ms(now_ms));
    let last_ms = milliseconds(args.period.last.0);
    let from_ms = args.period.from.map_or_else(|| until_ms.saturating_sub(last_ms), |from| from.ms(now_ms));
    let span = Span::new(from_ms, until_ms).map_err(|error| ExpectedError::Configuration(error.to_string()))?;
    let least = |peers: Option<u32>| i32::try_from(peers.unwrap_or(20)).unwrap_or(i32::MAX);
    let rule = match (args.rows.probelab_limits, args.rows.min_rt_provide, args.rows.min_rt_retrieve) {
        (true, ..) => TableRule::ProbeLab,
        (false, None, None) => TableRule::Own,
        (false, provide, retrieve) => TableRule::AtLeast { provide: least(provide), retrieve: least(retrieve) },
    };
    let deadline_ns = u64::try_from(args.rows.deadline.0.as_nanos()).unwrap_or(u64::MAX);
    Ok(ReportOptions { fleets: args.rows.fleets.clone(), rule, deadline_ns, ..ReportOptions::new(span) })
}

fn write(directory: &Path, report: &DhtReport, document: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    for (name, text) in [("report.html", report::html(report)), ("report.json", format!("{document}\n"))] {
        let path = directory.join(name);
        std::fs::write(&path, text)?;
        output::talk(&path.display().to_string());
    }
    Ok(())
}
