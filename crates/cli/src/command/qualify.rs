//! `peermark qualify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use peermark_attest::backtest::BacktestDocument;
use peermark_attest::qualify::{NeedsDocument, QualifyDocument};
use peermark_attest::source::Judged;

use super::judged::{EvidenceArgs, OutputArgs, RuleArgs, in_file, job, judge, of_ledger, policy, print};
use super::ledger::SourceArgs;
use crate::error::{Exit, ExpectedError};
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct QualifyCommand {
    /// What a job takes before MEETS is possible: probes, rounds, days, gigabytes. Refuses what can never be proven; needs no evidence
    #[arg(long, value_name = "JOB", conflicts_with_all = ["reports", "job", "observe", "backtest"])]
    needs: Option<PathBuf>,
    /// Independent groups that may be drawn, for --needs; without it the seats of one committee
    #[arg(long, value_name = "N", requires = "needs", value_parser = clap::value_parser!(u32).range(1..))]
    pool: Option<u32>,
    /// Which past decisions would change from policy A to policy B, by hoster and epoch
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with_all = ["policy", "observe"])]
    backtest: Option<Vec<PathBuf>>,
    /// Imported measurements, NDJSON or (*.csv) CSV, a probe per row. Nobody signed them: every output says UNSIGNED
    #[arg(long, value_name = "FILE", required_unless_present_any = ["needs", "ledger"], conflicts_with = "ledger")]
    reports: Option<PathBuf>,
    /// Go on without malformed rows; otherwise they are told by line number and nothing is judged
    #[arg(long)]
    skip_malformed: bool,
    #[command(flatten)]
    rules: RuleArgs,
    /// What hosters promise: regions, availability, latency, bandwidth, prices
    #[arg(long, value_name = "FILE", required_unless_present_any = ["needs", "ledger"], conflicts_with = "ledger")]
    job: Option<PathBuf>,
    /// Say beside it what this policy would decide. It has no effect
    #[arg(long, value_name = "FILE")]
    observe: Option<PathBuf>,
    #[command(flatten)]
    ledger: SourceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints who may be given a job, what it takes, or what another policy would have decided.
///
/// # Errors
/// What cannot be read, judged or printed.
pub(crate) fn run(command: &QualifyCommand) -> Result<ExitCode, ExpectedError> {
    if let Some(wanted) = &command.needs {
        return needs(command, wanted);
    }
    if command.ledger.ledger.is_some() {
        let make = |judged: &Judged| Some(QualifyDocument::new(judged, None));
        of_ledger(&command.ledger, &command.output, make, QualifyDocument::text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(reports), Some(wanted)) = (&command.reports, &command.job) else {
        return Err(ExpectedError::Configuration("--reports and --job are needed without --needs".to_owned()));
    };
    let evidence = EvidenceArgs {
        reports: Some(reports.clone()),
        skip_malformed: command.skip_malformed,
        rules: RuleArgs { policy: command.rules.policy.clone() },
        job: Some(wanted.clone()),
        observe: command.observe.clone(),
    };
    if let Some([a, b]) = command.backtest.as_deref() {
        let (a, b, wanted, source) = (policy(a)?, policy(b)?, job(wanted)?, evidence.source()?);
        let document = BacktestDocument::new(&judge(&source, &a, &wanted)?, &judge(&source, &b, &wanted)?);
        print(&command.output, &document, || document.text())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (judged, observed) = evidence.judge()?;
    let document = QualifyDocument::new(&judged, observed);
    print(&command.output, &document, || document.text())?;
    Ok(ExitCode::SUCCESS)
}

/// What a job takes; exit code 65 where it can never be proven.
fn needs(command: &QualifyCommand, wanted: &Path) -> Result<ExitCode, ExpectedError> {
    let (policy, wanted_job) = (command.rules.policy()?, job(wanted)?);
    let pool = command.pool.unwrap_or(policy.committee.size);
    let document = NeedsDocument::new(&wanted_job, &policy, pool).map_err(|error| in_file(wanted, &error))?;
    print(&command.output, &document, || document.text())?;
    if document.possible {
        return Ok(ExitCode::SUCCESS);
    }
    for reason in document.impossible() {
        output::talk(&format!("refused: {reason}"));
    }
    Ok(Exit::BadData.into())
}
