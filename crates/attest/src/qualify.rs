//! `peermark qualify`: who may be given a job, and what it takes to prove it. Schemas `peermark.qualify/1` and `peermark.needs/1`.

use peermark_judge::case::{self, Fit, Job, JobError, TermNeeds};
use peermark_judge::policy::Policy;
use peermark_judge::qualification::Standing;
use peermark_page::format;
use serde::{Deserialize, Serialize};

use crate::backtest::Observed;
use crate::source::{Basis, Judged};
use crate::table::columns;
use crate::words;

/// The value of `schema` in every document of this version.
pub const SCHEMA: &str = "peermark.qualify/1";

/// The value of `schema` in what a job needs.
pub const NEEDS_SCHEMA: &str = "peermark.needs/1";

/// Who may be given a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QualifyDocument {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What it rests on.
    pub basis: Basis,
    /// By name.
    pub hosters: Vec<FitLine>,
    /// What another policy would say, without effect.
    pub observed: Option<Observed>,
}

/// Whether one hoster may be given the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitLine {
    /// Who.
    pub hoster: String,
    /// Whether, and what hinders.
    #[serde(flatten)]
    pub fit: Fit,
    /// Its standing.
    pub standing: Standing,
    /// What it asks for.
    pub price: Option<u64>,
}

/// What a job takes before MEETS is possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsDocument {
    /// Always [`NEEDS_SCHEMA`].
    pub schema: String,
    /// Name and version of the policy.
    pub policy: String,
    /// The job.
    pub job: String,
    /// Independent groups that may be drawn.
    pub pool: u32,
    /// Seats of one round.
    pub committee: u32,
    /// Whether every promise can be proven.
    pub possible: bool,
    /// Every promise.
    pub terms: Vec<TermNeeds>,
}

impl QualifyDocument {
    /// Who may be given a judged job.
    pub fn new(judged: &Judged, observed: Option<Observed>) -> Self {
        let hosters = judged.statement.hosters.iter().map(|hoster| FitLine {
            hoster: hoster.hoster.clone(),
            fit: hoster.fit.clone(),
            standing: hoster.record.standing,
            price: hoster.price,
        });
        Self { schema: SCHEMA.to_owned(), basis: judged.basis.clone(), hosters: hosters.collect(), observed }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut lines = self.basis.lines();
        lines.push(String::new());
        let head = ["hoster", "may have the job", "standing", "price", "because"].map(str::to_owned);
        let rows = self.hosters.iter().flat_map(|hoster| {
            let because: Vec<String> = words::hindrances(&hoster.fit).iter().map(words::hindrance).collect();
            let first = [
                hoster.hoster.clone(),
                words::fit(&hoster.fit).to_owned(),
                words::standing(hoster.standing).to_owned(),
                hoster.price.map_or_else(|| "-".to_owned(), |price| price.to_string()),
                because.first().cloned().unwrap_or_default(),
            ];
            let rest = because.into_iter().skip(1).map(|why| {
                let empty = String::new;
                [empty(), empty(), empty(), empty(), why]
            });
            std::iter::once(first).chain(rest).collect::<Vec<_>>()
        });
        lines.extend(columns(std::iter::once(head).chain(rows)));
        lines.extend(self.observed.iter().flat_map(Observed::lines));
        lines.join("\n")
    }
}

impl NeedsDocument {
    /// What a job takes under a policy, where so many independent groups may be drawn.
    ///
    /// # Errors
    /// A job that makes no sense under the policy.
    pub fn new(job: &Job, policy: &Policy, pool: u32) -> Result<Self, JobError> {
        job.validate(policy)?;
        let terms = case::needs(job, policy, pool);
        Ok(Self {
            schema: NEEDS_SCHEMA.to_owned(),
            policy: policy.label(),
            job: job.name.clone(),
            pool,
            committee: policy.committee.size,
            possible: terms.iter().all(|term| term.answer.is_ok()),
            terms,
        })
    }

    /// The promises that can never be proven, each with the reason.
    pub fn impossible(&self) -> Vec<String> {
        let never = |term: &TermNeeds| {
            let never = term.answer.as_ref().err()?;
            Some(format!("{} of {} can never be proven: {never}", term.term.as_str(), words::ppm(term.guarantee_ppm)))
        };
        self.terms.iter().filter_map(never).collect()
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut lines = vec![format!(
            "job {}, policy {}: committees of {} from {}; before MEETS is possible, if no probe misses",
            self.job,
            self.policy,
            self.committee,
            format::counted(u64::from(self.pool), "independent group"),
        )];
        let head = ["promise", "guarantee", "independent", "probes", "rounds", "time", "data"].map(str::to_owned);
        let rows = self.terms.iter().map(|term| {
            let (name, share) = (term.term.as_str().to_owned(), words::ppm(term.guarantee_ppm));
            match &term.answer {
                Ok(needs) => [
                    name,
                    share,
                    format::count(needs.effective_probes),
                    format::count(needs.probes),
                    format::count(needs.rounds),
                    days(needs.seconds),
                    gigabytes(needs.bytes),
                ],
                Err(_) => {
                    let never = || "never".to_owned();
                    [name, share, never(), never(), never(), never(), never()]
                }
            }
        });
        lines.extend(columns(std::iter::once(head).chain(rows)));
        lines.extend(self.impossible());
        lines.join("\n")
    }
}

/// Days with two digits behind the point, rounded up.
fn days(seconds: u64) -> String {
    let hundredths = seconds.saturating_mul(100).div_ceil(86_400);
    format!("{}.{:02} days", hundredths / 100, hundredths % 100)
}

/// Gigabytes with three digits behind the point, rounded up.
fn gigabytes(bytes: u64) -> String {
    let thousandths = bytes.div_ceil(1_000_000);
    format!("{}.{:03} GB", thousandths / 1_000, thousandths % 1_000)
}
