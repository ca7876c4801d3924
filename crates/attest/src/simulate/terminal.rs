//! The table for a terminal.

use peermark_page::format;

use super::document::{AdversaryReport, Part, RowLine};
use super::words;
use crate::table::columns;

/// Columns of the tables of rows.
const HEAD: [&str; 18] = [
    "world",
    "attack",
    "liars",
    "n",
    "epochs",
    "estimator",
    "friends",
    "victims",
    "error p50",
    "p95",
    "tau",
    "false-qualify",
    "wrong-fail",
    "unproven",
    "flags right",
    "found",
    "coverage",
    "disputed",
];

pub(super) fn text(report: &AdversaryReport) -> String {
    let setup = &report.setup;
    let mut lines = vec![format!(
        "liars against the estimates: {} attesters, {} hosters, seed {}, {} per row of the gates, {} each",
        setup.attesters,
        setup.hosters,
        report.seed,
        format::counted(u64::from(report.trials), "trial"),
        format::counted(u64::from(report.epochs), "epoch"),
    )];
    for part in [Part::Gates, Part::Zoo, Part::Sizes, Part::Histories, Part::Shares] {
        let rows: Vec<&RowLine> = report.rows.iter().filter(|row| row.part == part).collect();
        if !rows.is_empty() {
            lines.extend([String::new(), words::part(part).to_owned()]);
            lines.extend(columns(std::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(|row| cells(row)))));
        }
    }
    if !report.breaking.is_empty() {
        lines.extend([String::new(), "Breaking points of the robust estimate, 0 to 60 % of liars".to_owned()]);
        let head = ["attack", "breaks at", "gates", "disputed from"].map(str::to_owned);
        let rows = report.breaking.iter().map(|point| {
            let share = point.share.map_or_else(|| "none".to_owned(), format::percent);
            let disputed = point.disputed_from.map_or_else(|| "none".to_owned(), format::percent);
            [point.attack.clone(), share, point.gates.join(", "), disputed]
        });
        lines.extend(columns(std::iter::once(head).chain(rows)));
    }
    lines.extend([String::new(), "Gates".to_owned()]);
    lines.extend(columns(report.gates.iter().map(|gate| {
        let (limit, measured) = words::limit(gate);
        let liars = format::percent(gate.liar_share);
        [
            words::world(gate.world).to_owned(),
            gate.attack.clone(),
            liars,
            words::estimator(gate.estimator).to_owned(),
            gate.gate.clone(),
            limit,
            measured,
            words::behind(gate),
            words::outcome(gate).to_owned(),
        ]
    })));
    lines.extend(report.warnings.iter().map(|warning| format!("note: {warning}")));
    let few = report.gates.iter().filter(|gate| words::outcome(gate) == words::TOO_FEW).count();
    if few > 0 {
        lines.push(format!("note: too few trials to show {few} of {} gates", report.gates.len()));
    }
    let missed = report.gates.iter().filter(|gate| !gate.held).count();
    lines.push(format!("{} of {} gates held", report.gates.len() - missed, report.gates.len()));
    lines.join("\n")
}

fn cells(row: &RowLine) -> [String; 18] {
    let figures = &row.figures;
    [
        words::world(row.world).to_owned(),
        row.attack.clone(),
        format::percent(row.liar_share),
        row.committee.to_string(),
        row.epochs.to_string(),
        words::estimator(row.estimator).to_owned(),
        words::signed(figures.friend_bias),
        words::signed(figures.victim_bias),
        words::share(figures.median_error),
        words::share(figures.p95_error),
        words::coefficient(figures.tau),
        words::share(figures.false_qualify),
        words::share(figures.wrong_fail),
        words::share(figures.victims_unproven),
        words::share(figures.flag_precision),
        words::share(figures.flag_recall),
        words::share(figures.coverage),
        words::share(figures.disputed),
    ]
}
