//! What a run shows, in plain words. Page and terminal say the same because both take their sentences from here.

use peermark_judge::Quantile;
use peermark_page::format::{self, ABSENT};
pub(crate) use peermark_page::wording::{Figure, Standing, Statement, printable, tally};

use crate::result::{
    Arrivals, Exchange, NodeCounts, NodeResources, OperationResult, Percentile, RunResult, SelfTestResult,
    ThresholdResult, Verdict,
};

/// VALID or SUSPECT.
pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Valid => "VALID",
        Verdict::Suspect => "SUSPECT",
    }
}

/// What stands in place of a target rate where arrivals have none.
pub(super) fn unscheduled(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Closed => " in a closed loop",
        Arrivals::Burst => " in bursts",
        Arrivals::Poisson | Arrivals::Uniform => "",
    }
}

/// How arrivals were scheduled. A closed loop never goes without its label.
pub(crate) fn arrivals(arrivals: Arrivals) -> &'static str {
    match arrivals {
        Arrivals::Poisson => "poisson (open loop)",
        Arrivals::Uniform => "uniform (open loop)",
        Arrivals::Closed => "closed loop: hides queueing",
        Arrivals::Burst => "burst: all at one moment",
    }
}

/// A percentile and its 95 % interval. Values at or above the deadline are marked as lower bounds.
pub(crate) fn percentile(percentile: Option<Percentile>, deadline_ns: u64) -> Figure {
    peermark_page::wording::percentile(percentile.map(quantile), deadline_ns)
}

/// The percentile of a document as the judge states it.
pub(crate) fn quantile(percentile: Percentile) -> Quantile {
    let Percentile { value, low, high, censored } = percentile;
    Quantile { value, low, high, censored }
}

/// All failures of an operation.
pub(crate) fn failures(operation: &OperationResult) -> u64 {
    operation.failed.values().fold(0, |sum, n| sum.saturating_add(*n))
}

/// How many nodes came up.
pub(crate) fn nodes(nodes: &NodeCounts) -> Statement {
    let mut text = format!("{} of {} ready", format::count(nodes.ready.into()), format::count(nodes.started.into()));
    match nodes.ready_after_ns {
        Some(ns) => text += &format!(" after {}", format::span(ns)),
        None => text += ", never all at the same time",
    }
    text += &format!(", {}", format::counted(nodes.connections, "connection"));
    if nodes.failed > 0 {
        text += &format!(", {} failed", nodes.failed);
    }
    let complete = nodes.started > 0 && nodes.ready == nodes.started && nodes.failed == 0;
    Statement { standing: if complete { Standing::Good } else { Standing::Bad }, text }
}

/// Whether every fetched block came from another node.
pub(crate) fn exchange(exchange: &Exchange) -> Statement {
    let reason = exchange.reason.as_deref().map_or_else(String::new, |reason| format!(" ({reason})"));
    let number = |value: Option<u64>| value.map_or_else(|| ABSENT.to_owned(), format::count);
    let (sent, received) = (exchange.blocks_sent, exchange.blocks_received);
    let counts = match (sent, received) {
        (Some(a), Some(b)) if a == b => format!("{} blocks sent = received", format::count(a)),
        _ => format!("{} blocks sent, {} received", number(sent), number(received)),
    };
    let (standing, claim) = match (sent, received, exchange.unexplained) {
        (Some(0), Some(0), Some(0)) => (Standing::Unknown, "no block travelled between nodes"),
        (Some(a), Some(b), Some(0)) if a == b => (Standing::Good, "every fetched block came from another node"),
        (_, _, None) | (None, ..) | (_, None, _) => (Standing::Unknown, "not proved that blocks came from other nodes"),
        _ => (Standing::Bad, "not every fetched block is explained by another node"),
    };
    let text = format!("{counts}, {} unexplained: {claim}{reason}", number(exchange.unexplained));
    Statement { standing, text }
}

/// How many thresholds held.
/// What the nodes said of themselves; those that did not say are counted, because they may be the sick ones.
pub(crate) fn self_tests(tests: &[SelfTestResult], started: u32) -> Statement {
    let sum = |of: fn(&SelfTestResult) -> u64| tests.iter().map(of).sum::<u64>();
    let failed = sum(|test| test.failed);
    let problems = sum(|test| test.problems_by_code.values().sum());
    let nodes = tests.iter().map(|test| test.nodes).max().unwrap_or(0);
    let mut text = format!(
        "{} on {} of {}: {} ran, {} failed",
        format::counted(tests.len() as u64, "test"),
        format::count(u64::from(nodes)),
        format::counted(u64::from(started), "node"),
        format::count(sum(|test| test.ok)),
        format::count(failed)
    );
    if problems > 0 {
        text += &format!(", {} to mend, in the report", format::counted(problems, "thing"));
    }
    let all_well = problems == 0 && nodes == started;
    Statement { standing: if all_well { Standing::Good } else { Standing::Bad }, text }
}

pub(crate) fn thresholds(thresholds: &[ThresholdResult]) -> Statement {
    let kept = thresholds.iter().filter(|threshold| threshold.ok).count();
    let standing = match thresholds.len() {
        0 => Standing::Unknown,
        all if all == kept => Standing::Good,
        _ => Standing::Bad,
    };
    let text = match thresholds.len() {
        0 => "none set".to_owned(),
        all => format!("{kept} of {all} kept"),
    };
    Statement { standing, text }
}

/// A threshold's limit or value in the unit that its name speaks of.
pub(crate) fn threshold_number(name: &str, value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return ABSENT.to_owned() };
    let text = name.trim_end();
    let before = |unit: &str| text.strip_suffix(unit).is_some_and(|rest| rest.ends_with(|c: char| c.is_ascii_digit()));
    if ["ns", "us", "µs", "ms", "s"].into_iter().any(before) && value >= 0.0 {
        format::duration(value.round() as u64).to_string()
    } else if text.ends_with("/s") || name.contains("rate") {
        format!("{}/s", format::significant(value))
    } else if text.ends_with('%') {
        format::percent(value)
    } else {
        format::significant(value)
    }
}

/// How far the value is from the limit: `38 % below the limit`.
pub(crate) fn threshold_distance(threshold: &ThresholdResult) -> String {
    let Some(value) = threshold.value.filter(|value| value.is_finite()) else {
        return "no number, which fails the threshold".to_owned();
    };
    let distance = value - threshold.limit;
    let side = if distance < 0.0 { "below" } else { "above" };
    if distance == 0.0 {
        "at the limit".to_owned()
    } else if threshold.limit == 0.0 {
        format!("{} {side} the limit", threshold_number(&threshold.name, Some(distance.abs())))
    } else if value / threshold.limit >= 10.0 {
        format!("{} times the limit", format::significant(value / threshold.limit))
    } else {
        format!("{} {side} the limit", format::percent((distance / threshold.limit).abs()))
    }
}

/// Median and largest of one figure over the nodes, with the number of nodes that tell.
pub(crate) fn spread<T: PartialOrd + Copy>(
    nodes: &[NodeResources],
    figure: impl Fn(&NodeResources) -> Option<T>,
) -> Option<(T, T, usize)> {
    let mut values: Vec<T> = nodes.iter().filter_map(figure).collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    // The lower median: a value that was measured, not a mean of two.
    let median = *values.get(values.len().checked_sub(1)? / 2)?;
    Some((median, *values.last()?, values.len()))
}

/// What was seen of the host during the load: nothing where there was no load, and that is not zero.
pub(crate) fn during_load(run: &RunResult, seen: String) -> String {
    if run.operations.is_empty() { ABSENT.to_owned() } else { seen }
}

/// The command that repeats the run.
pub(crate) fn reproduce(run: &RunResult) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let id: String = run.run_id.chars().filter(|c| plain(*c)).collect();
    format!("peermark up runs/{id}/scenario.toml")
}
