use super::world::{HOSTERS, World, job, policy};
use super::*;
use crate::case::{Claim, Evidence};
use crate::self_report::{IndexCount, SelfReport, Traffic};
use crate::verdict::Doubt;

fn claims(hoster: &str, egress_bps: u64) -> impl Iterator<Item = Claim> {
    (0..6).map(move |epoch| Claim {
        at_s: epoch * 86_400 + 7_200,
        contract: "c1".to_owned(),
        hoster: hoster.to_owned(),
        egress_bps: Some(egress_bps),
        report: None,
    })
}

/// R61, R82: a claim lowers what counts and never raises it above what others may have used.
#[test]
fn a_claim_lowers_and_never_raises() {
    let plain = World::new(&HOSTERS).evidence();
    let mut evidence = plain.clone();
    evidence.claims.extend(claims("anna", 10_000_000_000));
    evidence.claims.extend(claims("bert", 1_000_000));
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    let line = |name: &str| hoster(&statement, name).claims[0].clone();
    let high = hoster(&statement, "anna").placements[0].estimates[2].high.unwrap();
    assert!(line("anna").deviates && line("anna").flagged);
    assert!(line("anna").used_bps.unwrap() <= high * 4 / 3 + 1);
    assert_eq!(line("bert").used_bps, Some(1_000_000));
    assert_eq!(verdict(&statement, "anna", Term::Egress), Verdict::Meets);
    let own = Verdict::Unproven { because: Doubt::OwnClaim { bps: 1_000_000 } };
    assert_eq!(verdict(&statement, "bert", Term::Egress), own, "10 Mbit/s are promised");
    let estimate = hoster(&statement, "bert").placements[0].estimates[2];
    assert_eq!((estimate.value, estimate.high), (1_000_000, Some(1_000_000)));
    // Ranks are made from what was measured, and saying too much changes nothing.
    let without = judge(&plain, &policy(), &job()).unwrap();
    assert_eq!(without.contracts, statement.contracts);
    evidence.claims.retain(|claim| claim.hoster == "anna");
    let boasted = judge(&evidence, &policy(), &job()).unwrap();
    assert_eq!((without.contracts, without.epochs), (boasted.contracts, boasted.epochs));
}

/// R62, R63: the self-reports of the three hosters of one contract stand beside each other.
#[test]
fn reports_of_one_contract_are_compared() {
    let report = |times: u64| SelfReport {
        egress: Traffic { chunks: 27 * times, bytes: 1_620_000 * times },
        per_index: [(1, 5, 64_000), (120, 12, 50_000), (232, 10, 70_000)]
            .map(|(index, count, size)| IndexCount { index, count: count * times, size })
            .to_vec(),
        ..SelfReport::default()
    };
    let mut evidence = World::new(&HOSTERS).evidence();
    for (name, times) in [("anna", 1), ("bert", 1), ("carl", 9)] {
        let claim = claims(name, 0).next().unwrap();
        evidence.claims.push(Claim { egress_bps: None, report: Some(report(times)), ..claim });
    }
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    let contract = &statement.contracts[0];
    assert_eq!(contract.reports, ["anna", "bert", "carl"]);
    assert_eq!(contract.mismatches.len(), 1, "{:?}", contract.mismatches);
    // What is about another epoch is not compared.
    let last = evidence.claims.last_mut().unwrap();
    last.at_s += 86_400;
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    assert_eq!(statement.contracts[0].reports, ["carl"]);
    assert_eq!(statement.contracts[0].mismatches, []);
}

#[test]
fn claims_about_what_nobody_measured_say_nothing() {
    let mut evidence = World::new(&HOSTERS).evidence();
    evidence.claims.extend(claims("nobody", 1));
    assert!(judge(&evidence, &policy(), &job()).unwrap().hosters.iter().all(|hoster| hoster.claims.is_empty()));
    assert!(judge(&Evidence::default(), &policy(), &job()).is_err());
}
