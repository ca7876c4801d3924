use std::collections::BTreeSet;

use super::world::{HOSTERS, Truth, World, job, lie, many, policy};
use super::*;
use crate::case::{Availability, Evidence, Fit, Job, Offer};
use crate::outcome::ProbeOutcome;
use crate::qualification::{Criterion, Standing};
use crate::windows::Window;

/// R79, R80, R82: who keeps every promise and was long enough on probation qualifies; who breaks one does not.
#[test]
fn who_keeps_every_promise_qualifies() {
    let statement = judge(&World::new(&HOSTERS).evidence(), &policy(), &job()).unwrap();
    assert_eq!(hoster(&statement, "anna").record.standing, Standing::Qualified);
    assert_eq!(hoster(&statement, "anna").fit, Fit::Qualifies);
    assert!(matches!(hoster(&statement, "carl").fit, Fit::No { .. }));
    assert_eq!(hoster(&statement, "carl").record.standing, Standing::Suspended);
}

/// R82: where evidence is missing a hoster is on probation, whatever it says of itself.
#[test]
fn without_enough_evidence_one_is_on_probation() {
    let mut world = World::new(&HOSTERS);
    world.epochs = 1;
    let statement = judge(&world.evidence(), &policy(), &job()).unwrap();
    assert_eq!(hoster(&statement, "anna").record.standing, Standing::Probation);
    assert!(matches!(hoster(&statement, "anna").fit, Fit::OnProbation { .. }));
}

/// R73, R74, R76: an order with ties; shares of places sum to one.
#[test]
fn ranks_separate_what_the_paired_test_separates() {
    let twin = |name| Truth { name, ..HOSTERS[0] };
    let world = World::new(&[twin("a1"), twin("a2"), HOSTERS[2]]);
    let statement = judge(&world.evidence(), &policy(), &job()).unwrap();
    let ranks: Vec<_> =
        statement.contracts[0].ranks.iter().map(|rank| (rank.hoster.as_str(), rank.best, rank.worst)).collect();
    assert_eq!(ranks, [("a1", 1, 2), ("a2", 1, 2), ("carl", 3, 3)]);
    for rank in &statement.contracts[0].ranks {
        let places = rank.places.as_ref().unwrap();
        assert_eq!(places.places_ppm.iter().sum::<u32>(), 1_000_000);
        assert_eq!(places.rounds, 6);
    }
    assert!(statement.contracts[0].ranks[0].pay_factor_ppm > statement.contracts[0].ranks[2].pay_factor_ppm);
}

/// Who answers every second request faster than the others answer all of theirs is not their equal: it breaks what they keep.
#[test]
fn fast_answers_to_some_do_not_make_up_for_the_others() {
    let mut hosters = many(6).split_off(4);
    hosters.push(Truth { name: "fast", latency_us: 8_000, egress_bps: 90_000_000, served_ppm: 450_000 });
    let world = World { attesters: 12, ..World::new(&hosters) };
    let statement = judge(&world.evidence(), &policy(), &job()).unwrap();
    assert_eq!(verdict(&statement, "fast", Term::Availability), Verdict::Fails);
    let ranks = &statement.contracts[0].ranks;
    let fast = ranks.iter().find(|rank| rank.hoster == "fast").unwrap();
    assert_eq!((fast.best, fast.worst), (3, 3), "{ranks:?}");
    assert!(ranks.iter().all(|rank| rank.hoster == "fast" || rank.pay_factor_ppm > fast.pay_factor_ppm));
}

/// A price stands beside the rank and has no say in it.
#[test]
fn a_price_moves_no_rank() {
    let evidence = World::new(&HOSTERS).evidence();
    let offer = |hoster: &str, price| Offer { hoster: hoster.to_owned(), price };
    let priced =
        Evidence { offers: vec![offer("anna", 900), offer("carl", 1), offer("anna", 950)], ..evidence.clone() };
    let (without, with) = (judge(&evidence, &policy(), &job()).unwrap(), judge(&priced, &policy(), &job()).unwrap());
    let order = |statement: &Statement| {
        let ranks = statement.contracts[0].ranks.iter();
        ranks.map(|rank| (rank.hoster.clone(), rank.best, rank.worst, rank.pay_factor_ppm)).collect::<Vec<_>>()
    };
    assert_eq!(order(&without), order(&with));
    assert_eq!(with.contracts[0].ranks[0].price, Some(900));
    assert_eq!(with.contracts[0].ranks[1].price, None);
    assert!(with.contracts[0].inversions.is_empty());
}

/// R77, R78: who asks for more and ranks below is named.
#[test]
fn the_dearer_below_the_cheaper_is_an_inversion() {
    let offer = |hoster: &str, price| Offer { hoster: hoster.to_owned(), price };
    let offers = vec![offer("anna", 100), offer("bert", 90), offer("carl", 200)];
    let evidence = Evidence { offers, ..World::new(&HOSTERS).evidence() };
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    let pairs = statement.contracts[0].inversions.iter();
    let pairs: Vec<_> = pairs.map(|pair| (pair.paid_more.as_str(), pair.ranks_above.as_str())).collect();
    assert_eq!(pairs, [("carl", "anna"), ("carl", "bert")]);
}

/// R95, R96, R97: how much of the time, how well, and why not better.
#[test]
fn windows_say_how_available_and_why_not_more() {
    let statement = judge(&World::new(&HOSTERS).evidence(), &policy(), &job()).unwrap();
    let windows = &hoster(&statement, "carl").placements[0].windows;
    assert_eq!(windows.iter().map(|window| window.window).collect::<Vec<_>>(), Window::ALL);
    let month = &windows[2];
    let served = month.availability_ppm.unwrap();
    assert!((600_000..800_000).contains(&served), "{served}");
    assert_eq!(month.causes[0].outcome, ProbeOutcome::ConnectTimeout);
    assert!(month.budget.unwrap().burn_ppm > 1_000_000);
}

/// Every epoch's decision is there to be compared with another policy's.
#[test]
fn every_epoch_says_what_it_decided() {
    let statement = judge(&World::new(&HOSTERS).evidence(), &policy(), &job()).unwrap();
    assert_eq!(statement.epochs.len(), 6 * 3);
    let carl: Vec<Standing> =
        statement.epochs.iter().filter(|line| line.hoster == "carl").map(|line| line.record.standing).collect();
    assert!(carl.windows(2).all(|pair| pair[0] == pair[1] || pair[0].down() == Some(pair[1])), "{carl:?}");
    let events = statement.epochs.iter().filter(|line| line.hoster == "carl").flat_map(|line| &line.events);
    assert!(events.into_iter().any(|event| matches!(event, crate::qualification::Event::Noticed { .. })));
}

/// Audits cannot be bought: a group counts for no more than the median one, and nothing where it is flagged.
#[test]
fn audits_are_counted_by_the_median_group() {
    let audits = |statement: &Statement, name: &str| {
        let criteria = &hoster(statement, name).explanation.criteria;
        criteria.iter().find(|line| line.criterion == Criterion::Audits).unwrap().low
    };
    let world = World { epochs: 1, ..World::new(&HOSTERS) };
    let mut evidence = world.evidence();
    evidence.measurements.retain(|measurement| measurement.attester != "att08");
    for measurement in evidence.measurements.iter_mut().filter(|one| one.attester == "att00") {
        measurement.outcomes.add(ProbeOutcome::Ok, 10_000);
    }
    assert_eq!(audits(&judge(&evidence, &policy(), &job()).unwrap(), "anna"), Some(8 * 10));
    // Six of twenty-one lie and are found out.
    let mut lied = World { attesters: 21, epochs: 12, ..World::new(&many(12)) }.evidence();
    lie(&mut lied, 6, |name| matches!(name, "h00" | "h01" | "h02").then_some((4, 1)));
    let statement = judge(&lied, &policy(), &job()).unwrap();
    assert_eq!(statement.flags.iter().map(|flag| flag.group.as_str()).collect::<BTreeSet<_>>().len(), 6);
    assert_eq!(audits(&statement, "h05"), Some(15 * 12 * 10));
}

/// A round has places where it measured somebody, not wherever there is a contract.
#[test]
fn rounds_of_places_are_those_that_measured() {
    let mut evidence = World::new(&HOSTERS).evidence();
    let later = World::new(&HOSTERS).evidence().measurements.into_iter().map(|measurement| crate::case::Measurement {
        at_s: measurement.at_s + 6 * 86_400,
        contract: "c2".to_owned(),
        ..measurement
    });
    evidence.measurements.extend(later.take(3 * 9 * 2));
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    let rounds: Vec<u64> =
        statement.contracts.iter().map(|contract| contract.ranks[0].places.as_ref().unwrap().rounds).collect();
    assert_eq!(rounds, [6, 2]);
}

/// A promise that is kept costs nobody its standing: who promises little is held against little.
#[test]
fn a_kept_promise_costs_no_standing() {
    let modest = Truth { name: "dora", served_ppm: 700_000, ..HOSTERS[0] };
    let world = World::new(&[modest, HOSTERS[0], HOSTERS[1]]);
    let promise = |guarantee_ppm| Job { availability: Some(Availability { guarantee_ppm }), latency: None, ..job() };
    let standing = |job: &Job| {
        let statement = judge(&world.evidence(), &policy(), job).unwrap();
        let events: Vec<_> =
            statement.epochs.iter().filter(|line| line.hoster == "dora").flat_map(|line| line.events.clone()).collect();
        (verdict(&statement, "dora", Term::Availability), hoster(&statement, "dora").record.standing, events.len())
    };
    assert_eq!(standing(&promise(550_000)), (Verdict::Meets, Standing::Qualified, 1));
    let (broken, standing, _) = standing(&promise(950_000));
    assert_eq!((broken, standing), (Verdict::Fails, Standing::Suspended));
}

/// One contract pays once: by the region in which a hoster is worst.
#[test]
fn the_worst_region_pays() {
    let mut evidence = World::new(&HOSTERS).evidence();
    let far: Vec<_> = evidence.measurements.clone();
    evidence.measurements.extend(far.into_iter().map(|measurement| {
        crate::case::Measurement {
            region: "ASIA".to_owned(),
            hoster: match measurement.hoster.as_str() {
                "anna" => "carl",
                "carl" => "anna",
                other => other,
            }
            .to_owned(),
            ..measurement
        }
    }));
    let both = Job { regions: vec!["EUROPE".to_owned(), "ASIA".to_owned()], ..job() };
    let statement = judge(&evidence, &policy(), &both).unwrap();
    let lines = |name: &str| -> Vec<_> {
        let ranks = statement.contracts.iter().flat_map(|contract| &contract.ranks);
        ranks.filter(|rank| rank.hoster == name).map(|rank| (rank.best, rank.pay_factor_ppm)).collect()
    };
    let lowest = policy().pay.tiers[0].factor_ppm;
    assert_eq!(lines("anna"), [(3, lowest), (1, lowest)], "ASIA, EUROPE");
    assert_eq!(lines("carl"), [(1, lowest), (3, lowest)]);
    assert!(lines("bert")[0].1 > lowest);
    let score = |name: &str| hoster(&statement, name).places.as_ref().unwrap().score_ppm;
    assert!(score("anna") < score("bert") && score("carl") < score("bert"), "never the mean of both regions");
}
