use peermark_core::Seed;
use proptest::prelude::*;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::power::dominant;
use super::*;

fn number(fixed: Fixed) -> f64 {
    fixed.raw() as f64 / 4_294_967_296.0
}

/// A matrix of groups by hosters: the table of its cells and its entries.
fn matrix(groups: u32, hosters: u32, mut entry: impl FnMut(u32, u32) -> Option<f64>) -> (Table, Vec<i32>) {
    let (mut cells, mut entries) = (Vec::new(), Vec::new());
    for hoster in 0..hosters {
        for group in 0..groups {
            if let Some(value) = entry(group, hoster) {
                cells.push(Cell { hoster, group, value: Fixed::ZERO });
                entries.push((value * 65_536.0).round() as i32);
            }
        }
    }
    (Table::new(cells, hosters as usize, groups as usize), entries)
}

fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

#[test]
fn the_singular_value_of_a_known_matrix() {
    // [[3, 0], [4, 5]] has the singular values 3 sqrt(5) and sqrt(5).
    let known = [[3.0, 0.0], [4.0, 5.0]];
    let (table, entries) = matrix(2, 2, |group, hoster| Some(known[group as usize][hoster as usize]));
    let found = dominant(&table, &entries, &[true, true], 60).unwrap();
    assert!((number(found.strength) - 45_f64.sqrt()).abs() < 1e-4, "{}", found.strength);
    assert!((number(found.edge) - 2.0 * 2_f64.sqrt()).abs() < 1e-6);
    let alone = dominant(&table, &entries, &[true, false], 60).unwrap();
    assert!((number(alone.strength) - 3.0).abs() < 1e-4);
    assert!(dominant(&table, &[0; 4], &[true, true], 60).is_none());
    assert!(dominant(&table, &entries, &[false, false], 60).is_none());
}

#[test]
fn noise_stays_at_the_edge_dense_and_sparse() {
    for (groups, hosters, share) in [(120, 30, 1.0), (120, 30, 0.26), (400, 300, 0.1)] {
        let mut rng = Seed(3).stream("noise");
        let (table, entries) = matrix(groups, hosters, |_, _| {
            let value = normal(&mut rng);
            (rng.random::<f64>() < share).then_some(value)
        });
        let found = dominant(&table, &entries, &vec![true; groups as usize], 60).unwrap();
        let ratio = number(found.strength) / number(found.edge);
        assert!((0.85..1.15).contains(&ratio), "{groups} x {hosters} at {share}: {ratio}");
        assert!(camps(&table, &entries, &vec![true; groups as usize], 0, &Settings::default()).is_none());
    }
}

#[test]
fn a_planted_bloc_is_found_and_nobody_else() {
    let mut rng = Seed(4).stream("bloc");
    let (table, entries) = matrix(60, 30, |group, hoster| {
        let push = if group < 20 && hoster < 12 { 2.5 } else { 0.0 };
        Some(normal(&mut rng) + if hoster % 2 == 0 { push } else { -push })
    });
    let found = camps(&table, &entries, &[true; 60], 0, &Settings::default()).unwrap();
    let members: Vec<u32> = found.members.iter().map(|member| member.group).collect();
    assert!(members.iter().all(|group| *group < 20) && members.len() >= 19, "{members:?}");
    assert_eq!(found.split_ppm, 333_333);
}

proptest! {
    #[test]
    fn the_cut_is_the_best_one(mut values in prop::collection::vec(-1_000..1_000i64, 2..40)) {
        values.sort_unstable();
        let sorted: Vec<Fixed> = values.iter().map(|value| Fixed::from_ratio(*value, 10)).collect();
        let within = |part: &[i64]| {
            let mean = part.iter().sum::<i64>() as f64 / part.len() as f64;
            part.iter().map(|value| (*value as f64 - mean).powi(2)).sum::<f64>()
        };
        let cost = |cut: usize| within(&values[..cut]) + within(&values[cut..]);
        let best = (1..values.len()).map(cost).fold(f64::INFINITY, f64::min);
        let found = cost(best_cut(&sorted).unwrap());
        prop_assert!(found <= best * 1.001 + 1.0, "{found} {best}");
    }
}
