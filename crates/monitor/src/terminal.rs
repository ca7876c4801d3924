//! Documents of one monitor as a terminal shows them.

use std::fmt::Write as _;

use peermark_page::format::{self, ABSENT};
use peermark_page::wording::printable;

use crate::attempt::{Attempt, Status};
use crate::desk::{HistoryDocument, ScheduleDocument, StatusDocument, TaskResult, TaskStatus};
use crate::fleet::state::{CellState, value_in_words};
use crate::spark::{age, line};

/// Characters of a node's id that are shown.
const ID_CHARS: usize = 60;

/// Every task with its state, last result, age, next run and trend, the worst first, each with what to do about it.
pub fn tasks(status: &StatusDocument) -> String {
    let id: String = status.node.chars().take(ID_CHARS).collect();
    let mut out = printable(&format!("{id} · peermark {} · {}", status.version, format::utc(status.now_ms)));
    out.push('\n');
    if let Some(pause) = &status.paused {
        let line = format!("paused until {}: {}", format::utc(pause.until_ms), pause.reason);
        let _ = writeln!(out, "{}", printable(&line));
    }
    let mut tasks: Vec<&TaskStatus> = status.tasks.iter().collect();
    tasks.sort_by_key(|task| task.state);
    let width = tasks.iter().map(|task| task.name.chars().count()).max().unwrap_or(0).max(4);
    let titles = ["state", "last result", "age", "next run"];
    let _ = writeln!(
        out,
        "\n{:width$}  {:<14}  {:>14}  {:>10}  {:>12}  trend",
        "task", titles[0], titles[1], titles[2], titles[3]
    );
    for task in tasks {
        let state = CellState::from(task.state).as_str().replace('_', " ");
        let success = task.success.as_ref();
        let value = success.and_then(|success| success.value);
        let value = value.map_or_else(|| ABSENT.to_owned(), |value| value_in_words(value, task.unit));
        let old = success.map_or_else(|| "never".to_owned(), |success| age(success.age_s));
        let next = next(task, status.now_ms);
        let row =
            format!("{:width$}  {state:<14}  {value:>14}  {old:>10}  {next:>12}  {}", task.name, line(&task.trend));
        let _ = writeln!(out, "{}", printable(row.trim_end()));
        if let Some(reason) = &task.not_configured {
            let _ = writeln!(out, "  {}", printable(reason));
        }
        if let Some(why) = task.attempt.as_ref().and_then(|attempt| attempt.skipped.as_ref()) {
            let _ = writeln!(out, "  skipped: {}", printable(why));
        }
        for problem in &task.problems {
            let said = format!("{}: {} ({})", problem.said.code, problem.said.detail, whose(problem.said.culprit));
            let _ = writeln!(out, "  {}\n    → {}", printable(&said), printable(&problem.advice));
        }
    }
    out
}

fn next(task: &TaskStatus, now_ms: u64) -> String {
    match (task.running_since_ms, task.next_ms) {
        (Some(since_ms), _) => format!("runs {}", age(now_ms.saturating_sub(since_ms) / 1000)),
        (None, Some(next_ms)) => format!("in {}", age(next_ms.saturating_sub(now_ms) / 1000)),
        (None, None) => ABSENT.to_owned(),
    }
}

fn whose(culprit: peermark_core::Culprit) -> &'static str {
    use peermark_core::Culprit::{Observer, Path, Peer, ThirdParty};
    match culprit {
        Observer => "this machine",
        Peer => "the other side",
        Path => "the network between",
        ThirdParty => "somebody else",
    }
}

/// Attempts of a task, oldest first, after the days before them.
pub fn history(history: &HistoryDocument) -> String {
    let mut out = String::new();
    let value = |value| value_in_words(value, history.unit);
    for day in &history.days {
        let date: String = format::utc(day.day_ms).chars().take(10).collect();
        let values = day.values.map_or_else(String::new, |[least, median, most]| {
            format!("  {} to {}, median {}", value(least), value(most), value(median))
        });
        let _ = writeln!(out, "{date:23}  {} ok, {} failed{values}", day.ok, day.failed);
    }
    if history.truncated {
        out.push_str("(older attempts of this time were left out: ask for a shorter time)\n");
    }
    for attempt in &history.attempts {
        let _ = writeln!(out, "{}", printable(attempt_line(attempt, value).trim_end()));
    }
    if out.is_empty() {
        out.push_str("no attempts in this time\n");
    }
    out
}

fn attempt_line(attempt: &Attempt, value: impl Fn(i64) -> String) -> String {
    let result = match attempt.status {
        Status::Ok => attempt.value.map_or_else(|| ABSENT.to_owned(), value),
        Status::Skipped => attempt.skipped.clone().unwrap_or_default(),
        Status::Failed => {
            attempt.failure.as_ref().map_or_else(String::new, |said| format!("{}: {}", said.code, said.detail))
        }
    };
    let found: Vec<&str> = attempt.findings.iter().map(|said| said.code.as_str()).collect();
    let found = if found.is_empty() { String::new() } else { format!("  found {}", found.join(", ")) };
    format!(
        "{}  {:<7}  {:>9}  {:<8}  {result}{found}",
        format::utc(attempt.ended_ms),
        attempt.status.as_str(),
        format::duration(attempt.duration_ns).to_string(),
        attempt.trigger.as_str(),
    )
}

/// When tasks run.
pub fn schedule(schedule: &ScheduleDocument) -> String {
    let mut out = format!("cron expressions in {}\n", printable(&schedule.zone));
    for task in &schedule.tasks {
        let next = task.next_ms.map_or_else(|| ABSENT.to_owned(), format::utc);
        let line = format!("{:<22}  {:<20}  jitter {:>5} s  next {next}", task.name, task.cron, task.jitter_s);
        let _ = writeln!(out, "{}", printable(&line));
    }
    out
}

/// The latest success of some tasks.
pub fn results(results: &[TaskResult]) -> String {
    let mut out = String::new();
    for result in results {
        let head = format!("{}: {}", result.name, result.description);
        let _ = writeln!(out, "{}\n{}", printable(&head), format::utc(result.timestamp.saturating_mul(1000)));
        let json = serde_json::to_string_pretty(&result.result).unwrap_or_default();
        for line in json.lines() {
            let _ = writeln!(out, "  {}", printable(line));
        }
    }
    if results.is_empty() {
        out.push_str("no task has had a success yet\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::{DayRollup, Pause, TaskState};
    use crate::fleet::fixture;

    #[test]
    fn every_task_has_state_result_age_next_run_trend_and_advice() {
        let mut status = fixture::status(
            "16Uiu2",
            vec![
                fixture::task("clock", TaskState::Ok, 2),
                fixture::task("iperf", TaskState::NotConfigured, 0),
                fixture::task("disk", TaskState::Findings, 1),
            ],
        );
        status.paused = Some(Pause { until_ms: fixture::START_MS, reason: "moving\u{1b}[2J house".into() });
        let text = tasks(&status);
        let rows: Vec<&str> = text.lines().collect();
        assert_eq!(rows[1], "paused until 2026-01-01 00:00:00 UTC: moving\u{fffd}[2J house");
        assert_eq!(rows[4], "disk   findings                    40         5 s       in 60 s  ▁▄█");
        assert_eq!(rows[5], "  disk_failing: SMART says <so> (this machine)");
        assert_eq!(rows[6], "    → replace it");
        assert_eq!(rows[7], "clock  ok                          40         5 s       in 60 s  ▁▄█");
        assert!(text.contains("iperf  not configured") && text.contains("\n  no target\n"), "{text}");
    }

    #[test]
    fn history_tells_days_then_attempts() {
        let document = HistoryDocument {
            schema: String::new(),
            name: "disk".into(),
            unit: peermark_core::Unit::Nanoseconds,
            attempts: vec![fixture::attempt("disk", 4), fixture::attempt("disk", 5)],
            truncated: true,
            days: vec![DayRollup { day_ms: fixture::START_MS, ok: 4, failed: 1, values: Some([-5, 0, 7_000]) }],
        };
        let text = history(&document);
        assert!(text.starts_with("2026-01-01               4 ok, 1 failed  -5 ns to 7.00 µs, median 0 ns\n"), "{text}");
        assert!(text.contains("00:00:04 UTC  ok         5.00 ms  schedule  4 ns\n"), "{text}");
        assert!(text.contains("00:00:05 UTC  failed     5.00 ms  schedule  disk_failing: SMART says <so>\n"), "{text}");
    }
}
