//! The page of a run.

use peermark_lab::report;
use peermark_lab::result::{RunResult, Verdict};
use peermark_testkit::wellformed;

use crate::fixture;

/// The page without its style sheet and script.
fn visible(page: &str) -> String {
    let mut out = page.to_owned();
    for tag in ["style", "script"] {
        let from = out.find(&format!("<{tag}>")).unwrap();
        let to = out.find(&format!("</{tag}>")).unwrap();
        out.replace_range(from..to, "");
    }
    out
}

/// What a reader sees: the page without its tags.
fn text(page: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in visible(page).chars() {
        match c {
            '<' => (inside, ()) = (true, out.push(' ')),
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn pages_are_well_formed_and_small() {
    for run in [fixture::network(), fixture::aborted()] {
        let page = report::html(&run);
        wellformed::check_references(&wellformed::tags(&page));
        assert!(page.len() < 400_000, "{} bytes", page.len());
    }
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let page = report::html(&fixture::network());
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains("url(") && !page.contains("@import")
    );
    for (tag, attributes) in wellformed::tags(&page) {
        assert!(
            !["iframe", "object", "embed", "img", "audio", "video", "base", "form"].contains(&tag.as_str()),
            "{tag}"
        );
        for (name, value) in attributes {
            assert_ne!(name, "src");
            assert!(!name.starts_with("on"), "{name} on {tag}");
            assert!(name != "href" || value.starts_with('#') || value == "data:,", "{value}");
        }
    }
}

#[test]
fn what_a_run_says_never_becomes_markup() {
    let evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\u{202e}\u{0}]]>--><!--";
    let mut document = serde_json::to_value(fixture::network()).unwrap();
    poison(&mut document, evil);
    let mut run: RunResult = serde_json::from_value(document).unwrap();
    for operation in &mut run.operations {
        operation.failed = [(evil.to_owned(), 3)].into();
        operation.culprits = [(evil.to_owned(), 3)].into();
    }
    for test in &mut run.self_tests {
        test.problems_by_code = [(evil.to_owned(), 3)].into();
    }
    let page = report::html(&run);
    let tags = wellformed::tags(&page);
    assert_eq!(tags.iter().filter(|(tag, _)| tag == "script").count(), 1);
    assert!(
        tags.iter().all(|(tag, attributes)| tag != "img" && attributes.iter().all(|(name, _)| !name.starts_with("on")))
    );
    assert!(!page.contains('\u{202e}') && !page.contains('\u{0}'));
}

/// Replaces every text of a document, except those that are closed sets.
fn poison(value: &mut serde_json::Value, evil: &str) {
    match value {
        serde_json::Value::String(text)
            if !["SUSPECT", "poisson", "uniform", "closed", "self", "count", "nanoseconds"]
                .contains(&text.as_str()) =>
        {
            evil.clone_into(text);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| poison(item, evil)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| poison(field, evil)),
        _ => {}
    }
}

#[test]
fn the_headline_says_whether_the_figures_may_be_used() {
    let mut run = fixture::network();
    let page = text(&report::html(&run));
    assert!(page.contains("SUSPECT Something else than the nodes decided some figure."));
    assert!(page.contains("CPU-bound: the host was 91 % busy"));
    assert!(page.contains("49 of 50 ready after 3.21 s, 203 connections, 1 failed"));
    assert!(page.contains("12,840 blocks sent = received, 0 unexplained: every fetched block came from another node"));
    assert!(page.contains("2 of 5 kept"));
    run.validity.verdict = Verdict::Valid;
    run.validity.reasons.clear();
    assert!(text(&report::html(&run)).contains("VALID Nothing was found that speaks against the figures."));
}

#[test]
fn the_proof_is_claimed_only_where_the_counts_prove_it() {
    let claim = "every fetched block came from another node";
    let page_with = |change: fn(&mut RunResult)| {
        let mut run = fixture::network();
        change(&mut run);
        text(&report::html(&run))
    };
    assert!(page_with(|_| ()).contains(claim));
    for change in [
        (|run: &mut RunResult| run.exchange.unexplained = Some(3)) as fn(&mut RunResult),
        |run| run.exchange.unexplained = None,
        |run| run.exchange.blocks_sent = None,
        |run| run.exchange.blocks_received = Some(12_839),
        |run| (run.exchange.blocks_sent, run.exchange.blocks_received) = (Some(0), Some(0)),
    ] {
        assert!(!page_with(change).contains(claim));
    }
    let unknown = page_with(|run| {
        run.exchange.unexplained = None;
        run.exchange.reason = Some("node 49 shows no count".to_owned());
    });
    assert!(unknown.contains("n/a unexplained: not proved that blocks came from other nodes (node 49 shows no count)"));
}

#[test]
fn every_percentile_shows_its_interval_and_count() {
    let run = fixture::network();
    let page = report::html(&run);
    let from = page.find("<table id=\"percentiles\">").unwrap();
    let table = &page[from..from + page[from..].find("</table>").unwrap()];
    let cells: Vec<&str> =
        table.split("<td class=\"num").skip(1).map(|cell| cell.split("</td>").next().unwrap()).collect();
    assert_eq!(cells.len(), run.operations.len() * 3 * 4);
    for (index, cell) in cells.iter().enumerate() {
        assert!(
            cell.contains("n 400") || cell.contains("n 2,400") || cell.contains("n 8,000") || cell.contains("n 12"),
            "{cell}"
        );
        let largest = index % 4 == 3;
        assert!(largest || cell.contains("n/a") || cell.contains('['), "{cell}");
    }
    assert!(table.contains("p99: 400 values are too few for its 95 % interval"));
    assert!(table.contains("≥ 10.0 s") && table.contains("at least the deadline of 10.0 s"));
}

#[test]
fn what_is_not_known_is_not_zero() {
    let page = text(&report::html(&fixture::network()));
    assert!(page.contains("49 kubo foreign n/a"), "a foreign node without a peer id");
    assert!(page.contains("disseminate.p99&lt;5s ✗ missed 5.00 s n/a no number, which fails the threshold"));
    assert!(page.contains("Governor n/a"));
}

#[test]
fn a_run_without_figures_says_so() {
    let page = text(&report::html(&fixture::aborted()));
    for sentence in [
        "The run ended without figures:",
        "Host busy n/a",
        "aborted: interrupted while the nodes started",
        "1 of 3 ready, never all at the same time",
        "n/a blocks sent, n/a received, n/a unexplained",
        "No operation was measured, so there are no figures.",
        "There are no values to draw.",
        "There are no slices of time to draw.",
        "No fault was injected.",
        "No node was seen.",
    ] {
        assert!(page.contains(sentence), "{sentence}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"));
}

#[test]
fn charts_speak_and_nothing_is_drawn_over_nothing() {
    let page = report::html(&fixture::network());
    assert_eq!(page.matches("role=\"img\"").count(), 6, "four distributions and two widths of one timeline");
    assert!(page.contains("p99 ≥ 10.0 s, 95 % interval"), "the description of a chart holds its figures");
    // The gap of three seconds splits the throughput of fetch (slot 1) in two.
    let wide = &page[page.find("class=\"wide\"").unwrap()..page.find("class=\"narrow\"").unwrap()];
    let areas = wide.matches("<polygon class=\"k-fill s1 k-fill\"").count();
    assert_eq!(areas, 4, "two stretches of throughput and two of latency");
    // Slices of a single operation stand alone.
    assert!(!wide.contains("<polyline class=\"k-line s3 k-stroke\" fill=\"none\" stroke-width=\"7\""));
    assert_eq!(wide.matches("<circle").count(), 12);
}

#[test]
fn numbers_that_are_none_do_not_break_the_page() {
    let mut run = fixture::network();
    let operation = &mut run.operations[0];
    (operation.achieved_rate, operation.target_rate, operation.duration_ns) = (f64::NAN, Some(f64::INFINITY), 0);
    operation.cdf = vec![(0, f64::NAN), (u64::MAX, 7.0)];
    operation.timeline[0].ops_per_second = f64::NAN;
    operation.timeline[1].at_s = f64::INFINITY;
    operation.timeline[2].p50_ns = Some(u64::MAX);
    operation.failed = [("timeout".to_owned(), u64::MAX), ("unpaid".to_owned(), 1)].into();
    run.faults[0].at_ns = u64::MAX;
    run.host.busy = f64::NAN;
    run.thresholds[0].limit = 0.0;
    let page = report::html(&run);
    wellformed::tags(&page);
    assert!(!visible(&page).contains("NaN"));
    assert!(!report::summary(&run, &[], 80, false).contains("NaN"));
}
