//! Tables of the page.

use peermark_page::format;
use peermark_page::markup::Markup;
use peermark_page::table::{self, Column};

use crate::simulate::document::{AdversaryReport, Part, RowLine};
use crate::simulate::words;

const GATES: [Column; 9] = [
    ("world", false),
    ("attack", false),
    ("liars", true),
    ("estimator", false),
    ("gate", false),
    ("limit", true),
    ("measured", true),
    ("behind", true),
    ("", false),
];

const BREAKING: [Column; 4] = [("attack", false), ("breaks at", true), ("gates", false), ("disputed from", true)];

const ROWS: [Column; 13] = [
    ("world", false),
    ("attack", false),
    ("liars", true),
    ("committee", true),
    ("epochs", true),
    ("estimator", false),
    ("friends", true),
    ("victims", true),
    ("tau", true),
    ("false-qualify", true),
    ("wrong-fail", true),
    ("flags right", true),
    ("coverage", true),
];

pub(super) fn gates(page: &mut Markup, report: &AdversaryReport) {
    table::table(page, "gate-table", "Limits that the robust estimate has to hold", &GATES, |page| {
        page.nest("tbody", &[], |page| {
            for gate in &report.gates {
                let (limit, measured) = words::limit(gate);
                page.nest("tr", &[], |page| {
                    table::words(page, words::world(gate.world), &[]);
                    table::words(page, &gate.attack, &[]);
                    table::number(page, &format::percent(gate.liar_share), &[]);
                    table::words(page, words::estimator(gate.estimator), &[]);
                    table::words(page, &gate.gate, &[]);
                    table::number(page, &limit, &[]);
                    table::number(page, &measured, &[]);
                    table::number(page, &words::behind(gate), &[]);
                    table::words(page, words::outcome(gate), &[]);
                });
            }
        });
    });
}

pub(super) fn breaking(page: &mut Markup, report: &AdversaryReport) {
    if report.breaking.is_empty() {
        return page.element("p", &[], "Breaking points were not asked for.");
    }
    table::table(page, "breaking-table", "Robust estimate, 0 to 60 % of liars", &BREAKING, |page| {
        page.nest("tbody", &[], |page| {
            for point in &report.breaking {
                page.nest("tr", &[], |page| {
                    table::words(page, &point.attack, &[]);
                    table::number(page, &point.share.map_or_else(|| "none".to_owned(), format::percent), &[]);
                    table::words(page, &point.gates.join(", "), &[]);
                    let disputed = point.disputed_from.map_or_else(|| "none".to_owned(), format::percent);
                    table::number(page, &disputed, &[]);
                });
            }
        });
    });
}

pub(super) fn rows(page: &mut Markup, report: &AdversaryReport) {
    for (id, part) in
        [("t-gates", Part::Gates), ("t-zoo", Part::Zoo), ("t-sizes", Part::Sizes), ("t-histories", Part::Histories)]
    {
        let rows: Vec<&RowLine> = report.rows.iter().filter(|row| row.part == part).collect();
        if rows.is_empty() {
            continue;
        }
        table::table(page, id, words::part(part), &ROWS, |page| {
            page.nest("tbody", &[], |page| rows.iter().for_each(|found| row(page, found)));
        });
    }
}

fn row(page: &mut Markup, row: &RowLine) {
    let figures = &row.figures;
    page.nest("tr", &[], |page| {
        table::words(page, words::world(row.world), &[]);
        table::words(page, &row.attack, &[]);
        table::number(page, &format::percent(row.liar_share), &[&format::counted(u64::from(row.trials), "trial")]);
        table::number(page, &row.committee.to_string(), &[]);
        table::number(page, &row.epochs.to_string(), &[]);
        table::words(page, words::estimator(row.estimator), &[]);
        table::number(page, &words::signed(figures.friend_bias), &[]);
        table::number(page, &words::signed(figures.victim_bias), &[]);
        table::number(page, &words::coefficient(figures.tau), &[]);
        table::number(page, &words::share(figures.false_qualify), &[]);
        let unproven = figures
            .victims_unproven
            .map_or_else(String::new, |_| format!("{} unproven", words::share(figures.victims_unproven)));
        table::number(page, &words::share(figures.wrong_fail), &[&unproven]);
        let found = figures.flag_recall.filter(|recall| *recall > 0.0).map_or_else(String::new, |_| {
            format!("{} found, after {}", words::share(figures.flag_recall), words::epochs(figures.epochs_to_flag))
        });
        table::number(page, &words::share(figures.flag_precision), &[&found]);
        let disputed = figures
            .disputed
            .filter(|share| *share > 0.0)
            .map_or_else(String::new, |_| format!("{} disputed", words::share(figures.disputed)));
        table::number(page, &words::share(figures.coverage), &[&disputed]);
    });
}
