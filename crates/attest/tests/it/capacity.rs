use peermark_attest::capacity::{CapacityDocument, Question};
use peermark_judge::capacity::Pressure;
use peermark_judge::policy::Policy;

const HOST: &str = include_str!("../../../../docs/examples/host.toml");

fn answers(text: &str) -> CapacityDocument {
    CapacityDocument::new(&Question::from_toml(text).unwrap(), "host.toml", &Policy::public())
}

/// R86, R88, R89, R91, R92: one more job, projected workload, other hardware, what is needed, the price.
#[test]
fn every_question_has_its_answer() {
    let document = answers(HOST);
    let more = document.one_more.as_ref().unwrap();
    // 360 + 180 runs of 74 MB an hour are 11.1 MB/s of 12.5.
    assert!(!more.admitted && !document.fits());
    assert!(more.slowdown_ppm.unwrap() > 1_000_000);
    assert!(document.other_hardware.as_ref().unwrap().enough);
    let projected = document.projected.as_ref().unwrap();
    // Thirty more every day, for a week.
    assert_eq!((projected.jobs[0].runs_per_hour, projected.as_now.len()), (360 + 7 * 30, 1));
    assert!(document.needed.resources.net_out_bps > 12_500_000 && document.needed.unknown.is_empty());
    let price = document.price.unwrap();
    assert!(price.signal == Pressure::Join && price.next > price.now && price.next <= price.now * 1_125 / 1_000);
    let text = document.text();
    for part in ["UNSIGNED", "DOES NOT FIT", "other hardware: enough", "join", "sending", "needed"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = serde_json::to_value(&document).unwrap();
    assert_eq!((&json["schema"], &json["signed"]), (&"peermark.capacity/1".into(), &false.into()));
    assert_eq!(serde_json::from_value::<CapacityDocument>(json).unwrap(), document);
}

/// R90: a host alone has a baseline, and nothing else is answered.
#[test]
fn what_is_not_asked_is_not_answered() {
    let host = HOST.split("# The jobs it has.").next().unwrap();
    let document = answers(host);
    assert!(document.one_more.is_none() && document.price.is_none() && document.projected.is_none());
    assert!(document.fits() && document.text().contains("processors"));
    assert!(Question::from_toml("[host]\nspeed = 3\n").is_err());
}

/// Other hardware that is asked for and not enough does not fit either, whether one more job is asked for or not.
#[test]
fn other_hardware_that_is_not_enough_does_not_fit() {
    let (before, rest) = HOST.split_once("# One more job.").unwrap();
    let other = rest.split_once("# Would a faster line").unwrap().1;
    let alone = format!("{before}#{other}");
    assert!(answers(&alone).fits(), "{}", answers(&alone).text());
    let slow = alone.replace("net_out_bps = 25_000_000", "net_out_bps = 1_000");
    let document = answers(&slow);
    assert!(!document.other_hardware.as_ref().unwrap().enough && !document.fits());
    let text = document.text();
    // A thousand bytes a second for more than seven million: far beyond what 32 bits of millionths hold.
    assert!(text.contains("NOT ENOUGH"), "{text}");
    let busiest = document.other_hardware.unwrap().after;
    let used = busiest.utilisation_ppm.iter().find(|(resource, _)| *resource == busiest.busiest).unwrap().1;
    assert!(used > u64::from(u32::MAX), "{used}");
    assert!(text.contains(&format!("{}.{:02} %", used / 10_000, used % 10_000 / 100)), "{text}");
}
