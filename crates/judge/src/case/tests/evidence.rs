use super::world::{HOSTERS, World, job, many, policy};
use super::*;
use crate::case::docket::is_within;
use crate::case::{Availability, CaseError, Job, JobError, Measurement, Values, needs};
use crate::histogram::{Scale, SparseHistogram};
use crate::policy::Policy;
use crate::robust::FlagReason;
use crate::verdict::Never;

/// R81: measurements from outside the job's regions do not count.
#[test]
fn a_geohash_holds_finer_ones_and_a_name_only_itself() {
    for (region, wanted, within) in [
        ("u33db", "u33", true),
        ("U33DB", "u33", true),
        ("u33", "u33db", false),
        ("u33", "u3x", false),
        ("EUROPE", "europe", true),
        ("EUROPE-WEST", "EUROPE", false),
        ("ü", "u", false),
    ] {
        assert_eq!(is_within(region, wanted), within, "{region} in {wanted}");
    }
    let nowhere = Job { regions: vec!["ASIA".to_owned()], ..job() };
    assert_eq!(judge(&World::new(&HOSTERS).evidence(), &policy(), &nowhere), Err(CaseError::Empty));
}

#[test]
fn absurd_jobs_are_refused_by_field() {
    let promise = |ppm| Job { availability: Some(Availability { guarantee_ppm: ppm }), ..job() };
    for (job, field) in [
        (promise(0), "availability.guarantee_ppm"),
        (promise(1_000_000), "availability.guarantee_ppm"),
        (Job { replicas: 0, ..job() }, "replicas"),
        (Job { duration_s: Some(0), ..job() }, "duration_s"),
        (Job { name: String::new(), ..job() }, "name"),
        (Job { regions: vec![String::new()], ..job() }, "regions"),
        (Job { availability: None, latency: None, egress: None, ..job() }, "availability, latency, bandwidth, ingress"),
    ] {
        let Err(JobError::Invalid { field: refused, .. }) = job.validate(&policy()) else { panic!("{field}") };
        assert_eq!(refused, field);
    }
    assert!(matches!(Job::from_toml("name = 'a'\nprice = 3"), Err(JobError::Syntax { .. })));
    let read = Job::from_toml("name = 'a'\n[latency]\nlag_ms = 200\nguarantee_ppm = 900000").unwrap();
    assert_eq!((read.replicas, read.level(Term::Latency)), (3, Some(200_000)));
}

#[test]
fn too_long_a_time_is_refused() {
    let mut evidence = World::new(&HOSTERS).evidence();
    evidence.measurements[0].at_s = u64::MAX;
    assert!(matches!(judge(&evidence, &policy(), &job()), Err(CaseError::TooMany { what: "epochs", .. })));
}

/// Seven attesters can prove 90 %, and never 99.9 %.
#[test]
fn what_can_never_be_proven_is_said_beforehand() {
    let job = Job { availability: Some(Availability { guarantee_ppm: 999_000 }), egress: None, ..job() };
    let answers = needs(&job, &Policy::lab(), 7);
    assert_eq!((answers[0].term, answers[1].term), (Term::Availability, Term::Latency));
    assert!(matches!(answers[0].answer, Err(Never::Correlated { needed: 2_995, .. })), "{:?}", answers[0]);
    let possible = answers[1].answer.unwrap();
    assert!(possible.probes >= 29 && possible.seconds > 0 && possible.bytes > 0);
    let text = serde_json::to_string(&answers).unwrap();
    assert_eq!(serde_json::from_str::<Vec<crate::case::TermNeeds>>(&text).unwrap(), answers);
}

/// A promise must hold in every region, and whoever measures from one region says nothing about another.
#[test]
fn every_region_has_to_be_proven() {
    let here = |regions: &[&str]| Job { regions: regions.iter().map(|name| (*name).to_owned()).collect(), ..job() };
    let answer = |regions: &[&str], pool| needs(&here(regions), &Policy::lab(), pool)[0].answer;
    let one = answer(&[], 40).unwrap();
    assert_eq!(answer(&["u"], 40), Ok(one));
    assert_eq!(answer(&["u", "U"], 40), Ok(one), "one region written twice");
    // Half of the pool of eighty measures from each of two: everything twice.
    let two = answer(&["u", "d"], 80).unwrap();
    assert_eq!((two.probes, two.bytes, two.groups), (2 * one.probes, 2 * one.bytes, 2 * one.groups));
    assert_eq!(
        (two.rounds, two.seconds, two.effective_probes),
        (2 * one.rounds, 2 * one.seconds, one.effective_probes)
    );
    let regions = ["a1", "b1", "c1", "d1", "e1", "f1", "g1"];
    assert_eq!(answer(&regions, 40), Err(Never::TooFewGroups { have: 40, needed: 42 }));
}

#[test]
fn exact_and_counted_values_say_the_same() {
    let exact = Values::Exact(vec![900, 150_000, 210_000, 70_000_000]);
    let counted = Values::Counted(exact.histogram(Scale::LatencyUs).unwrap());
    assert_eq!(exact.keeping(Scale::LatencyUs, 192_000), counted.keeping(Scale::LatencyUs, 192_000));
    let (a, b) = (exact.quantile_log2(500_000).unwrap(), counted.quantile_log2(500_000).unwrap());
    assert!((a - b).abs() < crate::Fixed::from_ppm(200_000), "{a} {b}");
    assert_eq!(Values::none().quantile_log2(500_000), None);
    assert!(Values::Counted(SparseHistogram::new(Scale::ThroughputBps)).histogram(Scale::LatencyUs).is_none());
}

#[test]
fn evidence_reads_back_as_it_was_written() {
    let measurement = World::new(&HOSTERS).evidence().measurements.swap_remove(0);
    let text = serde_json::to_string(&measurement).unwrap();
    assert_eq!(serde_json::from_str::<Measurement>(&text).unwrap(), measurement);
}

/// Reports that were counted in buckets coincide by themselves: nobody copied.
#[test]
fn values_in_equal_buckets_are_no_copies() {
    let mut evidence = World { attesters: 12, epochs: 12, ..World::new(&many(12)) }.evidence();
    for measurement in &mut evidence.measurements {
        let number: u64 = measurement.attester[3..].parse().unwrap();
        let Values::Exact(values) = &measurement.egress_bps else { unreachable!() };
        // Two have lines alike, and every transfer of a round falls into one bucket.
        let middle = if number < 2 { 50_000_000 } else { values[0] };
        let mut histogram = SparseHistogram::new(Scale::ThroughputBps);
        (0..10).for_each(|_| histogram.record(middle));
        measurement.egress_bps = Values::Counted(histogram);
    }
    let statement = judge(&evidence, &policy(), &job()).unwrap();
    let copied = statement.flags.iter().filter(|flag| matches!(flag.reason, FlagReason::Copied { .. }));
    assert_eq!(copied.count(), 0, "{:?}", statement.flags);
}
