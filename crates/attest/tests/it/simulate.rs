//! The report of the adversary suite.

use std::sync::OnceLock;

use peermark_attest::simulate::{self, AdversaryReport, Bound, Estimator, Part, Scope};
use peermark_core::Seed;
use peermark_judge::adversary::Effort;
use peermark_testkit::wellformed;

const CHECKED_IN: &str = include_str!("../../schema/adversary.schema.json");
const UPDATE: &str =
    "cargo run -p peermark-attest --example adversary_schema > crates/attest/schema/adversary.schema.json";

/// Few epochs and the fewest trials: enough for every part to have rows.
const SMALL: Effort = Effort { trials: 1, epochs: 2, threads: 2 };

fn report() -> &'static AdversaryReport {
    static REPORT: OnceLock<AdversaryReport> = OnceLock::new();
    REPORT.get_or_init(|| simulate::run(Scope::Gates, &SMALL, Seed(1), |_| ()))
}

#[test]
fn the_schema_checked_in_is_that_of_the_type() {
    let current = format!("{:#}\n", simulate::schema());
    assert_eq!(CHECKED_IN, current, "the document has changed. Where that is meant: {UPDATE}");
}

#[test]
fn documents_are_valid_and_read_back() {
    let validator = jsonschema::validator_for(&simulate::schema()).unwrap();
    let document = serde_json::to_value(report()).unwrap();
    let faults: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(serde_json::from_value::<AdversaryReport>(document.clone()).unwrap(), *report());
    let mut wrong = document;
    wrong["rows"][0]["figures"].as_object_mut().unwrap().remove("tau");
    assert!(!validator.is_valid(&wrong), "a figure that is missing is not the same as one that is null");
}

#[test]
fn every_estimator_stands_beside_the_robust_one() {
    let of = |estimator| report().rows.iter().filter(|row| row.estimator == estimator).count();
    let all = [
        Estimator::RobustNow,
        Estimator::RobustShares,
        Estimator::Mean,
        Estimator::Trimmed,
        Estimator::Median,
        Estimator::Majority,
    ];
    assert!(of(Estimator::Robust) > 0);
    assert!(all.into_iter().all(|estimator| of(estimator) == of(Estimator::Robust)));
    assert!(report().rows.iter().all(|row| row.part == Part::Gates));
}

#[test]
fn the_table_names_every_gate_and_how_it_went() {
    let mut report = report().clone();
    report.gates[0].limit = Bound::AtMost(0.03);
    report.gates[0].measured = Some(0.0412);
    report.gates[0].held = false;
    let text = simulate::text(&report);
    let line = text.lines().find(|line| line.contains("4.12 %")).unwrap();
    assert!(
        line.contains("at most 3.00 %") && line.contains("MISSED") && line.contains(&report.gates[0].attack),
        "{line}"
    );
    let held = report.gates.iter().filter(|gate| gate.held).count();
    assert!(text.ends_with(&format!("{held} of {} gates held", report.gates.len())), "{text}");
    assert!(text.contains("majority") && text.contains("on-off"));
    assert!(text.contains("robust, shares") && text.contains("6 of 1 trial"), "{text}");
    assert_eq!(held, 0, "one trial shows nothing");
    assert!(text.contains("TOO FEW TRIALS") && text.contains("note: too few trials to show"), "{text}");
    let shown = simulate::html(&report);
    assert!(shown.contains("TOO FEW TRIALS") && shown.contains("MISSED"), "the page says the same");
}

/// Every part of the document has its table, the shares of liars among them.
#[test]
fn the_table_has_every_part() {
    let text = simulate::text(&whole());
    for title in ["What the gates are about", "The rest of the zoo", "Committee sizes", "Epochs of history"] {
        assert!(text.contains(title), "{title}");
    }
    let shares = text.split_once("Shares of liars\n").unwrap().1;
    assert!(shares.lines().take(7).any(|line| line.contains("60 %")), "{shares}");
}

/// A document with every part, the rows of one standing for those of the others.
fn whole() -> AdversaryReport {
    let mut report = report().clone();
    let template = report.rows[0].clone();
    for part in [Part::Zoo, Part::Sizes, Part::Histories, Part::Shares] {
        for estimator in [Estimator::Robust, Estimator::Median] {
            for liar_share in [0.0, 0.3, 0.6] {
                let mut row = simulate::RowLine { part, estimator, liar_share, ..template.clone() };
                row.figures.friend_bias = Some(liar_share / 3.0);
                report.rows.push(row);
            }
        }
    }
    report.breaking = vec![simulate::BreakingPoint {
        attack: "x4 <b>".to_owned(),
        share: Some(0.45),
        gates: vec!["tau".to_owned()],
        disputed_from: None,
    }];
    report
}

#[test]
fn pages_are_well_formed_and_load_nothing() {
    for report in [report(), &whole()] {
        let page = simulate::html(report);
        let tags = wellformed::tags(&page);
        wellformed::check_references(&tags);
        for (tag, attributes) in tags {
            assert!(!["script", "iframe", "object", "img", "form"].contains(&tag.as_str()), "{tag}");
            for (name, value) in attributes {
                assert!(name != "src" && !name.starts_with("on"), "{name} on {tag}");
                assert!(name != "href" || value.starts_with('#') || value == "data:,", "{value}");
            }
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
    }
}

#[test]
fn pages_draw_each_attack_and_name_its_breaking_point() {
    let page = simulate::html(&whole());
    assert_eq!(page.matches("id=\"share0-").count(), 2, "title and description of one drawing");
    assert!(page.contains("robust: +10.0 % at 30 % of liars, +20.0 % at 60 % of liars."), "spoken text");
    assert!(page.contains("x4 &lt;b&gt;") && page.contains("45 %"));
    assert!(!simulate::html(report()).contains("id=\"share0"), "nothing to draw without the part");
}
