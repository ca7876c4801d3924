//! What follows from what the judge says: what selection and pay read, places that are lost, tasks of alerts.

use std::collections::BTreeMap;

use peermark_core::region::Geohash;
use peermark_judge::alert::{Action as Act, AlertEvent, TaskKey};
use peermark_judge::case::{EpochLine, HosterStatement, Placement, Statement, Term, TermFinding};
use peermark_judge::pay;
use peermark_judge::qualification::{Event, Standing};

use super::super::super::State;
use super::super::super::agenda::Action;
use super::super::super::standing::{Point, Quality, Range, TIERS};
use super::super::{Cycle, Subject};
use super::Court;
use super::records::id;
use crate::Id;
use crate::item::User;
use crate::item::hosting::RawReason;
use crate::item::judged::JobKey;
use crate::item::record::{Body, Record};
use crate::item::user::{Pause, PausedBy};
use crate::outcome::Refusal;

/// Windows of which the names of tasks are remembered.
const KEPT_WINDOWS: u64 = 3;

impl State {
    /// Writes what selection and pay read. A dispute changes nothing but that it is one.
    pub(super) fn apply_qualities(&mut self, statement: &Statement, court: &Court<'_>) -> Result<(), Refusal> {
        let disputed = !statement.disputes.is_empty();
        for hoster in &statement.hosters {
            let Some(user) = id(&hoster.hoster) else { continue };
            let mut by_region: BTreeMap<Geohash, Vec<&Placement>> = BTreeMap::new();
            for placement in &hoster.placements {
                let Ok(region) = placement.region.parse() else { continue };
                by_region.entry(region).or_default().push(placement);
            }
            // Who holds no place any more: what was measured last stands.
            if let (true, Some(area)) = (by_region.is_empty(), &court.key.area) {
                by_region.insert(area.clone(), Vec::new());
            }
            for (region, placements) in by_region {
                let key = (user, region.clone(), court.key.clone());
                let mut quality = self.quality_of(hoster, &placements, court);
                quality.disputed = disputed;
                if let Some(before) = self.job_qualities.get(&key) {
                    let (standing, tier, at) = (quality.standing, quality.tier, self.height);
                    if disputed {
                        quality = Quality { disputed, at, ..before.clone() };
                    } else if placements.is_empty() {
                        quality = Quality { standing, tier, disputed, at, ..before.clone() };
                    }
                }
                self.job_qualities.put(key, quality);
                self.merge_qualities(user, region)?;
            }
        }
        Ok(())
    }

    fn quality_of(&self, hoster: &HosterStatement, placements: &[&Placement], court: &Court<'_>) -> Quality {
        let terms = |term: Term| {
            let all = placements.iter().flat_map(|placement| &placement.terms);
            all.filter(move |finding| finding.term == term && finding.finding.groups > 0)
        };
        let points = |term: Term, unit: u64| -> Vec<Point> {
            let worst = terms(term).map(|found| (found.level.unwrap_or(0) / unit, range(found)));
            let worst = worst.reduce(|a, b| (a.0, worse(a.1, b.1)));
            worst.map(|(threshold, share)| Point { threshold, share }).into_iter().collect()
        };
        let tier = pay::tier(hoster.places.as_ref(), &court.judge.pay).number.saturating_add(1);
        Quality {
            standing: hoster.record.standing,
            tier: u8::try_from(tier).unwrap_or(TIERS).clamp(1, TIERS),
            availability: terms(Term::Availability).map(range).reduce(worse),
            latency: points(Term::Latency, 1_000),
            egress: points(Term::Egress, 1),
            ingress: points(Term::Ingress, 1),
            disputed: false,
            at: self.height,
        }
    }

    /// The worst of what all jobs say of a hoster in a region. Another tier pays from now on: what was earned by the one before is paid
    /// first.
    pub(in crate::state::work) fn merge_qualities(&mut self, user: Id, region: Geohash) -> Result<(), Refusal> {
        let first = (user, region.clone(), JobKey::default());
        let rows = self.job_qualities.range(first..);
        let here = rows.take_while(|((other, place, _), _)| *other == user && *place == region);
        let merged = here.map(|(_, quality)| quality.clone()).reduce(|mut all, one| {
            all.standing = all.standing.max(one.standing);
            all.tier = all.tier.min(one.tier);
            all.availability = match (all.availability, one.availability) {
                (Some(a), Some(b)) => Some(worse(a, b)),
                (a, b) => a.or(b),
            };
            all.latency.extend(one.latency);
            all.egress.extend(one.egress);
            all.ingress.extend(one.ingress);
            all.disputed |= one.disputed;
            all.at = all.at.max(one.at);
            all
        });
        let Some(merged) = merged else { return Ok(()) };
        let key = (user, region);
        if self.qualities.get(&key).map(|before| before.tier) != Some(merged.tier) {
            self.settle_hostings(user)?;
        }
        self.qualities.put(key, merged);
        Ok(())
    }

    /// Says what happened to standings, and takes from who may not keep what it has.
    pub(super) fn apply_standings(&mut self, lines: &[EpochLine], court: &Court<'_>) -> Result<(), Refusal> {
        for line in lines {
            let Some(hoster) = id(&line.hoster) else { continue };
            for event in &line.events {
                let (name, detail) = match event {
                    Event::Noticed { notice } => ("standingNoticed", notice.to.as_str()),
                    Event::Withdrawn { notice } => ("standingNoticeWithdrawn", notice.to.as_str()),
                    Event::Moved { to, .. } => ("standingChanged", to.as_str()),
                    Event::Frozen => ("standingFrozen", "disputed"),
                };
                self.emit_with(name, &[hoster], detail);
                if let Event::Moved { to: Standing::Suspended | Standing::Out, .. } = event {
                    self.lose_places_of(hoster, court.key)?;
                }
            }
        }
        Ok(())
    }

    /// A hoster loses its places in the contracts of a job, each as soon as somebody else has the data.
    fn lose_places_of(&mut self, hoster: Id, job: &JobKey) -> Result<(), Refusal> {
        for (contract, _) in self.hosted_by(hoster) {
            if self.jobs_of_contract(contract)?.contains(job) {
                self.lose_place(contract, hoster)?;
            }
        }
        Ok(())
    }

    /// Plans the tasks of alerts, each once for its rule, subject and window, whichever job asks for it.
    pub(super) fn schedule_alerts(&mut self, records: &[Id]) {
        for record in records {
            let Some(key) = self.raised(*record).map(|(key, _)| key.clone()) else { continue };
            if self.alert_tasks.contains(&key) {
                continue;
            }
            let old = |other: &&TaskKey| {
                (&other.rule, other.subject, other.window) == (&key.rule, key.subject, key.window)
                    && other.number.saturating_add(KEPT_WINDOWS) <= key.number
            };
            let old: Vec<TaskKey> = self.alert_tasks.iter().map(|(other, _)| other).filter(old).cloned().collect();
            for key in old {
                self.alert_tasks.take(&key);
            }
            self.alert_tasks.put(key, self.height);
            self.schedule(1, Action::AlertTask { record: *record });
        }
    }

    fn raised(&self, record: Id) -> Option<(&TaskKey, Act)> {
        let Body::Alert(alert) = &self.item::<Record>(record).ok()?.body else { return None };
        match &alert.found {
            AlertEvent::Raised { key, action, .. } => Some((key, *action)),
            AlertEvent::Cleared { .. } => None,
        }
    }

    /// Does what an alert asks for.
    pub(in crate::state::work) fn alert_task(&mut self, record: Id) -> Result<(), Refusal> {
        let Some((key, action)) = self.raised(record) else { return Ok(()) };
        let (hoster, rule) = (key.subject, key.rule.clone());
        if self.item::<User>(hoster).is_err() {
            return Ok(());
        }
        let name = match action {
            Act::Notify => "notify",
            Act::RawBenchmark => {
                self.request_raw(hoster, RawReason::ChainRequest)?;
                "rawBenchmarkAsked"
            }
            Act::ExtraChallenge => {
                self.challenge_now(Subject::Storage(hoster));
                "extraChallenge"
            }
            Act::Pause => {
                self.pause_by_alert(hoster)?;
                "paused"
            }
            Act::Replacement => {
                let Body::Alert(alert) = &self.item::<Record>(record)?.body else { return Ok(()) };
                let job = alert.job.clone();
                // A rule about the hoster itself is about all that it hosts.
                if job == JobKey::default() {
                    self.leave_hostings(hoster)?;
                } else {
                    self.lose_places_of(hoster, &job)?;
                }
                "replacedByAlert"
            }
        };
        self.emit_with(name, &[hoster, record], rule);
        Ok(())
    }

    /// A planned challenge comes with the next block; one that waits or is under way is enough.
    fn challenge_now(&mut self, subject: Subject) {
        if matches!(self.cycles.get(&subject), Some(Cycle::Planned(_))) {
            self.cycles.take(&subject);
            self.start_cycle(subject, 1);
        }
    }

    fn pause_by_alert(&mut self, user: Id) -> Result<(), Refusal> {
        if self.is_paused(user) {
            return Ok(());
        }
        let blocks = self.policy().forced_pause_blocks;
        let until = Some(self.height.saturating_add(blocks));
        self.settle_hostings(user)?;
        self.change::<User>(user, |user| user.paused = Some(Pause { until, by: PausedBy::Alert }))?;
        self.schedule(blocks, Action::PauseEnds { user });
        self.refresh_idle(user)
    }
}

fn range(found: &TermFinding) -> Range {
    Range { low: found.finding.low_ppm, high: found.finding.high_ppm }
}

fn worse(a: Range, b: Range) -> Range {
    Range { low: a.low.min(b.low), high: a.high.min(b.high) }
}
