//! The top of the page: what was run, whether the figures may be used, and the few figures that most readers came for.

use crate::report::wording::{self, Standing, Statement};
use crate::result::{OperationResult, RunResult, Verdict};
use peermark_page::document;
use peermark_page::format;
use peermark_page::markup::Markup;

pub(super) fn write(page: &mut Markup, run: &RunResult) {
    page.nest("header", &[], |page| {
        page.element("p", &[("class", "brand")], "peermark run report");
        page.element("h1", &[], &run.scenario);
        page.nest("p", &[("class", "meta")], |page| {
            let parts = [
                ("run", run.run_id.clone()),
                ("started", format::utc(run.started_wall_ms)),
                ("lasted", format::span(run.duration_ns)),
                ("seed", run.seed.to_string()),
            ];
            for (term, value) in parts {
                page.nest("span", &[], |page| {
                    page.text(term);
                    page.text(" ");
                    page.element("b", &[], &value);
                });
                page.text(" ");
            }
        });
    });
    verdict(page, run);
    checks(page, run);
    warnings(page, run);
    cards(page, run);
}

fn verdict(page: &mut Markup, run: &RunResult) {
    let (class, meaning) = match run.validity.verdict {
        Verdict::Valid => ("verdict good", "Nothing was found that speaks against the figures."),
        Verdict::Suspect if run.operations.is_empty() => ("verdict bad", "The run ended without figures:"),
        Verdict::Suspect => {
            ("verdict bad", "Something else than the nodes decided some figure. Before you use one, read why:")
        }
    };
    page.nest("div", &[("class", class)], |page| {
        page.nest("p", &[], |page| {
            page.element("strong", &[("class", "badge")], wording::verdict(run.validity.verdict));
            page.text(" ");
            page.text(meaning);
        });
        if !run.validity.reasons.is_empty() {
            page.nest("ul", &[], |page| {
                for reason in &run.validity.reasons {
                    let (name, rest) = reason.split_at(reason.find(' ').unwrap_or(reason.len()));
                    page.nest("li", &[], |page| {
                        page.element("b", &[], name);
                        page.text(rest);
                    });
                }
            });
        }
    });
}

fn checks(page: &mut Markup, run: &RunResult) {
    page.nest("ul", &[("class", "checks"), ("aria-label", "Checks")], |page| {
        document::check(page, "Nodes", &wording::nodes(&run.nodes));
        document::check(page, "Block exchange", &wording::exchange(&run.exchange));
        document::check(page, "Operations", &operations(run));
        document::check(page, "Thresholds", &wording::thresholds(&run.thresholds));
    });
}

fn operations(run: &RunResult) -> Statement {
    if run.operations.is_empty() {
        return Statement { standing: Standing::Unknown, text: "none was measured".to_owned() };
    }
    let total = |of: fn(&OperationResult) -> u64| run.operations.iter().map(of).fold(0, u64::saturating_add);
    let (count, ok, failed) = (total(|o| o.count), total(|o| o.ok), total(wording::failures));
    let standing = if failed == 0 && ok == count { Standing::Good } else { Standing::Bad };
    let share = if count > 0 { format!(" ({})", format::percent(failed as f64 / count as f64)) } else { String::new() };
    let text = format!(
        "{} of {} complete and verified, {} failed{share}",
        format::count(ok),
        format::count(count),
        format::count(failed)
    );
    Statement { standing, text }
}

fn warnings(page: &mut Markup, run: &RunResult) {
    if run.warnings.is_empty() {
        return;
    }
    page.nest("div", &[("class", "warnings")], |page| {
        page.element("h2", &[], "What limits the use of these figures");
        page.nest("ul", &[], |page| {
            for warning in &run.warnings {
                page.element("li", &[], warning);
            }
        });
    });
}

fn cards(page: &mut Markup, run: &RunResult) {
    if run.operations.is_empty() {
        return;
    }
    let names = super::names(run);
    page.nest("ul", &[("class", "cards"), ("aria-label", "Latency of each operation")], |page| {
        for operation in &run.operations {
            page.nest("li", &[("class", &format!("card s{}", super::slot(&names, &operation.op)))], |page| {
                card(page, operation)
            });
        }
    });
}

fn card(page: &mut Markup, operation: &OperationResult) {
    page.nest("p", &[("class", "card-name")], |page| {
        page.element("b", &[], &operation.op);
        page.text(" ");
        page.text(&operation.phase);
    });
    let latency = &operation.latency_ns;
    for (name, class, percentile) in [("p50", "first", latency.p50), ("p99", "second", latency.p99)] {
        let figure = wording::percentile(percentile, operation.deadline_ns);
        page.nest("p", &[("class", class)], |page| {
            page.element("span", &[("class", "term")], name);
            page.text(" ");
            page.element("span", &[("class", "value")], &figure.value);
            page.text(" ");
            let interval = figure.interval.unwrap_or_default();
            page.element("span", &[("class", "interval")], &format!("{interval} n {}", format::count(latency.n)));
        });
    }
    let asked = match operation.target_rate {
        Some(rate) => format!(" of {}/s asked for", format::significant(rate)),
        None => wording::unscheduled(operation.arrivals).to_owned(),
    };
    page.element("p", &[("class", "rate")], &format!("{}/s{asked}", format::significant(operation.achieved_rate)));
}
