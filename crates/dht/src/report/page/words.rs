//! What page and terminal say in the same words.

use peermark_page::format::{self, ABSENT};
use peermark_page::wording::{self, Figure};

use crate::report::document::{ChangeFigures, DhtReport, LatencyFigures, Percentile, Share};

pub(crate) fn quantile(percentile: Percentile) -> peermark_judge::Quantile {
    let Percentile { value, low, high, censored } = percentile;
    peermark_judge::Quantile { value, low, high, censored }
}

/// A percentile and its interval. The value of a censored one is the deadline.
pub(crate) fn percentile(percentile: Option<Percentile>) -> Figure {
    let deadline_ns = percentile.map_or(u64::MAX, |percentile| percentile.value);
    wording::percentile(percentile.map(quantile), deadline_ns)
}

pub(crate) fn period(report: &DhtReport) -> String {
    format!("from {} until {}", format::utc(report.period.from_ms), format::utc(report.period.until_ms))
}

/// The region, or what stands for all of them.
pub(crate) fn region(figures: &LatencyFigures, report: &DhtReport) -> String {
    match figures.region.as_deref() {
        None if report.regions_are_labels || report.regions.is_empty() => "all".to_owned(),
        None => "composite".to_owned(),
        Some("") => "(none)".to_owned(),
        Some(region) => region.to_owned(),
    }
}

/// `+12 % [+3, +22], worse`.
pub(crate) fn change(change: &ChangeFigures) -> String {
    let percent = |ratio: f64| {
        let value = (ratio - 1.0) * 100.0;
        if value.abs() < 9.95 { format!("{value:+.1}") } else { format!("{value:+.0}") }
    };
    let interval = format!("[{}, {}]", percent(change.low), percent(change.high));
    format!("{} % {interval} {}", percent(change.ratio), change.verdict)
}

/// `[0.8 %, 2.1 %]`.
pub(crate) fn interval(share: &Share) -> String {
    format!("[{}, {}]", format::percent(share.low), format::percent(share.high))
}

pub(crate) fn share(share: Option<f64>) -> String {
    share.map_or_else(|| ABSENT.to_owned(), format::percent)
}

/// What people call the operation.
pub(crate) fn operations(operation: &str) -> &'static str {
    if operation == "provide" { "Publish" } else { "Lookup" }
}
