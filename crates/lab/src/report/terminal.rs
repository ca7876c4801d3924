//! The end of a terminal session: what came out, whether it may be used, and where the rest is. Short enough to be read at once.

mod dht;
mod line;

use std::path::Path;

use crate::result::{OperationResult, RunResult, ThresholdResult, Validity, Verdict};

use super::wording::{self, Standing, Statement};
pub(crate) use dht::summary as dht_summary;
use line::{Line, Tone, pad, wrap};
use peermark_page::format;

/// Lines that fit a small terminal together with the command and the next prompt.
const MOST_LINES: usize = 30;

/// Narrower than this, numbers and their units would not fit.
const LEAST_WIDTH: usize = 40;

/// Width of the column of names: `disseminate` and a space.
const LABEL: usize = 12;

pub(crate) fn summary(run: &RunResult, files: &[&Path], width: usize, colour: bool) -> String {
    let width = width.max(LEAST_WIDTH);
    let head = head(run, width);
    let mut tail = thresholds(&run.thresholds, width);
    tail.extend(validity(&run.validity, run.warnings.len(), "the report", width));
    let shown = files.iter().take(4);
    let room = MOST_LINES.saturating_sub(head.len() + tail.len() + shown.len());
    let mut lines = head;
    lines.extend(operations(run, width, room));
    lines.extend(tail);
    let mut out: String = lines.iter().map(|line| line.render(width, colour)).collect();
    for (index, file) in shown.enumerate() {
        let label = if index == 0 { "files" } else { "" };
        let line = labelled(label, vec![(Tone::Plain, file.to_string_lossy().into_owned())]);
        out += &line.render(usize::MAX, colour);
    }
    out
}

fn head(run: &RunResult, width: usize) -> Vec<Line> {
    let details = format!(
        "  run {}, seed {}, {}, peermark {}",
        run.run_id,
        run.seed,
        format::span(run.duration_ns),
        run.environment.version
    );
    let mut lines = vec![Line::new(vec![(Tone::Bold, run.scenario.clone()), (Tone::Dim, details)]), Line::default()];
    lines.extend(statement("nodes", &wording::nodes(&run.nodes), width));
    lines.extend(statement("exchange", &wording::exchange(&run.exchange), width));
    lines.extend(text("per node", &resources(run), width, 2));
    if !run.self_tests.is_empty() {
        lines.extend(statement("self-tests", &wording::self_tests(&run.self_tests, run.nodes.started), width));
    }
    let host = &run.host;
    let seen = |text: String| wording::during_load(run, text);
    let mut machine = format!("busy {}, steal {}", seen(format::percent(host.busy)), seen(format::percent(host.steal)));
    if let Some(throttled) = host.throttled.filter(|times| *times > 0) {
        machine += &format!(", throttled {}", format::counted(throttled, "time"));
    }
    machine += &format!(
        ", generator {} CPU, calibration drift {}",
        seen(format!("{} s", format::significant(host.generator_cpu_seconds))),
        format::percent(run.calibration.drift(&run.calibration_after))
    );
    lines.extend(text("host", &machine, width, 2));
    lines.push(Line::default());
    lines
}

fn resources(run: &RunResult) -> String {
    let nodes = &run.resources;
    let size = |value: u64| format::bytes(value).to_string();
    let memory = match wording::spread(nodes, |node| node.private_bytes) {
        Some((median, largest, n)) => format!("{} median, {} max (n {n})", size(median), size(largest)),
        None => format::ABSENT.to_owned(),
    };
    let mut out = format!("private memory {memory}");
    let others = [
        ("CPU", wording::spread(nodes, |node| node.cpu_seconds).map(|s| format!("{} s", format::significant(s.0)))),
        ("disk", wording::spread(nodes, |node| node.disk_bytes).map(|s| size(s.0))),
        ("net", wording::spread(nodes, |node| node.net_bytes).map(|s| size(s.0))),
    ];
    for (name, median) in others {
        out += &format!(", {name} {}", median.unwrap_or_else(|| format::ABSENT.to_owned()));
    }
    out
}

/// Two lines per operation: what came back, and the percentiles in columns. Operations beyond `room` are counted.
fn operations(run: &RunResult, width: usize, room: usize) -> Vec<Line> {
    let operations = &run.operations;
    if operations.is_empty() {
        return vec![labelled("operations", vec![(Tone::Bad, "none was measured".to_owned())]), Line::default()];
    }
    // The blank line after the operations takes one.
    let room = room.saturating_sub(1);
    let fit = if operations.len() * 2 <= room { operations.len() } else { room.saturating_sub(1) / 2 };
    let cells: Vec<[String; 4]> = operations.iter().take(fit).map(percentiles).collect();
    let widest = |column: usize| cells.iter().map(|row| line::width(&row[column])).max().unwrap_or(0);
    let mut columns = vec![0, 1, 2, 3];
    if LABEL + columns.iter().map(|column| widest(*column) + 2).sum::<usize>() > width + 2 {
        columns.remove(1);
    }
    let mut lines = Vec::new();
    for (operation, row) in operations.iter().zip(&cells) {
        lines.push(outcome(operation));
        let texts = columns.iter().map(|column| (Tone::Plain, pad(&row[*column], widest(*column) + 2)));
        lines.push(labelled("", texts.collect()));
    }
    if fit < operations.len() {
        let more = format!("… and {} more in the report", operations.len() - fit);
        lines.push(labelled("", vec![(Tone::Dim, more)]));
    }
    lines.push(Line::default());
    lines
}

fn outcome(operation: &OperationResult) -> Line {
    let failed = wording::failures(operation);
    let asked = match operation.target_rate {
        Some(rate) => format!(" of {}/s", format::significant(rate)),
        None => wording::unscheduled(operation.arrivals).to_owned(),
    };
    let mut parts = vec![(
        Tone::Plain,
        format!("{}: {} of {} ok", operation.phase, format::count(operation.ok), format::count(operation.count)),
    )];
    if failed > 0 {
        parts.push((Tone::Bad, format!(", {} failed ({})", format::count(failed), wording::tally(&operation.failed))));
    }
    parts.push((Tone::Plain, format!(", {}/s{asked}", format::significant(operation.achieved_rate))));
    if let Some(knee) = operation.knee_rate {
        parts.push((Tone::Plain, format!(", knee {}/s", format::significant(knee))));
    }
    labelled_in(Tone::Bold, &operation.op, parts)
}

/// Three percentiles and the count behind them.
fn percentiles(operation: &OperationResult) -> [String; 4] {
    let latency = &operation.latency_ns;
    let [p50, p90, p99] =
        [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99)].map(|(name, percentile)| {
            let figure = wording::percentile(percentile, operation.deadline_ns);
            match figure.interval {
                Some(interval) => format!("{name} {} {interval}", figure.value),
                None => format!("{name} {}", figure.value),
            }
        });
    [p50, p90, p99, format!("n {}", format::count(latency.n))]
}

/// Every threshold where there is room, missed ones first.
fn thresholds(all: &[ThresholdResult], width: usize) -> Vec<Line> {
    const SHOWN: usize = 5;
    let mut ordered: Vec<&ThresholdResult> = all.iter().collect();
    ordered.sort_by_key(|threshold| threshold.ok);
    let fit = if ordered.len() > SHOWN { SHOWN - 1 } else { ordered.len() };
    let names: Vec<String> = ordered.iter().take(fit).map(|threshold| wording::printable(&threshold.name)).collect();
    let widest = names.iter().map(|name| line::width(name)).max().unwrap_or(0).min(width / 3);
    let mut lines = Vec::new();
    for (index, (threshold, name)) in ordered.iter().zip(&names).enumerate() {
        let (tone, sign) = if threshold.ok { (Tone::Good, "✓ ") } else { (Tone::Bad, "✗ ") };
        let distance = wording::threshold_distance(threshold);
        let measured = match threshold.value {
            Some(_) => format!("{}, {distance}", wording::threshold_number(&threshold.name, threshold.value)),
            None => distance,
        };
        let parts = vec![(tone, sign.to_owned()), (Tone::Plain, pad(name, widest + 2)), (Tone::Plain, measured)];
        lines.push(labelled(if index == 0 { "thresholds" } else { "" }, parts));
    }
    if fit < ordered.len() {
        let rest = wording::thresholds(all).text;
        lines.push(labelled("", vec![(Tone::Dim, format!("… {rest}, all in the report"))]));
    }
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines
}

/// `place` is where the warnings can be read.
fn validity(validity: &Validity, warnings: usize, place: &str, width: usize) -> Vec<Line> {
    const SHOWN: usize = 3;
    let word = wording::verdict(validity.verdict);
    let (tone, silent) = match validity.verdict {
        Verdict::Valid => (Tone::Good, "nothing was found that speaks against the figures"),
        Verdict::Suspect => (Tone::Bad, "no reason was recorded"),
    };
    let reasons = &validity.reasons;
    let fit = if reasons.len() > SHOWN { SHOWN - 1 } else { reasons.len() };
    let mut texts: Vec<String> = reasons.iter().take(fit).cloned().collect();
    if fit < reasons.len() {
        texts.push(format!("… and {} more in the report", reasons.len() - fit));
    }
    if texts.is_empty() {
        texts.push(silent.to_owned());
    }
    let mut lines = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let label = if index == 0 { word } else { "" };
        let content = wrap(text, width - LABEL, 1).into_iter().next().unwrap_or_default();
        lines.push(labelled_in(tone, label, vec![(Tone::Plain, content)]));
    }
    if warnings > 0 {
        let warnings = format::counted(warnings as u64, "warning");
        lines.push(labelled("", vec![(Tone::Dim, format!("{warnings} in {place}"))]));
    }
    lines
}

fn statement(label: &str, statement: &Statement, width: usize) -> Vec<Line> {
    let (tone, sign) = match statement.standing {
        Standing::Good => (Tone::Good, "✓ "),
        Standing::Bad => (Tone::Bad, "✗ "),
        Standing::Unknown => (Tone::Dim, "– "),
    };
    let texts = wrap(&statement.text, width - LABEL - 2, 2);
    let line = |(index, text)| {
        let (label, sign) = if index == 0 { (label, sign) } else { ("", "  ") };
        labelled(label, vec![(tone, sign.to_owned()), (Tone::Plain, text)])
    };
    texts.into_iter().enumerate().map(line).collect()
}

fn text(label: &str, text: &str, width: usize, most_lines: usize) -> Vec<Line> {
    let texts = wrap(text, width - LABEL, most_lines).into_iter().enumerate();
    texts.map(|(index, text)| labelled(if index == 0 { label } else { "" }, vec![(Tone::Plain, text)])).collect()
}

fn labelled(label: &str, parts: Vec<(Tone, String)>) -> Line {
    labelled_in(Tone::Dim, label, parts)
}

fn labelled_in(tone: Tone, label: &str, mut parts: Vec<(Tone, String)>) -> Line {
    parts.insert(0, (tone, pad(&wording::printable(label), LABEL)));
    Line::new(parts)
}
