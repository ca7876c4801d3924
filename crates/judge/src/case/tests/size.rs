//! What a case of many hosters and epochs costs, and that it says the same as one that remembers nothing between epochs.

use super::world::{HOSTERS, Truth, World, job, lie, many, policy};
use super::*;
use crate::case::{Case, CaseError, Claim, Evidence, MAX_COMPARED, MAX_STEPS, Measurement, Sitting};

/// A few epochs in which everything changes that what is found depends on: flags, claims, groups that become one, silence.
fn eventful() -> Evidence {
    let mut evidence = World { attesters: 21, epochs: 40, ..World::new(&many(12)) }.evidence();
    lie(&mut evidence, 6, |name| matches!(name, "h00" | "h01" | "h02").then_some((4, 1)));
    evidence.measurements.retain(|one| match one.hoster.as_str() {
        "h03" => one.round < 3,
        "h04" => one.round % 7 == 0,
        _ => one.round < 12 || one.attester.as_str() > "att10",
    });
    for measurement in evidence.measurements.iter_mut().filter(|one| one.attester == "att12" && one.round > 20) {
        measurement.operator = Some("op13".to_owned());
    }
    let claim = |epoch: u64, hoster: &str, bps| Claim {
        at_s: epoch * 86_400 + 7_200,
        contract: "c1".to_owned(),
        hoster: hoster.to_owned(),
        egress_bps: Some(bps),
        report: None,
    };
    evidence.claims = vec![claim(5, "h05", 1_000_000), claim(9, "h05", 900_000_000), claim(30, "h06", 2_000_000)];
    evidence
}

fn epochs(evidence: &Evidence) -> Vec<(u64, Vec<&Measurement>, Vec<&Claim>)> {
    let of = |at_s: u64| at_s / 86_400;
    let numbers: std::collections::BTreeSet<u64> = evidence.measurements.iter().map(|one| of(one.at_s)).collect();
    let here = |number: u64| {
        let measurements = evidence.measurements.iter().filter(|one| of(one.at_s) == number).collect();
        let claims = evidence.claims.iter().filter(|one| of(one.at_s) == number).collect();
        (number, measurements, claims)
    };
    numbers.into_iter().map(here).collect()
}

/// What a case remembers between epochs saves work and decides nothing: one that was stored and read again goes on the same.
#[test]
fn a_case_that_was_stored_goes_on_the_same() {
    let evidence = eventful();
    let (mut kept, mut stored) = (Case::default(), Case::default());
    for (number, measurements, claims) in epochs(&evidence) {
        let (measurements, claims) = (&measurements[..], &claims[..]);
        let end_s = number * 86_400 + 86_399;
        let sitting = Sitting { number, end_s, measurements, claims, rosters: None, baselines: None };
        let one = kept.epoch(&sitting, &policy(), &job()).unwrap();
        stored = stored.clone();
        let other = stored.epoch(&sitting, &policy(), &job()).unwrap();
        assert_eq!(one, other, "epoch {number}");
        assert_eq!(kept, stored, "epoch {number}");
    }
}

/// Lines are kept of hosters that were measured or of which something changed.
#[test]
fn what_does_not_change_is_not_said_again() {
    let evidence = eventful();
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    let lines = |name: &str| statement.epochs.iter().filter(|line| line.hoster == name).count();
    assert_eq!(lines("h00"), 40);
    // Measured three times, then what is pooled ages for thirty epochs.
    assert!((3..12).contains(&lines("h03")), "{}", lines("h03"));
    let last = statement.epochs.iter().rev().find(|line| line.hoster == "h03").unwrap();
    let now = &hoster(&statement, "h03").record;
    assert_eq!((last.record.standing, &last.record.notice), (now.standing, &now.notice));
}

/// A field of many hosters is judged, and not compared: everybody ties, without places, and the statement says so.
#[test]
fn a_large_field_is_judged_and_not_compared() {
    let names: Vec<String> = (0..=MAX_COMPARED).map(|number| format!("n{number:03}")).collect();
    let mut evidence = World { epochs: 1, ..World::new(&HOSTERS[..1]) }.evidence();
    let of = |one: &Measurement, name: &String| Measurement { hoster: name.clone(), ..one.clone() };
    evidence.measurements =
        evidence.measurements.iter().flat_map(|one| names.iter().map(|name| of(one, name))).collect();
    let large = judge(&evidence, &policy(), &job()).unwrap();
    let contract = &large.contracts[0];
    assert!(!contract.compared && contract.ranks.iter().all(|rank| rank.places.is_none()));
    assert_eq!((contract.ranks[0].best, contract.ranks[0].worst), (1, names.len() as u32));
    assert!(matches!(verdict(&large, "n128", Term::Availability), Verdict::Meets | Verdict::Unproven { .. }));
    evidence.measurements.retain(|one| one.hoster != "n000");
    assert!(judge(&evidence, &policy(), &job()).unwrap().contracts[0].compared);
}

/// Few rows that name many hosters in many epochs are refused before anything is judged.
#[test]
fn too_many_hosters_in_too_many_epochs_are_refused() {
    let one = World::new(&[Truth { name: "h1", ..HOSTERS[0] }]).evidence().measurements.swap_remove(0);
    let hosters = (0..2_000).map(|number| Measurement { hoster: format!("h{number}"), ..one.clone() });
    let epochs = (0..9_000).map(|epoch| Measurement { at_s: epoch * 86_400, ..one.clone() });
    let evidence = Evidence { measurements: hosters.chain(epochs).collect(), ..Evidence::default() };
    let refused = judge(&evidence, &policy(), &job());
    let Err(CaseError::TooMany { count, most, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((count, most), (18_000_000, MAX_STEPS));
}
