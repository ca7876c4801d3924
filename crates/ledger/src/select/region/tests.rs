use peermark_core::Seed;
use proptest::prelude::*;
use rand::Rng;

use super::*;

fn cell(text: &str) -> Geohash {
    text.parse().unwrap()
}

fn cells(texts: &[&str]) -> Vec<Geohash> {
    texts.iter().map(|text| cell(text)).collect()
}

/// S57, S58: one hash against several, in the seed's order: the same, within, next to it.
#[test]
fn s58_the_order_of_matches_is_exact_within_near() {
    let plan = cells(&["x3f", "u33"]);
    for (place, expected) in [
        ("X3F", Some(Match::Exact)),
        ("x3fb", Some(Match::Within)),
        ("u33dc0", Some(Match::Within)),
        ("x3d", Some(Match::Near)),
        ("u30zzz", Some(Match::Near)),
        ("u0y", None),
        // Shorter than what is asked for: it may be anywhere in its larger cell.
        ("u3", None),
        ("u", None),
    ] {
        assert_eq!(region_match(&cell(place), 0, &plan), expected, "{place}");
    }
    // Around the antimeridian.
    assert_eq!(region_match(&cell("8"), 0, &cells(&["x"])), Some(Match::Near));
    assert_eq!(region_match(&cell("80"), 0, &cells(&["x"])), Some(Match::Near));
}

/// S59: a hash with a radius reaches areas that its own cell is not next to, and never as more than near.
#[test]
fn s59_a_radius_reaches_further() {
    let far = cell("u33").around(2).into_iter().find(|far| !cell("u33").around(1).contains(far)).unwrap();
    assert_eq!(region_match(&cell("u33"), 1, std::slice::from_ref(&far)), None);
    assert_eq!(region_match(&cell("u33"), 2, std::slice::from_ref(&far)), Some(Match::Near));
    assert_eq!(region_match(&cell("u33"), 2, &cells(&["u33"])), Some(Match::Exact));
    // A place with fewer digits than the area does not match it by its radius either.
    assert_eq!(region_match(&cell("u33"), 4, &[cell("u30b")]), None);
}

/// S56, S60: the index finds what the rule finds, place by place, the best first.
#[test]
fn s60_the_index_gives_the_best_first() {
    let places = cells(&["u33", "u33d", "u30", "u30b", "u0", "dr5", "u3"]);
    let index = RegionIndex::new((0..).zip(places).map(|(id, place)| (id, place, 0)));
    let found: Vec<_> = index.matches(&cells(&["u33"])).iter().collect();
    assert_eq!(found, [(0, Match::Exact), (1, Match::Within), (2, Match::Near), (3, Match::Near)]);
    assert!(index.matches(&[]).is_empty());
}

fn geohash() -> impl Strategy<Value = Geohash> {
    // Few cells, so that they meet.
    (0_u32..1 << 30, 1_u8..=4).prop_map(|(number, precision)| {
        let text = ["u33d", "u339", "u30z", "x3fb", "80bp", "s000", "dr5r", "zzzz"][number as usize % 8];
        let near = cell(text).around(3);
        near[(number >> 8) as usize % near.len()].cut(precision).unwrap()
    })
}

proptest! {
    #[test]
    fn the_index_and_the_rule_agree(
        places in prop::collection::vec((geohash(), 0_u8..=3), 0..60),
        areas in prop::collection::vec(geohash(), 0..5),
    ) {
        let index = RegionIndex::new((0..).zip(&places).map(|(id, (place, radius))| (id, place.clone(), *radius)));
        let mut found: Vec<(Id, Match)> = index.matches(&areas).iter().collect();
        found.sort_unstable();
        let expected: Vec<(Id, Match)> = (0..)
            .zip(&places)
            .filter_map(|(id, (place, radius))| Some((id, region_match(place, *radius, &areas)?)))
            .collect();
        prop_assert_eq!(index.matches(&areas).len(), expected.len());
        prop_assert_eq!(found, expected);
    }
}

/// A plan is matched by ranges: what is looked at grows with the areas, not with the places.
#[test]
fn s56_a_plan_takes_few_ranges() {
    let mut rng = Seed(7).stream("places");
    let places = (0..20_000).map(|id| (id, Geohash::of_number(rng.next_u32() >> 2, 6).unwrap(), 0));
    let index = RegionIndex::new(places);
    let matches = index.matches(&cells(&["u33", "x3f", "dr"]));
    assert!(matches.ranges.iter().flatten().count() <= 3 * 9);
    assert_eq!(matches.len(), matches.iter().count());
    assert!(!matches.is_empty());
}
