//! The charts, each with a title and a description in words, and the table of faults that the charts number.

use peermark_page::chart::figure;
use peermark_page::format;
use peermark_page::markup::Markup;
use peermark_page::table::{Column, number, table, words};

use crate::report::chart::{self, Width};
use crate::report::wording;
use crate::result::{OperationResult, RunResult};

const FAULTS: [Column; 6] =
    [("No.", true), ("Fault", false), ("Node", true), ("At", true), ("Verified", false), ("What was seen", false)];

pub(super) fn write(page: &mut Markup, run: &RunResult) {
    distributions(page, run);
    over_time(page, run);
}

fn distributions(page: &mut Markup, run: &RunResult) {
    let names = super::names(run);
    super::part(page, "distribution", |page| {
        if run.operations.iter().all(|operation| operation.cdf.is_empty()) {
            page.element("p", &[], "There are no values to draw.");
            return;
        }
        page.element(
            "p",
            &[("class", "lead")],
            "Share of all operations that ended within a latency. All charts share one axis. Dots are p50, p90 and p99, the \
             bars through them their 95 % intervals. A curve that ends below 100 % leaves room for the operations that failed; a \
             dotted curve has too few values for a median.",
        );
        page.nest("div", &[("class", "grid")], |page| {
            for (index, operation) in
                run.operations.iter().enumerate().filter(|(_, operation)| !operation.cdf.is_empty())
            {
                let title = format!("{} in phase {}", operation.op, operation.phase);
                page.nest("figure", &[], |page| {
                    page.nest("figcaption", &[], |page| {
                        page.element("b", &[], &operation.op);
                        let failed = match wording::failures(operation) {
                            0 => String::new(),
                            failed => format!(", {} failed", format::count(failed)),
                        };
                        let count = format::count(operation.latency_ns.n);
                        page.text(&format!(" {}, n {count}{failed}", operation.phase));
                    });
                    let slot = super::slot(&names, &operation.op);
                    let label = format!("Latency distribution of {title}");
                    figure(
                        page,
                        &format!("cdf{index}"),
                        "",
                        &label,
                        &spoken(operation),
                        chart::cdf(operation, &run.operations, slot),
                    );
                });
            }
        });
    });
}

fn over_time(page: &mut Markup, run: &RunResult) {
    let names = super::names(run);
    super::part(page, "time", |page| {
        let widths = [(Width::Page, "wide"), (Width::Phone, "narrow")];
        if run.operations.iter().all(|operation| operation.timeline.is_empty()) {
            page.element("p", &[], "There are no slices of time to draw.");
        } else {
            page.element(
                "p",
                &[("class", "lead")],
                "Completed operations per second, dashed where a rate was asked for, crosses where operations failed. Below, the \
                 median latency of each slice as a line and a band from it to the 99th percentile (the largest value below 100 \
                 operations). A slice with fewer than 6 operations is a hollow dot; where nothing was measured nothing is drawn. \
                 Numbered lines are faults.",
            );
            page.nest("figure", &[], |page| {
                for (width, class) in widths {
                    if let Some(drawing) = chart::timeline(run, &names, width) {
                        let described = described(run);
                        figure(page, class, class, "Throughput and latency over time", &described, drawing);
                    }
                }
            });
        }
        faults(page, run);
    });
}

fn spoken(operation: &OperationResult) -> String {
    let latency = &operation.latency_ns;
    let figures = [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99)].map(|(name, percentile)| {
        let figure = wording::percentile(percentile, operation.deadline_ns);
        let interval = figure.interval.map_or_else(String::new, |interval| format!(", 95 % interval {interval}"));
        format!("{name} {}{interval}", figure.value)
    });
    let failed = format::count(wording::failures(operation));
    format!("{}; {} values, {failed} failed.", figures.join("; "), format::count(latency.n))
}

fn described(run: &RunResult) -> String {
    let phases = run.operations.iter().map(|operation| {
        format!(
            "{} in phase {}: {} per second, {} failed",
            operation.op,
            operation.phase,
            format::significant(operation.achieved_rate),
            format::count(wording::failures(operation))
        )
    });
    let faults = format::counted(run.faults.len() as u64, "fault");
    format!("{}. {faults}.", phases.collect::<Vec<_>>().join("; "))
}

fn faults(page: &mut Markup, run: &RunResult) {
    if run.faults.is_empty() {
        page.element("p", &[], "No fault was injected.");
        return;
    }
    table(page, "faults", "Faults that were injected", &FAULTS, |page| {
        page.nest("tbody", &[], |page| {
            for (index, fault) in run.faults.iter().enumerate() {
                page.nest("tr", &[], |page| {
                    number(page, &(index + 1).to_string(), &[]);
                    words(page, &fault.action, &[]);
                    number(page, &fault.node.to_string(), &[]);
                    number(page, &format::span(fault.at_ns), &[]);
                    let (class, text) =
                        if fault.verified { ("mark good", "✓ verified") } else { ("mark bad", "✗ not verified") };
                    page.nest("td", &[], |page| page.element("span", &[("class", class)], text));
                    words(page, &fault.detail, &[]);
                });
            }
        });
    });
}
