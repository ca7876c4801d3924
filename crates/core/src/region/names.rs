//! Names that people use for regions: continents, cities, data centres.

use std::collections::BTreeSet;

use super::Geohash;
use super::grid::{Bounds, cover, merged};

/// A name and its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name in lower case, words joined by `-`.
    pub name: &'static str,
    /// Its cells, in the order of their digits.
    pub cells: Vec<Geohash>,
}

/// Digits of the cells of a continent: 1,250 by 625 km at the equator.
const CONTINENT_PRECISION: u8 = 2;
/// Digits of the cell of a city: 156 by 156 km.
const CITY_PRECISION: u8 = 3;

/// South, west, north, east in degrees. Roughly: at a border a cell may belong to both sides.
type Box = (i16, i16, i16, i16);

const AREAS: [(&str, &[Box]); 8] = [
    ("global", &[(-90, -180, 90, 180)]),
    ("europe", &[(36, -11, 60, 30), (57, 4, 71, 40), (63, -25, 67, -13)]),
    ("africa", &[(5, -18, 36, 33), (-35, 9, 5, 42), (-5, 42, 12, 51), (-26, 43, -12, 51)]),
    ("middle-east", &[(12, 34, 42, 60)]),
    ("asia", &[(5, 60, 50, 146), (50, 60, 75, 180), (-11, 95, 5, 141)]),
    ("north-america", &[(15, -125, 50, -60), (50, -168, 72, -52), (7, -93, 15, -77)]),
    ("south-america", &[(-56, -82, 13, -34)]),
    ("oceania", &[(-48, 112, -10, 155), (-48, 155, -8, 180)]),
];

/// Latitude and longitude in hundredths of a degree. Data centres by the city next to them, as their operators name it.
const PLACES: [(&str, i16, i16); 89] = [
    // Amazon Web Services
    ("af-south-1", -3392, 1842),
    ("ap-east-1", 2232, 11417),
    ("ap-northeast-1", 3568, 13969),
    ("ap-northeast-2", 3757, 12698),
    ("ap-northeast-3", 3469, 13550),
    ("ap-south-1", 1908, 7288),
    ("ap-southeast-1", 135, 10382),
    ("ap-southeast-2", -3387, 15121),
    ("ca-central-1", 4550, -7357),
    ("eu-central-1", 5011, 868),
    ("eu-north-1", 5933, 1807),
    ("eu-south-1", 4546, 919),
    ("eu-west-1", 5335, -626),
    ("eu-west-2", 5151, -13),
    ("eu-west-3", 4886, 235),
    ("il-central-1", 3209, 3478),
    ("me-central-1", 2520, 5527),
    ("me-south-1", 2607, 5055),
    ("sa-east-1", -2355, -4663),
    ("us-east-1", 3895, -7745),
    ("us-east-2", 3996, -8300),
    ("us-west-1", 3734, -12189),
    ("us-west-2", 4584, -11970),
    // Google Cloud
    ("asia-east1", 2405, 12052),
    ("asia-northeast1", 3568, 13969),
    ("asia-south1", 1908, 7288),
    ("asia-southeast1", 135, 10382),
    ("australia-southeast1", -3387, 15121),
    ("europe-north1", 6057, 2719),
    ("europe-west1", 5045, 382),
    ("europe-west2", 5151, -13),
    ("europe-west3", 5011, 868),
    ("europe-west4", 5344, 684),
    ("southamerica-east1", -2355, -4663),
    ("us-central1", 4126, -9586),
    ("us-east1", 3320, -8001),
    ("us-east4", 3903, -7747),
    ("us-west1", 4559, -12118),
    // Hetzner
    ("fsn1", 5048, 1237),
    ("hel1", 6017, 2494),
    ("nbg1", 4945, 1108),
    // Cities
    ("amsterdam", 5237, 490),
    ("auckland", -3685, 17476),
    ("bangalore", 1297, 7759),
    ("beijing", 3990, 11640),
    ("berlin", 5252, 1340),
    ("bogota", 471, -7407),
    ("buenos-aires", -3460, -5838),
    ("cairo", 3004, 3124),
    ("cape-town", -3392, 1842),
    ("chicago", 4188, -8763),
    ("dallas", 3278, -9680),
    ("delhi", 2861, 7721),
    ("east-london", 5154, 3),
    ("frankfurt", 5011, 868),
    ("helsinki", 6017, 2494),
    ("hong-kong", 2232, 11417),
    ("istanbul", 4101, 2898),
    ("jakarta", -621, 10685),
    ("johannesburg", -2620, 2805),
    ("kyiv", 5045, 3052),
    ("lagos", 652, 338),
    ("lima", -1205, -7704),
    ("london", 5151, -13),
    ("los-angeles", 3405, -11824),
    ("madrid", 4042, -370),
    ("melbourne", -3781, 14496),
    ("mexico-city", 1943, -9913),
    ("montreal", 4550, -7357),
    ("mumbai", 1908, 7288),
    ("nairobi", -129, 3682),
    ("new-york", 4071, -7401),
    ("paris", 4886, 235),
    ("prague", 5008, 1444),
    ("rome", 4190, 1250),
    ("san-francisco", 3777, -12242),
    ("santiago", -3345, -7067),
    ("sao-paulo", -2355, -4663),
    ("seattle", 4761, -12233),
    ("seoul", 3757, 12698),
    ("shanghai", 3123, 12147),
    ("singapore", 135, 10382),
    ("south-london", 5146, -7),
    ("stockholm", 5933, 1807),
    ("sydney", -3387, 15121),
    ("tokyo", 3568, 13969),
    ("toronto", 4365, -7938),
    ("vienna", 4821, 1637),
    ("warsaw", 5223, 2101),
];

/// The region of a name, in any case, words apart by `-`, `_` or a space; `None` of a name that is not in the list.
pub fn named(name: &str) -> Option<Named> {
    let plain: String = name.to_ascii_lowercase().replace(['_', ' '], "-");
    let area = AREAS.iter().find(|(name, _)| *name == plain);
    if let Some((name, boxes)) = area {
        return Some(Named { name, cells: area_cells(boxes) });
    }
    let (name, latitude, longitude) = PLACES.iter().find(|(name, _, _)| *name == plain)?;
    let micro = |hundredths: i16| i64::from(hundredths) * 10_000;
    let cell = Geohash::of_micro_degrees(micro(*latitude), micro(*longitude), CITY_PRECISION)?;
    Some(Named { name, cells: vec![cell] })
}

/// All names, continents first.
pub fn names() -> impl Iterator<Item = &'static str> {
    AREAS.iter().map(|(name, _)| *name).chain(PLACES.iter().map(|(name, _, _)| *name))
}

fn area_cells(boxes: &[Box]) -> Vec<Geohash> {
    let micro = |degrees: i16| i64::from(degrees) * 1_000_000;
    // The eastern edge of a cell belongs to the next one, which at the antimeridian is the first.
    let inner = |degrees: i16| micro(degrees) - 1;
    let bounds = |&(south, west, north, east): &Box| Bounds {
        south: micro(south),
        west: micro(west),
        north: inner(north),
        east: inner(east),
    };
    let cells: BTreeSet<Geohash> = boxes.iter().flat_map(|area| cover(bounds(area), CONTINENT_PRECISION)).collect();
    // A larger cell of one box may hold cells of another.
    let alone = |cell: &&Geohash| {
        !(1..cell.precision()).filter_map(|short| cell.cut(short)).any(|larger| cells.contains(&larger))
    };
    merged(cells.iter().filter(alone).cloned().collect())
}
