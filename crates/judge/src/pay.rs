//! Pay follows rank: a tier by the share of places, and the check that nobody who ranks worse is paid better.
//!
//! A tier is a factor on the contract's price. What a hoster asks for stands beside its rank and never in it: nothing here takes a
//! price to find a tier.

use serde::{Deserialize, Serialize};

use crate::places::PlaceShares;
use crate::policy::{PPM, PayPolicy};
use crate::share;

/// The tier of a hoster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Number of the tier, from 0 for the lowest.
    pub number: u32,
    /// What it is paid, relative to the contract's price, in parts per million.
    pub factor_ppm: u32,
    /// The rank score that it follows from; absent where nothing is ranked yet.
    pub score_ppm: Option<u32>,
}

/// What one hoster is paid and what it ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// The hoster's id.
    pub hoster: u64,
    /// What it is paid for the same work.
    pub paid: u64,
    /// Its rank score.
    pub score_ppm: u32,
}

/// Somebody who is paid more than somebody who ranks above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inversion {
    /// Who is paid more.
    pub paid_more: u64,
    /// Who ranks above.
    pub ranks_above: u64,
}

/// All inversions of a contract or a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inversions {
    /// How many pairs there are.
    pub count: u64,
    /// The first of them.
    pub pairs: Vec<Inversion>,
}

/// The tier of a rank. Without rounds it is the lowest: nobody is paid for what is not shown.
pub fn tier(shares: Option<&PlaceShares>, policy: &PayPolicy) -> Tier {
    let score_ppm = shares.map(|shares| shares.score_ppm);
    let reached = policy.tiers.iter().take_while(|tier| tier.from_score_ppm <= score_ppm.unwrap_or(0)).count();
    let number = reached.saturating_sub(1);
    let factor_ppm = policy.tiers.get(number).map_or(PPM, |tier| tier.factor_ppm);
    Tier { number: u32::try_from(number).unwrap_or(u32::MAX), factor_ppm, score_ppm }
}

/// What a tier earns of a price, rounded down.
pub fn earned(price: u64, tier: &Tier) -> u64 {
    share::scaled(price, u64::from(tier.factor_ppm))
}

/// Pairs of which the better paid ranks below the worse paid, and the first `limit` of them by ids. In O(n log n + n * limit).
pub fn inversions(paid: &[Paid], limit: usize) -> Inversions {
    let mut sorted = paid.to_vec();
    sorted.sort_by_key(|entry| (entry.paid, entry.score_ppm, entry.hoster));
    let mut scores: Vec<u32> = sorted.iter().map(|entry| entry.score_ppm).collect();
    scores.sort_unstable();
    scores.dedup();
    let mut seen = Counts(vec![0; scores.len() + 1]);
    let (mut count, mut before, mut begin) = (0_u64, 0_u64, 0);
    while begin < sorted.len() {
        // Who is paid the same is not better paid: a group is compared with those before it.
        let end = begin + sorted[begin..].iter().take_while(|entry| entry.paid == sorted[begin].paid).count();
        let places = sorted[begin..end].iter().map(|entry| scores.partition_point(|score| *score <= entry.score_ppm));
        let places: Vec<usize> = places.collect();
        for place in &places {
            count = count.saturating_add(before - seen.up_to(*place));
        }
        places.iter().for_each(|place| seen.add(*place));
        before += (end - begin) as u64;
        begin = end;
    }
    let mut pairs = Vec::new();
    if count > 0 {
        sorted.sort_by_key(|entry| entry.hoster);
        'all: for more in &sorted {
            for less in &sorted {
                if pairs.len() >= limit {
                    break 'all;
                }
                if more.paid > less.paid && more.score_ppm < less.score_ppm {
                    pairs.push(Inversion { paid_more: more.hoster, ranks_above: less.hoster });
                }
            }
        }
    }
    Inversions { count, pairs }
}

/// Counts by place with sums of beginnings (Fenwick tree).
struct Counts(Vec<u64>);

impl Counts {
    fn add(&mut self, mut place: usize) {
        while place < self.0.len() && place > 0 {
            self.0[place] += 1;
            place += place & place.wrapping_neg();
        }
    }

    fn up_to(&self, mut place: usize) -> u64 {
        let mut sum = 0;
        while place > 0 {
            sum += self.0[place];
            place &= place - 1;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(score_ppm: u32) -> PlaceShares {
        PlaceShares { places_ppm: vec![PPM], rounds: 1, effective_milli: 1_000, score_ppm }
    }

    fn paid(entries: &[(u64, u64, u32)]) -> Vec<Paid> {
        entries
            .iter()
            .map(|(hoster, paid, score_ppm)| Paid { hoster: *hoster, paid: *paid, score_ppm: *score_ppm })
            .collect()
    }

    /// R77: pay follows quality by construction: a better score is never paid worse.
    #[test]
    fn a_better_rank_is_never_paid_worse() {
        let policy = PayPolicy::default();
        let mut last = 0;
        for score in (0..=PPM).step_by(1_000) {
            let found = tier(Some(&shares(score)), &policy);
            assert!(found.factor_ppm >= last);
            last = found.factor_ppm;
        }
        assert_eq!((tier(None, &policy).number, tier(Some(&shares(PPM)), &policy).number), (0, 3));
        let everybody: Vec<Paid> = (0..100)
            .map(|hoster| {
                let score_ppm = hoster * 10_000;
                let paid = earned(1_000_000, &tier(Some(&shares(score_ppm)), &policy));
                Paid { hoster: u64::from(hoster), paid, score_ppm }
            })
            .collect();
        assert_eq!(inversions(&everybody, 10), Inversions::default());
    }

    /// R78: violations are counted and named, so that an alert can be raised.
    #[test]
    fn who_is_paid_more_and_ranks_below_is_named() {
        let found = inversions(&paid(&[(1, 100, 900_000), (2, 120, 500_000), (3, 120, 100_000), (4, 90, 50_000)]), 1);
        assert_eq!(found, Inversions { count: 2, pairs: vec![Inversion { paid_more: 2, ranks_above: 1 }] });
        assert_eq!(inversions(&paid(&[(1, 100, 5), (2, 100, 9)]), 9).count, 0, "paid the same");
        assert_eq!(inversions(&[], 9), Inversions::default());
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_all_pairs(entries in prop::collection::vec((0u64..6, 0u32..6), 0..40)) {
            let numbered: Vec<_> = (0..).zip(&entries).map(|(hoster, (pay, score))| (hoster, *pay, *score)).collect();
            let all = paid(&numbered);
            let naive = all.iter().flat_map(|a| all.iter().map(move |b| (a, b)));
            let naive = naive.filter(|(a, b)| a.paid > b.paid && a.score_ppm < b.score_ppm).count();
            let found = inversions(&all, usize::MAX);
            prop_assert_eq!(found.count, naive as u64);
            prop_assert_eq!(found.pairs.len(), naive);
        }
    }
}
