//! The grid as a page that needs nothing else.

use peermark_page::document;
use peermark_page::format;
use peermark_page::markup::Markup;
use peermark_page::table;
use peermark_page::wording::{Standing, Statement};

use super::document::{FleetCell, FleetDocument, FleetNode};
use super::state::{CellState, value_in_words};
use super::terminal::{cell_line, headline, node_line, sign};
use crate::spark::{age, line};

const PARTS: &document::Parts =
    &[("grid", "Nodes and tasks"), ("alerts", "Alerts"), ("problems", "What to do"), ("terms", "Words")];

const STYLE: &str = include_str!("page/fleet.css");

/// Served pages look again; a page that was saved stays as it is.
const SCRIPT: &str = "if (location.protocol.startsWith('http')) setTimeout(() => location.reload(), 30000);";

/// Tasks whose trouble is told on the page.
const MAX_PROBLEMS: usize = 200;

/// The page.
pub fn html(fleet: &FleetDocument) -> String {
    document::html("peermark fleet", STYLE, "grid", SCRIPT, |page| {
        page.element("p", &[("class", "brand")], "peermark fleet");
        page.element("h1", &[], headline(fleet).trim_end());
        page.nest("ul", &[("class", "checks")], |page| {
            document::check(page, "Silence", &silence(fleet));
            document::check(page, "Tasks", &tasks(fleet));
        });
        document::navigation(page, PARTS);
        document::part(page, PARTS, "grid", |page| grid(page, fleet));
        document::part(page, PARTS, "alerts", |page| alerts(page, fleet));
        document::part(page, PARTS, "problems", |page| problems(page, fleet));
        document::part(page, PARTS, "terms", |page| document::terms(page, TERMS));
    })
}

const TERMS: &[(&str, &str)] = &[
    ("? silent", "the node has not answered for several questions in a row; what it said before no longer counts"),
    ("✗ failed", "the latest attempt at the task did not come to its end"),
    ("! findings", "the task ran and found something wrong with the node"),
    ("~ stale", "the latest success is older than the schedule allows"),
    ("age", "how old the latest success is: as the node says, plus the time since it said so"),
];

fn silence(fleet: &FleetDocument) -> Statement {
    let silent = fleet.nodes_in(CellState::Silent);
    let standing = if silent == 0 { Standing::Good } else { Standing::Bad };
    let text = match silent {
        0 => "every node answers".to_owned(),
        n => format!("{} without an answer", format::counted(n as u64, "node")),
    };
    Statement { standing, text }
}

fn tasks(fleet: &FleetDocument) -> Statement {
    let cells = || fleet.nodes.iter().flat_map(|node| &node.tasks);
    let known = cells().filter(|cell| cell.state != CellState::NotConfigured).count();
    let bad = cells().filter(|cell| cell.state.is_bad() && cell.state != CellState::Silent).count();
    let (standing, text) = match (known, bad) {
        (0, _) => (Standing::Unknown, "no task is known yet".to_owned()),
        (n, 0) => (Standing::Good, format!("nothing is known to be wrong, in {}", format::counted(n as u64, "task"))),
        (n, bad) => {
            (Standing::Bad, format!("{bad} of {} failed, stale or with findings", format::counted(n as u64, "task")))
        }
    };
    Statement { standing, text }
}

fn grid(page: &mut Markup, fleet: &FleetDocument) {
    let region = [("class", "scroll"), ("role", "region"), ("aria-label", "Nodes and tasks"), ("tabindex", "0")];
    page.nest("div", &region, |page| {
        page.nest("table", &[("id", "fleet")], |page| {
            page.element("caption", &[], "Worst first; ages of the latest success");
            page.nest("thead", &[], |page| {
                page.nest("tr", &[], |page| {
                    page.element("th", &[("scope", "col")], "node");
                    page.element("th", &[("scope", "col")], "state");
                    for task in &fleet.tasks {
                        page.element("th", &[("scope", "col")], task);
                    }
                });
            });
            page.nest("tbody", &[], |page| {
                for node in &fleet.nodes {
                    row(page, fleet, node);
                }
            });
        });
    });
}

fn row(page: &mut Markup, fleet: &FleetDocument, node: &FleetNode) {
    page.nest("tr", &[], |page| {
        page.nest("th", &[("scope", "row")], |page| {
            page.text(&node.name);
            let version = node.version.as_deref().unwrap_or("not heard of yet");
            page.element("small", &[], version);
        });
        page.nest("td", &[("class", class(node.state))], |page| {
            page.text(node.state.as_str());
            if node.state == CellState::Silent || node.error.is_some() {
                page.element("small", &[], &format!("for {}", age(node.quiet_s)));
            }
            if let Some(pause) = &node.paused {
                page.element("small", &[], &format!("paused until {}", format::utc(pause.until_ms)));
            }
        });
        for task in &fleet.tasks {
            match node.tasks.iter().find(|cell| cell.task == *task) {
                Some(cell) => draw(page, node, cell),
                None => page.element("td", &[("class", "cell")], ""),
            }
        }
    });
}

fn draw(page: &mut Markup, node: &FleetNode, cell: &FleetCell) {
    page.nest("td", &[("class", class(cell.state))], |page| {
        page.element("span", &[("aria-hidden", "true")], sign(node, &cell.task));
        page.element("span", &[("class", "spoken")], cell.state.as_str());
        if let Some(age_s) = cell.age_s {
            page.element("small", &[], &age(age_s));
        }
        if let Some(value) = cell.value {
            page.element("small", &[], &value_in_words(value, cell.unit));
        }
        if cell.trend.len() > 1 {
            page.element("small", &[("class", "trend")], &line(&cell.trend));
        }
    });
}

fn class(state: CellState) -> &'static str {
    match state {
        CellState::Silent | CellState::Failed => "cell bad",
        CellState::Findings | CellState::Stale => "cell note",
        CellState::Ok => "cell good",
        CellState::Waiting | CellState::Skipped | CellState::NotConfigured => "cell",
    }
}

fn alerts(page: &mut Markup, fleet: &FleetDocument) {
    if fleet.alerts.is_empty() {
        page.element("p", &[("class", "lead")], "No alert is raised.");
        return;
    }
    let columns = [("alert", false), ("node", false), ("task", false), ("since", false), ("what was found", false)];
    table::table(page, "raised", "Alerts that are raised", &columns, |page| {
        page.nest("tbody", &[], |page| {
            for alert in &fleet.alerts {
                page.nest("tr", &[], |page| {
                    page.element("th", &[("scope", "row")], &alert.alert);
                    table::words(page, &alert.node, &[]);
                    table::words(page, alert.task.as_deref().unwrap_or("the node"), &[]);
                    table::words(page, &format::utc(alert.since_ms), &[]);
                    table::words(page, &alert.detail, &[]);
                });
            }
        });
    });
}

fn problems(page: &mut Markup, fleet: &FleetDocument) {
    let bad: Vec<&FleetNode> = fleet.nodes.iter().filter(|node| node.is_worth_words()).collect();
    if bad.is_empty() {
        page.element("p", &[("class", "lead")], "Nothing.");
        return;
    }
    let mut left = MAX_PROBLEMS;
    page.nest("ul", &[], |page| {
        for node in bad {
            page.nest("li", &[], |page| {
                page.text(&node_line(node));
                let cells = node.tasks.iter().filter(|cell| cell.state.is_bad() && cell.state != CellState::Silent);
                let cells: Vec<&FleetCell> = cells.take(left).collect();
                left -= cells.len();
                if cells.is_empty() {
                    return;
                }
                page.nest("ul", &[], |page| {
                    for cell in cells {
                        let advice = cell.advice.as_ref().map_or_else(String::new, |advice| format!(" → {advice}"));
                        page.element("li", &[], &format!("{}{advice}", cell_line(cell)));
                    }
                });
            });
        }
    });
}
