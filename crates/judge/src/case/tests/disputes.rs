use super::world::{World, job, many, policy};
use super::*;
use crate::case::{Evidence, Job, Metric, Values};

/// Camps of the same size about the speed of transfers alone.
fn camps_about_egress(epochs: u64) -> Evidence {
    let world = World { attesters: 20, epochs, ..World::new(&many(12)) };
    let mut evidence = world.evidence();
    for measurement in &mut evidence.measurements {
        let number: u32 = measurement.attester[3..].parse().unwrap();
        let Values::Exact(rates) = &mut measurement.egress_bps else { unreachable!() };
        let (times, over) = if measurement.hoster.as_str() < "h06" { (6, 1) } else { (1, 6) };
        rates.iter_mut().filter(|_| number < 9).for_each(|rate| *rate = *rate * times / over);
    }
    evidence
}

/// A dispute about what nobody was promised freezes nobody.
#[test]
fn a_dispute_about_what_nobody_was_promised_freezes_nothing() {
    let evidence = camps_about_egress(10);
    let asked = judge(&evidence, &policy(), &job()).unwrap();
    assert!(!asked.disputes.is_empty());
    assert_eq!(verdict(&asked, "h00", Term::Availability), Verdict::Disputed);
    let statement = judge(&evidence, &policy(), &Job { egress: None, ..job() }).unwrap();
    assert!(statement.disputes.is_empty(), "{:?}", statement.disputes);
    for term in [Term::Availability, Term::Latency] {
        assert_eq!(verdict(&statement, "h00", term), Verdict::Meets);
    }
    assert!(statement.hosters.iter().all(|hoster| !hoster.explanation.frozen));
    assert_eq!(hoster(&statement, "h00").record.standing, crate::qualification::Standing::Qualified);
}

/// A dispute ends with the epochs that have it; what was said in them proves nothing afterwards.
#[test]
fn a_dispute_ends_when_its_metric_is_not_measured_any_more() {
    let mut evidence = camps_about_egress(14);
    for measurement in evidence.measurements.iter_mut().filter(|measurement| measurement.round >= 10) {
        measurement.egress_bps = Values::none();
    }
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    assert!(statement.disputes.is_empty(), "{:?}", statement.disputes);
    assert_eq!(verdict(&statement, "h00", Term::Availability), Verdict::Meets);
    let egress = verdict(&statement, "h00", Term::Egress);
    assert!(matches!(egress, Verdict::Unproven { .. }), "{egress:?}");
    assert!(statement.hosters.iter().all(|hoster| !hoster.explanation.frozen));
}

/// Who is found lying about one thing is believed about none in the same epoch.
#[test]
fn a_flag_bars_from_the_other_estimates_of_the_epoch() {
    let world = World { attesters: 21, epochs: 12, ..World::new(&many(12)) };
    let mut evidence = world.evidence();
    for measurement in evidence.measurements.iter_mut().filter(|one| one.attester.as_str() < "att06") {
        let Values::Exact(rates) = &mut measurement.egress_bps else { unreachable!() };
        let (times, over) = match measurement.hoster.as_str() {
            "h00" | "h01" => (4, 1),
            "h10" | "h11" => (1, 4),
            _ => (1, 1),
        };
        rates.iter_mut().for_each(|rate| *rate = *rate * times / over);
    }
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    let flags = || statement.flags.iter().filter(|flag| flag.metric == Metric::Egress);
    assert_eq!(flags().count(), 6);
    for estimate in &hoster(&statement, "h05").placements[0].estimates {
        let groups = 21 - 6 - statement.flags.iter().filter(|flag| flag.metric != Metric::Egress).count() as u32;
        assert_eq!(estimate.groups, groups, "{:?}", estimate.metric);
    }
}
