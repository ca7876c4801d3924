use proptest::prelude::*;

use super::*;
use crate::policy::{PPM, RankingPolicy};

fn ranks(bounds: &[(u32, u32)]) -> Vec<RankInterval> {
    let numbered = (0..).zip(bounds);
    numbered.map(|(hoster, (best, worst))| RankInterval { hoster, best: *best, worst: *worst }).collect()
}

fn key(passed: u32, availability_ppm: u32, latency: Option<u64>, egress_bps: u64, tie: u8) -> RoundKey {
    RoundKey { passed, availability_ppm, latency_p95_us: latency, egress_bps, tie: [tie; 32] }
}

/// R73: hosters of a contract are strictly ordered, the last tie by a hash.
#[test]
fn one_round_has_a_strict_order() {
    let keys = [
        key(2, 900_000, Some(10), 5, 0),
        key(3, 800_000, Some(900), 1, 0),
        key(2, 900_000, Some(9), 5, 0),
        key(2, 900_000, Some(10), 6, 0),
        key(2, 900_000, Some(10), 5, 1),
        key(2, 900_000, None, 50, 0),
    ];
    assert_eq!(strict_order(&keys), [1, 2, 3, 0, 4, 5]);
    assert_eq!(strict_shares(&[1, 0]), [[0, WHOLE], [WHOLE, 0]]);
}

#[test]
fn ties_share_their_places() {
    let third = WHOLE / 3;
    assert_eq!(shares(&ranks(&[(1, 1), (2, 2), (3, 3)])), [[WHOLE, 0, 0], [0, WHOLE, 0], [0, 0, WHOLE]]);
    assert_eq!(shares(&ranks(&[(1, 3), (1, 3), (1, 3)])), [[third; 3]; 3]);
    let half = WHOLE / 2;
    assert_eq!(shares(&ranks(&[(1, 2), (3, 3), (1, 2)])), [[half, half, 0], [0, 0, WHOLE], [half, half, 0]]);
    // First better than third, the second told apart from neither: three orders agree with that.
    let chain = shares(&ranks(&[(1, 2), (1, 3), (3, 3)]));
    assert_eq!(chain, [[2 * third, third, 0], [third; 3], [0, third, 2 * third]]);
    assert_eq!(shares(&ranks(&[])), Vec::<Vec<u32>>::new());
}

/// A large field has places too, and whoever is told apart from nobody is paid as one in the middle.
#[test]
fn more_hosters_than_places_have_equal_parts_of_the_order() {
    let score = |units: &[u32]| {
        let mut history = PlaceHistory::default();
        history.add(Round { at_s: 0, units: units.to_vec() }, &RankingPolicy::default()).unwrap();
        history.shares(0, &RankingPolicy::default()).unwrap()
    };
    let strict: Vec<(u32, u32)> = (1..=32).map(|rank| (rank, rank)).collect();
    let found = shares(&ranks(&strict));
    assert_eq!((found[0][0], found[1][0], found[2][1], found[31][15]), (WHOLE, WHOLE, WHOLE, WHOLE));
    for n in [17, 33, 100] {
        let tied = shares(&ranks(&vec![(1, n); n as usize]));
        assert_eq!(tied.len(), n as usize);
        let one = score(&tied[0]);
        assert!(one.score_ppm.abs_diff(500_000) < 50_000, "{n}: {one:?}");
        let best: Vec<(u32, u32)> = (1..=n).map(|rank| (rank, rank)).collect();
        let best = shares(&ranks(&best));
        let factor =
            |units: &[u32]| crate::pay::tier(Some(&score(units)), &crate::policy::PayPolicy::default()).factor_ppm;
        assert_eq!((factor(&best[0]), factor(&best[n as usize - 1])), (1_150_000, 700_000), "{n}");
        assert_eq!(factor(&tied[0]), 850_000, "{n}");
    }
}

fn add(history: &mut PlaceHistory, at_s: u64, place: usize, places: usize) {
    let mut units = vec![0; places];
    units[place] = WHOLE;
    history.add(Round { at_s, units }, &RankingPolicy::default()).unwrap();
}

/// R74: the share of first, second and third places in one contract, such as A(#1=25%,#2=25%,#3=50%).
#[test]
fn history_in_one_contract() {
    let mut history = PlaceHistory::default();
    [0, 1, 2, 2].into_iter().for_each(|place| add(&mut history, 100, place, 3));
    let shares = history.shares(100, &RankingPolicy::default()).unwrap();
    assert_eq!(shares.places_ppm, [250_000, 250_000, 500_000]);
    assert_eq!((shares.rounds, shares.effective_milli, shares.score_ppm), (4, 4_000, 375_000));
    assert_eq!(PlaceHistory::default().shares(0, &RankingPolicy::default()), None);
}

/// R75: the same over all sets, such as A(#1=15%,#2=75%,#3=10%).
#[test]
fn history_across_sets() {
    let (mut one, mut two) = (PlaceHistory::default(), PlaceHistory::default());
    [0, 0, 0, 2, 2].into_iter().for_each(|place| add(&mut one, 50, place, 3));
    [1; 15].into_iter().for_each(|place| add(&mut two, 50, place, 3));
    let shares = across([&one, &two], 50, &RankingPolicy::default()).unwrap();
    assert_eq!(shares.places_ppm, [150_000, 750_000, 100_000]);
    assert_eq!(shares.score_ppm, 525_000);
}

#[test]
fn rounds_count_half_after_fourteen_days_and_only_the_last_are_kept() {
    let policy = RankingPolicy::default();
    let mut history = PlaceHistory::default();
    add(&mut history, 0, 0, 2);
    add(&mut history, policy.half_life_s, 1, 2);
    let shares = history.shares(policy.half_life_s, &policy).unwrap();
    assert_eq!(shares.places_ppm, [333_333, 666_667]);
    assert_eq!(shares.effective_milli, 1_500);
    for at_s in 0..300 {
        add(&mut history, 10 * policy.half_life_s + at_s, 0, 2);
    }
    assert_eq!(history.rounds().count(), 256);
    assert_eq!(history.shares(u64::MAX, &policy).unwrap().places_ppm, [PPM, 0], "however long ago");
}

#[test]
fn a_round_that_does_not_sum_to_the_whole_is_refused() {
    let mut history = PlaceHistory::default();
    let policy = RankingPolicy::default();
    let refused = history.add(Round { at_s: 0, units: vec![WHOLE, 1] }, &policy);
    assert_eq!(refused, Err(RoundError { places: 2, sum: u64::from(WHOLE) + 1 }));
    assert!(history.add(Round { at_s: 0, units: [vec![WHOLE], vec![0; 16]].concat() }, &policy).is_err());
    assert_eq!(history, PlaceHistory::default());
}

proptest! {
    /// R76: shares of a round sum to the whole by hoster and by place, whatever the intervals.
    #[test]
    fn places_and_hosters_sum_to_the_whole(bounds in prop::collection::vec((1u32..20, 0u32..8), 1..=MOST)) {
        let bounds: Vec<(u32, u32)> = bounds.into_iter().map(|(best, width)| (best, best + width)).collect();
        let shares = shares(&ranks(&bounds));
        for place in 0..bounds.len() {
            prop_assert_eq!(shares[place].iter().sum::<u32>(), WHOLE);
            prop_assert_eq!(shares.iter().map(|row| row[place]).sum::<u32>(), WHOLE);
        }
    }

    /// R76: shares of a history sum to one million.
    #[test]
    fn histories_sum_to_one(rounds in prop::collection::vec((0u64..100_000_000, 0usize..3), 1..300), now in 0u64..200_000_000) {
        let mut history = PlaceHistory::default();
        rounds.iter().for_each(|(at_s, place)| add(&mut history, *at_s, *place, 3));
        let shares = history.shares(now, &RankingPolicy::default()).unwrap();
        prop_assert_eq!(shares.places_ppm.iter().sum::<u32>(), PPM);
        prop_assert!(shares.score_ppm <= PPM);
    }
}
