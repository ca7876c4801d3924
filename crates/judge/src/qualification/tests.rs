use proptest::prelude::*;

use super::*;
use crate::policy::Policy;

/// Short times: vetting 6 epochs, dwell 2, notice 1.
fn policy() -> QualificationPolicy {
    Policy::lab().qualification
}

fn good(epoch: u64) -> Evidence {
    let sure = Some(Range::new(999_000, 1_000_000));
    Evidence { epoch, audits: 100, availability: sure, integrity: sure, ..Evidence::default() }
}

fn bad(epoch: u64) -> Evidence {
    Evidence { availability: Some(Range::new(700_000, 800_000)), ..good(epoch) }
}

fn run(record: Record, epochs: impl Iterator<Item = Evidence>) -> (Record, Vec<(u64, Event)>) {
    let mut events = Vec::new();
    let mut record = record;
    for evidence in epochs {
        let next = step(&record, &evidence, &policy());
        events.extend(next.events.into_iter().map(|event| (evidence.epoch, event)));
        record = next.record;
    }
    (record, events)
}

fn qualified() -> Record {
    let (record, _) = run(Record::registered(0), (1..=6).map(good));
    assert_eq!(record.standing, Standing::Qualified);
    record
}

/// R79, R82: probation ends by age, audits and proof, not by asking.
#[test]
fn probation_ends_by_age_audits_and_proof() {
    let (record, events) = run(Record::registered(0), (1..=6).map(good));
    let moved = Event::Moved { from: Standing::Probation, to: Standing::Qualified, reason: None };
    assert_eq!((record.standing, events), (Standing::Qualified, vec![(6, moved)]));
    let few = |epoch| Evidence { audits: 19, ..good(epoch) };
    let unsure = |epoch| Evidence { availability: Some(Range::new(979_999, 1_000_000)), ..good(epoch) };
    let unmeasured = |epoch| Evidence { availability: None, ..good(epoch) };
    let unproven = |epoch| Evidence { terms: TermCounts { unproven: 3, ..TermCounts::default() }, ..good(epoch) };
    for evidence in [few, unsure, unmeasured, unproven] {
        assert_eq!(run(Record::registered(0), (1..=20).map(evidence)).0.standing, Standing::Probation);
    }
    let no_proofs = |epoch| Evidence { integrity: None, ..good(epoch) };
    assert_eq!(run(Record::registered(0), (1..=20).map(no_proofs)).0.standing, Standing::Probation);
    let outside = QualificationPolicy { require_integrity: false, ..policy() };
    let six = Record { last_epoch: 5, ..Record::registered(0) };
    assert_eq!(step(&six, &no_proofs(6), &outside).record.standing, Standing::Qualified);
}

#[test]
fn every_step_down_is_announced_and_taken_one_at_a_time() {
    let (record, events) = run(qualified(), (7..=40).map(bad));
    assert_eq!(record.standing, Standing::Out);
    let mut announced = None;
    let mut standings = vec![Standing::Qualified];
    for (epoch, event) in events {
        match event {
            Event::Noticed { notice } => {
                assert_eq!(notice.given_epoch, epoch);
                assert!(notice.due_epoch > epoch);
                announced = Some(notice);
            }
            Event::Moved { from, to, reason } => {
                let notice = announced.take().expect("a notice before each step");
                assert_eq!((notice.to, Some(notice.reason), notice.due_epoch), (to, reason, epoch));
                assert_eq!((from.down(), Some(&from)), (Some(to), standings.last()));
                standings.push(to);
            }
            event => panic!("{event:?}"),
        }
    }
    assert_eq!(standings, [Standing::Qualified, Standing::Grace, Standing::Suspended, Standing::Out]);
}

/// A step is taken for what its notice says. What was announced stays the reason while it asks, and where it recovers and something else
/// asks the notice is corrected and the date stands.
#[test]
fn the_notice_names_the_reason_of_the_step() {
    let slow_notice = QualificationPolicy { notice_epochs: 3, ..policy() };
    let no_proofs = |epoch| Evidence { integrity: Some(Range::new(0, 100_000)), ..good(epoch) };
    let both = |epoch| Evidence { availability: bad(epoch).availability, ..no_proofs(epoch) };
    let follow = |epochs: [Evidence; 4]| {
        let (mut record, mut events) = (qualified(), Vec::new());
        for evidence in epochs {
            let next = step(&record, &evidence, &slow_notice);
            events.extend(next.events);
            record = next.record;
        }
        events
    };
    let notice = |reason, given_epoch| Event::Noticed {
        notice: Notice { to: Standing::Grace, reason, given_epoch, due_epoch: 10 },
    };
    let moved = |reason| Event::Moved { from: Standing::Qualified, to: Standing::Grace, reason: Some(reason) };
    // Integrity weighs more, and availability was announced and still asks.
    let found = follow([bad(7), both(8), both(9), both(10)]);
    assert_eq!(found, [notice(Criterion::Availability, 7), moved(Criterion::Availability)]);
    let found = follow([bad(7), both(8), no_proofs(9), no_proofs(10)]);
    let corrected = notice(Criterion::Integrity, 9);
    assert_eq!(found, [notice(Criterion::Availability, 7), corrected, moved(Criterion::Integrity)]);
    // Whoever changes reasons gains no time.
    let found = follow([bad(7), no_proofs(8), bad(9), no_proofs(10)]);
    assert_eq!(found.last(), Some(&moved(Criterion::Integrity)));
    assert_eq!(found[found.len() - 2], notice(Criterion::Integrity, 10));
}

#[test]
fn between_the_thresholds_nothing_moves() {
    // Below what it takes to enter (98 %), not below what it takes to leave (95 %).
    let between = |epoch| Evidence { availability: Some(Range::new(955_000, 960_000)), ..good(epoch) };
    assert_eq!(run(qualified(), (7..=60).map(between)), (Record { last_epoch: 60, ..qualified() }, vec![]));
    let (grace, _) = run(qualified(), (7..=8).map(bad));
    assert_eq!(grace.standing, Standing::Grace);
    assert_eq!(run(grace, (9..=60).map(between)).0.standing, Standing::Grace);
    // Few probes: the interval reaches over both thresholds.
    let wide = |epoch| Evidence { availability: Some(Range::new(100_000, 951_000)), ..good(epoch) };
    assert!(run(qualified(), (7..=60).map(wide)).1.is_empty());
}

#[test]
fn who_recovers_before_the_step_stays() {
    let (record, events) = run(qualified(), [bad(7), good(8), good(9)].into_iter());
    assert_eq!(record.standing, Standing::Qualified);
    assert!(matches!(events[..], [(7, Event::Noticed { .. }), (8, Event::Withdrawn { .. })]), "{events:?}");
}

#[test]
fn the_way_back_is_as_long_as_the_dwell() {
    let (grace, _) = run(qualified(), (7..=8).map(bad));
    let (record, events) = run(grace, (9..=12).map(good));
    assert_eq!(record.standing, Standing::Qualified);
    assert_eq!(events, [(10, Event::Moved { from: Standing::Grace, to: Standing::Qualified, reason: None })]);
    let suspended = Record { standing: Standing::Suspended, since_epoch: 10, last_epoch: 10, ..qualified() };
    assert_eq!(run(suspended, (11..=14).map(good)).0.standing, Standing::Qualified, "by grace, two epochs each");
}

#[test]
fn out_is_left_after_a_time_and_from_the_beginning() {
    let out = Record { standing: Standing::Out, since_epoch: 10, last_epoch: 10, ..qualified() };
    assert!(run(out.clone(), (11..=100).map(good)).1.is_empty());
    assert_eq!(readmit(&out, 33, &policy()), None);
    assert_eq!(readmit(&out, 34, &policy()), Some(Record::registered(34)));
    assert_eq!(readmit(&qualified(), 500, &policy()), None);
}

#[test]
fn a_disputed_epoch_moves_nobody_and_delays_what_is_due() {
    let disputed = |epoch| Evidence { disputed: true, ..bad(epoch) };
    let (record, events) = run(qualified(), [bad(7), disputed(8), disputed(9)].into_iter());
    assert_eq!(record.standing, Standing::Qualified);
    assert_eq!(record.notice.map(|notice| notice.due_epoch), Some(10));
    assert_eq!(events[1..], [(8, Event::Frozen), (9, Event::Frozen)]);
    assert_eq!(run(record, [bad(10)].into_iter()).0.standing, Standing::Grace);
}

#[test]
fn an_observed_criterion_is_printed_and_decides_nothing() {
    let observing = QualificationPolicy { observed: vec![Criterion::Availability], ..policy() };
    assert!(step(&qualified(), &bad(7), &observing).events.is_empty());
    let lines = explain(&qualified(), &bad(7), &observing).criteria;
    let line = lines.iter().find(|line| line.criterion == Criterion::Availability).unwrap();
    assert!(line.leaves && line.observed_only);
}

/// R82: one of three hosters of a contract may be on probation, and a young network can start.
#[test]
fn one_of_three_may_be_on_probation() {
    let policy = policy();
    let probation = Standing::Probation;
    assert!(may_join(probation, &[Standing::Qualified], 3, 9, &policy));
    assert!(!may_join(probation, &[probation], 3, 9, &policy));
    assert!(may_join(Standing::Qualified, &[probation], 3, 9, &policy));
    assert!(!may_join(probation, &[], 2, 9, &policy), "two places have no third");
    assert!(may_join(probation, &[probation, probation], 3, 2, &policy), "nobody could ever prove anything");
    for standing in [Standing::Grace, Standing::Suspended, Standing::Out] {
        assert!(!may_join(standing, &[], 3, 0, &policy));
    }
}

#[test]
fn explain_says_why_how_far_and_what_would_change_it() {
    let record = Record { last_epoch: 3, ..Record::registered(0) };
    let evidence = Evidence { epoch: 3, audits: 5, availability: Some(Range::new(970_000, 990_000)), ..good(3) };
    let said = explain(&record, &evidence, &policy());
    let up = said.up.unwrap();
    let needs: Vec<_> = up.needs.iter().map(|need| (need.criterion, need.by)).collect();
    let missing = [(Criterion::Availability, Some(10_000)), (Criterion::Audits, Some(15)), (Criterion::Age, Some(3))];
    assert_eq!((up.to, needs, up.earliest_epoch), (Standing::Qualified, missing.to_vec(), 6));
    let down = said.down.unwrap();
    assert_eq!(down.to, Standing::Suspended);
    assert_eq!(down.needs[0], Need { criterion: Criterion::Integrity, by: Some(20_001) }, "the nearest first");
    let availability = down.needs.iter().find(|need| need.criterion == Criterion::Availability);
    assert_eq!(availability.unwrap().by, Some(40_001));
    // A step that is due is due when the notice says so.
    let noticed = step(&qualified(), &bad(7), &policy()).record;
    assert_eq!(explain(&noticed, &bad(7), &policy()).down.unwrap().earliest_epoch, 8);
}

fn any_evidence() -> impl Strategy<Value = (u32, u32, u32, bool, u32)> {
    (0u32..=1_000_000, 0u32..=1_000_000, 900_000u32..=1_000_000, prop::bool::weighted(0.1), 0u32..4)
}

proptest! {
    #[test]
    fn nobody_falls_twice_in_an_epoch_nor_unannounced(epochs in prop::collection::vec(any_evidence(), 1..120)) {
        let mut record = Record::registered(0);
        for (at, (a, b, integrity, disputed, fails)) in epochs.into_iter().enumerate() {
            let evidence = Evidence {
                availability: Some(Range::new(a, b)),
                integrity: Some(Range::new(integrity, 1_000_000)),
                terms: TermCounts { meets: 3, fails, unproven: 0 },
                disputed,
                ..good(at as u64 + 1)
            };
            let next = step(&record, &evidence, &policy());
            let moves: Vec<_> = next.events.iter().filter(|event| matches!(event, Event::Moved { .. })).collect();
            prop_assert!(moves.len() <= 1);
            if let Some(Event::Moved { from, to, reason }) = moves.first() {
                prop_assert!(!disputed && (evidence.epoch - record.since_epoch) >= 2);
                if reason.is_some() {
                    prop_assert_eq!(from.down(), Some(*to));
                    prop_assert!(record.notice.is_some_and(|notice| notice.given_epoch < evidence.epoch));
                } else {
                    prop_assert_eq!(from.up(), Some(*to));
                }
            }
            prop_assert_eq!(step(&next.record, &evidence, &policy()).record, next.record.clone(), "an epoch counts once");
            record = next.record;
        }
    }
}
