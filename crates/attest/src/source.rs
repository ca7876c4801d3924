//! Where evidence comes from, and what every document over it says first.

use peermark_judge::case::{self, CaseError, DisputeLine, Evidence, Job, Statement};
use peermark_judge::policy::Policy;
use peermark_ledger::machine::Machine;
use peermark_ledger::state::work::Judged as OfLedger;
use peermark_page::format;
use serde::{Deserialize, Serialize};

use crate::words;

/// Evidence that is judged here, with where it comes from. What a ledger says was judged in it: [`Judged::of_ledger`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Source {
    /// Imported measurements, which nobody signed.
    Reports(Reports),
}

/// Imported measurements.
#[derive(Clone, Debug)]
pub struct Reports {
    /// The file's name, as documents give it.
    pub name: String,
    /// What was read.
    pub evidence: Evidence,
    /// Rows that were read.
    pub rows: u64,
    /// Malformed rows that were left out.
    pub refused_rows: u64,
}

/// What a document rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Whether every measurement is signed by who made it. Imported ones are not: whoever wrote the file decides what it says.
    pub signed: bool,
    /// Where the evidence comes from.
    pub source: String,
    /// Name and version of the policy.
    pub policy: String,
    /// The job.
    pub job: String,
    /// First second of the evidence.
    pub from_s: u64,
    /// Last second of the evidence.
    pub to_s: u64,
    /// The last epoch.
    pub epoch: u64,
    /// Measurements that were judged.
    pub measurements: u64,
    /// Measurements from outside the job's regions.
    pub elsewhere: u64,
    /// Malformed rows that were left out.
    pub refused_rows: u64,
    /// Attesters.
    pub attesters: u32,
    /// Independent groups of them.
    pub groups: u32,
    /// Groups whose voice does not count.
    pub flagged: Vec<String>,
    /// What is disputed.
    pub disputes: Vec<DisputeLine>,
}

/// A job judged: the statement, and what it rests on.
#[derive(Clone, Debug)]
pub struct Judged {
    /// What every document says first.
    pub basis: Basis,
    /// Everything that may be said.
    pub statement: Statement,
    /// Seconds of one epoch of the policy.
    pub epoch_s: u64,
}

impl Source {
    /// Where it comes from.
    pub fn name(&self) -> &str {
        match self {
            Self::Reports(reports) => &reports.name,
        }
    }

    /// Whether every measurement is signed by who made it.
    pub fn is_signed(&self) -> bool {
        match self {
            Self::Reports(_) => false,
        }
    }

    /// Malformed rows that were left out.
    pub fn refused_rows(&self) -> u64 {
        match self {
            Self::Reports(reports) => reports.refused_rows,
        }
    }

    /// The evidence.
    pub fn evidence(&self) -> &Evidence {
        match self {
            Self::Reports(reports) => &reports.evidence,
        }
    }

    /// Judges a job.
    ///
    /// # Errors
    /// As [`case::judge`].
    pub fn judge(&self, policy: &Policy, job: &Job) -> Result<Judged, CaseError> {
        let statement = case::judge(self.evidence(), policy, job)?;
        let basis = Basis::new(self.is_signed(), self.name(), self.refused_rows(), &statement);
        Ok(Judged { basis, statement, epoch_s: policy.epoch_s() })
    }
}

impl Judged {
    /// What a ledger says of a job: every measurement in it is signed by who made it, and every number follows from its log.
    pub fn of_ledger(machine: &Machine, judged: OfLedger) -> Self {
        let state = machine.state();
        let name = format!("ledger {} at height {}", machine.network(), state.height());
        let basis = Basis::new(true, &name, 0, &judged.statement);
        Self { basis, statement: judged.statement, epoch_s: state.judge_policy().epoch_s() }
    }
}

impl Basis {
    fn new(signed: bool, source: &str, refused_rows: u64, statement: &Statement) -> Self {
        let mut flagged: Vec<String> = statement.flags.iter().map(|flag| flag.group.clone()).collect();
        flagged.sort_unstable();
        flagged.dedup();
        Self {
            signed,
            source: source.to_owned(),
            policy: statement.policy.clone(),
            job: statement.job.clone(),
            from_s: statement.from_s,
            to_s: statement.to_s,
            epoch: statement.epoch,
            measurements: statement.measurements,
            elsewhere: statement.elsewhere,
            refused_rows,
            attesters: statement.attesters,
            groups: statement.groups,
            flagged,
            disputes: statement.disputes.clone(),
        }
    }

    /// The first lines of a text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.signed {
            lines.push(unsigned(&self.source));
        }
        lines.push(format!(
            "job {}, policy {}: {} by {} in {}, {} to {}",
            self.job,
            self.policy,
            format::counted(self.measurements, "measurement"),
            format::counted(u64::from(self.attesters), "attester"),
            format::counted(u64::from(self.groups), "independent group"),
            format::utc(self.from_s.saturating_mul(1_000)),
            format::utc(self.to_s.saturating_mul(1_000)),
        ));
        if self.elsewhere > 0 {
            lines.push(format!("{} from elsewhere left out", format::counted(self.elsewhere, "measurement")));
        }
        if self.refused_rows > 0 {
            lines.push(format!("{} left out", format::counted(self.refused_rows, "malformed row")));
        }
        if !self.flagged.is_empty() {
            lines.push(format!("flagged, without a voice: {}", self.flagged.join(", ")));
        }
        lines.extend(self.disputes.iter().map(|line| words::dispute(line.metric, &line.dispute)));
        lines
    }
}

/// What stands above everything that rests on unsigned evidence.
pub(crate) fn unsigned(source: &str) -> String {
    format!("UNSIGNED: imported from {source}; whoever wrote it decides what it says")
}
