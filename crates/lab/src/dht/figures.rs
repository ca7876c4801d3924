//! From rows and traces to figures: per scheduler and fleet, never per region.

mod judgement;

use std::collections::BTreeMap;

use peermark_dht::operation::Variant;
use peermark_dht::scheduler::evidence::outcome_of;
use peermark_dht::scheduler::wire::Measurement;
use peermark_judge::{Latencies, TimeSlices};

use super::evidence::{Collected, Operation, ScheduleSeen};
use super::plan::K;
use super::result::{FleetResult, LookupResult, ProvideResult, Rpcs, ScheduleResult};
use super::{OPERATION_TIMEOUT, VISIBLE_WITHIN};
use crate::result::{Distribution, Percentile};

pub(super) use judgement::{result, thresholds};

const CONFIDENCE: f64 = 0.95;

/// Slices of time at least, so that intervals know about autocorrelation.
const SLICES: u64 = 32;

/// Class of a call to which a node gave no answer.
const NO_ANSWER: &str = "no_answer";

pub(super) const DEADLINE_NS: u64 = OPERATION_TIMEOUT.as_nanos() as u64;
pub(super) const VISIBLE_DEADLINE_NS: u64 = VISIBLE_WITHIN.as_nanos() as u64;

/// All schedulers, and why figures are missing.
pub(super) fn schedules(collected: &Collected) -> (Vec<ScheduleResult>, Vec<String>) {
    let mut notes = Vec::new();
    let results = collected.schedules.iter().map(|schedule| scheduled(collected, schedule, &mut notes)).collect();
    (results, notes)
}

fn scheduled(collected: &Collected, schedule: &ScheduleSeen, notes: &mut Vec<String>) -> ScheduleResult {
    let plan = &schedule.plan;
    let names = |fleets: &[Variant]| fleets.iter().map(|fleet| fleet.as_str().to_owned()).collect::<Vec<_>>();
    let mut fleets: Vec<Variant> = plan.publish.clone();
    fleets.extend(plan.lookup.iter().filter(|fleet| !plan.publish.contains(fleet)));
    let fleets = fleets.into_iter().map(|fleet| {
        let view = View { collected, schedule, fleet: fleet.as_str() };
        FleetResult {
            fleet: fleet.as_str().to_owned(),
            provide: plan.publish.contains(&fleet).then(|| view.provides(notes)),
            lookup: plan.lookup.contains(&fleet).then(|| view.lookups(notes)),
        }
    });
    ScheduleResult {
        name: plan.name.to_owned(),
        publish: names(&plan.publish),
        lookup: names(&plan.lookup),
        interval_ns: plan.every.as_nanos() as u64,
        fleets: fleets.collect(),
        rounds: schedule.seen.count,
        complete: schedule.seen.rounds.iter().filter(|round| round.is_complete).count() as u64,
        skipped: schedule.seen.skipped,
    }
}

/// What one scheduler saw of one fleet.
struct View<'c> {
    collected: &'c Collected,
    schedule: &'c ScheduleSeen,
    fleet: &'c str,
}

/// Values in slices of time, with their failures.
struct Values {
    slices: TimeSlices,
    begun_wall_ms: u64,
    what: String,
    deadline_ns: u64,
    max_ns: Option<u64>,
}

impl View<'_> {
    fn provides(&self, notes: &mut Vec<String>) -> ProvideResult {
        let mut returned = self.values("provide returned", DEADLINE_NS);
        let mut confirmed = self.values("provide confirmed", DEADLINE_NS);
        let mut visible = self.values("provide visible", VISIBLE_DEADLINE_NS);
        let (mut ok, mut failed) = (0, BTreeMap::new());
        for operation in self.operations(true) {
            let at_ms = operation.started_wall_ms();
            match operation.failure() {
                Some(class) => {
                    *failed.entry(class).or_default() += 1;
                    returned.fail(at_ms);
                    confirmed.fail(at_ms);
                }
                None => {
                    ok += 1;
                    returned.record(at_ms, operation.row.row.duration_ns);
                    // Without its trace nothing is known of its records.
                    if let Some(trace) = &operation.trace {
                        let all = trace.stored_ns.filter(|_| u32::from(trace.stored) >= K);
                        confirmed.take(at_ms, all);
                    }
                }
            }
        }
        for at_ms in self.unanswered("/provide") {
            *failed.entry(NO_ANSWER.to_owned()).or_default() += 1;
            returned.fail(at_ms);
            confirmed.fail(at_ms);
        }
        for round in &self.schedule.seen.rounds {
            if let Some(seen_ns) = round.visible_ns.filter(|_| round.fleet.as_deref() == Some(self.fleet)) {
                visible.take(round.at_wall_ms, seen_ns);
            }
        }
        ProvideResult {
            count: ok + failed.values().sum::<u64>(),
            ok,
            failed,
            returned_ns: returned.distribution(notes),
            confirmed_ns: confirmed.distribution(notes),
            visible_ns: visible.distribution(notes),
            rpcs: rpcs(self.operations(true)),
        }
    }

    fn lookups(&self, notes: &mut Vec<String>) -> LookupResult {
        let mut durations = self.values("lookup", DEADLINE_NS);
        let (mut ok, mut local, mut failed) = (0, 0, BTreeMap::new());
        for operation in self.operations(false) {
            let at_ms = operation.started_wall_ms();
            match operation.failure() {
                Some(class) => {
                    *failed.entry(class).or_default() += 1;
                    durations.fail(at_ms);
                }
                None if operation.is_local() => (ok, local) = (ok + 1, local + 1),
                None => {
                    ok += 1;
                    durations.record(at_ms, operation.row.row.duration_ns);
                }
            }
        }
        for at_ms in self.unanswered("/retrieve") {
            *failed.entry(NO_ANSWER.to_owned()).or_default() += 1;
            durations.fail(at_ms);
        }
        LookupResult {
            count: ok + failed.values().sum::<u64>(),
            ok,
            failed,
            local,
            duration_ns: durations.distribution(notes),
            rpcs: rpcs(self.operations(false).filter(|operation| !operation.is_local())),
        }
    }

    fn operations(&self, provide: bool) -> impl Iterator<Item = &Operation> {
        self.collected.operations.iter().filter(move |operation| {
            let row = &operation.row;
            row.provide == provide && row.scheduler == self.schedule.id && row.fleet == self.fleet
        })
    }

    /// When nodes of the fleet gave no answer to such a call.
    fn unanswered(&self, call: &'static str) -> impl Iterator<Item = u64> {
        let is_own = |peer_id: &str| {
            self.collected.members.iter().any(|member| member.peer_id == peer_id && member.fleet == self.fleet)
        };
        let all = self.schedule.seen.unanswered.iter();
        all.filter(move |one| one.call == call && is_own(&one.peer_id)).map(|one| one.at_wall_ms)
    }

    fn values(&self, figure: &str, deadline_ns: u64) -> Values {
        Values {
            slices: TimeSlices::new(0, self.collected.lasted_ns / SLICES),
            begun_wall_ms: self.collected.begun_wall_ms,
            what: format!("{}: {} {figure}", self.schedule.plan.name, self.fleet),
            deadline_ns,
            max_ns: None,
        }
    }
}

impl Values {
    fn take(&mut self, at_wall_ms: u64, value_ns: Option<u64>) {
        match value_ns {
            Some(value_ns) => self.record(at_wall_ms, value_ns),
            None => self.fail(at_wall_ms),
        }
    }

    fn record(&mut self, at_wall_ms: u64, value_ns: u64) {
        let at_ns = self.since_begin_ns(at_wall_ms);
        self.slices.record(at_ns, value_ns);
        self.max_ns = self.max_ns.max(Some(value_ns));
    }

    fn fail(&mut self, at_wall_ms: u64) {
        let at_ns = self.since_begin_ns(at_wall_ms);
        self.slices.fail(at_ns);
        self.max_ns = self.max_ns.max(Some(self.deadline_ns));
    }

    fn since_begin_ns(&self, at_wall_ms: u64) -> u64 {
        at_wall_ms.saturating_sub(self.begun_wall_ms).saturating_mul(1_000_000)
    }

    /// Percentiles with intervals; what is missing goes into the notes with its reason.
    fn distribution(&self, notes: &mut Vec<String>) -> Distribution {
        let latencies = Latencies::new(self.slices.as_slice(), self.deadline_ns);
        let mut n = 0;
        let mut percentile = |(q, name): (f64, &str)| {
            let estimate = latencies.quantile(q, CONFIDENCE);
            n = estimate.n;
            if let Some(absent) = &estimate.absent {
                notes.push(format!("{} {name}: {absent}", self.what));
            }
            estimate.quantile.map(|found| Percentile {
                value: found.value,
                low: found.low,
                high: found.high,
                censored: found.censored,
            })
        };
        let [p50, p90, p99] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")].map(&mut percentile);
        Distribution { n, p50, p90, p99, max: self.max_ns }
    }
}

impl Operation {
    fn started_wall_ms(&self) -> u64 {
        self.row.row.created_ms.saturating_sub(self.row.row.duration_ns / 1_000_000)
    }

    /// Class of its failure; `None` when it succeeded.
    fn failure(&self) -> Option<String> {
        let row = &self.row.row;
        let error = row.error.clone()?;
        let step = Measurement { step: row.step.clone(), duration_ns: row.duration_ns, error };
        Some(outcome_of(&step).class().map_or_else(String::new, |class| class.as_str().to_owned()))
    }

    /// Whether the node found the record in its own store.
    fn is_local(&self) -> bool {
        self.trace.as_ref().is_some_and(|trace| trace.hit == "local")
    }
}

fn rpcs<'o>(operations: impl Iterator<Item = &'o Operation>) -> Rpcs {
    let mut all = Rpcs::default();
    for trace in operations.filter_map(|operation| operation.trace.as_ref()) {
        all.operations += 1;
        all.sent += trace.hops.len() as u64;
        all.wasted += trace.hops.iter().filter(|hop| hop.wasted).count() as u64;
    }
    let share = |of: u64, among: u64| (among > 0).then(|| of as f64 / among as f64);
    all.per_operation = share(all.sent, all.operations);
    all.wasted_share = share(all.wasted, all.sent);
    all
}

#[cfg(test)]
mod tests;
