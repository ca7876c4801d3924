//! The tables of operations: what was asked for and what came back, and every percentile with its interval and count.

use crate::report::wording;
use crate::result::{Distribution, OperationResult, Percentile, RunResult};
use peermark_page::format::{self, ABSENT};
use peermark_page::markup::Markup;

use peermark_page::table::{Column, number, table, words};

const OUTCOMES: [Column; 9] = [
    ("Operation", false),
    ("Arrivals", false),
    ("Count", true),
    ("OK", true),
    ("Failed", true),
    ("Completed", true),
    ("Knee", true),
    ("Payload", true),
    ("Deadline", true),
];

const PERCENTILES: [Column; 6] =
    [("Operation", false), ("Clock", false), ("p50", true), ("p90", true), ("p99", true), ("Maximum", true)];

pub(super) fn write(page: &mut Markup, run: &RunResult) {
    super::part(page, "operations", |page| {
        if run.operations.is_empty() {
            page.element("p", &[], "No operation was measured, so there are no figures.");
            return;
        }
        table(page, "percentiles", "Percentiles with 95 % intervals and counts", &PERCENTILES, |page| {
            for operation in &run.operations {
                percentiles(page, operation);
            }
        });
        table(page, "outcomes", "What was asked for and what came back", &OUTCOMES, |page| {
            page.nest("tbody", &[], |page| {
                for operation in &run.operations {
                    page.nest("tr", &[], |page| outcome(page, operation));
                }
            });
        });
    });
}

fn name(page: &mut Markup, operation: &OperationResult, rows: &'static str) {
    page.nest("th", &[("scope", "rowgroup"), ("rowspan", rows)], |page| {
        page.text(&operation.op);
        page.element("small", &[], &operation.phase);
    });
}

fn outcome(page: &mut Markup, operation: &OperationResult) {
    page.nest("th", &[("scope", "row")], |page| {
        page.text(&operation.op);
        page.element("small", &[], &operation.phase);
    });
    words(page, wording::arrivals(operation.arrivals), &[]);
    number(page, &format::count(operation.count), &[]);
    number(page, &format::count(operation.ok), &[]);
    let culprits = wording::tally(&operation.culprits);
    let culprits = if culprits.is_empty() { culprits } else { format!("to mend: {culprits}") };
    number(page, &format::count(wording::failures(operation)), &[&wording::tally(&operation.failed), &culprits]);
    let rate = |rate: f64| format!("{}/s", format::significant(rate));
    let asked = operation.target_rate.map_or_else(String::new, |target| format!("asked for {}", rate(target)));
    number(page, &rate(operation.achieved_rate), &[&asked]);
    match operation.knee_rate {
        Some(knee) => number(page, &rate(knee), &[]),
        None => number(page, ABSENT, &["not searched"]),
    }
    let payload = format::bytes(operation.bytes).to_string();
    number(page, &payload, &[&format::throughput(operation.bytes, operation.duration_ns)]);
    number(page, &format::duration(operation.deadline_ns).to_string(), &[]);
}

fn percentiles(page: &mut Markup, operation: &OperationResult) {
    let notes = notes(operation);
    let clocks = [
        ("latency", "from the intended start", &operation.latency_ns),
        ("service", "from the real start", &operation.service_ns),
        ("slip", "lateness of the generator", &operation.slip_ns),
    ];
    page.nest("tbody", &[("class", "group")], |page| {
        for (index, (clock, meaning, distribution)) in clocks.into_iter().enumerate() {
            page.nest("tr", &[("class", clock)], |page| {
                if index == 0 {
                    name(page, operation, if notes.is_empty() { "3" } else { "4" });
                }
                page.nest("th", &[("scope", "row"), ("class", "clock")], |page| {
                    page.text(clock);
                    page.element("small", &[], meaning);
                });
                for percentile in [distribution.p50, distribution.p90, distribution.p99] {
                    figure(page, percentile, distribution, operation.deadline_ns);
                }
                let max = distribution.max.map_or_else(|| ABSENT.to_owned(), |ns| format::duration(ns).to_string());
                number(page, &max, &[&format!("n {}", format::count(distribution.n))]);
            });
        }
        if !notes.is_empty() {
            page.nest("tr", &[("class", "notes")], |page| {
                page.nest("td", &[("colspan", "5")], |page| {
                    page.nest("ul", &[], |page| notes.iter().for_each(|note| page.element("li", &[], note)));
                });
            });
        }
    });
}

fn figure(page: &mut Markup, percentile: Option<Percentile>, distribution: &Distribution, deadline_ns: u64) {
    let figure = wording::percentile(percentile, deadline_ns);
    let count = format!("n {}", format::count(distribution.n));
    let detail = figure.interval.map_or_else(|| count.clone(), |interval| format!("{interval} {count}"));
    number(page, &figure.value, &[&detail]);
}

/// Why there is no number, or what a number means that is not plain.
fn notes(operation: &OperationResult) -> Vec<String> {
    let mut notes = operation.notes.clone();
    let distributions = [&operation.latency_ns, &operation.service_ns, &operation.slip_ns];
    let all = || distributions.iter().flat_map(|d| [d.p50, d.p90, d.p99]);
    if notes.is_empty() && all().any(|percentile| percentile.is_none()) {
        notes.push(format!("{ABSENT}: the run recorded no reason"));
    }
    if all().flatten().any(|percentile| percentile.censored) {
        notes.push(format!(
            "≥: the percentile falls among failed operations, so the true value is at least the deadline of {}",
            format::duration(operation.deadline_ns)
        ));
    }
    notes
}
