//! What `rank`, `qualify`, `explain` and `sla` have in common: where evidence, policy and job come from, and how a document is printed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use peermark_attest::backtest::Observed;
use peermark_attest::source::{Judged, Reports, Source};
use peermark_attest::statement::LedgerStatement;
use peermark_judge::case::Job;
use peermark_judge::import::{self, Importer, MAX_LINE};
use peermark_judge::policy::Policy;
use serde::Serialize;

use crate::command::ledger::{SourceArgs, block_on};
use crate::command::up::Format;
use crate::error::ExpectedError;
use crate::output;

/// Refused rows that are told one by one.
const TOLD: usize = 10;
/// Longest policy, job or question.
const MAX_TOML: u64 = 1 << 20;

/// Where evidence, policy and job come from.
#[derive(Debug, Args)]
pub(crate) struct EvidenceArgs {
    /// Imported measurements, NDJSON or (*.csv) CSV, a probe per row. Nobody signed them: every output says UNSIGNED
    #[arg(long, value_name = "FILE", required_unless_present = "ledger", conflicts_with = "ledger")]
    pub(crate) reports: Option<PathBuf>,
    /// Go on without malformed rows; otherwise they are told by line number and nothing is judged
    #[arg(long)]
    pub(crate) skip_malformed: bool,
    #[command(flatten)]
    pub(crate) rules: RuleArgs,
    /// What hosters promise: regions, availability, latency, bandwidth, prices
    #[arg(long, value_name = "FILE", required_unless_present = "ledger", conflicts_with = "ledger")]
    pub(crate) job: Option<PathBuf>,
    /// Say beside it what this policy would decide. It has no effect
    #[arg(long, value_name = "FILE")]
    pub(crate) observe: Option<PathBuf>,
}

/// By which policy.
#[derive(Debug, Args)]
pub(crate) struct RuleArgs {
    /// Every threshold of the evaluation; what a file leaves out is as in the profile `public`, which holds without a file
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
}

/// How a document is printed.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Tables, or one JSON document
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

impl EvidenceArgs {
    /// Reads the evidence.
    ///
    /// # Errors
    /// A file that cannot be read, and malformed rows unless they are skipped.
    pub(crate) fn source(&self) -> Result<Source, ExpectedError> {
        let reports = given(self.reports.as_deref(), "--reports")?;
        let is_csv = reports.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut importer = Importer::new(if is_csv { import::Format::Csv } else { import::Format::Ndjson });
        let failed = |source| ExpectedError::Read { path: reports.to_owned(), source };
        lines(File::open(reports).map_err(failed)?, |line| importer.line(line)).map_err(failed)?;
        let imported = importer.finish();
        let name = reports.display().to_string();
        for refused in imported.refused.iter().take(TOLD) {
            output::talk(&format!("{name}: {refused}"));
        }
        if imported.refused_count > 0 && !self.skip_malformed {
            return Err(ExpectedError::Evidence(format!(
                "{name}: {} malformed rows; --skip-malformed goes on without them",
                imported.refused_count
            )));
        }
        Ok(Source::Reports(Reports {
            name,
            evidence: imported.evidence,
            rows: imported.rows,
            refused_rows: imported.refused_count,
        }))
    }

    /// Judges the evidence, and says what the observed policy would decide.
    ///
    /// # Errors
    /// What cannot be read, parsed or judged.
    pub(crate) fn judge(&self) -> Result<(Judged, Option<Observed>), ExpectedError> {
        let wanted = given(self.job.as_deref(), "--job")?;
        let (policy, job, source) = (self.rules.policy()?, job(wanted)?, self.source()?);
        let judged = judge(&source, &policy, &job)?;
        let Some(path) = &self.observe else { return Ok((judged, None)) };
        let beside = judge(&source, &self::policy(path)?, &job)?;
        let observed = Observed::new(&judged, &beside);
        Ok((judged, Some(observed)))
    }
}

impl RuleArgs {
    /// The policy.
    pub(crate) fn policy(&self) -> Result<Policy, ExpectedError> {
        self.policy.as_deref().map_or_else(|| Ok(Policy::public()), policy)
    }
}

/// A file that is needed where no ledger is named.
pub(crate) fn given<'p>(path: Option<&'p Path>, flag: &str) -> Result<&'p Path, ExpectedError> {
    path.ok_or_else(|| ExpectedError::Configuration(format!("{flag} is needed where no --ledger is named")))
}

/// What a ledger says of every job that was judged in it, once it is read and checked.
///
/// # Errors
/// A ledger that cannot be read or does not hold, and what cannot be printed.
pub(crate) fn of_ledger<D: Serialize>(
    ledger: &SourceArgs,
    output: &OutputArgs,
    make: impl Fn(&Judged) -> Option<D>,
    text: impl Fn(&D) -> String,
) -> Result<Vec<D>, ExpectedError> {
    let loaded = block_on(ledger.load())?;
    let machine = loaded.checked.replay.machine();
    let said = LedgerStatement::of_jobs(machine, make).map_err(|error| ExpectedError::Evidence(error.to_string()))?;
    print(output, &said, || said.text(&text))?;
    Ok(said.documents)
}

/// Judges a job.
pub(crate) fn judge(source: &Source, policy: &Policy, job: &Job) -> Result<Judged, ExpectedError> {
    source.judge(policy, job).map_err(|error| ExpectedError::Evidence(error.to_string()))
}

/// Reads and checks a policy.
pub(crate) fn policy(path: &Path) -> Result<Policy, ExpectedError> {
    Policy::from_toml(&text(path)?).map_err(|error| in_file(path, &error))
}

/// Reads a job.
pub(crate) fn job(path: &Path) -> Result<Job, ExpectedError> {
    Job::from_toml(&text(path)?).map_err(|error| in_file(path, &error))
}

/// What is wrong in a file.
pub(crate) fn in_file(path: &Path, error: &dyn std::error::Error) -> ExpectedError {
    ExpectedError::Evidence(format!("{}: {error}", path.display()))
}

/// A small text file.
pub(crate) fn text(path: &Path) -> Result<String, ExpectedError> {
    let file = File::open(path).map_err(|source| ExpectedError::Read { path: path.to_owned(), source })?;
    bounded_text(file, path, MAX_TOML)
}

/// Text of at most `max_bytes`; more is refused, not read.
pub(crate) fn bounded_text(from: impl Read, path: &Path, max_bytes: u64) -> Result<String, ExpectedError> {
    let mut bytes = Vec::new();
    let read = from.take(max_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|source| ExpectedError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > max_bytes {
        return Err(ExpectedError::Evidence(format!("{}: longer than {max_bytes} bytes", path.display())));
    }
    String::from_utf8(bytes).map_err(|error| in_file(path, &error))
}

/// Prints a document: its text, or as JSON.
///
/// # Errors
/// [`ExpectedError::Output`].
pub(crate) fn print(
    args: &OutputArgs,
    document: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<(), ExpectedError> {
    let printed = match args.format {
        Format::Json => serde_json::to_string_pretty(document).map_err(|error| ExpectedError::Output(error.into()))?,
        Format::Text => text(),
    };
    output::data(&printed).map_err(ExpectedError::Output)
}

/// Every line of a file without its break. Of one that is too long only so much is kept that it is known to be.
fn lines(file: File, mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut reader).take(MAX_LINE as u64 + 2);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else {
            reader.skip_until(b'\n')?;
        }
        each(&line);
    }
}
