//! The page of a run: one file that needs nothing else, on screen, on paper and on a phone.

mod figures;
mod guide;
mod headline;
mod machine;
mod nodes;
mod operations;
mod table;
mod thresholds;

use crate::result::RunResult;

use super::chart::SERIES;
use super::markup::Markup;
use super::wording;

/// Nothing may be loaded, whatever a later edit of the page puts into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// The parts of the page that can be jumped to: anchor and title.
const PARTS: [(&str, &str); 8] = [
    ("operations", "Operations"),
    ("thresholds", "Thresholds"),
    ("distribution", "Distribution"),
    ("time", "Over time"),
    ("nodes", "Nodes"),
    ("machine", "Machine"),
    ("reproduce", "Reproduce"),
    ("reading", "How to read"),
];

pub(crate) fn html(run: &RunResult) -> String {
    let mut page = Markup::default();
    page.literal("<!DOCTYPE html>\n");
    page.nest("html", &[("lang", "en")], |page| {
        page.nest("head", &[], |page| head(page, run));
        page.nest("body", &[], |page| {
            page.element("a", &[("class", "skip"), ("href", "#operations")], "Skip to the figures");
            page.nest("main", &[], |page| body(page, run));
            page.literal(concat!("<script>", include_str!("page/sort.js"), "</script>"));
        });
    });
    page.literal("\n");
    page.finish()
}

fn head(page: &mut Markup, run: &RunResult) {
    page.empty("meta", &[("charset", "utf-8")]);
    page.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    page.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    page.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    page.empty("link", &[("rel", "icon"), ("href", "data:,")]);
    let verdict = wording::verdict(run.validity.verdict);
    page.element("title", &[], &format!("{} – {verdict} – peermark run {}", run.scenario, run.run_id));
    page.literal(concat!(
        "<style>",
        include_str!("page/theme.css"),
        include_str!("page/layout.css"),
        include_str!("page/chart.css"),
        "</style>\n"
    ));
}

fn body(page: &mut Markup, run: &RunResult) {
    headline::write(page, run);
    page.nest("nav", &[("aria-label", "Parts of this page")], |page| {
        page.nest("ul", &[], |page| {
            for (anchor, title) in PARTS {
                page.nest("li", &[], |page| page.element("a", &[("href", &format!("#{anchor}"))], title));
            }
        });
    });
    operations::write(page, run);
    thresholds::write(page, run);
    figures::write(page, run);
    nodes::write(page, run);
    machine::write(page, run);
    guide::write(page);
}

/// A part of the page under its title from [`PARTS`].
fn part(page: &mut Markup, anchor: &'static str, inside: impl FnOnce(&mut Markup)) {
    let title = PARTS.iter().find(|(name, _)| *name == anchor).map_or(anchor, |(_, title)| *title);
    page.nest("section", &[("id", anchor), ("aria-labelledby", &format!("{anchor}-title"))], |page| {
        page.element("h2", &[("id", &format!("{anchor}-title"))], title);
        inside(page);
    });
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
