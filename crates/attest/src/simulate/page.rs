//! The page: one file that needs nothing else, readable without scripts.

mod chart;
mod curves;
mod tables;

use peermark_page::document::{self, check};
use peermark_page::format;
use peermark_page::markup::Markup;
use peermark_page::wording::{Standing, Statement};

use super::document::AdversaryReport;
use super::words;

/// What this page adds to the common style: keys of charts.
const STYLE: &str = "\
.key { list-style: none; margin: 0 0 12px; padding: 0; display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 13px; color: var(--muted); }\
.key li::before { content: \"\"; display: inline-block; width: 18px; height: 3px; margin-right: 6px; vertical-align: middle; background: var(--c); }\
.many { display: grid; gap: 20px 32px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); margin-bottom: 28px; }\
.many figure { margin: 0; max-width: 420px; }";

/// The parts of the page that can be jumped to: anchor and title.
const PARTS: [(&str, &str); 5] = [
    ("gates", "Gates"),
    ("breaking", "Breaking points"),
    ("shares", "Shares of liars"),
    ("rows", "Every setting"),
    ("reading", "How to read"),
];

pub(super) fn html(report: &AdversaryReport) -> String {
    document::html("Liars against the estimates – peermark", STYLE, "gates", "", |page| body(page, report))
}

fn body(page: &mut Markup, report: &AdversaryReport) {
    headline(page, report);
    document::navigation(page, &PARTS);
    document::part(page, &PARTS, "gates", |page| tables::gates(page, report));
    document::part(page, &PARTS, "breaking", |page| tables::breaking(page, report));
    document::part(page, &PARTS, "shares", |page| curves::write(page, report));
    document::part(page, &PARTS, "rows", |page| tables::rows(page, report));
    document::part(page, &PARTS, "reading", guide);
}

fn headline(page: &mut Markup, report: &AdversaryReport) {
    page.nest("header", &[], |page| {
        page.element("p", &[("class", "brand")], "peermark adversary suite");
        page.element("h1", &[], "What liars do to the estimates");
        let facts = [
            ("attesters", format::count(u64::from(report.setup.attesters))),
            ("hosters", format::count(u64::from(report.setup.hosters))),
            ("trials", format::count(u64::from(report.trials))),
            ("epochs", format::count(u64::from(report.epochs))),
            ("seed", report.seed.to_string()),
            ("version", report.version.clone()),
        ];
        page.nest("p", &[("class", "meta")], |page| {
            for (term, value) in &facts {
                page.nest("span", &[], |page| {
                    page.text(term);
                    page.text(" ");
                    page.element("b", &[], value);
                });
                page.text(" ");
            }
        });
        let not_held = report.gates.iter().filter(|gate| !gate.held).count();
        let few = report.gates.iter().filter(|gate| words::outcome(gate) == words::TOO_FEW).count();
        let (standing, text) = match not_held - few {
            0 if few == 0 => (Standing::Good, format!("all {} gates hold", report.gates.len())),
            0 => (Standing::Bad, format!("too few trials to show {few} of {} gates", report.gates.len())),
            missed => (Standing::Bad, format!("{missed} of {} gates are missed", report.gates.len())),
        };
        page.nest("ul", &[("class", "checks")], |page| check(page, "Gates ", &Statement { standing, text }));
    });
    page.nest("div", &[("class", "warnings")], |page| {
        page.element("h2", &[], "What limits the use of these figures");
        page.nest("ul", &[], |page| report.warnings.iter().for_each(|warning| page.element("li", &[], warning)));
    });
}

fn guide(page: &mut Markup) {
    document::terms(
        page,
        &[
            (
                "friends, victims",
                "the hosters that liars praise and run down; a figure is the mean of estimate / truth - 1",
            ),
            ("tau", "Kendall's tau-b between the order of the estimates and the true order: 1 is the same order"),
            ("false-qualify", "share of friends at 0.8 of the promised rate that were said to keep it (W2)"),
            ("wrong-fail", "share of victims at 1.25 of the promised rate that were said to break it (W2)"),
            ("unproven", "share of those victims about which nothing was said, or a dispute"),
            ("flags right, found", "share of the flagged attesters that lie; share of the liars that are flagged"),
            ("coverage", "share of the 95 % intervals that hold the true rate"),
            ("disputed", "share of trials that end with the circuit breaker open: nothing new is published"),
            (
                "breaks at",
                "smallest share of liars at which a gate on bias, order, coverage or verdicts breaks while most trials are not disputed",
            ),
        ],
    );
}
