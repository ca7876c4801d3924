//! The fleet as Prometheus text 0.0.4.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use super::document::{FleetCell, FleetDocument, FleetNode};
use super::poll::FleetCounts;
use super::state::CellState;

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The page.
pub fn page(document: &FleetDocument, counts: &FleetCounts) -> String {
    let mut out = String::new();
    let nodes = &document.nodes;
    let up = |node: &FleetNode| Some(i128::from(node.state != CellState::Silent && node.error.is_none()));
    by_node(&mut out, "peermark_fleet_node_up", "Whether the latest question to the node was answered.", nodes, up);
    let quiet = |node: &FleetNode| Some(i128::from(node.quiet_s));
    by_node(&mut out, "peermark_fleet_node_quiet_seconds", "Seconds since the node answered.", nodes, quiet);
    let success = |cell: &FleetCell| match cell.state {
        CellState::Ok | CellState::Findings => Some(1),
        CellState::Failed | CellState::Stale | CellState::Silent => Some(0),
        CellState::Waiting | CellState::Skipped | CellState::NotConfigured => None,
    };
    by_task(
        &mut out,
        "peermark_fleet_task_success",
        "Whether the latest attempt succeeded and is fresh.",
        nodes,
        success,
    );
    let age = |cell: &FleetCell| cell.age_s.map(i128::from);
    by_task(&mut out, "peermark_fleet_task_age_seconds", "Age of the latest success.", nodes, age);
    let value = |cell: &FleetCell| cell.value.map(i128::from);
    by_task(&mut out, "peermark_fleet_task_value", "Value of the latest success in the task's unit.", nodes, value);
    let counters = [
        ("peermark_fleet_polls_total", "Questions asked.", document.polls),
        ("peermark_fleet_failed_polls_total", "Questions without an answer.", document.failed_polls),
        ("peermark_fleet_attempts_total", "Attempts put into the store.", counts.kept.load(Ordering::Relaxed)),
        ("peermark_fleet_not_kept_total", "Histories that were not kept.", counts.not_kept.load(Ordering::Relaxed)),
        ("peermark_fleet_notices_total", "Alerts that receivers took.", counts.delivered.load(Ordering::Relaxed)),
        ("peermark_fleet_lost_notices_total", "Alerts that were given up.", counts.given_up.load(Ordering::Relaxed)),
    ];
    for (name, help, value) in counters {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
    }
    let name = "peermark_fleet_alerts";
    let _ =
        writeln!(out, "# HELP {name} Alerts that are raised.\n# TYPE {name} gauge\n{name} {}", document.alerts.len());
    out
}

fn by_node(out: &mut String, name: &str, help: &str, nodes: &[FleetNode], value: impl Fn(&FleetNode) -> Option<i128>) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
    for node in nodes {
        if let Some(value) = value(node) {
            let _ = writeln!(out, "{name}{{node=\"{}\"}} {value}", label(&node.name));
        }
    }
}

fn by_task(out: &mut String, name: &str, help: &str, nodes: &[FleetNode], value: impl Fn(&FleetCell) -> Option<i128>) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
    for node in nodes {
        for cell in &node.tasks {
            if let Some(value) = value(cell) {
                let (node, task) = (label(&node.name), label(&cell.task));
                let _ = writeln!(out, "{name}{{node=\"{node}\",task=\"{task}\"}} {value}");
            }
        }
    }
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
