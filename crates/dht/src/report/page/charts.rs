//! Distributions and boxes, per fleet and operation: the regions side by side, or all of them as one where regions are only labels.

use peermark_page::chart::{self, BoxRow, Curve, Domain, SERIES};
use peermark_page::format;
use peermark_page::markup::Markup;

use crate::report::document::{Boxes, DhtReport, LatencyFigures};

use super::words;

/// A percentile that is marked on a curve.
type Mark = (f64, Option<peermark_judge::Quantile>);

pub(super) fn write(page: &mut Markup, report: &DhtReport) {
    let panels = panels(report);
    if panels.is_empty() {
        return page.element("p", &[], "There are no values to draw.");
    }
    page.element(
        "p",
        &[("class", "lead")],
        if report.regions_are_labels {
            "Share of all rows that ended well within a time. Regions are labels, no distance: all of them are drawn as one."
        } else {
            "Share of all rows that ended well within a time, one line per region. A curve that ends below 100 % leaves room for \
             the rows that failed; a dotted one has too few values for a median."
        },
    );
    for (index, panel) in panels.iter().enumerate() {
        let Some(first) = panel.first() else { continue };
        let name = format!("{}, fleet {}", words::operations(&first.operation), first.fleet);
        page.element("h3", &[], &name);
        page.nest("div", &[("class", "pair")], |page| {
            distributions(page, index, &name, panel, report);
            page.nest("figure", &[], |page| box_plots(page, index, &name, panel, report));
        });
    }
}

/// The entries that are drawn together: of one fleet and operation, no composite beside its regions.
fn panels(report: &DhtReport) -> Vec<Vec<&LatencyFigures>> {
    let mut panels: Vec<Vec<&LatencyFigures>> = Vec::new();
    let drawn = report.latencies.iter().filter(|row| row.n > 0 && row.region.is_some() != report.regions_are_labels);
    for operation in ["provide", "retrieve"] {
        for row in drawn.clone().filter(|row| row.operation == operation) {
            match panels.last_mut() {
                Some(panel) if same(panel, row) => panel.push(row),
                _ => panels.push(vec![row]),
            }
        }
    }
    panels
}

fn same(panel: &[&LatencyFigures], row: &LatencyFigures) -> bool {
    panel.iter().all(|other| other.fleet == row.fleet && other.operation == row.operation)
}

/// How many curves each drawing of a panel has: as many as there are colours at most, and about the same number in each.
fn curves_each(panel: usize) -> usize {
    panel.div_ceil(panel.div_ceil(SERIES).max(1)).max(1)
}

/// The curves of a panel, in as many drawings on one common axis as they need.
fn distributions(page: &mut Markup, index: usize, name: &str, panel: &[&LatencyFigures], report: &DhtReport) {
    // The dots of several curves would cover one another; the table has their percentiles.
    let alone = panel.len() == 1;
    let each = curves_each(panel.len());
    let marks: Vec<Vec<Mark>> = panel.iter().map(|row| if alone { marks(row) } else { Vec::new() }).collect();
    let numbered = panel.iter().zip(&marks).enumerate();
    let curves: Vec<Curve<'_>> =
        numbered.map(|(place, (row, marks))| curve(row, marks, place % each, report)).collect();
    let domain = Domain::of(&curves);
    for (part, (rows, curves)) in panel.chunks(each).zip(curves.chunks(each)).enumerate() {
        page.nest("figure", &[], |page| {
            page.element("figcaption", &[], "Distribution");
            key(page, rows, report);
            let described = rows.iter().map(|row| spoken(row, report)).collect::<Vec<_>>().join(" ");
            let drawing = chart::cdf(curves, domain, "latency (log scale)");
            let id = format!("cdf{index}-{part}");
            chart::figure(page, &id, "", &format!("{name}: distribution of latency"), &described, drawing);
        });
    }
}

fn key(page: &mut Markup, rows: &[&LatencyFigures], report: &DhtReport) {
    page.nest("ul", &[("class", "key")], |page| {
        for (slot, row) in rows.iter().enumerate() {
            let label = format!("{}, n {}", words::region(row, report), format::count(row.n));
            page.element("li", &[("class", &format!("s{slot}"))], &label);
        }
    });
}

fn marks(row: &LatencyFigures) -> Vec<Mark> {
    [(0.5, row.p50), (0.9, row.p90), (0.99, row.p99)].map(|(share, p)| (share, p.map(words::quantile))).to_vec()
}

fn curve<'a>(row: &'a LatencyFigures, percentiles: &'a [Mark], slot: usize, report: &DhtReport) -> Curve<'a> {
    let deadline_ns = report.rows.deadline_ns;
    // One failure in thousands would stretch the axis of all to the deadline for nothing that can be seen.
    let shows_deadline = percentiles.iter().any(|(_, percentile)| percentile.is_some_and(|p| p.censored));
    Curve { points: &row.cdf, percentiles, deadline_ns, shows_deadline, supported: row.p50.is_some(), slot }
}

fn spoken(row: &LatencyFigures, report: &DhtReport) -> String {
    let figures = [("p50", row.p50), ("p90", row.p90), ("p99", row.p99)]
        .map(|(name, percentile)| format!("{name} {}", words::percentile(percentile).value));
    format!("{}: {}; {} rows, {} failed.", words::region(row, report), figures.join(", "), row.n, row.failed)
}

fn box_plots(page: &mut Markup, index: usize, name: &str, panel: &[&LatencyFigures], report: &DhtReport) {
    page.element("figcaption", &[], "Quartiles and median, whiskers from the 5th to the 95th percentile");
    if panel.iter().all(|row| row.boxes.is_none()) {
        return page.element("p", &[("class", "absent")], "Too few rows: the 95th percentile needs 59.");
    }
    let each = curves_each(panel.len());
    let rows: Vec<BoxRow> = panel.iter().enumerate().map(|(place, row)| box_row(row, place % each, report)).collect();
    let described = panel.iter().map(|row| spoken(row, report)).collect::<Vec<_>>().join(" ");
    let drawing = chart::boxes(&rows, "latency (log scale)");
    chart::figure(page, &format!("box{index}"), "", &format!("{name}: boxes of latency"), &described, drawing);
}

fn box_row(row: &LatencyFigures, slot: usize, report: &DhtReport) -> BoxRow {
    let levels = row.boxes.map(|Boxes { p5, p25, p50, p75, p95 }| [p5, p25, p50, p75, p95]);
    BoxRow {
        label: format!("{}, n {}", words::region(row, report), format::count(row.n)),
        levels_ns: levels.map(|levels| levels.map(|level| level.unwrap_or(report.rows.deadline_ns))),
        censored: levels.map_or(0, |levels| levels.iter().filter(|level| level.is_none()).count()),
        slot,
    }
}
