//! Which of a million hosters match a plan's regions.

use std::collections::BTreeMap;

use peermark_core::region::{Geohash, named, names};
use peermark_core::{Clock, Seed};
use peermark_ledger::select::{Match, RegionIndex, region_match};
use peermark_probe::clock::MonotonicClock;
use rand::Rng;

use crate::figure::{Figure, Hold};

const HOSTERS: u64 = 1_000_000;
const ROUNDS: usize = 15;
/// One hoster in this many is asked by the rule itself: of all it would take minutes.
const SAMPLED: u64 = 100;
/// Longest match of one plan.
const LONGEST_MS: f64 = 5.0;

/// Plans, from a narrow to a wide one.
const PLANS: [(&str, &[&str]); 3] = [
    ("select.region_city_ms", &["berlin"]),
    ("select.region_centres_ms", &["eu-central-1", "us-east-1", "ap-south-1", "sa-east-1"]),
    ("select.region_continent_ms", &["europe"]),
];

/// One figure for each plan: to find all that match and list those of the best class, beside asking the rule of each hoster (of a sample, times
/// its share). Hosters are within some 300 km of the places that have names, at four to six digits; one of eight has a radius.
pub(super) fn region_match_of_a_million() -> Vec<Figure> {
    let hosters = hosters(Seed(7));
    let index = RegionIndex::new(hosters.iter().map(|(id, place, radius)| (*id, place.clone(), *radius)));
    PLANS.into_iter().map(|plan| figure(plan, &hosters, &index)).collect()
}

fn figure((name, plan): (&'static str, &[&str]), hosters: &[(u64, Geohash, u8)], index: &RegionIndex) -> Figure {
    let clock = MonotonicClock::new();
    let areas: Vec<Geohash> = plan.iter().filter_map(|name| named(name)).flat_map(|named| named.cells).collect();
    let mut indexed = Vec::new();
    for _ in 0..ROUNDS {
        let started_ns = clock.now_ns();
        let matches = index.matches(&areas);
        let best: Vec<u64> = [Match::Exact, Match::Within, Match::Near]
            .into_iter()
            .map(|class| matches.of(class).collect::<Vec<_>>())
            .find(|ids| !ids.is_empty())
            .unwrap_or_default();
        indexed.push((clock.now_ns() - started_ns) as f64 / 1e6);
        std::hint::black_box(best);
    }
    let matches = index.matches(&areas);
    let found: BTreeMap<u64, Match> = matches.iter().filter(|(id, _)| id % SAMPLED == 0).collect();
    let started_ns = clock.now_ns();
    let ask = |(id, place, radius): &(u64, Geohash, u8)| Some((*id, region_match(place, *radius, &areas)?));
    let expected: BTreeMap<u64, Match> = hosters.iter().filter(|(id, ..)| id % SAMPLED == 0).filter_map(ask).collect();
    let scanned_ms = (clock.now_ns() - started_ns) as f64 / 1e6 * SAMPLED as f64;
    let mut figure = Figure::of_values(name, "ms", &indexed, Hold::AtMost(LONGEST_MS));
    figure.reference = "asking the rule of each of them".into();
    figure.reference_value = Some(scanned_ms);
    figure.notes.push(format!(
        "{} areas, {} of {HOSTERS} hosters match; reference and check by one hoster in {SAMPLED}",
        areas.len(),
        matches.len()
    ));
    if found != expected {
        figure.ok = Some(false);
        figure.notes.push(format!("of the sample {} match, the rule finds {}", found.len(), expected.len()));
    }
    figure
}

fn hosters(seed: Seed) -> Vec<(u64, Geohash, u8)> {
    let mut rng = seed.stream("hosters");
    let cities: Vec<Geohash> =
        names().filter_map(named).filter(|named| named.cells.len() == 1).flat_map(|named| named.cells).collect();
    let mut below = |bound: u64| rng.next_u64() % bound;
    (0..HOSTERS)
        .filter_map(|id| {
            let city = cities.get(usize::try_from(below(cities.len() as u64)).ok()?)?.bounds();
            let jitter = |number: u64| i64::try_from(number).unwrap_or_default() - 3_000_000;
            let latitude = (city.south + jitter(below(6_000_000))).clamp(-89_000_000, 89_000_000);
            let longitude = (city.west + jitter(below(6_000_000))).clamp(-180_000_000, 179_999_999);
            let precision = 4 + u8::try_from(below(3)).ok()?;
            let radius = if below(8) == 0 { 1 + u8::try_from(below(4)).ok()? } else { 0 };
            Some((id, Geohash::of_micro_degrees(latitude, longitude, precision)?, radius))
        })
        .collect()
}
