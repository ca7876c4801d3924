//! Whether the figures may be used, and whether the limits were kept.

use peermark_core::Calibration;
use peermark_judge::Threshold;
use peermark_judge::threshold::Metric;
use peermark_probe::environment::environment;

use super::{DEADLINE_NS, VISIBLE_DEADLINE_NS, schedules};
use crate::dht::plan::{DhtPlan, PlanError};
use crate::dht::result::{CheckVerdict, DhtResult, FleetResult, NO_DISTANCE, SCHEMA, ScheduleResult};
use crate::dht::{DhtOptions, Measured};
use crate::result::{Distribution, Percentile, ThresholdResult, Validity, Verdict};
use crate::run::assess::{MAX_BUSY, MAX_DRIFT, MAX_STEAL};

/// Fewer operations than this say nothing about a distribution.
const MIN_OPERATIONS: u64 = 30;

/// What can be limited: the three moments of a provide, and a lookup.
const FIGURES: [&str; 4] = ["provide", "confirmed", "visible", "lookup"];

/// The limits of a run. What stands before `/` is a fleet; all fleets of the mixed scheduler have to keep a limit without one.
///
/// # Errors
/// [`PlanError`] for a text that is no limit, and for a figure or fleet that this run does not have.
pub(in crate::dht) fn thresholds(texts: &[String], plan: &DhtPlan) -> Result<Vec<Threshold>, PlanError> {
    let parse = |text: &String| {
        let threshold: Threshold = text.parse()?;
        let wrong = |what: &str| PlanError::NoSuchFigure { threshold: text.clone(), what: what.to_owned() };
        if !FIGURES.contains(&threshold.op.as_str()) {
            return Err(wrong(&threshold.op));
        }
        match &threshold.phase {
            Some(fleet) if !plan.fleet_names().contains(fleet) => Err(wrong(fleet)),
            _ => Ok(threshold),
        }
    };
    texts.iter().map(parse).collect()
}

/// Judges what was measured.
pub(in crate::dht) fn result(
    options: &DhtOptions,
    measured: Measured,
    limits: &[Threshold],
    started_wall_ms: u64,
    [calibration, calibration_after]: [Calibration; 2],
) -> DhtResult {
    let environment = environment(&options.version, &options.commit);
    let (schedules, mut warnings) = schedules(&measured.collected);
    let measured_ns = measured.collected.lasted_ns;
    let drift = calibration.drift(&calibration_after);
    if drift > MAX_DRIFT {
        let percent = drift * 100.0;
        warnings
            .push(format!("the machine itself changed by {percent:.0} % between the calibrations before and after"));
    }
    let untraced = measured.collected.operations.iter().filter(|operation| operation.trace.is_none()).count();
    if untraced > 0 {
        warnings.push(format!("{untraced} operations have a row and no trace: their hops and records are unknown"));
    }
    let reasons = reasons(&measured, &schedules, &environment.build);
    let verdict = if reasons.is_empty() { Verdict::Valid } else { Verdict::Suspect };
    let kept = limits.iter().map(|threshold| judge(threshold, &schedules, measured_ns)).collect();
    DhtResult {
        schema: SCHEMA.into(),
        run_id: options.run_id.clone(),
        started_wall_ms,
        duration_ns: measured.duration_ns,
        seed: options.seed,
        validity: Validity { verdict, reasons },
        environment,
        distance: NO_DISTANCE.into(),
        network: measured.network,
        preflight: measured.preflight,
        measured_ns,
        deadline_ns: DEADLINE_NS,
        visible_deadline_ns: VISIBLE_DEADLINE_NS,
        schedules,
        thresholds: kept,
        calibration,
        calibration_after,
        host: measured.host,
        warnings,
        stopped: measured.stopped,
    }
}

fn reasons(measured: &Measured, schedules: &[ScheduleResult], build: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    let percent = |share: f64| (share * 100.0).round();
    let host = &measured.host;
    if host.busy > MAX_BUSY {
        reasons.push(format!("CPU-bound: the host was busy {} %", percent(host.busy)));
    }
    if host.steal > MAX_STEAL {
        reasons.push(format!("Steal: the hypervisor gave {} % of the CPU time to others", percent(host.steal)));
    }
    if let Some(times) = host.throttled.filter(|times| *times > 0) {
        reasons.push(format!("Throttled: {times} times"));
    }
    for check in measured.preflight.iter().filter(|check| check.verdict == CheckVerdict::Fails) {
        reasons.push(format!("Preflight: {}: {}", check.name, check.detail));
    }
    for (schedule, fleet) in schedules.iter().flat_map(|one| one.fleets.iter().map(move |fleet| (one, fleet))) {
        if let Some(lookup) = fleet.lookup.as_ref().filter(|lookup| lookup.duration_ns.n < MIN_OPERATIONS) {
            let (n, name, fleet) = (lookup.duration_ns.n, &schedule.name, &fleet.fleet);
            reasons.push(format!("Few-samples: {n} lookups of {fleet} ({name})"));
        }
    }
    let skipped: u64 = schedules.iter().map(|schedule| schedule.skipped).sum();
    if skipped > 0 {
        reasons.push("Skipped: rounds found no nodes to ask".into());
    }
    let unwritten: usize = measured.collected.schedules.iter().map(|schedule| schedule.unwritten).sum();
    if unwritten > 0 {
        reasons.push(format!("Rows: {unwritten} rounds could not be written"));
    }
    if measured.ended > 0 {
        reasons.push(format!("Nodes: {} ended on their own", measured.ended));
    }
    if measured.stopped {
        reasons.push("Stopped: the run ended before its time".into());
    }
    if build != "release" {
        reasons.push("Debug: an unoptimised build says nothing about the product".into());
    }
    reasons
}

/// One figure of one fleet, as limits speak of it.
struct Figure<'r> {
    values: &'r Distribution,
    /// Operations, and those of them that succeeded.
    count: u64,
    ok: u64,
}

/// A limit holds when every fleet that it speaks of keeps it. No number: not kept.
fn judge(threshold: &Threshold, schedules: &[ScheduleResult], measured_ns: u64) -> ThresholdResult {
    let mixed = schedules.iter().filter(|schedule| schedule.name == "mixed").flat_map(|schedule| &schedule.fleets);
    let concerned = mixed.filter(|fleet| threshold.phase.as_ref().is_none_or(|named| *named == fleet.fleet));
    let values: Vec<Option<f64>> = concerned
        .map(|fleet| figure(&threshold.op, fleet).and_then(|figure| value(threshold.metric, &figure, measured_ns)))
        .collect();
    let ok = !values.is_empty() && values.iter().all(|value| value.is_some_and(|value| threshold.holds(value)));
    // The value that decides: the first that breaks the limit, else the first.
    let broken = values.iter().flatten().find(|value| !threshold.holds(**value));
    let value = broken.or_else(|| values.iter().flatten().next()).copied();
    ThresholdResult { name: threshold.to_string(), limit: threshold.limit, value, ok }
}

fn figure<'r>(name: &str, fleet: &'r FleetResult) -> Option<Figure<'r>> {
    if name == "lookup" {
        let lookup = fleet.lookup.as_ref()?;
        return Some(Figure { values: &lookup.duration_ns, count: lookup.count, ok: lookup.ok });
    }
    let provide = fleet.provide.as_ref()?;
    let values = match name {
        "confirmed" => &provide.confirmed_ns,
        "visible" => &provide.visible_ns,
        _ => &provide.returned_ns,
    };
    Some(Figure { values, count: provide.count, ok: provide.ok })
}

fn value(metric: Metric, figure: &Figure<'_>, measured_ns: u64) -> Option<f64> {
    let percentile = |percentile: Option<Percentile>| percentile.map(|percentile| percentile.value as f64);
    match metric {
        Metric::P50 => percentile(figure.values.p50),
        Metric::P90 => percentile(figure.values.p90),
        Metric::P99 => percentile(figure.values.p99),
        Metric::Max => figure.values.max.map(|max| max as f64),
        Metric::ErrorRatio => (figure.count > 0).then(|| (figure.count - figure.ok) as f64 / figure.count as f64),
        Metric::Rate => (measured_ns > 0).then(|| figure.ok as f64 * 1e9 / measured_ns as f64),
    }
}
