use proptest::prelude::*;

use super::*;

fn cell(text: &str) -> Geohash {
    text.parse().unwrap()
}

fn texts(cells: &[Geohash]) -> Vec<&str> {
    cells.iter().map(Geohash::as_str).collect()
}

/// S55: the seed's sample hashes are not all geohashes.
#[test]
fn s55_hashes_that_are_none_are_refused() {
    for wrong in ["A0K", "AX3F", "A0TY", "AF3", "XA3", "X3FaaaF1", "", "u33db2m", "u 3", "u\u{e4}", "i", "L", "o"] {
        assert_eq!(wrong.parse::<Geohash>().unwrap_err().text, wrong, "{wrong}");
        assert!(serde_json::from_str::<Geohash>(&format!("{wrong:?}")).is_err(), "{wrong}");
    }
    for right in ["X3F", "xF3", "0", "zzzzzz"] {
        assert_eq!(cell(right).as_str(), right.to_ascii_lowercase());
    }
}

/// Published cells: the example of the format's article (57.64911, 10.40744 is u4pruydqqvj) and cities.
#[test]
fn points_lie_in_the_published_cells() {
    for (latitude, longitude, expected) in [
        (57_649_110, 10_407_440, "u4pruy"),
        (48_669_000, -4_329_000, "gbsuv7"),
        (52_520_000, 13_405_000, "u33dc0"),
        (-33_868_800, 151_209_300, "r3gx2f"),
        (40_712_800, -74_006_000, "dr5reg"),
        (0, 0, "s00000"),
        (-90_000_000, -180_000_000, "000000"),
        (90_000_000, 180_000_000, "bpbpbp"),
        (89_999_999, 179_999_999, "zzzzzz"),
    ] {
        let found = Geohash::of_micro_degrees(latitude, longitude, 6).unwrap();
        assert_eq!(found.as_str(), expected);
        for precision in 1..=6 {
            assert_eq!(Geohash::of_micro_degrees(latitude, longitude, precision), found.cut(precision));
        }
    }
    assert_eq!(Geohash::of_micro_degrees(90_000_001, 0, 6), None);
    assert_eq!(Geohash::of_micro_degrees(0, -180_000_001, 6), None);
    assert_eq!(Geohash::of_micro_degrees(0, 0, 0), None);
    assert_eq!(Geohash::of_micro_degrees(0, 0, 7), None);
}

/// S58: neighbours wrap at the antimeridian, and there are none beyond the poles. The first row is the published example.
#[test]
fn s58_neighbours_wrap_around_the_earth_and_end_at_the_poles() {
    assert_eq!(
        texts(&cell("dqcjq").neighbours()),
        ["dqcjj", "dqcjm", "dqcjn", "dqcjp", "dqcjr", "dqcjt", "dqcjw", "dqcjx"]
    );
    assert_eq!(texts(&cell("8").neighbours()), ["2", "3", "9", "b", "c", "r", "x", "z"]);
    assert_eq!(texts(&cell("z").neighbours()), ["8", "b", "w", "x", "y"]);
    assert_eq!(texts(&cell("0").neighbours()), ["1", "2", "3", "p", "r"]);
    assert_eq!(cell("x").around(0), [cell("x")]);
    assert_eq!(cell("s").around(200).len(), 32);
    assert_eq!(cell("u33d").around(4).len(), 81);
}

/// The least distance never is more than the true one, and light goes 100 km and back in a millisecond.
#[test]
fn distances_are_lower_bounds() {
    let cell = |name| named(name).unwrap().cells.remove(0);
    // Great-circle distances between the cities, km: the cells are 156 km wide, so up to 450 km less may come out.
    for (one, other, km) in [
        ("berlin", "rome", 1184),
        ("frankfurt", "sydney", 16_490),
        ("new-york", "london", 5570),
        ("auckland", "lima", 10_800),
    ] {
        let found = least_distance_m(&cell(one), &cell(other)) / 1000;
        assert!(found <= km && found + 460 >= km, "{one} {other}: {found} {km}");
        assert_eq!(found, least_distance_m(&cell(other), &cell(one)) / 1000);
        assert_eq!(least_round_trip_us(&cell(one), &cell(other)), least_distance_m(&cell(one), &cell(other)) / 100);
    }
    assert_eq!(least_distance_m(&cell("london"), &cell("east-london")), 0);
    assert_eq!(least_distance_m(&"8".parse().unwrap(), &"x".parse().unwrap()), 0);
}

#[test]
fn names_have_cells_that_a_region_can_hold() {
    let mut seen = std::collections::BTreeSet::new();
    for name in names() {
        assert!(seen.insert(name), "{name} twice");
        let region = named(name).unwrap();
        assert!((1..=256).contains(&region.cells.len()), "{name}: {}", region.cells.len());
        assert!(region.cells.is_sorted());
        assert_eq!(named(&name.to_uppercase().replace('-', "_")).unwrap(), region);
    }
    assert_eq!(named("global").unwrap().cells.len(), 32);
    assert_eq!(texts(&named("eu-central-1").unwrap().cells), ["u0y"]);
    assert_eq!(texts(&named("Berlin").unwrap().cells), ["u33"]);
    let holds = |area: &str, city: &str| {
        let city = named(city).unwrap().cells.remove(0);
        named(area).unwrap().cells.iter().any(|cell| city.is_within(cell))
    };
    assert!(holds("EUROPE", "berlin") && holds("europe", "rome") && holds("europe", "hel1"));
    assert!(holds("africa", "nairobi") && holds("africa", "cape-town") && holds("asia", "tokyo"));
    assert!(holds("north-america", "us-west-2") && holds("south-america", "lima") && holds("oceania", "auckland"));
    assert!(!holds("africa", "berlin") && !holds("europe", "new-york") && !holds("asia", "sydney"));
    assert_eq!(named("atlantis"), None);
}

proptest! {
    #[test]
    fn a_cell_is_its_number_its_bounds_and_a_neighbour_of_its_neighbours(number in 0_u32..1 << 30, precision in 1_u8..=6) {
        let cell = Geohash::of_number(number >> (30 - 5 * u32::from(precision)), precision).unwrap();
        prop_assert_eq!(Geohash::of_number(cell.number(), precision), Some(cell.clone()));
        let Bounds { south, west, north, east } = cell.bounds();
        let middle = Geohash::of_micro_degrees((south + north) / 2, (west + east) / 2, precision);
        prop_assert_eq!(middle.as_ref(), Some(&cell));
        let neighbours = cell.neighbours();
        prop_assert!(neighbours.len() == 8 || neighbours.len() == 5, "{}: {}", cell, neighbours.len());
        for near in neighbours {
            prop_assert!(near.neighbours().contains(&cell));
            prop_assert_eq!(least_distance_m(&near, &cell), 0);
        }
    }

    #[test]
    fn a_cover_holds_every_point_of_its_area(
        south in -90_i64..80, west in -180_i64..170, height in 0_i64..10, width in 0_i64..10,
        down in 0_i64..=1000, right in 0_i64..=1000,
    ) {
        let micro = |degrees: i64| degrees * 1_000_000;
        let area = Bounds {
            south: micro(south), west: micro(west), north: micro(south + height), east: micro(west + width),
        };
        let cells = cover(area, 3);
        let point = Geohash::of_micro_degrees(area.south + micro(height) * down / 1000, area.west + micro(width) * right / 1000, 6);
        let point = point.unwrap();
        prop_assert!(cells.iter().any(|cell| point.is_within(cell)), "{} {:?}", point, cells);
    }
}
