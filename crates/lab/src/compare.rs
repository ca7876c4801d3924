//! Two arms of repeated runs side by side: what changed, by how much, and whether that can be said.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use peermark_judge::compare::{DEFAULT_MIN_EFFECT, Direction};
use peermark_judge::{Finding, MetricRuns, Verdict};
use serde::Serialize;
use thiserror::Error;

use crate::result::{OperationResult, Percentile, RunResult, SCHEMA};

/// The value of `schema` of a comparison.
pub const COMPARE_SCHEMA: &str = "peermark.compare/1";

/// Rates that differ by more than this measure different loads.
const MAX_RATE_DIFFERENCE: f64 = 0.05;

/// Why runs cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// No result where one was named.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not a result of a run.
    #[error("{path} is no result of a run: {reason}")]
    NotAResult {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Runs that asked for different things.
    #[error("the arms differ in {0}; --allow-different compares them all the same")]
    Different(String),
}

/// One metric of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// `phase/op.metric`.
    pub metric: String,
    /// Relative change of B against A: +0.12 is 12 % higher.
    pub change: Option<f64>,
    /// Lower end of its 95 % interval.
    pub low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub high: Option<f64>,
    /// `better`, `worse`, `no difference` or `not enough data`.
    pub verdict: &'static str,
    /// Why there is not enough data.
    pub reason: Option<String>,
    /// Runs of arm A with a value.
    pub runs_a: usize,
    /// Runs of arm B with a value.
    pub runs_b: usize,
}

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Always [`COMPARE_SCHEMA`].
    pub schema: &'static str,
    /// Run ids of arm A, the baseline.
    pub a: Vec<String>,
    /// Run ids of arm B.
    pub b: Vec<String>,
    /// Smallest change of interest, as a ratio.
    pub min_effect: f64,
    /// The metrics.
    pub metrics: Vec<Compared>,
    /// What limits the comparison, in plain words.
    pub warnings: Vec<String>,
}

impl Comparison {
    /// Whether some metric became worse.
    pub fn has_worse(&self) -> bool {
        self.metrics.iter().any(|metric| metric.verdict == "worse")
    }
}

/// Reads a run's result from its directory or file.
///
/// # Errors
/// [`CompareError`].
pub fn read_result(path: &Path) -> Result<RunResult, CompareError> {
    let path = if path.is_dir() { path.join("result.json") } else { path.to_owned() };
    let text = std::fs::read_to_string(&path).map_err(|source| CompareError::Read { path: path.clone(), source })?;
    let bad = |reason: String| CompareError::NotAResult { path: path.clone(), reason };
    let result: RunResult = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    if result.schema == SCHEMA {
        Ok(result)
    } else {
        Err(bad(format!("schema {:?}, expected {SCHEMA:?}", result.schema)))
    }
}

/// Compares arm B with arm A. Arms may differ in version and commit, unless `allow_different` is set.
///
/// # Errors
/// [`CompareError::Different`].
pub fn compare(
    a: &[RunResult],
    b: &[RunResult],
    min_effect: f64,
    allow_different: bool,
) -> Result<Comparison, CompareError> {
    let differences = differences(a, b);
    if !differences.is_empty() && !allow_different {
        return Err(CompareError::Different(differences.join(", ")));
    }
    let metrics = metrics(a, b, min_effect);
    let findings = peermark_judge::compare(&metrics);
    let compared = metrics.iter().zip(findings).map(|(metric, finding)| describe(metric, finding)).collect();
    let ids = |arm: &[RunResult]| arm.iter().map(|run| run.run_id.clone()).collect();
    let mut warnings: Vec<String> = differences.into_iter().map(|what| format!("the arms differ in {what}")).collect();
    warnings.extend(quality(a, "A"));
    warnings.extend(quality(b, "B"));
    warnings.extend(rate_warning(a, b));
    Ok(Comparison { schema: COMPARE_SCHEMA, a: ids(a), b: ids(b), min_effect, metrics: compared, warnings })
}

/// Smallest change of interest unless the user says otherwise.
pub fn default_min_effect() -> f64 {
    DEFAULT_MIN_EFFECT
}

/// What a run must share with the others.
type Trait = fn(&RunResult) -> String;

fn differences(a: &[RunResult], b: &[RunResult]) -> Vec<String> {
    let set = |of: Trait| -> (BTreeSet<String>, BTreeSet<String>) {
        (a.iter().map(of).collect(), b.iter().map(of).collect())
    };
    let checks: [(&str, Trait); 3] = [
        ("scenario", |run| format!("{} {}", run.scenario, run.scenario_fingerprint)),
        ("environment", |run| run.environment.fingerprint()),
        ("nodes", |run| run.nodes.started.to_string()),
    ];
    let unlike = checks.iter().filter(|(_, of)| {
        let (left, right) = set(*of);
        left.len() > 1 || right.len() > 1 || left != right
    });
    unlike.map(|(name, _)| (*name).to_owned()).collect()
}

fn quality(arm: &[RunResult], name: &str) -> Option<String> {
    let suspect = arm.iter().filter(|run| run.validity.verdict == crate::result::Verdict::Suspect).count();
    (suspect > 0).then(|| format!("{suspect} of {} runs of arm {name} are SUSPECT", arm.len()))
}

fn rate_warning(a: &[RunResult], b: &[RunResult]) -> Option<String> {
    let rates: Vec<f64> = a
        .iter()
        .chain(b)
        .filter_map(|run| run.operations.first())
        .filter_map(|operation| operation.target_rate)
        .collect();
    let (low, high) = rates.iter().fold((f64::INFINITY, 0.0f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
    (high > low * (1.0 + MAX_RATE_DIFFERENCE)).then(|| {
        format!("rates differ between runs ({low:.0} to {high:.0} per second), so latencies are those of different loads; give --rate")
    })
}

type Reader = fn(&OperationResult) -> Option<f64>;

const OPERATION_METRICS: [(&str, Direction, Reader); 5] = [
    ("p50", Direction::LowerIsBetter, |operation| percentile(operation.latency_ns.p50)),
    ("p90", Direction::LowerIsBetter, |operation| percentile(operation.latency_ns.p90)),
    ("p99", Direction::LowerIsBetter, |operation| percentile(operation.latency_ns.p99)),
    ("service_p50", Direction::LowerIsBetter, |operation| percentile(operation.service_ns.p50)),
    ("knee_rate", Direction::HigherIsBetter, |operation| operation.knee_rate),
];

fn percentile(percentile: Option<Percentile>) -> Option<f64> {
    percentile.filter(|percentile| !percentile.censored).map(|percentile| percentile.value as f64)
}

/// Every metric that both arms have, one value per run.
fn metrics(a: &[RunResult], b: &[RunResult], min_effect: f64) -> Vec<MetricRuns> {
    let mut metrics = Vec::new();
    let operations: Vec<(String, String)> = a
        .first()
        .map(|run| run.operations.iter().map(|operation| (operation.phase.clone(), operation.op.clone())).collect())
        .unwrap_or_default();
    for (phase, op) in operations {
        for (name, direction, reader) in OPERATION_METRICS {
            let values = |arm: &[RunResult]| -> Vec<f64> {
                arm.iter().map(|run| of_operation(run, &phase, &op, reader)).collect()
            };
            push(&mut metrics, format!("{phase}/{op}.{name}"), direction, values(a), values(b), min_effect);
        }
    }
    let memory = |arm: &[RunResult]| -> Vec<f64> { arm.iter().map(median_private_bytes).collect() };
    push(&mut metrics, "node.private_bytes".into(), Direction::LowerIsBetter, memory(a), memory(b), min_effect);
    metrics
}

fn push(metrics: &mut Vec<MetricRuns>, name: String, direction: Direction, a: Vec<f64>, b: Vec<f64>, min_effect: f64) {
    // A metric that no run has (a knee where the rate was given) says nothing.
    if a.iter().chain(&b).any(|value| value.is_finite()) {
        metrics.push(MetricRuns { name, direction, a, b, min_effect });
    }
}

fn of_operation(run: &RunResult, phase: &str, op: &str, reader: Reader) -> f64 {
    let found = run.operations.iter().find(|operation| operation.phase == phase && operation.op == op);
    found.and_then(reader).unwrap_or(f64::NAN)
}

fn median_private_bytes(run: &RunResult) -> f64 {
    let mut bytes: Vec<u64> = run.resources.iter().filter_map(|node| node.private_bytes).collect();
    bytes.sort_unstable();
    bytes.get(bytes.len() / 2).map_or(f64::NAN, |bytes| *bytes as f64)
}

fn describe(metric: &MetricRuns, finding: Finding) -> Compared {
    let finite = |values: &[f64]| values.iter().filter(|value| value.is_finite()).count();
    Compared {
        metric: finding.name,
        change: finding.effect.map(|effect| effect.change),
        low: finding.effect.map(|effect| effect.low),
        high: finding.effect.map(|effect| effect.high),
        verdict: match finding.verdict {
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::NoDifference => "no difference",
            Verdict::NotEnoughData => "not enough data",
        },
        reason: finding.reason,
        runs_a: finite(&metric.a),
        runs_b: finite(&metric.b),
    }
}
