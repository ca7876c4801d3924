//! What the judge says, as records: one for each topic, with a version for every epoch.

use std::collections::BTreeSet;

use peermark_judge::alert::AlertEvent;
use peermark_judge::case::{AlertLine, HosterStatement, Placement, Statement};

use super::super::super::State;
use super::{About, Court, Topic};
use crate::Id;
use crate::item::Contract;
use crate::item::judged::{ContractVerdict, Estimates, Finding, Qualified, Ranks};
use crate::item::record::{Body, Record};

impl Court<'_> {
    fn finding<T>(&self, found: T) -> Box<Finding<T>> {
        Box::new(Finding {
            policy: self.judge.label(),
            observed: self.observed,
            job: self.key.clone(),
            epoch: self.epoch,
            found,
        })
    }
}

/// The id that a name of the judge stands for.
pub(super) fn id(name: &str) -> Option<Id> {
    name.parse().ok()
}

impl State {
    /// Adds a version to the record of a topic; `true` where it is the first.
    fn note(&mut self, court: &Court<'_>, about: About, subject: Id, body: Body) -> (Id, bool) {
        let topic = Topic { observed: court.observed, job: court.key.clone(), about };
        let record = Record { subject, observer: None, at: self.height, entry: None, body };
        match self.judged.get(&topic).copied() {
            Some(id) => {
                self.storage.set(id, crate::item::Item::Record(record));
                (id, false)
            }
            None => {
                let id = self.create(record);
                self.judged.put(topic, id);
                (id, true)
            }
        }
    }

    pub(super) fn record_statement(&mut self, statement: &Statement, court: &Court<'_>) {
        for hoster in &statement.hosters {
            self.record_hoster(hoster, statement, court);
        }
        for contract in &statement.contracts {
            let Some(subject) = id(&contract.contract) else { continue };
            let region = contract.region.clone();
            let ranks = Ranks {
                region: region.clone(),
                ranks: contract.ranks.clone(),
                inversions: contract.inversions.clone(),
                mismatches: u32::try_from(contract.mismatches.len()).unwrap_or(u32::MAX),
            };
            if !ranks.inversions.is_empty() && court.observed.is_none() {
                self.emit("payInversion", &[subject]);
            }
            self.note(court, About::Ranks { contract: subject, region }, subject, Body::Ranks(court.finding(ranks)));
        }
        for flag in &statement.flags {
            let Some(attester) = flag.attesters.first().and_then(|name| id(name)) else { continue };
            let about = About::Flag { group: flag.group.clone(), metric: flag.metric };
            let body = Body::AttesterFlag(court.finding(flag.clone()));
            let (record, first) = self.note(court, about, attester, body);
            if first && court.observed.is_none() {
                self.emit_with("attesterFlagged", &[attester, record], flag.group.clone());
            }
        }
        for line in &statement.disputes {
            let subject = court.key.performance.unwrap_or(0);
            let body = Body::Dispute(court.finding(*line));
            let (record, _) = self.note(court, About::Dispute { metric: line.metric }, subject, body);
            if court.observed.is_none() {
                self.emit_with("disputed", &[record], line.metric.as_str());
            }
        }
    }

    fn record_hoster(&mut self, hoster: &HosterStatement, statement: &Statement, court: &Court<'_>) {
        let Some(subject) = id(&hoster.hoster) else { return };
        let mut feeds: BTreeSet<(Id, String)> = BTreeSet::new();
        for placement in &hoster.placements {
            let Some(contract) = id(&placement.contract) else { continue };
            let Ok(Contract { feed, .. }) = self.item::<Contract>(contract) else { continue };
            let (feed, region) = (*feed, placement.region.clone());
            if feeds.insert((feed, region.clone())) {
                self.record_estimates(subject, feed, placement, court);
            }
            let verdict = ContractVerdict { contract, region: region.clone(), terms: placement.terms.clone() };
            let about = About::Verdict { contract, hoster: subject, region };
            self.note(court, about, subject, Body::Verdict(court.finding(verdict)));
        }
        let line = statement.epochs.iter().find(|line| line.hoster == hoster.hoster);
        let qualified = Qualified {
            record: hoster.record.clone(),
            events: line.map(|line| line.events.clone()).unwrap_or_default(),
            verdicts: line.map(|line| line.verdicts.clone()).unwrap_or_default(),
            explanation: hoster.explanation.clone(),
            places: hoster.places.clone(),
            claims: hoster.claims.clone(),
        };
        let body = Body::Qualification(court.finding(qualified));
        self.note(court, About::Qualification { hoster: subject }, subject, body);
    }

    fn record_estimates(&mut self, hoster: Id, feed: Id, placement: &Placement, court: &Court<'_>) {
        let region = placement.region.clone();
        let estimates = Estimates {
            region: region.clone(),
            metrics: placement.estimates.clone(),
            windows: placement.windows.clone(),
        };
        let about = About::Estimate { hoster, feed, region };
        self.note(court, about, hoster, Body::Estimate(court.finding(estimates)));
    }

    /// Records of alerts that were raised for somebody to act on.
    pub(super) fn record_alerts(&mut self, alerts: &[AlertLine], court: &Court<'_>) -> Vec<Id> {
        let mut records = Vec::new();
        for AlertLine { hoster, event } in alerts {
            let Some(subject) = id(hoster) else { continue };
            let (name, rule, acts) = match event {
                AlertEvent::Raised { key, observe_only, .. } => ("alertRaised", key.rule.clone(), !observe_only),
                AlertEvent::Cleared { rule, .. } => ("alertCleared", rule.clone(), false),
            };
            let about = About::Alert { hoster: subject, rule: rule.clone() };
            let (record, _) = self.note(court, about, subject, Body::Alert(court.finding(event.clone())));
            if court.observed.is_none() {
                self.emit_with(name, &[subject, record], rule);
            }
            if acts {
                records.push(record);
            }
        }
        records
    }
}
