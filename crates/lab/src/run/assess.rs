//! Whether the figures may be used, and whether the limits were kept.

use peermark_core::Calibration;
use peermark_judge::Threshold;
use peermark_judge::threshold::Metric;
use peermark_probe::environment::environment;

use super::{Measured, RunOptions, self_tests};
use crate::result::{OperationResult, Percentile, RunResult, SCHEMA, ThresholdResult, Validity, Verdict};

/// Above this share of busy CPU time the host decides the figures, not the nodes.
pub(crate) const MAX_BUSY: f64 = 0.85;

/// Above this share of stolen CPU time, other machines on the same host decide them.
pub(crate) const MAX_STEAL: f64 = 0.05;

/// Fewer operations than this say nothing about a distribution.
const MIN_OPERATIONS: u64 = 30;

/// Calibrations that differ by more than this are worth a warning.
pub(crate) const MAX_DRIFT: f64 = 0.3;

/// Judges what was measured.
pub(super) fn result(
    options: &RunOptions,
    measured: Measured,
    started_wall_ms: u64,
    [calibration, calibration_after]: [Calibration; 2],
) -> RunResult {
    let environment = environment(&options.version, &options.commit);
    let reasons = reasons(&measured, &environment.build);
    let verdict = if reasons.is_empty() { Verdict::Valid } else { Verdict::Suspect };
    let thresholds = options.scenario.parsed_thresholds().unwrap_or_default();
    let thresholds = thresholds.iter().map(|threshold| judge(threshold, &measured.operations)).collect();
    let warnings = warnings(&measured, &calibration, &calibration_after);
    RunResult {
        schema: SCHEMA.into(),
        run_id: options.run_id.clone(),
        started_wall_ms,
        duration_ns: measured.duration_ns,
        seed: options.seed,
        scenario: options.scenario.name.clone(),
        scenario_fingerprint: options.scenario.fingerprint(),
        validity: Validity { verdict, reasons },
        environment,
        nodes: measured.nodes,
        operations: measured.operations,
        exchange: measured.exchange,
        resources: measured.resources,
        thresholds,
        calibration,
        calibration_after,
        host: measured.host.used,
        faults: measured.faults,
        self_tests: self_tests::results(&measured.self_tests),
        warnings,
    }
}

/// `VALID` or `SUSPECT`.
pub(crate) fn verdict_text(validity: &Validity) -> String {
    match validity.verdict {
        Verdict::Valid => "VALID".into(),
        Verdict::Suspect => "SUSPECT".into(),
    }
}

fn reasons(measured: &Measured, build: &str) -> Vec<String> {
    let mut reasons = Vec::new();
    let percent = |share: f64| (share * 100.0).round();
    let busy: Vec<String> = measured
        .host
        .busy_by_phase
        .iter()
        .filter(|(_, busy)| *busy > MAX_BUSY)
        .map(|(phase, busy)| format!("{} % in {phase}", percent(*busy)))
        .collect();
    if !busy.is_empty() {
        reasons.push(format!("CPU-bound: the host was busy {}", busy.join(", ")));
    }
    if measured.host.used.steal > MAX_STEAL {
        reasons.push(format!(
            "Steal: the hypervisor gave {} % of the CPU time to others",
            percent(measured.host.used.steal)
        ));
    }
    if measured.host.used.throttled.is_some_and(|times| times > 0) {
        reasons.push(format!("Throttled: {} times", measured.host.used.throttled.unwrap_or_default()));
    }
    for operation in &measured.operations {
        let name = format!("{}/{}", operation.phase, operation.op);
        if operation.count < MIN_OPERATIONS {
            reasons.push(format!("Few-samples: {} operations in {name}", operation.count));
        }
        let not_sent = operation.failed.get("not_sent").copied().unwrap_or_default();
        if not_sent > 0 {
            reasons.push(format!("Refused: {not_sent} operations of {name} were never sent"));
        }
        // A withheld tail is missing, the rest stands; where the median itself is lateness, the operation was not measured.
        if operation.notes.iter().any(|note| note.starts_with("p50 is withheld")) {
            reasons.push(format!("Slip: even the median of {name} is the generator's lateness"));
        }
    }
    if measured.nodes.failed > 0 {
        reasons.push(format!("Nodes: {} ended on their own", measured.nodes.failed));
    }
    if measured.exchange.unexplained.is_some_and(|blocks| blocks > 0) {
        let reason = measured.exchange.reason.as_deref().unwrap_or("counts differ");
        reasons.push(format!("Exchange: {reason}"));
    }
    if measured.faults.iter().any(|fault| !fault.verified) {
        reasons.push("Faults: one of them did not take as asked".into());
    }
    if measured.stopped {
        reasons.push("Stopped: the run ended before its time".into());
    }
    if build != "release" {
        reasons.push("Debug: an unoptimised build says nothing about the product".into());
    }
    reasons
}

fn warnings(measured: &Measured, before: &Calibration, after: &Calibration) -> Vec<String> {
    let mut warnings = Vec::new();
    let drift = before.drift(after);
    if drift > MAX_DRIFT {
        warnings.push(format!(
            "the machine itself changed by {:.0} % between the calibrations before and after",
            drift * 100.0
        ));
    }
    for operation in &measured.operations {
        for note in &operation.notes {
            warnings.push(format!("{}/{}: {note}", operation.phase, operation.op));
        }
    }
    warnings
}

/// A threshold holds when every operation that it speaks of keeps it. No number, no operation: not kept.
fn judge(threshold: &Threshold, operations: &[OperationResult]) -> ThresholdResult {
    let concerned = operations.iter().filter(|operation| {
        operation.op == threshold.op && threshold.phase.as_ref().is_none_or(|phase| *phase == operation.phase)
    });
    let values: Vec<Option<f64>> = concerned.map(|operation| value(threshold.metric, operation)).collect();
    let ok = !values.is_empty() && values.iter().all(|value| value.is_some_and(|value| threshold.holds(value)));
    // The value that decides: the first that breaks the limit, else the first.
    let broken = values.iter().flatten().find(|value| !threshold.holds(**value));
    let value = broken.or_else(|| values.iter().flatten().next()).copied();
    ThresholdResult { name: threshold.to_string(), limit: threshold.limit, value, ok }
}

fn value(metric: Metric, operation: &OperationResult) -> Option<f64> {
    let percentile = |percentile: Option<Percentile>| percentile.map(|percentile| percentile.value as f64);
    match metric {
        Metric::P50 => percentile(operation.latency_ns.p50),
        Metric::P90 => percentile(operation.latency_ns.p90),
        Metric::P99 => percentile(operation.latency_ns.p99),
        Metric::Max => operation.latency_ns.max.map(|max| max as f64),
        Metric::ErrorRatio => {
            (operation.count > 0).then(|| (operation.count - operation.ok) as f64 / operation.count as f64)
        }
        Metric::Rate => Some(operation.achieved_rate),
    }
}
