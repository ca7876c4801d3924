//! What liars achieve, in a few trials; the adversary suite runs many.

use super::*;
use crate::verdict::{Side, Verdict, level};

const THIRD: f64 = 1.0 / 3.0;

#[derive(Default)]
struct Found {
    friends: Vec<f64>,
    victims: Vec<f64>,
    median_friends: Vec<f64>,
    covered: Vec<bool>,
    flagged: usize,
    liars_flagged: usize,
    liars: usize,
    disputed: usize,
    verdicts: Vec<(f64, Verdict)>,
}

fn trials(count: u64, epochs: u64, world: impl Fn(u64) -> World) -> Found {
    let mut found = Found::default();
    for seed in 0..count {
        let world = world(seed);
        let (_, last) = followed(&world, epochs);
        for hoster in 0..world.hosters {
            let estimate = last.hosters[hoster].pooled.unwrap();
            let error = (natural(estimate.value) - world.truth[hoster]).exp() - 1.0;
            let interval = estimate.interval.unwrap();
            found.covered.push((natural(interval.low)..=natural(interval.high)).contains(&world.truth[hoster]));
            let verdict = level(Some(&estimate), Side::AtLeast, Fixed::log2(100).unwrap(), 6, last.dispute.is_some());
            found.verdicts.push((world.side[hoster], verdict));
            if world.side[hoster] > 0.0 {
                found.friends.push(error);
                let mut plain: Vec<f64> = world
                    .reports(epochs - 1)
                    .iter()
                    .filter(|report| report.hoster as usize == hoster)
                    .map(|report| natural(report.value))
                    .collect();
                plain.sort_by(f64::total_cmp);
                found.median_friends.push((plain[plain.len() / 2] - world.truth[hoster]).exp() - 1.0);
            } else if world.side[hoster] < 0.0 {
                found.victims.push(error);
            }
        }
        found.flagged += last.flags.len();
        found.liars_flagged += last.flags.iter().filter(|flag| (flag.group as usize) < world.liars).count();
        found.liars += world.liars;
        found.disputed += usize::from(last.dispute.is_some());
    }
    found
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

impl Found {
    fn coverage(&self) -> f64 {
        self.covered.iter().filter(|covered| **covered).count() as f64 / self.covered.len() as f64
    }

    fn share(&self, side: f64, verdict: impl Fn(&Verdict) -> bool) -> f64 {
        let of_side: Vec<bool> =
            self.verdicts.iter().filter(|said| said.0 == side).map(|said| verdict(&said.1)).collect();
        of_side.iter().filter(|holds| **holds).count() as f64 / of_side.len() as f64
    }
}

/// R60, R64: one third of the attesters boost six hosters and smear six others, fourfold and quietly; after twenty epochs the estimates
/// stand where they would without them, and the liars are named.
#[test]
fn r64_a_bloc_of_a_third_is_named_and_moves_nothing() {
    for lie in [Lie::Factor(4.0), Lie::Factor(1.5)] {
        let found = trials(4, 20, |seed| World::new(seed, THIRD, lie));
        assert!(mean(&found.friends).abs() < 0.03 && mean(&found.victims).abs() < 0.03, "{lie:?} {:?}", found.friends);
        assert!(mean(&found.median_friends) > 0.08, "the plain median moves: {}", mean(&found.median_friends));
        assert!(found.coverage() > 0.92, "{lie:?} {}", found.coverage());
        assert!(found.liars_flagged * 100 >= found.liars * 98, "{lie:?} {} of {}", found.liars_flagged, found.liars);
        assert!(
            found.liars_flagged * 100 >= found.flagged * 97,
            "{lie:?} {} of {}",
            found.liars_flagged,
            found.flagged
        );
    }
}

#[test]
fn liars_who_lie_now_and_then_move_little() {
    let found = trials(4, 20, |seed| World::new(seed, THIRD, Lie::OnOff(4.0)));
    assert!(mean(&found.friends).abs() < 0.03 && mean(&found.victims).abs() < 0.03, "{:?}", found.friends);
    assert!(found.coverage() > 0.92, "{}", found.coverage());
    assert!(found.liars_flagged * 100 >= found.flagged * 90, "{} of {}", found.liars_flagged, found.flagged);
}

#[test]
fn repeating_what_was_found_before_is_no_evidence() {
    for lie in [Lie::Lazy, Lie::Copy] {
        let found = trials(3, 12, |seed| World::new(seed, THIRD, lie));
        assert_eq!((found.liars_flagged, found.flagged, found.disputed), (found.liars, found.liars, 0), "{lie:?}");
        assert!(found.coverage() > 0.92, "{lie:?} {}", found.coverage());
    }
}

/// R69: nobody below the promise is called to keep it, nobody above it to break it.
#[test]
fn r69_verdicts_stand_against_a_third_of_liars() {
    let found = trials(4, 20, |seed| World::new(seed, THIRD, Lie::Factor(1.5)).promise());
    assert_eq!(found.share(1.0, |verdict| *verdict == Verdict::Meets), 0.0);
    assert_eq!(found.share(-1.0, |verdict| *verdict == Verdict::Fails), 0.0);
    assert!(found.share(-1.0, |verdict| *verdict == Verdict::Meets) > 0.7);
}

#[test]
fn without_liars_nobody_is_named_and_everybody_is_judged() {
    let found = trials(4, 5, |seed| World::new(seed, 0.0, Lie::Factor(1.0)).promise());
    assert!(found.flagged <= 2 && found.disputed == 0, "{}", found.flagged);
    assert!(found.coverage() > 0.92, "{}", found.coverage());
    assert!(found.share(-1.0, |verdict| *verdict == Verdict::Meets) > 0.9);
}

#[test]
fn above_a_third_and_above_a_half_the_answer_is_disputed() {
    for share in [0.45, 0.55] {
        for lie in [Lie::Factor(4.0), Lie::Factor(1.5)] {
            let found = trials(2, 8, |seed| World::new(seed, share, lie));
            assert_eq!(found.disputed, 2, "{share} {lie:?}");
        }
    }
}

#[test]
fn a_flag_names_what_the_liar_did() {
    let world = World::new(1, 0.2, Lie::Factor(4.0));
    let (_, last) = followed(&world, 10);
    let flag = last.flags.iter().find(|flag| (flag.group as usize) < world.liars).unwrap();
    assert_eq!(flag.evidence.len(), Settings::default().evidence_rows as usize);
    for row in &flag.evidence[..4] {
        let side = world.side[row.hoster as usize];
        assert!(side != 0.0 && (row.residual > Fixed::ZERO) == (side > 0.0), "{row:?}");
    }
    assert_eq!(last.groups[flag.group as usize].weight_ppm, 0);
}

/// The limit that is stated aloud: a quiet lie for one hoster alone is not found, and moves it by at most 15 %.
#[test]
fn one_quiet_target_moves_at_most_fifteen_percent() {
    let found = trials(4, 20, |seed| {
        let mut world = World::new(seed, THIRD, Lie::Factor(1.5));
        world.side.iter_mut().skip(1).for_each(|side| *side = 0.0);
        world
    });
    let moved = mean(&found.friends);
    assert!(moved > 0.0 && moved < 0.15, "{moved}");
}
