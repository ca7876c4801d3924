//! The page and the document.

use peermark_dht::report::{self, DhtReport};
use peermark_testkit::wellformed;

use super::fixture::{PLACES, filled, put_traces, week};

const CHECKED_IN: &str = include_str!("../../../schema/dht-report.schema.json");
const UPDATE: &str = "cargo run -p peermark-dht --example report_schema > crates/dht/schema/dht-report.schema.json";

async fn report(is_lab: bool) -> DhtReport {
    let filled = filled(is_lab).await;
    put_traces(&filled.store).await;
    report::read(&filled.store, &week()).await.unwrap()
}

/// What a reader sees: the page without its style sheet and tags.
fn text(page: &str) -> String {
    let page = &page[page.find("</style>").unwrap()..];
    let mut out = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => (inside, ()) = (true, out.push(' ')),
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_schema_checked_in_is_that_of_the_type() {
    let current = format!("{:#}\n", report::schema());
    assert_eq!(CHECKED_IN, current, "report.json has changed. Where that is meant: {UPDATE}");
}

#[tokio::test]
async fn documents_are_valid_and_read_back() {
    let validator = jsonschema::validator_for(&report::schema()).unwrap();
    for is_lab in [false, true] {
        let report = report(is_lab).await;
        let document = serde_json::to_value(&report).unwrap();
        let faults: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(serde_json::from_value::<DhtReport>(document.clone()).unwrap(), report);
        let mut wrong = document;
        wrong["latencies"][0].as_object_mut().unwrap().remove("p99");
        assert!(!validator.is_valid(&wrong), "a figure that is missing is not the same as one that is null");
    }
}

#[tokio::test]
async fn pages_are_well_formed_and_load_nothing() {
    for is_lab in [false, true] {
        let page = report::html(&report(is_lab).await);
        let tags = wellformed::tags(&page);
        wellformed::check_references(&tags);
        assert!(page.len() < 400_000, "{} bytes", page.len());
        for (tag, attributes) in tags {
            assert!(!["script", "iframe", "object", "img", "form"].contains(&tag.as_str()), "{tag}");
            for (name, value) in attributes {
                assert!(name != "src" && !name.starts_with("on"), "{name} on {tag}");
                assert!(name != "href" || value.starts_with('#') || value == "data:,", "{value}");
            }
        }
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("url("));
    }
}

#[tokio::test]
async fn page_and_document_say_the_same() {
    let report = report(false).await;
    let shown = text(&report::html(&report));
    for row in &report.latencies {
        for percentile in [row.p50, row.p90].into_iter().flatten() {
            let number = peermark_page::format::duration(percentile.value).to_string();
            assert!(shown.contains(&number), "{number} of {} {:?}", row.fleet, row.region);
        }
    }
    assert!(shown.contains("of the regions, not a percentile of any user"));
    assert!(shown.contains("≥ 180 s"), "what falls among failures");
    assert!(shown.contains("context deadline exceeded") && shown.contains("worse"));
    let terminal = report::text(&report);
    let p50 = report.latencies.iter().find(|row| row.operation == "retrieve").and_then(|row| row.p50).unwrap();
    assert!(terminal.contains(&peermark_page::format::duration(p50.value).to_string()), "{terminal}");
}

#[tokio::test]
async fn every_region_has_a_curve_and_a_box_unless_regions_are_labels() {
    let drawn = |page: &str, class: &str| page.matches(class).count();
    let page = report::html(&report(false).await);
    // A distribution and a panel of boxes for provides and lookups of both fleets; a curve and a box per place in each.
    assert_eq!(drawn(&page, "<svg"), 2 * 2 * 2);
    let outlines = 2 * PLACES.len();
    assert_eq!(drawn(&page, "<polygon"), outlines);
    for slot in 0..3 {
        assert!(page.contains(&format!("k-line s{slot} k-stroke")), "curve {slot}");
    }
    assert!(!text(&page).contains("regions are labels"));

    let page = report::html(&report(true).await);
    let shown = text(&page);
    assert!(shown.contains("regions are labels, no distance"));
    assert_eq!((drawn(&page, "<svg"), drawn(&page, "<polygon")), (2 * 2 * 2, 2 * 2));
    assert!(!page.contains("k-line s1 k-stroke"), "regions are not drawn beside one another");
    for place in &PLACES {
        assert!(!shown.contains(place.region), "{}", place.region);
    }
}
