//! From raw counts and histograms to what `result.json` says about each operation.

use std::collections::BTreeMap;

use peermark_core::{FailureClass, Histogram};
use peermark_judge::{Latencies, Slice};
use peermark_probe::load::{LoadOutcome, OperationOutcome};
use peermark_probe::recorder::LaneRecord;
use peermark_probe::schedule::Schedule;
use peermark_probe::workload::Op;

use crate::result::{Arrivals, Distribution, OperationResult, Percentile, TimeSlice};

const CONFIDENCE: f64 = 0.95;

const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.9, "p90"), (0.99, "p99")];

/// Points of the latency curve; more than a chart shows.
const CDF_POINTS: usize = 200;

/// Data blocks that the verified cross-node fetches consist of. Inner nodes of trees and manifests come on top.
pub(super) fn fetched_blocks(outcome: &LoadOutcome, block_size: u64) -> u64 {
    let crossed = |operation: &&OperationOutcome| matches!(operation.op, Op::Fetch | Op::Disseminate);
    // Every dataset ends in a padded block, so a sum of bytes is a lower bound for the sum of blocks.
    outcome.operations.iter().filter(crossed).map(|operation| operation.record.bytes / block_size).sum()
}

/// All operations, in the order of the phases. Times count from `load_began_ns`.
pub(super) fn results(outcome: &LoadOutcome, load_began_ns: u64) -> Vec<OperationResult> {
    outcome.operations.iter().map(|operation| result(operation, load_began_ns)).collect()
}

fn result(outcome: &OperationOutcome, load_began_ns: u64) -> OperationResult {
    let record = &outcome.record;
    let mut notes: Vec<String> = outcome.notes.iter().map(ToString::to_string).collect();
    let by_name = |counts: BTreeMap<FailureClass, u64>| {
        counts.into_iter().map(|(class, n)| (class.as_str().to_owned(), n)).collect()
    };
    let culprits =
        record.failed_by_culprit().into_iter().map(|(culprit, n)| (culprit.as_str().to_owned(), n)).collect();
    OperationResult {
        phase: outcome.phase.clone(),
        op: outcome.op.as_str().to_owned(),
        arrivals: arrivals(&outcome.schedule),
        count: record.count,
        ok: record.ok,
        failed: by_name(record.failed_by_class()),
        culprits,
        target_rate: outcome.target_rate,
        knee_rate: outcome.knee.as_ref().map(|knee| knee.rate.per_second()),
        achieved_rate: outcome.achieved_rate(),
        started_ns: outcome.execution.window.start_ns.saturating_sub(load_began_ns),
        duration_ns: outcome.duration_ns(),
        latency_ns: latency(outcome, &mut notes),
        service_ns: plain(&record.service, record.censored, record.timeout_ns),
        slip_ns: plain(&record.slip, 0, record.timeout_ns),
        bytes: record.bytes,
        deadline_ns: record.timeout_ns,
        cdf: cdf(record),
        timeline: timeline(outcome),
        notes,
    }
}

fn arrivals(schedule: &Schedule) -> Arrivals {
    match schedule {
        Schedule::Poisson { .. } => Arrivals::Poisson,
        Schedule::Uniform { .. } => Arrivals::Uniform,
        Schedule::Closed { .. } => Arrivals::Closed,
        // Bursts, and whatever schedules of other jobs may come: none of them is a steady stream of arrivals.
        _ => Arrivals::Burst,
    }
}

/// The latency distribution with intervals; percentiles that the generator's lateness explains by more than a fifth are withheld.
fn latency(outcome: &OperationOutcome, notes: &mut Vec<String>) -> Distribution {
    let record = &outcome.record;
    let slice = |slice: &peermark_probe::recorder::TimeSlice| Slice {
        start_ns: slice.start_ns,
        histogram: slice.histogram.clone(),
        censored: slice.censored,
    };
    let slices: Vec<Slice> = record.slices.iter().map(slice).collect();
    let latencies = Latencies::new(&slices, record.timeout_ns);
    let mut percentile = |(q, name): (f64, &str)| {
        if let Some(check) = outcome.lateness(q).filter(|check| check.is_withheld()) {
            let (slip, value) = (check.slip_ns as f64 / 1e6, check.latency_ns as f64 / 1e6);
            notes.push(format!("{name} is withheld: slip of the generator is {slip:.2} ms of {value:.2} ms"));
            return None;
        }
        let estimate = latencies.quantile(q, CONFIDENCE);
        if let Some(absent) = &estimate.absent {
            notes.push(format!("{name}: {absent}"));
        }
        estimate.quantile.map(|quantile| Percentile {
            value: quantile.value,
            low: quantile.low,
            high: quantile.high,
            censored: quantile.censored,
        })
    };
    let [p50, p90, p99] = QUANTILES.map(&mut percentile);
    Distribution { n: record.count, p50, p90, p99, max: max(&record.latency, record.censored, record.timeout_ns) }
}

/// A distribution without slices: percentiles without intervals.
fn plain(values: &Histogram, censored: u64, timeout_ns: u64) -> Distribution {
    let n = values.len() + censored;
    let percentile = |q: f64| {
        let rank = ((q * n as f64).ceil() as u64).max(1);
        let supported = n >= peermark_judge::quantile::needed_samples(q, CONFIDENCE);
        let at = values.value_at_rank(rank).map_or((timeout_ns, true), |value| (value, false));
        supported.then_some(Percentile { value: at.0, low: None, high: None, censored: at.1 })
    };
    Distribution {
        n,
        p50: percentile(0.5),
        p90: percentile(0.9),
        p99: percentile(0.99),
        max: max(values, censored, timeout_ns),
    }
}

fn max(values: &Histogram, censored: u64, timeout_ns: u64) -> Option<u64> {
    match (values.is_empty(), censored) {
        (true, 0) => None,
        (_, 0) => Some(values.max()),
        (_, _) => Some(values.max().max(timeout_ns)),
    }
}

fn cdf(record: &LaneRecord) -> Vec<(u64, f64)> {
    let all = (record.latency.len() + record.censored) as f64;
    let mut below = 0;
    let points: Vec<(u64, f64)> = record
        .latency
        .buckets()
        .map(|(value, count)| {
            below += count;
            (value, below as f64 / all)
        })
        .collect();
    let step = points.len().div_ceil(CDF_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points
        .iter()
        .enumerate()
        .filter(|(index, _)| index % step == 0 || *index == last)
        .map(|(_, point)| *point)
        .collect()
}

fn timeline(outcome: &OperationOutcome) -> Vec<TimeSlice> {
    let begin = outcome.execution.window.start_ns;
    let slice = |slice: &peermark_probe::recorder::TimeSlice| {
        let seconds = slice.end_ns.saturating_sub(slice.start_ns) as f64 / 1e9;
        let n = slice.histogram.len();
        let rank = |q: f64| ((q * n as f64).ceil() as u64).max(1);
        TimeSlice {
            at_s: slice.start_ns.saturating_sub(begin) as f64 / 1e9,
            ops_per_second: if seconds > 0.0 { slice.ok as f64 / seconds } else { 0.0 },
            failed: slice.censored,
            p50_ns: slice.histogram.value_at_rank(rank(0.5)),
            p99_ns: slice.histogram.value_at_rank(rank(0.99)),
        }
    };
    outcome.record.slices.iter().map(slice).collect()
}
