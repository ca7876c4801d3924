//! The report as a short table for a terminal.

use peermark_page::format::{self, ABSENT};
use peermark_page::wording::printable;

use super::document::{DhtReport, LatencyFigures};
use super::page::words;

/// Lines of figures; the rest is in the page and in the document.
const MOST_LINES: usize = 60;

pub(super) fn text(report: &DhtReport) -> String {
    let mut lines =
        vec![format!("DHT {}, {} rows of {}", words::period(report), format::count(report.rows.counted), report.place)];
    lines.extend(report.warnings.iter().map(|warning| format!("note: {warning}")));
    lines.push(String::new());
    let head =
        ["operation", "fleet", "region", "n", "failed", "p50", "p90", "p99", "p50 against before"].map(str::to_owned);
    let shown = report.latencies.iter().take(MOST_LINES).map(|figures| cells(figures, report));
    let table: Vec<[String; 9]> = std::iter::once(head).chain(shown).collect();
    let mut widths = [0; 9];
    for row in &table {
        row.iter().zip(&mut widths).for_each(|(cell, width)| *width = (*width).max(cell.chars().count()));
    }
    lines.extend(table.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    }));
    if report.latencies.len() > MOST_LINES {
        lines.push(format!("… and {} more in the report", report.latencies.len() - MOST_LINES));
    }
    lines.join("\n")
}

fn cells(figures: &LatencyFigures, report: &DhtReport) -> [String; 9] {
    let percentile = |percentile| {
        let figure = words::percentile(percentile);
        match figure.interval {
            Some(interval) => format!("{} {interval}", figure.value),
            None => figure.value,
        }
    };
    let failed = match &figures.failed_share {
        Some(share) => format!("{} ({})", format::count(figures.failed), format::percent(share.ratio)),
        None => ABSENT.to_owned(),
    };
    [
        figures.operation.clone(),
        printable(&figures.fleet),
        printable(&words::region(figures, report)),
        format::count(figures.n),
        failed,
        percentile(figures.p50),
        percentile(figures.p90),
        percentile(figures.p99),
        figures.change_p50.as_ref().map_or_else(|| ABSENT.to_owned(), words::change),
    ]
}
