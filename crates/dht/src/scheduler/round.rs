//! One round: one server publishes, all others look up.
//!
//! As parsec's, without its faults: every call has a deadline, servers are asked whether they are ready side by side, and a server that
//! fails costs its own row and nobody else's. A round that a stop interrupts keeps what it has measured until then; what was in
//! flight is neither a result nor a failure.

mod lookups;
mod summary;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cid::Cid;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use peermark_core::{MonotonicNs, in_words};
use peermark_store::dht::{MeasurementRow, RoundRows};
use tokio_util::sync::CancellationToken;

use super::evidence::{Observed, observed, outcome_of_call};
use super::metrics::SchedulerMetrics;
use super::notice::{Notice, Tell};
use super::outbox::Parcel;
use super::target::{Asker, CallError, Called, Target};
use super::turns::Turns;
use crate::key::RecordKey;
use crate::operation::OperationKind;

pub use summary::{Published, RoundEnd, RoundSummary, Skip, Visible};

/// Servers that are asked at a time whether they are ready.
const READINESS_CONCURRENCY: usize = 64;

/// What all rounds of a scheduler have in common.
#[derive(Clone)]
pub(super) struct RoundPlan {
    pub(super) asker: Asker,
    /// Fleets whose servers publish.
    pub(super) publish: Vec<String>,
    /// Fleets whose servers look up.
    pub(super) lookup: Vec<String>,
    /// Retrieves per server and round.
    pub(super) probes: u32,
    /// How long after a provide it is watched whether all regions see it.
    pub(super) visible_within: Option<Duration>,
    pub(super) metrics: Arc<SchedulerMetrics>,
    pub(super) tell: Tell,
    pub(super) stop: CancellationToken,
}

/// A round under way.
pub(super) struct Round<'a> {
    plan: &'a RoundPlan,
    number: u64,
    parcel: Parcel,
}

/// What the provide of a round left for its lookups.
struct Provided {
    cid: Cid,
    /// Where visibility counts from.
    started_ns: MonotonicNs,
    ended_ns: MonotonicNs,
}

impl<'a> Round<'a> {
    pub(super) fn new(plan: &'a RoundPlan, number: u64, batch: String) -> Self {
        let rows = RoundRows { batch, ..RoundRows::default() };
        Self { plan, number, parcel: Parcel { rows, ..Parcel::default() } }
    }

    /// Runs it on `targets` and returns what is to be written, also where it was skipped: servers that were not ready are.
    pub(super) async fn run(
        mut self,
        targets: &[Target],
        turns: &Mutex<Turns>,
        content: &[u8],
    ) -> (Parcel, RoundSummary) {
        let mut summary = RoundSummary::new(self.number);
        summary.end = self.measure(targets, turns, content, &mut summary).await;
        if self.plan.stop.is_cancelled() && !matches!(summary.end, RoundEnd::Complete) {
            summary.end = RoundEnd::Stopped;
        }
        (self.parcel, summary)
    }

    /// A round without servers.
    pub(super) fn skipped(self, why: Skip) -> (Parcel, RoundSummary) {
        let mut summary = RoundSummary::new(self.number);
        summary.end = RoundEnd::Skipped(why);
        (self.parcel, summary)
    }

    async fn measure(
        &mut self,
        targets: &[Target],
        turns: &Mutex<Turns>,
        content: &[u8],
        summary: &mut RoundSummary,
    ) -> RoundEnd {
        if targets.is_empty() {
            return RoundEnd::Skipped(Skip::NoNodes);
        }
        let Some(ready) = self.ready(targets).await else { return RoundEnd::Stopped };
        (summary.live, summary.ready) = (targets.len(), ready.len());
        let provider = match self.choose(&ready, targets.len(), turns) {
            Ok(provider) => provider,
            Err(skip) => return RoundEnd::Skipped(skip),
        };
        let Some(called) = self.unless_stopped(provider.provide(&self.plan.asker, content)).await else {
            return RoundEnd::Stopped;
        };
        self.plan.metrics.provides.count(called.answer.is_ok());
        let (_, cid) = RecordKey::of_content(content);
        let provided = Provided { cid, started_ns: called.started_ns, ended_ns: called.ended_ns };
        summary.published = Some(Published::new(provider.node(), &called));
        self.keep(OperationKind::Provide, provider, &called);
        if !outcome_of_call(&called).is_ok() {
            return RoundEnd::ProvideFailed;
        }
        let lookers = ready.into_iter().filter(|target| self.is_looker(target) && !is_same(target, provider)).collect();
        self.look_up(lookers, &provided, summary).await;
        if self.plan.stop.is_cancelled() { RoundEnd::Stopped } else { RoundEnd::Complete }
    }

    /// The targets that are ready, in their order; the others count as offline. `None` after a stop.
    async fn ready<'t>(&mut self, targets: &'t [Target]) -> Option<Vec<&'t Target>> {
        let plan = self.plan;
        let asked = stream::iter(targets.iter().cloned().enumerate())
            .map(|(place, target)| async move { (place, target.ready(&plan.asker).await) })
            .buffer_unordered(READINESS_CONCURRENCY)
            .collect::<Vec<_>>();
        let mut answers = self.unless_stopped(asked).await?;
        answers.sort_by_key(|(place, _)| *place);
        let mut ready = Vec::new();
        for (place, answer) in answers {
            match answer {
                Ok(()) => ready.push(&targets[place]),
                Err(error) => {
                    plan.metrics.not_ready.fetch_add(1, Ordering::Relaxed);
                    self.failed("/readiness", &targets[place], &error, plan.asker.clock.wall_ms());
                }
            }
        }
        Some(ready)
    }

    /// Who publishes.
    fn choose<'t>(&self, ready: &[&'t Target], live: usize, turns: &Mutex<Turns>) -> Result<&'t Target, Skip> {
        if ready.len() < 2 {
            return Err(Skip::FewerThanTwo { live, ready: ready.len() });
        }
        let lookers = ready.iter().filter(|target| self.is_looker(target)).count();
        let publishers: Vec<&Target> =
            ready.iter().copied().filter(|target| self.plan.publish.contains(&target.node().fleet)).collect();
        if publishers.is_empty() {
            return Err(Skip::NoProvider);
        }
        // Who would be the only one to look up cannot publish.
        let candidates = publishers.iter().filter(|target| lookers > usize::from(self.is_looker(target)));
        let chosen = turns.lock().take(candidates.map(|target| target.node())).map(|node| node.id);
        let chosen = publishers.into_iter().find(|target| Some(target.node().id) == chosen);
        chosen.ok_or(Skip::NoLookup)
    }

    fn is_looker(&self, target: &Target) -> bool {
        self.plan.lookup.contains(&target.node().fleet)
    }

    /// Notes down what a call brought, for the node that was called.
    fn keep(&mut self, kind: OperationKind, target: &Target, called: &Called) {
        let node = target.node();
        self.parcel.observed.push(observed(kind.as_str(), node, called, self.number));
        let answer = match &called.answer {
            Ok(answer) => answer,
            Err(error) => {
                let path = if kind == OperationKind::Provide { "/provide" } else { "/retrieve" };
                return self.failed(path, target, error, called.ended_wall_ms);
            }
        };
        let rows = answer.measurements.iter().map(|step| MeasurementRow {
            node: node.id,
            rt_size: answer.rt_size,
            duration_ns: step.duration_ns,
            cid: answer.cid.clone(),
            error: (!step.error.is_empty()).then(|| step.error.clone()),
            step: step.step.clone(),
            created_ms: called.ended_wall_ms,
        });
        match kind {
            OperationKind::Provide => self.parcel.rows.provides.extend(rows),
            OperationKind::Retrieve => self.parcel.rows.retrievals.extend(rows),
        }
    }

    fn failed(&mut self, call: &'static str, target: &Target, error: &CallError, now_ms: u64) {
        let (node, offline) = (target.node(), error.is_offline());
        if offline && self.parcel.rows.offline.iter().all(|(id, _)| *id != node.id) {
            self.parcel.rows.offline.push((node.id, now_ms));
        }
        let (peer_id, region, words) = (node.peer_id.clone(), node.region.clone(), in_words(error));
        (self.plan.tell)(Notice::Failed { call, peer_id, region, words, offline });
    }

    fn observe(&mut self, observed: Observed) {
        self.parcel.observed.push(observed);
    }

    /// What `work` brings, or `None` once a stop was asked for.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.plan.stop.cancelled() => None,
            done = work => Some(done),
        }
    }
}

fn is_same(a: &Target, b: &Target) -> bool {
    a.node().id == b.node().id
}
