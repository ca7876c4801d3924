use peermark_attest::backtest::{BacktestDocument, Observed};
use peermark_attest::explain::ExplainDocument;
use peermark_attest::qualify::{NeedsDocument, QualifyDocument};
use peermark_attest::rank::RankDocument;
use peermark_attest::sla::SlaDocument;
use peermark_attest::source::{Judged, Reports, Source};
use peermark_judge::case::{Fit, Job};
use peermark_judge::import::{self, Format};
use peermark_judge::policy::Policy;
use serde::Serialize;
use serde::de::DeserializeOwned;

const REPORTS: &str = include_str!("../../../../docs/examples/reports.ndjson");
const POLICY: &str = include_str!("../../../../docs/examples/policy.toml");
const JOB: &str = include_str!("../../../../docs/examples/job.toml");

fn source() -> Source {
    let imported = import::read(REPORTS.as_bytes(), Format::Ndjson);
    assert_eq!(imported.refused_count, 0, "{:?}", imported.refused);
    let (evidence, rows) = (imported.evidence, imported.rows);
    Source::Reports(Reports { name: "reports.ndjson".to_owned(), evidence, rows, refused_rows: 0 })
}

fn policy() -> Policy {
    Policy::from_toml(POLICY).unwrap()
}

fn job() -> Job {
    Job::from_toml(JOB).unwrap()
}

fn judged() -> Judged {
    source().judge(&policy(), &job()).unwrap()
}

/// A policy that asks for more probes than anybody has, and for speeds and latencies far better than promised. A stricter threshold of
/// availability would change nothing: a promise that is kept costs nobody its standing.
fn strict() -> Policy {
    let mut strict = policy();
    strict.name = "strict".to_owned();
    strict.qualification.vetting_audits = 10_000_000;
    strict.sla.slack_ppm = 1_000_000;
    strict
}

/// The document says what it is, that nobody signed its evidence, and reads back.
fn checked<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(document: &T, schema: &str) {
    let json = serde_json::to_value(document).unwrap();
    assert_eq!(json["schema"], schema);
    assert_eq!(json["basis"]["signed"], false, "{schema}");
    assert_eq!(&serde_json::from_value::<T>(json).unwrap(), document);
}

#[test]
fn every_document_says_that_nobody_signed_it() {
    let judged = judged();
    let rank = RankDocument::new(&judged, None);
    let qualify = QualifyDocument::new(&judged, None);
    let explain = ExplainDocument::new(&judged, "gamma", None).unwrap();
    let sla = SlaDocument::new(&judged, "-", None).unwrap();
    let backtest = BacktestDocument::new(&judged, &judged);
    checked(&rank, "peermark.rank/1");
    checked(&qualify, "peermark.qualify/1");
    checked(&explain, "peermark.explain/1");
    checked(&sla, "peermark.sla/1");
    checked(&backtest, "peermark.backtest/1");
    for text in [rank.text(), qualify.text(), explain.text(), sla.text(), backtest.text()] {
        assert!(text.starts_with("UNSIGNED: imported from reports.ndjson"), "{text}");
        assert!(text.contains("policy example/1"), "{text}");
    }
    assert!(ExplainDocument::new(&judged, "nobody", None).is_none());
    assert!(SlaDocument::new(&judged, "nothing", None).is_none());
}

/// Prices stand beside the rank; without them nothing else changes.
#[test]
fn a_price_stands_beside_the_rank() {
    let with = RankDocument::new(&judged(), None);
    assert_eq!(with.contracts[0].ranks[0].price, Some(120));
    let without = source().judge(&policy(), &Job { prices: Default::default(), ..job() }).unwrap();
    let without = RankDocument::new(&without, None);
    let order = |document: &RankDocument| {
        let ranks = document.contracts[0].ranks.iter();
        ranks.map(|rank| (rank.hoster.clone(), rank.best, rank.worst)).collect::<Vec<_>>()
    };
    assert_eq!(order(&with), order(&without));
}

#[test]
fn an_explanation_has_every_threshold_with_its_distance() {
    let judged = judged();
    let explain = ExplainDocument::new(&judged, "alpha", None).unwrap();
    let text = explain.text();
    for part in ["criteria, by weight", "enter at", "leave below", "distance", "availability", "down: ", "contract -"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(explain.hoster.explanation.criteria.iter().all(|line| line.to_enter.is_some() || line.low.is_none()));
}

/// R93, R94: what was promised stands beside what was found.
#[test]
fn promises_stand_beside_what_was_found() {
    let sla = SlaDocument::new(&judged(), "-", None).unwrap();
    assert_eq!(sla.hosters.len(), 3);
    assert!(sla.hosters.iter().all(|line| line.terms.len() == 3 && line.windows.len() == 3));
    let text = sla.text();
    for part in ["90 % within 200 ms", "90 % at 25.0 Mbit/s", "90 % served", "24h", "budget used"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn the_same_policy_changes_no_decision_and_a_stricter_one_does() {
    let (usual, strict) = (judged(), source().judge(&strict(), &job()).unwrap());
    let same = BacktestDocument::new(&usual, &usual);
    assert_eq!((same.changed, same.changes.len()), (0, 0));
    assert!(same.decisions > 0 && same.text().contains("0 of"));
    let other = BacktestDocument::new(&usual, &strict);
    assert_eq!(other.decisions, same.decisions);
    assert!(other.changed > 0 && !other.changes.is_empty());
    let change = &other.changes[0];
    assert!(!change.why.is_empty() && change.a != change.b && change.from_s <= change.to_s, "{change:?}");
    assert!(other.text().contains("strict/1"));
}

/// An observed policy is printed beside what holds and changes nothing of it.
#[test]
fn an_observed_policy_has_no_effect() {
    let (usual, strict) = (judged(), source().judge(&strict(), &job()).unwrap());
    let observed = Observed::new(&usual, &strict);
    assert!(!observed.differences.is_empty());
    let with = QualifyDocument::new(&usual, Some(observed));
    let without = QualifyDocument::new(&usual, None);
    assert_eq!(with.hosters, without.hosters);
    assert!(with.text().contains("observed only, without effect: strict/1"));
    assert!(usual.statement.hosters.iter().any(|hoster| !matches!(hoster.fit, Fit::No { .. })));
}

/// What a committee can never prove is said before anybody pays for it.
#[test]
fn needs_name_probes_days_and_gigabytes_or_why_never() {
    let possible = NeedsDocument::new(&job(), &policy(), 31).unwrap();
    assert!(possible.possible, "{}", possible.text());
    assert!(possible.text().contains("days") && possible.text().contains("GB"));
    let absurd = Job { availability: Some(peermark_judge::case::Availability { guarantee_ppm: 999_900 }), ..job() };
    let never = NeedsDocument::new(&absurd, &policy(), 7).unwrap();
    assert!(!never.possible);
    assert_eq!(never.impossible().len(), 1);
    assert!(
        never.impossible()[0].starts_with("availability of 99.99 % can never be proven: "),
        "{:?}",
        never.impossible()
    );
    let json = serde_json::to_value(&never).unwrap();
    assert_eq!(json["schema"], "peermark.needs/1");
    assert_eq!(serde_json::from_value::<NeedsDocument>(json).unwrap(), never);
    assert!(NeedsDocument::new(&Job { replicas: 0, ..job() }, &policy(), 7).is_err());
}

/// Epochs of the other policy have ends of their own, and a policy that has not decided yet is said not to have.
#[test]
fn policies_with_other_epochs_are_compared_at_the_ends_of_both() {
    let (mut halved, job) = (policy(), job());
    halved.name = "halved".to_owned();
    halved.time.epoch_blocks /= 2;
    let (one, other) = (judged(), source().judge(&halved, &job).unwrap());
    let (forth, back) = (BacktestDocument::new(&one, &other), BacktestDocument::new(&other, &one));
    assert_eq!((forth.decisions, forth.changed), (back.decisions, back.changed));
    let alone = BacktestDocument::new(&one, &one);
    assert!(forth.decisions > alone.decisions, "{} and {}", forth.decisions, alone.decisions);
    assert!(alone.changes.is_empty() && alone.fits.is_empty());
    let early = forth.changes.iter().find(|change| change.a == "not known yet").unwrap();
    assert!(early.to_s < one.epoch_s * (one.statement.epochs[0].epoch + 1), "{early:?}");
}

/// Who may have the job at the end is compared too.
#[test]
fn hosters_that_another_policy_would_not_take_are_told() {
    let strict = source().judge(&strict(), &job()).unwrap();
    let backtest = BacktestDocument::new(&judged(), &strict);
    let text = backtest.text();
    for fit in &backtest.fits {
        assert!(fit.a != fit.b && text.contains(&format!("{}: {}", fit.hoster, fit.a)), "{fit:?}: {text}");
    }
    let of = |judged: &Judged| judged.statement.hosters.iter().map(|hoster| hoster.fit.clone()).collect::<Vec<_>>();
    let pairs = of(&judged()).into_iter().zip(of(&strict));
    let differing = pairs.filter(|(one, other)| std::mem::discriminant(one) != std::mem::discriminant(other));
    assert_eq!(backtest.fits.len(), differing.count());
    assert!(!backtest.fits.is_empty());
}
