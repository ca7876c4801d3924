//! The grid in a terminal: one sign a cell, then in words what has to be looked at.

use std::fmt::Write as _;

use peermark_page::format;
use peermark_page::wording::printable;

use super::document::{FleetCell, FleetDocument, FleetNode};
use super::state::CellState;
use crate::spark::age;

/// Nodes whose trouble is told in words; the grid shows all.
const MAX_IN_WORDS: usize = 20;

/// Longest name that is shown whole.
const MAX_NAME: usize = 28;

/// The grid as text.
pub fn render(document: &FleetDocument) -> String {
    let mut out = headline(document);
    out.push('\n');
    let names: Vec<String> = document.nodes.iter().map(|node| cut(&node.name)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(4);
    let numbers: String = (1..=document.tasks.len()).map(|number| format!("{number:>3}")).collect();
    let _ = writeln!(out, "{:width$}  {:<14}{numbers}", "node", "state");
    for (node, name) in document.nodes.iter().zip(&names) {
        let signs: String = document.tasks.iter().map(|task| format!("{:>3}", sign(node, task))).collect();
        let _ = writeln!(out, "{name:width$}  {:<14}{}", node.state.as_str(), signs.trim_end());
    }
    let legend = document.tasks.iter().enumerate().map(|(index, task)| format!("{} {}", index + 1, printable(task)));
    let legend: Vec<String> = legend.collect();
    if !legend.is_empty() {
        let _ = writeln!(out, "\n{}", legend.join(" · "));
        out.push_str("✓ ok  ! findings  ✗ failed  ~ stale  ? silent  … not run yet  - skipped\n");
    }
    in_words(&mut out, document);
    for alert in &document.alerts {
        let task = alert.task.as_deref().unwrap_or("the node");
        let since = format::utc(alert.since_ms);
        let line = format!("ALERT {} since {since}: {} {task}: {}", alert.alert, alert.node, alert.detail);
        let _ = writeln!(out, "\n{}", printable(&line));
    }
    out
}

/// How many nodes are in which state.
pub fn headline(document: &FleetDocument) -> String {
    let states = CellState::ALL.into_iter().map(|state| (state, document.nodes_in(state)));
    let states: Vec<String> =
        states.filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {}", state.as_str().replace('_', " "))).collect();
    let nodes = format::counted(document.nodes.len() as u64, "node");
    format!("{nodes}: {} · {}\n", states.join(", "), format::utc(document.now_ms))
}

/// The sign of a task at a node; nothing where the node does not run it.
pub(super) fn sign(node: &FleetNode, task: &str) -> &'static str {
    let cell = node.tasks.iter().find(|cell| cell.task == task);
    let state = match cell {
        Some(cell) => cell.state,
        None if node.state == CellState::Silent => CellState::Silent,
        None => CellState::NotConfigured,
    };
    match state {
        CellState::Silent => "?",
        CellState::Failed => "✗",
        CellState::Findings => "!",
        CellState::Stale => "~",
        CellState::Waiting => "…",
        CellState::Skipped => "-",
        CellState::Ok => "✓",
        CellState::NotConfigured => "",
    }
}

fn in_words(out: &mut String, document: &FleetDocument) {
    let bad: Vec<&FleetNode> = document.nodes.iter().filter(|node| node.is_worth_words()).collect();
    for node in bad.iter().take(MAX_IN_WORDS) {
        let _ = writeln!(out, "\n{}", printable(&node_line(node)));
        for cell in node.tasks.iter().filter(|cell| cell.state != CellState::Silent && cell.state.is_bad()) {
            let _ = writeln!(out, "  {}", printable(&cell_line(cell)));
            if let Some(advice) = &cell.advice {
                let _ = writeln!(out, "    → {}", printable(advice));
            }
        }
    }
    if bad.len() > MAX_IN_WORDS {
        let _ = writeln!(out, "\nand {} more", format::counted((bad.len() - MAX_IN_WORDS) as u64, "node"));
    }
}

pub(super) fn node_line(node: &FleetNode) -> String {
    let mut line = format!("{} ({})", node.name, node.url);
    if node.state == CellState::Silent || node.error.is_some() {
        let _ = write!(line, ": no answer for {}", age(node.quiet_s));
    }
    for said in [&node.error, &node.warning].into_iter().flatten() {
        let _ = write!(line, ": {said}");
    }
    if let Some(pause) = &node.paused {
        let _ = write!(line, ": paused until {}: {}", format::utc(pause.until_ms), pause.reason);
    }
    line
}

pub(super) fn cell_line(cell: &FleetCell) -> String {
    let since = cell.age_s.map_or_else(|| "no success yet".to_owned(), |s| format!("latest success {} ago", age(s)));
    let problem = cell.problem.as_ref().map_or_else(String::new, |problem| format!(": {problem}"));
    format!("{} {}, {since}{problem}", cell.task, cell.state.as_str())
}

fn cut(name: &str) -> String {
    let name = printable(name);
    if name.chars().count() <= MAX_NAME {
        return name;
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
}
