//! The page: one file that needs nothing else, readable without scripts.

mod charts;
mod guide;
mod tables;
mod traces;
pub(super) mod words;

use peermark_page::document;
use peermark_page::format;
use peermark_page::markup::Markup;

use super::document::DhtReport;

/// What this page adds to the common style: keys of charts.
const STYLE: &str = "\
.key { list-style: none; margin: 0 0 6px; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--muted); }\
.key li::before { content: \"\"; display: inline-block; width: 18px; height: 3px; margin-right: 6px; vertical-align: middle; background: var(--c); }\
h3 { font-size: 16px; margin: 24px 0 8px; }\
.pair { display: grid; gap: 20px 40px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); margin-bottom: 28px; }\
.pair figure { margin: 0; max-width: 560px; }\
details { margin: -12px 0 36px; color: var(--muted); font-size: 13px; } summary { cursor: pointer; }";

/// The parts of the page that can be jumped to: anchor and title.
const PARTS: [(&str, &str); 6] = [
    ("latency", "Latency"),
    ("distribution", "Distribution"),
    ("errors", "Errors"),
    ("hits", "Where answers came from"),
    ("anatomy", "Where the time went"),
    ("reading", "How to read"),
];

pub(super) fn html(report: &DhtReport) -> String {
    let title = format!("DHT {} – peermark", words::period(report));
    document::html(&title, STYLE, "latency", "", |page| body(page, report))
}

fn body(page: &mut Markup, report: &DhtReport) {
    headline(page, report);
    document::navigation(page, &PARTS);
    document::part(page, &PARTS, "latency", |page| tables::latencies(page, report));
    document::part(page, &PARTS, "distribution", |page| charts::write(page, report));
    document::part(page, &PARTS, "errors", |page| tables::errors(page, report));
    document::part(page, &PARTS, "hits", |page| traces::hits(page, report));
    document::part(page, &PARTS, "anatomy", |page| traces::anatomy(page, report));
    document::part(page, &PARTS, "reading", guide::write);
}

fn headline(page: &mut Markup, report: &DhtReport) {
    page.nest("header", &[], |page| {
        page.element("p", &[("class", "brand")], "peermark DHT report");
        page.element("h1", &[], "Publish and lookup latency");
        let rows = &report.rows;
        let fleets = if report.fleets.is_empty() { "all".to_owned() } else { report.fleets.join(", ") };
        let facts = [
            ("from", format::utc(report.period.from_ms)),
            ("until", format::utc(report.period.until_ms)),
            ("compared with the period from", format::utc(report.before.from_ms)),
            ("fleets", fleets),
            ("rows", format::count(rows.counted)),
            ("before", format::count(rows.counted_before)),
            ("traces", format::count(rows.traces)),
            ("source", report.place.clone()),
        ];
        page.nest("p", &[("class", "meta")], |page| {
            for (term, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                page.nest("span", &[], |page| {
                    page.text(term);
                    page.text(" ");
                    page.element("b", &[], value);
                });
                page.text(" ");
            }
        });
    });
    if report.warnings.is_empty() {
        return;
    }
    page.nest("div", &[("class", "warnings")], |page| {
        page.element("h2", &[], "What limits the use of these figures");
        page.nest("ul", &[], |page| report.warnings.iter().for_each(|warning| page.element("li", &[], warning)));
    });
}
