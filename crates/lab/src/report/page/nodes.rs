//! What each node used. Complete without scripts; with them, the columns sort.

use crate::report::wording;
use crate::result::{NodeResources, RunResult};
use peermark_page::format::{self, ABSENT};
use peermark_page::markup::Markup;

use peermark_page::table::{Column, table};

/// The titles are plain nouns because the script makes buttons of them.
const COLUMNS: [Column; 10] = [
    ("Node", true),
    ("Kind", false),
    ("Mode", false),
    ("Peer id", false),
    ("Private memory", true),
    ("CPU", true),
    ("Disk", true),
    ("Network", true),
    ("Peers", true),
    ("State", false),
];

/// What one column of figures is and how its number reads.
struct Figure {
    of: fn(&NodeResources) -> Option<f64>,
    show: fn(f64) -> String,
}

const FIGURES: [Figure; 5] = [
    Figure { of: |node| node.private_bytes.map(|n| n as f64), show: |n| format::bytes(n as u64).to_string() },
    Figure { of: |node| node.cpu_seconds, show: |n| format!("{} s", format::significant(n)) },
    Figure { of: |node| node.disk_bytes.map(|n| n as f64), show: |n| format::bytes(n as u64).to_string() },
    Figure { of: |node| node.net_bytes.map(|n| n as f64), show: |n| format::bytes(n as u64).to_string() },
    Figure { of: |node| node.peers.map(|n| n as f64), show: |n| format::count(n as u64) },
];

pub(super) fn write(page: &mut Markup, run: &RunResult) {
    super::part(page, "nodes", |page| {
        if run.resources.is_empty() {
            page.element("p", &[], "No node was seen.");
            return;
        }
        page.element(
            "p",
            &[("class", "lead")],
            "Memory is the highest private memory during the load, CPU the time used during it, disk and peers the state at the \
             end, network what the node itself counts on its peer connections.",
        );
        let caption = format!("What each of {} used", format::counted(run.resources.len() as u64, "node"));
        table(page, "resources", &caption, &COLUMNS, |page| {
            page.nest("tbody", &[], |page| {
                for node in &run.resources {
                    page.nest("tr", &[], |page| row(page, node));
                }
            });
            page.nest("tfoot", &[], |page| {
                footer(page, "Median", &run.resources, |(median, _, _)| median);
                footer(page, "Largest", &run.resources, |(_, largest, _)| largest);
            });
        });
    });
}

fn row(page: &mut Markup, node: &NodeResources) {
    page.element(
        "th",
        &[("scope", "row"), ("class", "num"), ("data-v", &node.node.to_string())],
        &node.node.to_string(),
    );
    page.element("td", &[], &node.kind);
    page.element("td", &[], &node.mode);
    match &node.peer_id {
        Some(id) => page.nest("td", &[], |page| page.element("code", &[("title", id)], &short(id))),
        None => page.element("td", &[("class", "absent")], ABSENT),
    }
    for figure in &FIGURES {
        cell(page, (figure.of)(node).filter(|value| value.is_finite()), figure.show);
    }
    let class = if node.state == "up" { "state up" } else { "state" };
    page.nest("td", &[], |page| page.element("span", &[("class", class)], &node.state));
}

fn cell(page: &mut Markup, value: Option<f64>, show: fn(f64) -> String) {
    match value {
        Some(value) => page.element("td", &[("class", "num"), ("data-v", &value.to_string())], &show(value)),
        None => page.element("td", &[("class", "num absent")], ABSENT),
    }
}

fn footer(page: &mut Markup, name: &'static str, nodes: &[NodeResources], pick: fn((f64, f64, usize)) -> f64) {
    page.nest("tr", &[], |page| {
        page.element("th", &[("scope", "row"), ("colspan", "4")], name);
        for figure in &FIGURES {
            let spread = wording::spread(nodes, |node| (figure.of)(node).filter(|value| value.is_finite()));
            match spread {
                Some(spread) => page.nest("td", &[("class", "num")], |page| {
                    page.text(&(figure.show)(pick(spread)));
                    page.element("small", &[], &format!("n {}", spread.2));
                }),
                None => page.element("td", &[("class", "num absent")], ABSENT),
            }
        }
        page.element("td", &[], "");
    });
}

/// Beginning and end of a peer id: the beginning is the same for all keys of a kind, the end tells them apart.
fn short(id: &str) -> String {
    let length = id.chars().count();
    if length <= 16 {
        return id.to_owned();
    }
    let head: String = id.chars().take(6).collect();
    let tail: String = id.chars().skip(length - 6).collect();
    format!("{head}…{tail}")
}
