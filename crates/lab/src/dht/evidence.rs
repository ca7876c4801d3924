//! What a run left in the store, put together again: every row of parsec's tables with the trace of its operation.
//!
//! A row is what a scheduler asked for and waited for; a trace is what a node did. Questions that only watch when a record becomes
//! visible leave traces and no row, and are none of the figures.

use std::collections::HashMap;

use cid::Cid;
use peermark_dht::key::RecordKey;
use peermark_store::dht::{DhtStore, LiveNode as Member, Measured, MeasuredFilter, SchedulerId, Trace};

use super::DhtError;
use super::plan::{DhtPlan, SchedulePlan};

/// Rows and traces that are read at a time.
const PAGE_ROWS: u32 = 10_000;
const PAGE_TRACES: u32 = 500;

/// Everything that was seen and stored.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// What each scheduler said.
    pub(super) schedules: Vec<ScheduleSeen>,
    /// Rows of the nodes that measure.
    pub(super) members: Vec<Member>,
    /// When the schedulers began.
    pub(super) begun_wall_ms: u64,
    /// How long they ran.
    pub(super) lasted_ns: u64,
    /// CPU time of this process meanwhile.
    pub(super) generator_cpu_seconds: f64,
    /// Measured operations, in the order of time.
    pub(super) operations: Vec<Operation>,
}

/// One scheduler.
#[derive(Debug)]
pub(super) struct ScheduleSeen {
    pub(super) plan: SchedulePlan,
    pub(super) id: SchedulerId,
    /// Rounds whose rows the store did not take.
    pub(super) unwritten: usize,
    pub(super) seen: Seen,
}

/// What a scheduler said.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Rounds that were not skipped.
    pub(super) count: u64,
    pub(super) skipped: u64,
    pub(super) rounds: Vec<Round>,
    pub(super) unanswered: Vec<Unanswered>,
}

/// One round.
#[derive(Debug)]
pub(super) struct Round {
    /// Fleet of the node that published.
    pub(super) fleet: Option<String>,
    /// From the beginning of the provide until nodes of all labels saw the record; `Some(None)` where one did not in time.
    pub(super) visible_ns: Option<Option<u64>>,
    pub(super) is_complete: bool,
    pub(super) at_wall_ms: u64,
}

/// A call that brought no measurement.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) call: &'static str,
    pub(super) peer_id: String,
    pub(super) at_wall_ms: u64,
}

/// One measured operation.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) row: Measured,
    /// Peer id of the node that did it.
    pub(super) observer: String,
    /// What it did, hop by hop; `None` where the trace is missing.
    pub(super) trace: Option<Trace>,
}

/// What names the operation of a row and of a trace: whether a provide, by whom, of what.
type Name = (bool, String, Vec<u8>);

impl Collected {
    /// Reads the rows of the run's own schedulers and nodes.
    pub(super) async fn read_rows(&mut self, tables: &DhtStore, plan: &DhtPlan) -> Result<(), DhtError> {
        let peers: HashMap<_, _> = self.members.iter().map(|member| (member.id, member.peer_id.clone())).collect();
        let mut filter = self.filter(plan);
        loop {
            let page = tables.measured(&filter, PAGE_ROWS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            filter.after = Some(last.cursor);
            for row in page {
                let is_own = self.schedules.iter().any(|schedule| schedule.id == row.scheduler);
                if let Some(observer) = peers.get(&row.row.node).filter(|_| is_own) {
                    self.operations.push(Operation { row, observer: observer.clone(), trace: None });
                }
            }
        }
    }

    /// Gives every row its trace: the earliest of that name, for later ones are questions about visibility.
    pub(super) async fn read_traces(&mut self, tables: &DhtStore, plan: &DhtPlan) -> Result<(), DhtError> {
        let named =
            self.operations.iter().enumerate().filter_map(|(place, operation)| Some((operation.name()?, place)));
        let mut wanted: HashMap<Name, usize> = named.collect();
        let mut filter = self.filter(plan);
        loop {
            let page = tables.traces_with_cursors(&filter, PAGE_TRACES).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            filter.after = Some(*last);
            for (_, trace) in page {
                let name = (trace.kind == "dht.provide", trace.observer.clone(), trace.key.clone());
                if let Some(place) = wanted.remove(&name) {
                    self.operations[place].trace = Some(trace);
                }
            }
        }
    }

    fn filter(&self, plan: &DhtPlan) -> MeasuredFilter {
        MeasuredFilter { fleets: plan.fleet_names(), from_ms: self.begun_wall_ms, until_ms: u64::MAX, after: None }
    }
}

impl Operation {
    fn name(&self) -> Option<Name> {
        let cid: Cid = self.row.row.cid.parse().ok()?;
        Some((self.row.provide, self.observer.clone(), RecordKey::of_cid(&cid).as_bytes().to_vec()))
    }
}
