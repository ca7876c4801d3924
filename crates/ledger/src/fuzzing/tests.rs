use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::bundle::Evidence;
use crate::log::Checkpoint;
use crate::log::segment::encode_record;
use crate::town::{Town, register};

const REPORTS: &str = include_str!("../../../../docs/examples/reports.ndjson");
const POLICY: &str = include_str!("../../../../docs/examples/policy.toml");

/// Good bytes, a place in them, and what comes there.
fn mutated(good: Vec<u8>, changes: &[(Index, u8, u8)]) -> Vec<u8> {
    changes.iter().fold(good, |mut bytes, (place, kind, byte)| {
        let at = place.index(bytes.len() + 1);
        match (kind % 4, at < bytes.len()) {
            (0, true) => bytes[at] = *byte,
            (1, true) => drop(bytes.remove(at)),
            (2, _) => bytes.truncate(at),
            _ => bytes.insert(at, *byte),
        }
        bytes
    })
}

/// Bytes near good ones, down to the good ones themselves.
fn near(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<(Index, u8, u8)>(), 0..4).prop_map(move |changes| mutated(good.clone(), &changes))
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

fn town() -> Town {
    let mut town = Town::new(crate::genesis::Policy::default());
    town.register(1);
    town
}

fn good_entry() -> Vec<u8> {
    Town::new(crate::genesis::Policy::default()).seal(1, &register(1)).bytes().to_vec()
}

fn good_genesis() -> Vec<u8> {
    crate::town::genesis(crate::genesis::Policy::default()).encode()
}

fn good_note() -> Vec<u8> {
    let (key, signer) = signer();
    Checkpoint { origin: signer.origin, size: 7, root: [3; 32] }.sign(&key).into_bytes()
}

fn good_bundle() -> Vec<u8> {
    let note = String::from_utf8(good_note()).unwrap();
    let evidence = Evidence { genesis: good_genesis(), note, records: vec![good_entry(), good_entry()] };
    let mut bytes = Vec::new();
    Bundle { evidence, subject: 3, document: b"{}".to_vec() }.write(&mut bytes).unwrap();
    bytes
}

fn good_segment() -> Vec<u8> {
    let header = Header { genesis: [1; 32], first: 5, chain: [2; 32], root: [3; 32] };
    let mut bytes = header.encode();
    for index in 5..8 {
        encode_record(header.salt(), 1, index, &good_entry(), &mut bytes);
    }
    bytes
}

/// The good ones are good: mutations of what is refused anyway would try nothing.
#[test]
fn good_bytes_are_taken() {
    assert!(Transaction::of(&Sealed::decode(&good_entry()).unwrap()).is_ok());
    assert!(Genesis::decode(&good_genesis()).is_ok());
    assert!(signer().1.open(&good_note()).is_ok());
    assert!(Bundle::read(good_bundle().as_slice()).is_ok());
    let (bytes, mut records) = (good_segment(), 0);
    let mut scan = Scan::new(&Header::decode("segment", &bytes).unwrap());
    while let Step::Record { .. } = scan.next(&Memory(bytes.clone())).unwrap() {
        records += 1;
    }
    assert_eq!(records, 3);
    let town = town();
    assert!(Machine::restore(town.state().genesis(), &town.machine.snapshot()).is_ok());
    assert!(Policy::from_toml(POLICY).is_ok());
}

proptest! {
    #[test]
    fn entries(bytes in prop_oneof![any_bytes(), near(good_entry())]) {
        entry(&bytes);
    }

    #[test]
    fn geneses(bytes in prop_oneof![any_bytes(), near(good_genesis())]) {
        genesis(&bytes);
    }

    #[test]
    fn notes(bytes in prop_oneof![any_bytes(), near(good_note())]) {
        note(&bytes);
    }

    #[test]
    fn bundles(bytes in prop_oneof![any_bytes(), near(good_bundle())]) {
        bundle(&bytes);
    }

    #[test]
    fn segments(bytes in prop_oneof![any_bytes(), near(good_segment())]) {
        segment(&bytes);
    }

    #[test]
    fn rows(bytes in prop_oneof![any_bytes(), near(REPORTS.lines().take(5).collect::<Vec<_>>().join("\n").into_bytes())]) {
        reports(&bytes);
    }

    #[test]
    fn policies(bytes in prop_oneof![any_bytes(), near(POLICY.as_bytes().to_vec())]) {
        rules(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn snapshots(bytes in prop_oneof![any_bytes(), near(town().machine.snapshot())]) {
        snapshot(&crate::town::genesis(crate::genesis::Policy::default()), &bytes);
    }
}
