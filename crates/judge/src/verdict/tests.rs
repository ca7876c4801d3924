use peermark_core::Seed;
use proptest::prelude::*;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::*;
use crate::proportion;
use crate::robust::Bounds;

const TERMS: Terms = Terms { guarantee_ppm: 950_000, minimum_groups: 6, icc_floor_ppm: 0 };

fn tallies(probes: u64, met: &[u64]) -> Vec<Tally> {
    (0..).zip(met).map(|(group, met)| Tally { group, met: *met, of: probes }).collect()
}

fn judged(tallies: &[Tally], terms: &Terms) -> ShareFinding {
    share(tallies, |_| true, terms, false)
}

fn unproven(because: Doubt) -> Verdict {
    Verdict::Unproven { because }
}

fn estimate(low: i32, high: i32) -> Estimate {
    let interval = Some(Bounds { low: Fixed::from_int(low), high: Fixed::from_int(high) });
    Estimate { value: Fixed::from_int(low), interval, bracket: None, spread: Fixed::ZERO, groups: 31 }
}

#[test]
fn bounds_agree_with_floating_point() {
    for (met, of) in [(81, 263), (15, 148), (0, 20), (1, 29), (20, 20), (1, 1), (999_000, 1_000_000), (3, 200_000_000)]
    {
        let found = Share::new(met, of, Fixed::from_int(of as i32));
        // Two-sided 90 % has the same ends as one-sided 95 %.
        let truth = proportion::wilson(met, of, 0.9).unwrap();
        let close = |fixed: Fixed, truth: f64| (fixed.raw() as f64 / 4_294_967_296.0 - truth).abs() < 2e-7;
        assert!(
            close(wilson_low(found), truth.low) && close(wilson_high(found), truth.high),
            "{met}/{of}: {found:?} {truth:?}"
        );
    }
    assert_eq!(wilson_low(Share::new(0, 0, Fixed::ONE)), Fixed::ZERO);
    assert_eq!(wilson_high(Share::new(0, 0, Fixed::ONE)), Fixed::ONE);
    assert_eq!(Share::new(9, 3, Fixed::ONE).ratio, Fixed::ONE);
}

/// R60: a guarantee is stated only from as many probes as it takes; the table of the evaluation, exactly.
#[test]
fn the_table_of_needed_probes() {
    for (guarantee_ppm, needed) in
        [(900_000, [29, 46, 61]), (950_000, [59, 93, 124]), (990_000, [299, 473, 628]), (995_000, [598, 947, 1_258])]
    {
        assert_eq!([0, 1, 2].map(|misses| needed_probes(guarantee_ppm, misses).unwrap()), needed, "{guarantee_ppm}");
    }
    assert_eq!(needed_probes(999_000, 0), Some(2_995));
    assert_eq!(needed_probes(500_000, 0), Some(5));
    assert_eq!(needed_probes(999_999, 0), Some(2_995_731));
    for impossible in [(0, 0), (1_000_000, 0), (2_000_000, 1), (900_000, 3)] {
        assert_eq!(needed_probes(impossible.0, impossible.1), None);
    }
}

/// R69: whether a chunk can be had at all is a share of probes; R70 and R71: latency and bandwidth are levels or shares.
#[test]
fn r69_kept_broken_and_open_shares() {
    assert_eq!(judged(&tallies(20, &[20; 9]), &TERMS).verdict, Verdict::Meets);
    assert_eq!(judged(&tallies(20, &[15; 9]), &TERMS).verdict, Verdict::Fails);
    assert_eq!(judged(&tallies(20, &[19; 9]), &TERMS).verdict, unproven(Doubt::TooClose));
    assert_eq!(judged(&[], &TERMS).verdict, unproven(Doubt::NoEvidence));
    assert_eq!(judged(&tallies(0, &[0; 9]), &TERMS).verdict, unproven(Doubt::NoEvidence));
    // Seven of nine groups are left for the lower bound.
    assert_eq!(judged(&tallies(9, &[9; 9]), &TERMS).verdict, Verdict::Meets);
    let few = Doubt::TooFewProbes { have: 56, needed: 59 };
    assert_eq!(judged(&tallies(8, &[8; 9]), &TERMS).verdict, unproven(few));
    assert_eq!(share(&tallies(20, &[20; 9]), |_| true, &TERMS, true).verdict, Verdict::Disputed);
}

/// R70, R71: a level is kept where the whole interval lies on the promised side.
#[test]
fn r70_r71_levels() {
    let verdict = |side, threshold| level(Some(&estimate(10, 12)), side, Fixed::from_int(threshold), 6, false);
    assert_eq!(
        [9, 10, 11, 12, 13].map(|threshold| verdict(Side::AtLeast, threshold)),
        [Verdict::Meets, Verdict::Meets, unproven(Doubt::TooClose), unproven(Doubt::TooClose), Verdict::Fails,]
    );
    assert_eq!(
        [9, 10, 11, 12, 13].map(|threshold| verdict(Side::AtMost, threshold)),
        [Verdict::Fails, unproven(Doubt::TooClose), unproven(Doubt::TooClose), Verdict::Meets, Verdict::Meets,]
    );
    let young = Estimate { interval: None, groups: 5, ..estimate(10, 12) };
    let few = Doubt::TooFewGroups { have: 5, needed: 6 };
    assert_eq!(level(Some(&young), Side::AtLeast, Fixed::ZERO, 6, false), unproven(few));
    assert_eq!(level(None, Side::AtLeast, Fixed::ZERO, 6, false), unproven(Doubt::NoEvidence));
    assert_eq!(level(Some(&young), Side::AtLeast, Fixed::ZERO, 6, true), Verdict::Disputed);
}

#[test]
fn five_groups_prove_nothing_however_much_they_probe() {
    let few = unproven(Doubt::TooFewGroups { have: 5, needed: 6 });
    assert_eq!(judged(&tallies(100_000, &[100_000; 5]), &TERMS).verdict, few);
    assert_eq!(judged(&tallies(100_000, &[0; 5]), &TERMS).verdict, few);
    let flagged = share(&tallies(100_000, &[100_000; 7]), |group| group > 1, &TERMS, false);
    assert_eq!((flagged.verdict, flagged.groups), (few, 5));
}

#[test]
fn a_third_of_liars_prove_nothing_and_break_nothing() {
    // Nine voices bear two liars, of 31 ten.
    let mut friends = tallies(100, &[80; 31]);
    friends[..10].iter_mut().for_each(|voice| voice.met = 100);
    assert_eq!(judged(&friends, &TERMS).verdict, Verdict::Fails);
    let mut victims = tallies(100, &[99; 31]);
    victims[..10].iter_mut().for_each(|voice| voice.met = 0);
    let found = judged(&victims, &TERMS);
    assert!(matches!(found.verdict, Verdict::Unproven { .. }), "{found:?}");
    assert_eq!(judged(&victims[10..], &TERMS).verdict, Verdict::Meets, "once they are flagged");
}

#[test]
fn one_diligent_group_is_still_one_voice() {
    let mut voices = tallies(20, &[20; 9]);
    voices[3] = Tally { group: 3, met: 10_000, of: 1_000_000 };
    let found = judged(&voices, &TERMS);
    assert!(matches!(found.verdict, Verdict::Unproven { .. }), "{found:?}");
    assert!(found.share_ppm > 880_000);
    // A miss in a thousand is a miss in a thousand where ten count.
    let mut voices = tallies(10, &[10; 9]);
    voices.extend((9..20).map(|group| Tally { group, met: 999, of: 1_000 }));
    assert!(judged(&voices, &TERMS).low_ppm > 950_000);
}

#[test]
fn probes_that_agree_within_their_group_count_less() {
    // Three groups of nine see half of their probes fail, the others none.
    let uneven = judged(&tallies(200, &[200, 200, 200, 200, 200, 200, 100, 100, 100]), &TERMS);
    let even = judged(&tallies(200, &[166, 167, 167, 166, 167, 167, 166, 167, 167]), &TERMS);
    assert_eq!(even.effective, 1_400);
    assert!(uneven.effective < 30, "{uneven:?}");
    let floor = Terms { icc_floor_ppm: 10_000, ..TERMS };
    // 1,400 / (1 + 199 * 0.01)
    assert_eq!(judged(&tallies(200, &[200; 9]), &floor).effective, 468);
}

#[test]
fn what_a_guarantee_takes() {
    let probing = Probing {
        committee: 5,
        pool: 120,
        probes_per_attester: 30,
        round_s: 21_600,
        probe_bytes: 1_000_000,
        icc_ppm: 10_000,
        minimum_groups: 6,
        pooled_s: 30 * 86_400,
    };
    let found = needs(990_000, &probing).unwrap();
    // Four rounds: 20 groups, 14 of them kept, 30 probes each, 1 + 29 * 0.01: 325 independent probes, 299 needed.
    assert_eq!(
        found,
        Needs { effective_probes: 299, probes: 600, groups: 20, rounds: 4, seconds: 86_400, bytes: 600_000_000 }
    );
    assert_eq!(needs(900_000, &probing).unwrap().rounds, 2, "six groups take two rounds of five");
    assert_eq!(needs(1_000_000, &probing), Err(Never::Guarantee { guarantee_ppm: 1_000_000 }));
    let small = Probing { pool: 12, ..probing };
    // Nine of twelve count, each worth at most 1 / 0.01.
    assert_eq!(needs(999_000, &small), Err(Never::Correlated { most: 899, needed: 2_995 }));
    assert_eq!(needs(900_000, &Probing { pool: 5, ..probing }), Err(Never::TooFewGroups { have: 5, needed: 6 }));
    assert_eq!(needs(900_000, &Probing { committee: 0, ..probing }), Err(Never::NoProbes));
    // More probes than 32 bits count, and more than 64 bits in the longest time that is looked at.
    let many = Probing { committee: 100_000, pool: 100_000, probes_per_attester: 100_000, ..probing };
    assert_eq!(needs(990_000, &many).map(|found| found.probes), Ok(10_000_000_000));
    let most = Probing { committee: u32::MAX, pool: u32::MAX, probes_per_attester: u32::MAX, ..probing };
    assert_eq!(needs(990_000, &most).map(|found| found.bytes), Ok(u64::MAX), "bytes saturate");
    let slow = Probing { pooled_s: 86_399, ..probing };
    assert_eq!(needs(990_000, &slow), Err(Never::TooSlow { seconds: 86_400, pooled_s: 86_399 }));
    assert!(needs(990_000, &slow).unwrap_err().to_string().contains("86400 s"));
}

#[test]
fn what_is_needed_is_what_proves_it() {
    let probing = Probing {
        committee: 7,
        pool: 40,
        probes_per_attester: 20,
        round_s: 3_600,
        probe_bytes: 1,
        icc_ppm: 5_000,
        minimum_groups: 6,
        pooled_s: u64::MAX,
    };
    for guarantee_ppm in [900_000, 950_000, 990_000, 995_000] {
        let found = needs(guarantee_ppm, &probing).unwrap();
        let each = found.probes / u64::from(found.groups);
        let voices: Vec<Tally> = (0..found.groups).map(|group| Tally { group, met: each, of: each }).collect();
        let terms = Terms { guarantee_ppm, minimum_groups: 6, icc_floor_ppm: probing.icc_ppm };
        assert_eq!(judged(&voices, &terms).verdict, Verdict::Meets, "{guarantee_ppm}");
    }
}

/// Where the truth is exactly the guarantee, MEETS and FAILS are both wrong (a little); each must be rare.
#[test]
fn at_the_edge_verdicts_are_rarely_wrong() {
    let mut rng = Seed(5).stream("edge");
    let rounds = 1_000;
    let mut said = [0, 0];
    for _ in 0..rounds {
        let voices: Vec<Tally> = (0..9)
            .map(|group| Tally { group, met: (0..60).filter(|_| rng.random::<f64>() < 0.95).count() as u64, of: 60 })
            .collect();
        match judged(&voices, &TERMS).verdict {
            Verdict::Meets => said[0] += 1,
            Verdict::Fails => said[1] += 1,
            _ => {}
        }
    }
    assert!(said[0] <= 50 && said[1] <= 50, "{said:?}");
}

proptest! {
    #[test]
    fn any_counts_any_order_one_answer(
        mut voices in prop::collection::vec((0..40u32, any::<u64>(), any::<u64>()).prop_map(|(group, met, of)| Tally { group, met, of }), 0..60),
        guarantee_ppm: u32, minimum_groups in 0..20u32, icc_floor_ppm: u32, seed: u64,
    ) {
        let terms = Terms { guarantee_ppm, minimum_groups, icc_floor_ppm };
        let found = judged(&voices, &terms);
        prop_assert!(found.low_ppm <= found.share_ppm.saturating_add(1) && found.share_ppm <= found.high_ppm.saturating_add(1), "{found:?}");
        voices.shuffle(&mut Seed(seed).stream("order"));
        prop_assert_eq!(found, judged(&voices, &terms));
    }

    #[test]
    fn more_kept_probes_never_turn_meets_into_fails(met in prop::collection::vec(0..=50u64, 9), which in 0..9usize) {
        let before = judged(&tallies(50, &met), &TERMS);
        let mut more = met;
        more[which] = 50;
        let after = judged(&tallies(50, &more), &TERMS);
        prop_assert!(after.share_ppm >= before.share_ppm);
        prop_assert!(!(before.verdict == Verdict::Meets && after.verdict == Verdict::Fails));
    }

    #[test]
    fn needs_never_panics(guarantee_ppm: u32, committee: u32, pool: u32, probes_per_attester: u32, round_s: u64, probe_bytes: u64, icc_ppm: u32, minimum_groups: u32, pooled_s: u64) {
        let probing = Probing { committee, pool, probes_per_attester, round_s, probe_bytes, icc_ppm, minimum_groups, pooled_s };
        let _ = needs(guarantee_ppm, &probing);
    }
}
