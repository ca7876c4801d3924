//! The tables of latencies and errors.

use std::collections::BTreeMap;

use peermark_page::format::{self, ABSENT};
use peermark_page::markup::Markup;
use peermark_page::table::{Column, number, table, words as cell};

use crate::report::document::{ChangeFigures, DhtReport, ErrorCount, LatencyFigures, Percentile};

use super::words;

const LATENCIES: [Column; 8] = [
    ("Fleet", false),
    ("Region", false),
    ("n", true),
    ("Failed", true),
    ("p50", true),
    ("p90", true),
    ("p99", true),
    ("Against before", true),
];

const ERRORS: [Column; 5] =
    [("Fleet", false), ("Operation", false), ("Error", false), ("Rows", true), ("Share of rows", true)];

/// Errors of one fleet and operation that are listed one by one.
const MOST_ERRORS: usize = 12;

pub(super) fn latencies(page: &mut Markup, report: &DhtReport) {
    for operation in ["provide", "retrieve"] {
        let rows: Vec<&LatencyFigures> = report.latencies.iter().filter(|row| row.operation == operation).collect();
        if rows.is_empty() {
            continue;
        }
        let caption = format!("{} latency with 95 % intervals", words::operations(operation));
        let id = if operation == "provide" { "publishes" } else { "lookups" };
        table(page, id, &caption, &LATENCIES, |page| {
            page.nest("tbody", &[], |page| {
                rows.iter().for_each(|row| page.nest("tr", &[], |page| latency(page, row, report)));
            });
        });
        reasons(page, &rows, report);
    }
}

fn latency(page: &mut Markup, row: &LatencyFigures, report: &DhtReport) {
    page.element("th", &[("scope", "row")], &row.fleet);
    let detail = match &row.region {
        Some(_) => "",
        None if report.regions_are_labels => "regions are labels, no distance",
        None if report.regions.is_empty() => "",
        None => "of the regions, not a percentile of any user",
    };
    cell(page, &words::region(row, report), &[detail]);
    let before = format!("before {}", format::count(row.n_before));
    number(page, &format::count(row.n), &[&before]);
    match &row.failed_share {
        Some(share) => {
            let count = format::counted(row.failed, "row");
            let bursts = if share.respects_bursts { "" } else { "rows as independent" };
            number(page, &format::percent(share.ratio), &[&count, &words::interval(share), bursts]);
        }
        None => number(page, ABSENT, &[]),
    }
    for percentile in [row.p50, row.p90, row.p99] {
        figure(page, percentile);
    }
    changes(page, row);
}

/// A cell of a percentile.
pub(super) fn figure(page: &mut Markup, percentile: Option<Percentile>) {
    let figure = words::percentile(percentile);
    number(page, &figure.value, &[&figure.interval.unwrap_or_default()]);
}

fn changes(page: &mut Markup, row: &LatencyFigures) {
    page.nest("td", &[("class", "num")], |page| {
        for (name, change) in [("p50", &row.change_p50), ("p90", &row.change_p90)] {
            page.nest("div", &[], |page| one_change(page, name, change.as_ref()));
        }
    });
}

fn one_change(page: &mut Markup, name: &str, change: Option<&ChangeFigures>) {
    let Some(change) = change else {
        return page.element("span", &[("class", "absent")], &format!("{name} {ABSENT}"));
    };
    page.text(&format!("{name} "));
    let class = match change.verdict.as_str() {
        "better" => "mark good",
        "worse" => "mark bad",
        _ => "value",
    };
    let text = words::change(change);
    page.element("span", &[("class", class)], text.trim_end_matches(" cannot be told"));
}

/// Why numbers are missing, each reason once with those that it holds for.
fn reasons(page: &mut Markup, rows: &[&LatencyFigures], report: &DhtReport) {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        for note in &row.notes {
            reasons.entry(note).or_default().push(format!("{} {}", row.fleet, words::region(row, report)));
        }
    }
    if reasons.is_empty() {
        return;
    }
    page.nest("details", &[], |page| {
        page.element("summary", &[], "Why numbers or ends of intervals are missing");
        page.nest("ul", &[], |page| {
            for (reason, whose) in reasons {
                page.element("li", &[], &format!("{reason} ({})", whose.join(", ")));
            }
        });
    });
}

pub(super) fn errors(page: &mut Markup, report: &DhtReport) {
    if report.errors.is_empty() {
        let text = if report.rows.counted == 0 { "There are no rows." } else { "No row failed." };
        return page.element("p", &[], text);
    }
    table(page, "classes", "Why rows failed, in the words of the servers", &ERRORS, |page| {
        page.nest("tbody", &[], |page| {
            let mut listed: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            for error in &report.errors {
                let place = listed.entry((&error.fleet, &error.operation)).or_default();
                *place += 1;
                if *place <= MOST_ERRORS {
                    page.nest("tr", &[], |page| error_row(page, error));
                }
            }
        });
    });
    if report.errors.len() > MOST_ERRORS {
        page.element("p", &[("class", "lead")], "At most 12 per fleet and operation; the rest is in report.json.");
    }
}

fn error_row(page: &mut Markup, error: &ErrorCount) {
    page.element("th", &[("scope", "row")], &error.fleet);
    cell(page, words::operations(&error.operation), &[]);
    cell(page, &error.error, &[]);
    number(page, &format::count(error.count), &[]);
    number(page, &format::percent(error.share), &[]);
}
