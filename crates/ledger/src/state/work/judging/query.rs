//! What people may ask of the judge's findings.

use std::collections::BTreeSet;

use peermark_judge::case::{EpochLine, Job, Statement};
use peermark_judge::policy::Policy as Judge;
use serde::{Deserialize, Serialize};

use super::super::super::State;
use super::{About, CaseKey};
use crate::Id;
use crate::item::judged::JobKey;
use crate::item::record::{Body, Record};
use crate::item::{Contract, User};
use crate::outcome::Refusal;

/// A job and everything that is said of it. Names of hosters, contracts and attesters are ids in digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// What was judged.
    pub key: JobKey,
    /// What plans ask for.
    pub job: Job,
    /// Version of rules that are only observed; `None` where they hold.
    pub observed: Option<u32>,
    /// What is said, with every epoch since the first.
    pub statement: Statement,
}

impl State {
    /// The judge's rules that hold.
    pub fn judge_policy(&self) -> Judge {
        self.policy().judged_by()
    }

    /// The judge's rules of a version that is observed, where it is.
    pub fn observed_judge_policy(&self) -> Option<Judge> {
        self.observed_rules().map(|(_, policy)| policy.judged_by())
    }

    /// Jobs of which something was judged by the rules that hold.
    pub fn judged_jobs(&self) -> Vec<JobKey> {
        self.cases.iter().filter(|((observed, _), _)| observed.is_none()).map(|((_, key), _)| key.clone()).collect()
    }

    /// Hosters of which something was judged, by id.
    pub fn judged_hosters(&self) -> Vec<Id> {
        let about = self.judged.iter().filter_map(|(topic, _)| match topic.about {
            About::Qualification { hoster } if topic.observed.is_none() => Some(hoster),
            _ => None,
        });
        about.collect::<BTreeSet<Id>>().into_iter().collect()
    }

    /// Contracts of which something was judged, by id.
    pub fn judged_contracts(&self) -> Vec<Id> {
        let about = self.judged.iter().filter_map(|(topic, _)| match topic.about {
            About::Ranks { contract, .. } if topic.observed.is_none() => Some(contract),
            _ => None,
        });
        about.collect::<BTreeSet<Id>>().into_iter().collect()
    }

    /// Everything that is said of a job by the rules that hold, or by those of an observed version.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] where nothing of it was judged.
    pub fn judged(&self, key: &JobKey, observed: Option<u32>) -> Result<Judged, Refusal> {
        let unknown = || Refusal::unknown("judged job", format!("{key:?}"));
        let judge = match observed {
            None => self.judge_policy(),
            Some(version) => {
                self.observed_judge_policy().filter(|judge| judge.version == version).ok_or_else(unknown)?
            }
        };
        let case_key: CaseKey = (observed, key.clone());
        let case = self.cases.get(&case_key).ok_or_else(unknown)?;
        let job = self.job_under(key, &judge)?;
        let lines = self.epoch_lines(&case_key);
        let statement = case.statement(&judge, &job, &[], lines).ok_or_else(unknown)?;
        Ok(Judged { key: key.clone(), job, observed, statement })
    }

    /// Every job in which a hoster was judged, with all that is said of it.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where it is no user; [`Refusal::NotNow`] where nothing was judged yet.
    pub fn statement(&self, hoster: Id) -> Result<Vec<Judged>, Refusal> {
        self.item::<User>(hoster)?;
        let name = hoster.to_string();
        let mut judged = Vec::new();
        for key in self.judged_jobs() {
            let found = self.judged(&key, None)?;
            if found.statement.hosters.iter().any(|other| other.hoster == name) {
                judged.push(found);
            }
        }
        if judged.is_empty() { Err(Refusal::not_now("nothing was judged of it yet")) } else { Ok(judged) }
    }

    /// What is said of a contract: one statement for each of its areas.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] and [`Refusal::WrongKind`] where it is none; [`Refusal::NotNow`] where nothing was judged yet.
    pub fn statement_of_contract(&self, contract: Id) -> Result<Vec<Judged>, Refusal> {
        self.item::<Contract>(contract)?;
        let jobs = self.jobs_of_contract(contract)?;
        let judged: Vec<Judged> = jobs.iter().filter_map(|key| self.judged(key, None).ok()).collect();
        if judged.is_empty() { Err(Refusal::not_now("nothing was judged of it yet")) } else { Ok(judged) }
    }

    /// The record of what was said last of a hoster's standing in a job.
    pub fn qualification_of(&self, hoster: Id, job: &JobKey) -> Option<Id> {
        let about = About::Qualification { hoster };
        self.judged.get(&super::Topic { observed: None, job: job.clone(), about }).copied()
    }

    /// Every record of the judge, in the order of what they are about.
    pub fn judged_records(&self) -> impl Iterator<Item = Id> + '_ {
        self.judged.iter().map(|(_, record)| *record)
    }

    fn epoch_lines(&self, case: &CaseKey) -> Vec<EpochLine> {
        let mut lines = Vec::new();
        let of_case = self.judged.iter().filter(|(topic, _)| topic.observed == case.0 && topic.job == case.1);
        for (topic, id) in of_case {
            let About::Qualification { hoster } = topic.about else { continue };
            for version in self.storage.versions(*id).iter().flatten() {
                let crate::item::Item::Record(Record { body: Body::Qualification(finding), .. }) = version.as_ref()
                else {
                    continue;
                };
                lines.push(EpochLine {
                    epoch: finding.epoch,
                    hoster: hoster.to_string(),
                    record: finding.found.record.clone(),
                    events: finding.found.events.clone(),
                    verdicts: finding.found.verdicts.clone(),
                });
            }
        }
        lines
    }
}
