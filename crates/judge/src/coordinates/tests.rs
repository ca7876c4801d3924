use super::*;
use crate::fixed::Fixed;
use crate::policy::CoordinatePolicy;

const CITIES: [&str; 4] = ["Berlin", "South London", "East London", "Rome"];
/// The seed's table: by city the tenths of a second to the others, in the order of the cities.
const LAGS: [[u64; 4]; 4] = [[0, 1, 3, 1], [2, 0, 2, 3], [5, 3, 0, 2], [1, 2, 5, 0]];

fn seed_map() -> LagMap {
    let mut map = LagMap::default();
    for (from, lags) in (1_u64..).zip(LAGS) {
        for (to, lag) in (1_u64..).zip(lags) {
            let taken = map.measured(from, to, Cell { lag_us: lag * 100_000, at_s: 0 });
            assert_eq!(taken, from != to, "{}", CITIES[from as usize - 1]);
        }
    }
    map
}

/// S63: the seed's four cities, whose lags differ by direction.
#[test]
fn the_four_cities_of_the_seed() {
    let map = seed_map();
    assert_eq!((map.lag(1, 2), map.lag(2, 1)), (Some(100_000), Some(200_000)), "Berlin to South London and back");
    assert_eq!(map.symmetric(1, 2), Some(100_000));
    let pairs =
        [(1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)].map(|(a, b)| map.symmetric(a, b).map(|us| us / 100_000));
    assert_eq!(pairs, [Some(1), Some(3), Some(1), Some(2), Some(2), Some(2)]);
    assert_eq!(map.iter().count(), 12);
    assert_eq!(map.symmetric(1, 9), None);
}

/// S61: every proof of performance updates the map; the newest counts.
#[test]
fn the_map_follows_the_newest_measurement() {
    let mut map = seed_map();
    assert!(map.measured(1, 2, Cell { lag_us: 400_000, at_s: 7 }));
    assert!(!map.measured(1, 2, Cell { lag_us: 1, at_s: 6 }));
    assert_eq!((map.lag(1, 2), map.symmetric(1, 2)), (Some(400_000), Some(200_000)));
}

/// S62: existing jobs may go to new best hosters.
#[test]
fn a_nearer_hoster_is_suggested() {
    let map = seed_map();
    let policy = CoordinatePolicy::default();
    // Users in Rome; East London hosts, Berlin could.
    let found = suggestions(&map, &[4], &[3], &[1, 3], &policy);
    let expected = Suggestion { replace: 3, by: 1, now_us: 200_000, then_us: 100_000, gain_ppm: 500_000 };
    assert_eq!(found, [expected]);
    assert_eq!(suggestions(&map, &[4], &[1], &[3], &policy), [], "farther");
    assert_eq!(suggestions(&map, &[4], &[3], &[9], &policy), [], "never measured");
    let picky = CoordinatePolicy { min_gain_ppm: 500_001, ..policy };
    assert_eq!(suggestions(&map, &[4], &[3], &[1], &picky), []);
}

/// S61, S63: coordinates learn distances that were measured, and predict those that were not.
#[test]
fn coordinates_predict_distances() {
    // Nodes on a grid of 20 ms with 5 ms access each; every seventh pair is never measured.
    let nodes: Vec<(i64, i64)> = (0..16).map(|at| (at % 4, at / 4)).collect();
    let truth = |a: usize, b: usize| {
        let (dx, dy) = (nodes[a].0 - nodes[b].0, nodes[a].1 - nodes[b].1);
        (400 * (dx * dx + dy * dy) as u64 * 1_000_000).isqrt() + 10_000
    };
    let is_measured = |a: usize, b: usize| !(a.min(b) * 5 + a.max(b) * 3).is_multiple_of(7);
    let mut estimators: Vec<Estimator> = (0..16).map(Estimator::new).collect();
    for _ in 0..300 {
        for a in 0..nodes.len() {
            for b in (0..nodes.len()).filter(|b| *b != a && is_measured(a, *b)) {
                let place = *estimators[b].coordinate();
                assert!(estimators[a].observe(b as u64, &place, truth(a, b)));
            }
        }
    }
    let mut errors: Vec<u64> = Vec::new();
    for a in 0..nodes.len() {
        for b in (a + 1..nodes.len()).filter(|b| !is_measured(a, *b)) {
            let predicted = estimators[a].coordinate().distance_us(estimators[b].coordinate());
            errors.push(predicted.abs_diff(truth(a, b)) * 1_000 / truth(a, b));
        }
    }
    errors.sort_unstable();
    let (median, worst) = (errors[errors.len() / 2], errors[errors.len() - 1]);
    assert!(median <= 60 && worst <= 250, "relative errors in thousandths: median {median}, worst {worst}");
}

#[test]
fn what_cannot_be_is_not_taken() {
    let mut node = Estimator::new(0);
    let here = Coordinate::default();
    assert!(!node.observe(1, &here, 10_000_001));
    let nowhere = Coordinate { height: Fixed::from_int(20_000), ..here };
    assert!(!node.observe(1, &nowhere, 1_000));
    let below = Coordinate { error: Fixed::from_int(-1), ..here };
    assert!(!node.observe(1, &below, 1_000));
    assert_eq!(node, Estimator::new(0));
    // One absurd lag among three does not count.
    for _ in 0..2 {
        node.observe(1, &here, 20_000);
    }
    let calm = *node.coordinate();
    node.observe(1, &here, 9_000_000);
    assert!(node.coordinate().moved_us(&calm) < 20_000);
}

/// S61, S63: a snapshot that moved more than 50 ms in an epoch is refused.
#[test]
fn a_snapshot_moves_at_most_fifty_milliseconds() {
    let policy = CoordinatePolicy::default();
    let here = Coordinate::default();
    let at = |ms: i32| {
        let mut there = here;
        there.position[3] = Fixed::from_int(ms);
        there
    };
    assert_eq!(accept_snapshot(Some(&here), &at(50), &policy), Ok(()));
    assert_eq!(accept_snapshot(None, &at(500), &policy), Ok(()));
    let refused = SnapshotError::Moved { moved_us: 51_000, most_us: 50_000 };
    assert_eq!(accept_snapshot(Some(&here), &at(51), &policy), Err(refused));
    assert_eq!(accept_snapshot(None, &at(10_001), &policy), Err(SnapshotError::Range));
}
