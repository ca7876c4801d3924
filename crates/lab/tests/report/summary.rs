//! The end of a terminal session.

use std::path::Path;

use peermark_lab::report;
use peermark_lab::result::RunResult;

use crate::fixture;

fn summary(run: &RunResult, width: usize) -> String {
    report::summary(run, &[Path::new("runs/r1/report.html"), Path::new("runs/r1/result.json")], width, false)
}

#[test]
fn it_reads_like_this() {
    let expected = include_str!("summary.txt");
    let current = summary(&fixture::network(), 100);
    assert_eq!(expected, current, "now it reads:\n{current}");
}

#[test]
fn it_fits_the_terminal() {
    let mut crowded = fixture::network();
    for _ in 0..4 {
        crowded.operations.extend(fixture::network().operations);
        crowded.thresholds.extend(fixture::network().thresholds);
        crowded.validity.reasons.push("steal: ".repeat(60));
    }
    for run in [fixture::network(), fixture::aborted(), crowded] {
        for width in [0, 40, 60, 80, 100, 132, 200] {
            let text = summary(&run, width);
            assert!(text.lines().count() <= 30, "{} lines at {width}:\n{text}", text.lines().count());
            for line in text.lines().filter(|line| !line.contains("runs/r1/")) {
                assert!(line.chars().count() <= width.max(40), "{} columns at {width}: {line}", line.chars().count());
                assert_eq!(line, line.trim_end());
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_counted() {
    let mut run = fixture::network();
    for _ in 0..4 {
        run.operations.extend(fixture::network().operations);
    }
    let text = summary(&run, 100);
    let shown = text.matches(" ok").count();
    assert!(text.contains(&format!("… and {} more in the report", 20 - shown)), "{text}");
}

#[test]
fn a_narrow_terminal_keeps_the_median_and_the_99th_percentile() {
    let text = summary(&fixture::network(), 80);
    assert!(text.contains("p50 22.7 ms [21.8, 23.2]") && text.contains("p99 ≥ 10.0 s") && !text.contains("p90"));
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    let run = fixture::network();
    let coloured = report::summary(&run, &[], 100, true);
    let mut plain = String::new();
    let mut pieces = coloured.split("\u{1b}[");
    plain += pieces.next().unwrap();
    pieces.for_each(|piece| plain += piece.split_once('m').unwrap().1);
    assert_ne!(coloured, plain);
    let without = report::summary(&run, &[], 100, false);
    assert!(!without.contains('\u{1b}'));
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&plain), trimmed(&without));
}

#[test]
fn a_name_cannot_steer_the_terminal() {
    let mut run = fixture::network();
    run.scenario = "\u{1b}[2J\u{7}evil\r\nname".to_owned();
    run.operations[0].op = "\u{1b}]0;title\u{7}".to_owned();
    run.validity.reasons = vec!["\u{1b}[31mred".to_owned()];
    let text = summary(&run, 100);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn an_aborted_run_shows_why() {
    let text = summary(&fixture::aborted(), 100);
    assert!(text.contains("SUSPECT     aborted: interrupted while the nodes started"), "{text}");
    assert!(text.contains("operations  none was measured"), "{text}");
    assert!(text.contains("1 of 3 ready, never all at the same time"), "{text}");
}
