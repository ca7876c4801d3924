//! What the nodes' own tests said.

use peermark_page::format::{self, ABSENT};
use peermark_page::markup::Markup;
use peermark_page::table::{Column, number, table, words};

use crate::result::{RunResult, SelfTestResult};

const COLUMNS: [Column; 7] = [
    ("Test", false),
    ("Nodes", true),
    ("Ran", true),
    ("Failed", true),
    ("Skipped", true),
    ("Median value", true),
    ("To mend", false),
];

/// Kinds of problems that are named in a row.
const NAMED: usize = 3;

pub(super) fn write(page: &mut Markup, run: &RunResult) {
    super::part(page, "self-tests", |page| {
        if run.self_tests.is_empty() {
            page.element("p", &[], "The nodes ran no tests of their own.");
            return;
        }
        page.element(
            "p",
            &[("class", "lead")],
            "Each node tests itself on a schedule of its own. This is what they say of themselves: it may speak against a node, never \
             for it, and no other figure of this page depends on it.",
        );
        let heard = run.self_tests.iter().map(|test| test.nodes).max().unwrap_or(0);
        let caption = format!("Self-tests, heard of from {heard} of {} nodes", run.nodes.started);
        table(page, "self-tests-table", &caption, &COLUMNS, |page| {
            page.nest("tbody", &[], |page| run.self_tests.iter().for_each(|test| row(page, test)));
        });
        problems(page, run);
    });
}

fn row(page: &mut Markup, test: &SelfTestResult) {
    page.nest("tr", &[], |page| {
        page.nest("th", &[("scope", "row")], |page| {
            page.text(&test.task);
            page.element("small", &[], &test.value);
        });
        for count in [u64::from(test.nodes), test.ok, test.failed, test.skipped] {
            number(page, &format::count(count), &[]);
        }
        match test.values {
            Some(values) => {
                let show = |value| format::in_unit(test.unit, value);
                let range = format!("{} to {}", show(values.low), show(values.high));
                number(page, &show(values.median), &[&range, &format!("n {}", format::count(values.n))]);
            }
            None => number(page, ABSENT, &[]),
        }
        let mut named: Vec<(&String, &u64)> = test.problems_by_code.iter().collect();
        named.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let text: Vec<String> = named.iter().take(NAMED).map(|(code, count)| format!("{code} {count}")).collect();
        words(page, if text.is_empty() { "nothing" } else { "" }, &text.iter().map(String::as_str).collect::<Vec<_>>());
    });
}

/// The first problems in full, with what to do.
fn problems(page: &mut Markup, run: &RunResult) {
    if run.self_tests.iter().all(|test| test.problems.is_empty()) {
        return;
    }
    page.nest("ul", &[], |page| {
        for test in &run.self_tests {
            for problem in test.problems.iter().take(NAMED) {
                page.nest("li", &[], |page| {
                    let culprit = problem.culprit.as_str();
                    page.text(&format!("node {}, {}: {} ({culprit}): ", problem.node, test.task, problem.code));
                    page.text(&problem.detail);
                    if let Some(advice) = &problem.advice {
                        page.text(" – ");
                        page.text(advice);
                    }
                });
            }
        }
    });
}
