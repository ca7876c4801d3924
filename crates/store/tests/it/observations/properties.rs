//! For any rows and any bytes.

use std::io::Cursor;
use std::sync::Arc;

use peermark_core::{Culprit, EvidenceClass, FailureClass, Outcome, Sample, Series, Unit};
use peermark_store::observations::{FileEnd, Header, Labels, Observation, ObservationReader, WriterOptions};
use proptest::prelude::*;
use proptest::sample::select;

use super::{place, read, rows, write};

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let culprits = vec![Culprit::Observer, Culprit::Peer, Culprit::Path, Culprit::ThirdParty];
    let failed = (select(FailureClass::ALL.to_vec()), select(culprits));
    prop_oneof![Just(Outcome::Ok), failed.prop_map(|(class, culprit)| Outcome::failed(class, culprit))]
}

prop_compose! {
    fn any_sample()(
        numbers in any::<[u64; 5]>(),
        value in any::<i64>(),
        outcome in any_outcome(),
        trace in any::<u64>(),
    ) -> Sample {
        let [seq, intended_ns, started_ns, ended_ns, bytes] = numbers;
        Sample { seq, intended_ns, started_ns, ended_ns, bytes, value, outcome, trace }
    }
}

prop_compose! {
    /// Labels with any text: quotes, line ends, control characters, other scripts.
    fn any_labels()(
        texts in proptest::array::uniform8(".{0,20}|[\"\\\\\n\r\t\u{0}]{0,5}"),
        class in select(vec![EvidenceClass::Raw, EvidenceClass::Working, EvidenceClass::OffChain, EvidenceClass::SelfReport]),
        unit in select(vec![Unit::Nanoseconds, Unit::Bytes, Unit::Count, Unit::PartsPerMillion]),
    ) -> Arc<Labels> {
        let [kind, observer, subject, observer_region, subject_region, environment, op, phase] = texts;
        let (schema, run) = (Series::SCHEMA, "r1".to_owned());
        let series =
            Series { schema, run, kind, class, observer, subject, observer_region, subject_region, unit, environment };
        Arc::new(Labels { series, op, phase })
    }
}

fn any_batches() -> impl Strategy<Value = Vec<Vec<Observation>>> {
    proptest::collection::vec(any_labels(), 1..4).prop_flat_map(|labels| {
        let row = (select(labels), any_sample(), any::<Option<u32>>());
        let row = row.prop_map(|(labels, sample, node)| Observation { labels, sample, node });
        proptest::collection::vec(proptest::collection::vec(row, 0..20), 0..6)
    })
}

/// Reads until the reader stops, whatever comes.
fn exhaust(bytes: &[u8]) {
    if let Ok(reader) = ObservationReader::new(Cursor::new(bytes)) {
        reader.for_each(drop);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_rows_come_back(batches in any_batches()) {
        let (_directory, path) = place();
        let all: Vec<_> = batches.concat();
        let (count, left_out, _) = write(&path, batches, WriterOptions::default());
        prop_assert_eq!((count, left_out), (all.len() as u64, 0));
        prop_assert_eq!(read(&path), (all, Some(FileEnd::Whole)));
    }

    #[test]
    fn any_cap_is_kept(cap_bytes in 3_000u64..60_000, batches in 1u64..12) {
        let (_directory, path) = place();
        let all = (0..batches).map(|batch| rows(batch * 900..(batch + 1) * 900)).collect();
        let options = WriterOptions { cap_bytes, ..WriterOptions::default() };
        let (count, left_out, bytes) = write(&path, all, options);
        prop_assert!(bytes <= cap_bytes);
        prop_assert_eq!(count + left_out, batches * 900);
        let (found, end) = read(&path);
        prop_assert!(found == rows(0..count));
        prop_assert_eq!(end, Some(if left_out > 0 { FileEnd::Capped { left_out } } else { FileEnd::Whole }));
    }
}

proptest! {
    #[test]
    fn reading_any_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        exhaust(&bytes);
    }

    #[test]
    fn reading_any_frame_never_panics(text in proptest::collection::vec(any::<u8>(), 0..500), tail in any::<[u8; 8]>()) {
        let header = serde_json::to_string(&Header::new("r1")).unwrap() + "\n";
        let mut bytes = zstd::encode_all(header.as_bytes(), 1).unwrap();
        bytes.extend(zstd::encode_all(text.as_slice(), 1).unwrap());
        bytes.extend(tail);
        exhaust(&bytes);
    }

    #[test]
    fn reading_any_text_never_panics(lines in proptest::collection::vec("[ -~]{0,80}|\\{\"truncated\": [0-9]{0,25}\\}", 0..6)) {
        let header = serde_json::to_string(&Header::new("r1")).unwrap();
        exhaust(&zstd::encode_all((header + "\n" + &lines.join("\n")).as_bytes(), 1).unwrap());
    }
}
