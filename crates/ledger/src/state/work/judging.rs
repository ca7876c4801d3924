//! The judge at the end of an epoch: what was admitted is judged, what it says is kept, and what follows from it is done.
//!
//! The judge's own state is carried in a row for each job, so that it is hashed and is in snapshots. What a job is stands in
//! [`JobKey`]: a hoster that is bad in one area is not judged by that in another. Rules that are only observed have rows of their own;
//! nothing follows from them.

mod effects;
mod gather;
mod query;
mod records;
mod watching;

use std::collections::BTreeMap;

use peermark_judge::case::{Case, Metric, Ruling, Sitting};
use peermark_judge::policy::Policy as Judge;
use serde::{Deserialize, Serialize};

use super::super::State;
use crate::Id;
use crate::genesis::Policy;
use crate::item::judged::JobKey;
use crate::outcome::Refusal;
use gather::Docket;
pub use query::Judged;
pub(crate) use watching::{Watch, WatchKey};

/// Version of observed rules, or `None` of those that hold, and the job.
pub(crate) type CaseKey = (Option<u32>, JobKey);

/// Epoch, hoster, feed, attester.
pub(crate) type ProofKey = (u64, Id, Id, Id);

/// What a record of the judge is about: one record each, with a version for every epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) observed: Option<u32>,
    pub(crate) job: JobKey,
    pub(crate) about: About,
}

/// What a topic is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum About {
    Estimate { hoster: Id, feed: Id, region: String },
    Verdict { contract: Id, hoster: Id, region: String },
    Ranks { contract: Id, region: String },
    Qualification { hoster: Id },
    Flag { group: String, metric: Metric },
    Dispute { metric: Metric },
    Alert { hoster: Id, rule: String },
}

/// One job in one epoch under one set of rules.
struct Court<'c> {
    observed: Option<u32>,
    key: &'c JobKey,
    epoch: u64,
    judge: &'c Judge,
}

impl State {
    /// Judges an epoch by the rules that hold, and beside by those that are observed. An epoch without evidence changes nothing.
    pub(super) fn evaluate(&mut self, ended: u64) -> Result<(), Refusal> {
        let docket = self.gather(ended)?;
        if docket.is_empty() {
            return Ok(());
        }
        let rules: Vec<(Option<u32>, Policy)> =
            std::iter::once((None, self.policy().clone())).chain(self.observed_rules()).collect();
        self.forget_observed(rules.iter().filter_map(|(observed, _)| *observed).next());
        for (observed, policy) in rules {
            let judge = policy.judged_by();
            for key in docket.jobs.keys() {
                self.judge_job(&docket, &Court { observed, key, epoch: ended, judge: &judge })?;
            }
        }
        self.counters.put(super::super::Counter::Epoch, ended);
        Ok(())
    }

    /// The newest rules that are observed, as long as they are newer than those that hold.
    fn observed_rules(&self) -> Option<(Option<u32>, Policy)> {
        let (_, newest) = self.observed_policies.range(..=self.height).next_back()?;
        (newest.version > self.policy().version).then(|| (Some(newest.version), newest.clone()))
    }

    /// Rules that are observed no longer take their cases with them; their records stay.
    fn forget_observed(&mut self, kept: Option<u32>) {
        let over = |key: &&CaseKey| key.0.is_some() && key.0 != kept;
        let over: Vec<CaseKey> = self.cases.iter().map(|(key, _)| key).filter(over).cloned().collect();
        for key in over {
            self.cases.take(&key);
        }
    }

    fn judge_job(&mut self, docket: &Docket, court: &Court<'_>) -> Result<(), Refusal> {
        let job = self.job_under(court.key, court.judge)?;
        if let Err(error) = job.validate(court.judge) {
            self.emit_with("jobNotJudged", &[], format!("{}: {error}", job.name));
            return Ok(());
        }
        let Some(part) = docket.part(court.key) else { return Ok(()) };
        let case_key = (court.observed, court.key.clone());
        let mut case = self.cases.get(&case_key).cloned().unwrap_or_default();
        // Where rules change the length of an epoch, numbers go on from where they were.
        let number = case.last_epoch().map_or(court.epoch, |last| court.epoch.max(last.saturating_add(1)));
        let sitting = Sitting {
            number,
            end_s: docket.end_s,
            measurements: &part.measurements.iter().collect::<Vec<_>>(),
            claims: &part.claims,
            rosters: Some(&part.rosters),
            baselines: Some(&docket.baselines),
        };
        match case.epoch(&sitting, court.judge, &job) {
            Ok(None) => Ok(()),
            Ok(Some(ruling)) => self.conclude(case_key, case, &ruling, court, &job),
            Err(error) => {
                self.emit_with("evaluationFailed", &[], format!("{}: {error}", job.name));
                Ok(())
            }
        }
    }

    fn conclude(
        &mut self,
        case_key: CaseKey,
        case: Case,
        ruling: &Ruling,
        court: &Court<'_>,
        job: &peermark_judge::case::Job,
    ) -> Result<(), Refusal> {
        let statement = case.statement(court.judge, job, &[], ruling.lines.clone());
        self.cases.put(case_key, case);
        let Some(statement) = statement else { return Ok(()) };
        self.record_statement(&statement, court);
        let alerts = self.record_alerts(&ruling.alerts, court);
        if court.observed.is_none() {
            self.apply_qualities(&statement, court)?;
            self.apply_standings(&ruling.lines, court)?;
            self.schedule_alerts(&alerts);
            self.emit_with("evaluated", &[], format!("epoch {} of {}", court.epoch, job.name));
        }
        Ok(())
    }

    /// Counts what a hoster showed of each feed.
    pub(super) fn note_proofs(
        &mut self,
        hoster: Id,
        attester: Id,
        proved: &[Id],
        failed: &[Id],
    ) -> Result<(), Refusal> {
        let mut sums: BTreeMap<Id, (u64, u64)> = BTreeMap::new();
        for (contracts, valid) in [(proved, 1), (failed, 0)] {
            for contract in contracts {
                let feed = self.item::<crate::item::Contract>(*contract)?.feed;
                let (all, good) = sums.entry(feed).or_default();
                (*all, *good) = (*all + 1, *good + valid);
            }
        }
        let epoch = self.epoch();
        for (feed, (all, good)) in sums {
            let key = (epoch, hoster, feed, attester);
            let (old_all, old_good) = self.proofs.get(&key).copied().unwrap_or_default();
            self.proofs.put(key, (old_all.saturating_add(all), old_good.saturating_add(good)));
        }
        Ok(())
    }
}
