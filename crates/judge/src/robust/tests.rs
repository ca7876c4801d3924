mod adversaries;
mod world;

use peermark_core::Seed;
use proptest::prelude::*;
use rand::Rng;
use rand::seq::SliceRandom;

use super::interval::order_rank;
use super::table::{Cell, Table, copies};
use super::*;
use world::{Lie, World, natural};

/// Every attester a group of its own.
fn alone(attesters: usize) -> Vec<u32> {
    (0..attesters as u32).collect()
}

fn report(hoster: u32, attester: u32, value: i32) -> Observation {
    Observation { hoster, attester, value: Fixed::from_int(value) }
}

fn judged(
    history: &mut History,
    number: u64,
    hosters: u32,
    groups: &[u32],
    observations: &[Observation],
) -> Evaluation {
    let epoch = Epoch { number, hosters, groups, barred: &[], exact: true, observations };
    evaluate(history, &epoch, &Settings::default()).unwrap()
}

/// `epochs` epochs of a world.
fn followed(world: &World, epochs: u64) -> (History, Evaluation) {
    let (mut history, groups) = (History::default(), alone(world.attesters));
    let mut last = None;
    for number in 0..epochs {
        last = Some(judged(&mut history, number, world.hosters as u32, &groups, &world.reports(number)));
    }
    (history, last.unwrap())
}

#[test]
fn ranks_of_the_order_statistics_are_the_published_ones() {
    let table = [(6, 1), (7, 1), (9, 2), (15, 4), (21, 6), (31, 10), (61, 23)];
    for (m, rank) in table {
        assert_eq!(order_rank(m), Some(rank), "{m}");
    }
    assert!((0..6).all(|m| order_rank(m).is_none()));
    // From the exact sum to the normal approximation there is no leap upwards.
    let (exact, approximate) = (order_rank(127).unwrap(), order_rank(128).unwrap());
    assert!(approximate <= exact && exact <= approximate + 1, "{exact} {approximate}");
}

/// R60: an interval needs six independent groups, over as many rounds as it takes to seat them.
#[test]
fn five_seats_a_round_have_an_interval_after_the_second() {
    let (mut history, groups) = (History::default(), alone(10));
    let seats = |from: u32| (from..from + 5).map(|attester| report(0, attester, 7)).collect::<Vec<_>>();
    let first = judged(&mut history, 0, 1, &groups, &seats(0)).hosters[0].pooled.unwrap();
    assert_eq!((first.value, first.interval, first.groups), (Fixed::from_int(7), None, 5));
    let second = judged(&mut history, 1, 1, &groups, &seats(5)).hosters[0];
    let both = second.pooled.unwrap();
    assert_eq!((both.value, both.groups), (Fixed::from_int(7), 10));
    assert!(both.interval.is_some() && second.now.unwrap().interval.is_none());
}

#[test]
fn a_thousand_identities_of_one_owner_are_one_voice() {
    // Seven honest groups say 5; a thousand attesters of group 7 say 20.
    let mut groups = alone(7);
    groups.extend(std::iter::repeat_n(7, 1_000));
    let reports: Vec<Observation> =
        (0..groups.len() as u32).map(|attester| report(0, attester, if attester < 7 { 5 } else { 20 })).collect();
    let found = judged(&mut History::default(), 0, 1, &groups, &reports).hosters[0].now.unwrap();
    assert_eq!((found.value, found.groups), (Fixed::from_int(5), 8));
}

#[test]
fn who_reports_often_says_it_once() {
    let mut reports: Vec<Observation> = (0..7).map(|attester| report(0, attester, 5)).collect();
    reports.extend(std::iter::repeat_n(report(0, 7, 20), 1_000));
    let found = judged(&mut History::default(), 0, 1, &alone(8), &reports).hosters[0].now.unwrap();
    assert_eq!((found.value, found.groups), (Fixed::from_int(5), 8));
}

/// R64: the reports of attesters about one hoster are compared; what an attester's own link does is found and removed.
#[test]
fn r64_a_slow_link_is_not_a_slow_hoster() {
    // Attester 0 measures one doubling less of every hoster; paths differ by up to half a doubling.
    let value = |hoster: i64, attester: i64| {
        let path = Fixed::from_ratio((7 * hoster + 4 * attester) % 11 - 5, 10);
        Fixed::from_ratio(5 + hoster - i64::from(attester == 0), 1) + path
    };
    let report =
        |hoster: u32, attester: u32| Observation { hoster, attester, value: value(hoster.into(), attester.into()) };
    let reports: Vec<Observation> = (0..20)
        .flat_map(|hoster| (0..9).map(move |attester| (hoster, attester)))
        .map(|(hoster, attester)| report(hoster, attester))
        .collect();
    let mut history = History::default();
    let mut last = None;
    for number in 0..4 {
        last = Some(judged(&mut history, number, 20, &alone(9), &reports));
    }
    let last = last.unwrap();
    assert!((natural(last.groups[0].effect) / 2_f64.ln() + 1.0).abs() < 0.4, "{:?}", last.groups[0]);
    assert!(last.flags.is_empty() && last.groups[0].trust_ppm == 1_000_000);
    let found = last.hosters[3].now.unwrap().value;
    assert!((found - Fixed::from_int(8)).abs() < Fixed::from_ratio(1, 4), "{found}");
}

/// R65: what is stated is stated per subject, such as a hoster in one region, and per epoch.
#[test]
fn r65_regions_of_a_hoster_are_subjects_of_their_own() {
    // Hoster 0 in two regions: attesters 0..8 measure it from near, 8..16 from far.
    let reports: Vec<Observation> =
        (0..16).map(|attester| report(attester / 8, attester, if attester < 8 { 9 } else { 6 })).collect();
    let found = judged(&mut History::default(), 0, 2, &alone(16), &reports);
    let values: Vec<Fixed> = found.hosters.iter().map(|hoster| hoster.now.unwrap().value).collect();
    assert_eq!(values, [Fixed::from_int(9), Fixed::from_int(6)]);
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut history = History::default();
    let groups = alone(8);
    let reports: Vec<Observation> = (0..8).map(|attester| report(0, attester, 5)).collect();
    judged(&mut history, 3, 1, &groups, &reports);
    let before = history.clone();
    let mut refused = |epoch: Epoch<'_>| evaluate(&mut history, &epoch, &Settings::default()).unwrap_err().to_string();
    let fine = Epoch { number: 4, hosters: 1, groups: &groups, barred: &[], exact: true, observations: &reports };
    assert_eq!(refused(Epoch { number: 3, ..fine }), "epoch 3 is not after epoch 3, which was evaluated already");
    assert_eq!(refused(Epoch { hosters: 0, ..fine }), "hoster 0 is unknown: there are 0 hosters");
    assert_eq!(refused(Epoch { groups: &groups[..4], ..fine }), "attester 4 has no group: there are 4 attesters");
    assert!(refused(Epoch { hosters: u32::MAX, ..fine }).starts_with("4294967295 hosters are too many"));
    assert!(refused(Epoch { groups: &[u32::MAX; 8], ..fine }).starts_with("group 4294967295 is out of range"));
    assert!(refused(Epoch { barred: &[1 << 24], ..fine }).starts_with("group 16777216 is out of range"));
    assert_eq!(history, before);
}

#[test]
fn the_barred_do_not_count() {
    let reports: Vec<Observation> =
        (0..9).map(|attester| report(0, attester, if attester < 5 { 20 } else { 5 })).collect();
    let (mut history, groups) = (History::default(), alone(9));
    let epoch =
        Epoch { number: 0, hosters: 1, groups: &groups, barred: &[0, 1, 2, 3, 4], exact: true, observations: &reports };
    let found = evaluate(&mut history, &epoch, &Settings::default()).unwrap();
    let estimate = found.hosters[0].now.unwrap();
    assert_eq!((estimate.value, estimate.groups), (Fixed::from_int(5), 4));
    assert!(found.flags.iter().all(|flag| flag.reason == FlagReason::Barred) && found.flags.len() == 5);
    assert!(matches!(found.dispute, Some(Dispute::FlaggedWeight { share_ppm: 555_555 })));
}

/// Whoever repeats what others found does not measure, and would make the estimate look surer than it is.
#[test]
fn copies_do_not_count_unless_everybody_rounds() {
    let copied = |reports: &dyn Fn(u32, u32) -> Observation| {
        let all: Vec<Observation> =
            (0..20).flat_map(|hoster| (0..15).map(move |attester| reports(hoster, attester))).collect();
        let found = judged(&mut History::default(), 0, 20, &alone(15), &all);
        let copies = found.flags.iter().filter(|flag| matches!(flag.reason, FlagReason::Copied { .. }));
        copies.map(|flag| flag.group).collect::<Vec<_>>()
    };
    let own = |hoster: u32, attester: u32| {
        let noise = Seed(9).stream_at("own", u64::from(hoster << 8 | attester)).next_u32();
        Observation { hoster, attester, value: Fixed::from_raw((i64::from(hoster) << 32) + i64::from(noise)) }
    };
    assert!(copied(&own).is_empty());
    // Three repeat what was found in the epoch before.
    let consensus = |hoster: u32| Fixed::from_ratio(2 * i64::from(hoster) + 1, 2);
    let lazy = |hoster: u32, attester: u32| match attester {
        0..3 => Observation { hoster, attester, value: consensus(hoster) },
        _ => own(hoster, attester),
    };
    assert_eq!(copied(&lazy), [0, 1, 2]);
    assert!(copied(&|hoster, attester| report(hoster, attester, hoster as i32)).is_empty());
}

/// Two groups with alike links see the same bucket most of the time, and copy nobody. Exact values that agree as often are copies.
#[test]
fn values_in_buckets_are_no_copies() {
    const LINKS: [i64; 7] = [0, 0, -9, -5, 5, 9, 13];
    let copied = |value: &mut dyn FnMut(u32) -> i64| {
        let mut cells = Vec::new();
        for hoster in 0..100 {
            cells.extend((0..7).map(|group| Cell { hoster, group, value: Fixed::from_raw(value(group)) }));
        }
        let table = Table::new(cells, 100, 7);
        let copies = copies(&table);
        let of = |group: usize| table.column(group).iter().filter(|cell| copies[**cell as usize]).count();
        (0..7).map(of).collect::<Vec<_>>()
    };
    let mut random = Seed(3).stream("buckets");
    let mut bucket = |group: u32| (LINKS[group as usize] + i64::from(random.next_u32().is_multiple_of(5))) << 32;
    assert!(copied(&mut bucket).into_iter().all(|count| count < 10), "{:?}", copied(&mut bucket));
    let mut other = Seed(4).stream("exact");
    let mut last = 0;
    let mut exact = |group: u32| {
        // The second says what the first said.
        last = if group == 1 { last } else { i64::from(other.next_u32()) * 22 };
        last
    };
    assert_eq!(copied(&mut exact), [100, 100, 0, 0, 0, 0, 0]);
}

#[test]
fn old_reports_fade_and_declared_changes_forget() {
    let (mut history, groups) = (History::default(), alone(8));
    let all = |value: i32| (0..8).map(|attester| report(0, attester, value)).collect::<Vec<_>>();
    judged(&mut history, 0, 1, &groups, &all(4));
    let value = |found: &Evaluation| found.hosters[0].pooled.unwrap().value;
    let mut moved = history.clone();
    moved.forget(0);
    assert!(moved.voices(0).is_empty());
    assert_eq!(value(&judged(&mut moved, 1, 1, &groups, &all(8))), Fixed::from_int(8));
    let soon = value(&judged(&mut history.clone(), 1, 1, &groups, &all(8)));
    let late = value(&judged(&mut history.clone(), 28, 1, &groups, &all(8)));
    assert!(soon > Fixed::from_int(5) && soon < late, "{soon} {late}");
    // Two half-lives: one against a quarter.
    assert!((late - Fixed::from_ratio(36, 5)).abs() < Fixed::from_ppm(1_000), "{late}");
    let silence = judged(&mut history, 1_000, 1, &groups, &[]);
    assert_eq!((silence.hosters[0].now, silence.hosters[0].pooled), (None, None));
}

/// What is old is known less well: the interval widens while nobody measures, and below six voices' worth there is none.
#[test]
fn silence_widens_the_interval_until_there_is_none() {
    let groups = alone(21);
    let reports: Vec<Observation> = (0..21).map(|attester| report(0, attester, 10 + attester as i32)).collect();
    let mut history = History::default();
    judged(&mut history, 0, 1, &groups, &reports);
    let after = |epochs: u64| {
        let found = judged(&mut history.clone(), epochs, 1, &groups, &[]).hosters[0].pooled.unwrap();
        (found.groups, found.interval.map(|interval| interval.high - interval.low))
    };
    let (fresh, half_life) = (after(1), after(14));
    assert!(half_life.1.unwrap() > fresh.1.unwrap(), "{fresh:?} {half_life:?}");
    // 21 * 2^(-25 / 14) = 6.1 voices, 21 * 2^(-28 / 14) = 5.25.
    assert!(after(25).1.is_some());
    assert_eq!(after(28), (21, None));
}

#[test]
fn a_stored_history_goes_on_as_if_it_had_not_been_stored() {
    let world = World::sized(3, (8, 20, 7), 0.3, Lie::Factor(4.0));
    let (mut history, _) = followed(&world, 3);
    let text = serde_json::to_string(&history).unwrap();
    assert!(!text.contains('.'), "integers only");
    let mut restored: History = serde_json::from_str(&text).unwrap();
    let groups = alone(20);
    let next = |history: &mut History| judged(history, 3, 8, &groups, &world.reports(3));
    assert_eq!(next(&mut history), next(&mut restored));
    assert_eq!(history, restored);
}

/// The bytes that two epochs and their history are made of.
fn bytes(world: &World, seed: Option<u64>) -> Vec<u8> {
    let (mut history, groups) = (History::default(), alone(world.attesters));
    let mut all = Vec::new();
    for number in 0..2 {
        let mut reports = world.reports(number);
        if let Some(seed) = seed {
            reports.shuffle(&mut Seed(seed).stream("order"));
        }
        let found = judged(&mut history, number, world.hosters as u32, &groups, &reports);
        all.extend(serde_json::to_vec(&(found, &history)).unwrap());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_reports_does_not_matter(seed: u64, order: u64, liars in 0.0..0.6f64, factor in 1.0..5.0f64) {
        let world = World::sized(seed, (6, 16, 9), liars, Lie::Factor(factor));
        prop_assert_eq!(bytes(&world, None), bytes(&world, Some(order)));
    }

    #[test]
    fn absurd_reports_do_not_panic(reports in prop::collection::vec((0..6u32, 0..20u32, any::<i64>()), 0..120), groups in prop::collection::vec(0..9u32, 20), gap in 1..u64::MAX) {
        let observations: Vec<Observation> =
            reports.iter().map(|(hoster, attester, raw)| Observation { hoster: *hoster, attester: *attester, value: Fixed::from_raw(*raw) }).collect();
        let mut history = History::default();
        for number in [0, gap] {
            judged(&mut history, number, 6, &groups, &observations);
        }
    }

    #[test]
    fn estimates_lie_among_the_reports(values in prop::collection::vec(-60..60i32, 6..40)) {
        let reports: Vec<Observation> = (0..).zip(&values).map(|(attester, value)| report(0, attester, *value)).collect();
        let found = judged(&mut History::default(), 0, 1, &alone(values.len()), &reports).hosters[0].now.unwrap();
        prop_assert!(found.value >= Fixed::from_int(-120) && found.value <= Fixed::from_int(120));
        let (interval, bracket) = (found.interval.unwrap(), found.bracket.unwrap());
        prop_assert!(interval.low <= found.value && found.value <= interval.high);
        prop_assert!(bracket.low <= bracket.high);
    }
}
