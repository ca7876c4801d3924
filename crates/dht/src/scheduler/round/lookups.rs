//! The second half of a round: everybody else looks up, region by region side by side, and where asked for it is watched when the last
//! region sees the record.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use peermark_core::{Culprit, FailureClass, MonotonicNs, Outcome};

use super::summary::{RoundSummary, Visible};
use super::{Provided, Round};
use crate::operation::OperationKind;
use crate::scheduler::evidence::{About, Observed, outcome_of_call};
use crate::scheduler::target::{Called, Target};

/// From one question of a region to its next.
pub(in crate::scheduler) const ASK_EVERY: Duration = Duration::from_millis(200);

/// What the servers of one region found.
struct RegionLooked<'t> {
    region: String,
    /// The calls of each server, in their order.
    calls: Vec<(&'t Target, Vec<Called>)>,
    /// When the first of them had found the record.
    seen: Option<MonotonicNs>,
}

impl Round<'_> {
    /// Has all of `lookers` look up, and notes down what they find.
    pub(super) async fn look_up(&mut self, lookers: Vec<&Target>, provided: &Provided, summary: &mut RoundSummary) {
        let mut regions: BTreeMap<&str, Vec<&Target>> = BTreeMap::new();
        for looker in lookers {
            regions.entry(looker.node().region.as_str()).or_default().push(looker);
        }
        let work = regions.into_iter().map(|(region, targets)| self.look_up_in(region, targets, provided));
        let looked = join_all(work).await;
        for RegionLooked { calls, .. } in &looked {
            for (target, calls) in calls {
                for called in calls {
                    summary.count_retrieve(outcome_of_call(called).is_ok());
                    self.keep(OperationKind::Retrieve, target, called);
                }
            }
        }
        if self.plan.visible_within.is_some() && !self.plan.stop.is_cancelled() {
            summary.visible = self.keep_visible(&looked, provided);
        }
    }

    async fn look_up_in<'t>(&self, region: &str, targets: Vec<&'t Target>, provided: &Provided) -> RegionLooked<'t> {
        let work = targets.into_iter().map(|target| async move { (target, self.probe(target, provided).await) });
        let calls: Vec<(&Target, Vec<Called>)> = join_all(work).await;
        let all = || calls.iter().flat_map(|(_, calls)| calls);
        let found = all().filter(|called| outcome_of_call(called).is_ok()).map(|called| called.ended_ns).min();
        let seen = match (found, self.plan.visible_within) {
            (Some(found_ns), _) => Some(found_ns),
            (None, None) => None,
            (None, Some(window)) => {
                let window_ns = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
                let until_ns = provided.ended_ns.saturating_add(window_ns);
                // Who failed as a server is not asked again.
                let answering = calls.iter().filter(|(_, calls)| calls.iter().all(|called| called.answer.is_ok()));
                let answering: Vec<&Target> = answering.map(|(target, _)| *target).collect();
                self.ask_again(answering, provided, until_ns).await
            }
        };
        RegionLooked { region: region.to_owned(), calls, seen }
    }

    /// The retrieves of one server, one after the other, up to the first to which it gives no answer.
    async fn probe(&self, target: &Target, provided: &Provided) -> Vec<Called> {
        let mut calls = Vec::new();
        for _ in 0..self.plan.probes {
            let asker = &self.plan.asker;
            let Some(called) = self.unless_stopped(target.retrieve(asker, &provided.cid, asker.timeout)).await else {
                break;
            };
            self.plan.metrics.retrievals.count(called.answer.is_ok());
            let is_last = called.answer.is_err();
            calls.push(called);
            if is_last {
                break;
            }
        }
        calls
    }

    /// Asks the servers of a region in turn until one finds the record. These questions are no measurements of a lookup, which they
    /// would distort: only the moment is kept.
    async fn ask_again(
        &self,
        mut targets: Vec<&Target>,
        provided: &Provided,
        until_ns: MonotonicNs,
    ) -> Option<MonotonicNs> {
        let clock = &self.plan.asker.clock;
        let every_ns = ASK_EVERY.as_nanos() as u64;
        let mut next_ns = clock.now_ns();
        while !targets.is_empty() {
            let now_ns = clock.now_ns();
            let pause = Duration::from_nanos(next_ns.saturating_sub(now_ns));
            if next_ns.max(now_ns) >= until_ns || self.unless_stopped(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
            let left = Duration::from_nanos(until_ns.saturating_sub(clock.now_ns()));
            let target = targets.remove(0);
            next_ns = clock.now_ns().saturating_add(every_ns);
            let asked = target.retrieve(&self.plan.asker, &provided.cid, left);
            let Some(called) = self.unless_stopped(asked).await else { break };
            if outcome_of_call(&called).is_ok() {
                return Some(called.ended_ns);
            }
            if called.answer.is_ok() {
                targets.push(target);
            }
        }
        None
    }

    /// Notes down when each region saw the record, and when the last one did.
    fn keep_visible(&mut self, looked: &[RegionLooked<'_>], provided: &Provided) -> Option<Visible> {
        let now_ns = self.plan.asker.clock.now_ns();
        for RegionLooked { region, seen, .. } in looked {
            self.keep_seen(About::visible_in(region), *seen, provided, now_ns);
        }
        let unseen: Vec<String> =
            looked.iter().filter(|looked| looked.seen.is_none()).map(|looked| looked.region.clone()).collect();
        let last_ns = looked.iter().filter_map(|looked| looked.seen).max();
        let all = last_ns.filter(|_| unseen.is_empty());
        self.keep_seen(About::visible(), all, provided, now_ns);
        let after = |seen_ns: MonotonicNs| seen_ns.saturating_sub(provided.started_ns);
        (!looked.is_empty()).then(|| Visible { regions: looked.len(), unseen, last_ns: last_ns.map(after) })
    }

    fn keep_seen(&mut self, about: About, seen: Option<MonotonicNs>, provided: &Provided, now_ns: MonotonicNs) {
        let ended_ns = seen.unwrap_or(now_ns);
        self.observe(Observed {
            about,
            started_ns: provided.started_ns,
            ended_ns,
            value_ns: ended_ns.saturating_sub(provided.started_ns),
            // A region that does not see the record has not found it, whatever its servers said last; their own failures are kept
            // as theirs.
            outcome: seen.map_or(Outcome::failed(FailureClass::NotFound, Culprit::Path), |_| Outcome::Ok),
            trace: self.number,
            seq: None,
        });
    }
}
