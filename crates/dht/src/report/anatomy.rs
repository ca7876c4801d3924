//! Where the time of operations went, from their traces.

use std::collections::BTreeMap;

use peermark_core::{FailureClass, Histogram};
use peermark_store::dht::{Trace, TraceHop};

use super::document::Anatomy;
use super::group::What;
use crate::operation::Rpc;

/// Multiples of the floor are counted in thousandths.
const THOUSANDTHS: u64 = 1000;

/// Sums over the operations of one fleet and kind that asked the network.
#[derive(Clone, Debug, Default)]
pub(super) struct AnatomyTally {
    n: u64,
    rpcs: Histogram,
    rpc_count: u64,
    wasted: u64,
    failed: BTreeMap<String, u64>,
    /// Time of the operations, and of dialling, handshakes and questions on their critical paths.
    time_ns: u128,
    parts_ns: [u128; 3],
    floor: Histogram,
}

impl AnatomyTally {
    /// Counts an operation; one that asked nobody (a local hit) tells nothing about the network.
    pub(super) fn count(&mut self, trace: &Trace) {
        if trace.hops.is_empty() {
            return;
        }
        self.n += 1;
        self.rpcs.record(trace.hops.len() as u64);
        self.rpc_count += trace.hops.len() as u64;
        for hop in &trace.hops {
            self.wasted += u64::from(hop.wasted);
            // What was given up because nothing depended on it did not fail.
            if let Some(class) = hop.failure.as_ref().filter(|class| *class != FailureClass::Abandoned.as_str()) {
                *self.failed.entry(class.clone()).or_default() += 1;
            }
        }
        let critical = || trace.hops.iter().filter(|hop| hop.critical);
        // ADD_PROVIDER is written and done: it waits for no round trip.
        let answered = || critical().filter(|hop| hop.rpc != Rpc::AddProvider.as_str());
        let sum = |part: fn(&TraceHop) -> u64| critical().map(|hop| u128::from(part(hop))).sum::<u128>();
        let parts =
            [sum(|hop| hop.dial_ns), sum(|hop| hop.handshake_ns), sum(|hop| hop.ended_ns.saturating_sub(hop.sent_ns))];
        // RPCs that the end waited for may overlap: then their sum, not the operation, is the whole.
        self.time_ns += parts.iter().sum::<u128>().max(u128::from(trace.duration_ns));
        self.parts_ns.iter_mut().zip(parts).for_each(|(all, part)| *all += part);
        let floor: Option<u64> = answered().map(|hop| hop.rtt_ns.filter(|rtt| *rtt > 0)).sum();
        if let Some(floor) = floor.filter(|floor| *floor > 0) {
            self.floor.record(trace.duration_ns.saturating_mul(THOUSANDTHS) / floor);
        }
    }

    pub(super) fn figures(&self, fleet: &str, what: What) -> Anatomy {
        let share = |part: u128| (self.time_ns > 0).then(|| part as f64 / self.time_ns as f64);
        let rest = self.time_ns.saturating_sub(self.parts_ns.iter().sum());
        let floor = |q| level(&self.floor, q).map(|value| value as f64 / THOUSANDTHS as f64);
        Anatomy {
            fleet: fleet.to_owned(),
            operation: what.as_str().to_owned(),
            n: self.n,
            rpcs: self.rpc_count,
            rpcs_p50: level(&self.rpcs, 0.5),
            rpcs_p90: level(&self.rpcs, 0.9),
            wasted_share: (self.rpc_count > 0).then(|| self.wasted as f64 / self.rpc_count as f64),
            failed_rpcs: self.failed.clone(),
            dial_share: share(self.parts_ns[0]),
            handshake_share: share(self.parts_ns[1]),
            question_share: share(self.parts_ns[2]),
            rest_share: share(rest),
            floor_p50: floor(0.5),
            floor_p90: floor(0.9),
            floor_n: self.floor.len(),
        }
    }
}

/// A level of counts, without an interval; `None` where the sample is smaller than it needs.
pub(super) fn level(values: &Histogram, q: f64) -> Option<u64> {
    let n = values.len();
    if n < peermark_judge::quantile::needed_samples(q, 0.95) {
        return None;
    }
    values.value_at_rank(((q * n as f64 - 1e-9).ceil() as u64).max(1))
}
