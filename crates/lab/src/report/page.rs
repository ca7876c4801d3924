//! The page of a run: one file that needs nothing else, on screen, on paper and on a phone.

mod figures;
mod guide;
mod headline;
mod machine;
mod nodes;
mod operations;
mod self_tests;
mod thresholds;

use peermark_page::chart::SERIES;
use peermark_page::document;
use peermark_page::markup::Markup;

use crate::result::RunResult;

use super::wording;

/// The parts of the page that can be jumped to: anchor and title.
const PARTS: [(&str, &str); 9] = [
    ("operations", "Operations"),
    ("thresholds", "Thresholds"),
    ("distribution", "Distribution"),
    ("time", "Over time"),
    ("nodes", "Nodes"),
    ("self-tests", "Self-tests"),
    ("machine", "Machine"),
    ("reproduce", "Reproduce"),
    ("reading", "How to read"),
];

pub(crate) fn html(run: &RunResult) -> String {
    let verdict = wording::verdict(run.validity.verdict);
    let title = format!("{} – {verdict} – peermark run {}", run.scenario, run.run_id);
    document::html(&title, "", "operations", include_str!("page/sort.js"), |page| body(page, run))
}

fn body(page: &mut Markup, run: &RunResult) {
    headline::write(page, run);
    document::navigation(page, &PARTS);
    operations::write(page, run);
    thresholds::write(page, run);
    figures::write(page, run);
    nodes::write(page, run);
    self_tests::write(page, run);
    machine::write(page, run);
    guide::write(page);
}

/// A part of the page under its title from [`PARTS`].
fn part(page: &mut Markup, anchor: &'static str, inside: impl FnOnce(&mut Markup)) {
    document::part(page, &PARTS, anchor, inside);
}

/// The operations of a run in the order in which they first appear; the place of a name decides its colour.
fn names(run: &RunResult) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for operation in &run.operations {
        if !names.contains(&operation.op.as_str()) {
            names.push(&operation.op);
        }
    }
    names
}

fn slot(names: &[&str], name: &str) -> usize {
    names.iter().position(|known| *known == name).unwrap_or(0) % SERIES
}
