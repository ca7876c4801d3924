//! Bits that flip, and files that go: everything is found, and nothing but a torn end is cut.

use std::sync::Arc;

use peermark_ledger::log::{Damage, Files, Log, LogError, Snapshot};
use peermark_testkit::times;
use rand::Rng;

use crate::log_disk::FaultyFiles;
use crate::log_fixture::{SEGMENT_BYTES, all, chance, options, records, verified};

/// A log of some groups, closed, with a snapshot.
fn closed(records_each: &[u64]) -> FaultyFiles {
    let files = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    fill(&mut log, records_each);
    let snapshot = Snapshot { height: 4, size: log.size(), root: log.root(), state_hash: [1; 32], bytes: vec![5; 40] };
    log.snapshots().write(&snapshot).unwrap();
    log.close().unwrap();
    assert!(verified(&files).is_sound());
    files
}

fn fill(log: &mut Log, records_each: &[u64]) {
    for group in records_each {
        log.append(&records(log.size()..log.size() + group)).unwrap();
    }
}

/// A log that was not closed: a checkpoint over the first group, groups after it.
fn left_open() -> FaultyFiles {
    let files = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    fill(&mut log, &[4]);
    log.checkpoint().unwrap();
    fill(&mut log, &[3, 2, 2]);
    files
}

const LAST: &str = "00000000000000000000.seg";

#[test]
fn every_bit_of_a_small_log_is_guarded() {
    let files = closed(&[2, 1]);
    let mut flips = 0;
    for name in files.list().unwrap() {
        let bytes = files.bytes(&name);
        for place in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            files.put(&name, flipped);
            let found = verified(&files);
            assert!(!found.is_sound(), "bit {} of byte {} of {name}", place % 8, place / 8);
            assert!(found.faults.iter().all(|damage| damage.offset <= bytes.len() as u64));
            flips += 1;
        }
        files.put(&name, bytes);
    }
    assert!(verified(&files).is_sound());
    println!("{flips} flips, all found");
}

/// Also zeros that wait for records, and the end beyond the checkpoint.
#[test]
fn every_bit_of_a_log_that_was_not_closed_is_guarded() {
    let files = left_open();
    let bytes = files.bytes(LAST);
    for place in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[place / 8] ^= 1 << (place % 8);
        files.put(LAST, flipped);
        assert!(!verified(&files).is_sound(), "bit {} of byte {}", place % 8, place / 8);
    }
}

/// `make prove-ledger-cuts` asks for 20,000.
#[test]
fn random_bits_of_a_larger_log_are_guarded() {
    let files = closed(&[100, 250, 1, 3, 90, 400]);
    let names = files.list().unwrap();
    assert!(names.len() >= 8, "{names:?}");
    let mut chance = chance("flips", 0);
    for _ in 0..times(option_env!("PEERMARK_FLIPS"), 600) {
        let name = &names[chance.next_u64() as usize % names.len()];
        let bytes = files.bytes(name);
        if bytes.is_empty() {
            continue;
        }
        let mut flipped = bytes.clone();
        let at = chance.next_u64() as usize % bytes.len();
        flipped[at] ^= 1 << (chance.next_u32() % 8);
        files.put(name, flipped);
        assert!(!verified(&files).is_sound(), "byte {at} of {name}");
        files.put(name, bytes);
    }
}

#[test]
fn damage_below_the_checkpoint_or_before_a_later_group_is_no_torn_end() {
    let whole = left_open();
    let bytes = whole.bytes(LAST);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let (mut refused, mut cut) = (0, 0);
    for at in 0..end {
        let files = whole.copy();
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        files.put(LAST, flipped);
        match Log::open(options(Arc::new(files.clone()))) {
            Err(LogError::Damaged(Damage { file, offset, .. })) => {
                assert_eq!(file, LAST);
                assert!(offset <= at as u64, "byte {at}, said to be {offset}");
                refused += 1;
                // Nothing was cut.
                assert_eq!(files.bytes(LAST).len(), bytes.len());
            }
            // Of the last group alone it cannot be told whether it was ever synced.
            Ok(log) => {
                assert!((9..11).contains(&log.size()), "byte {at}: {} records left", log.size());
                cut += 1;
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    println!("{refused} refused, {cut} cut");
    assert!(refused > 500 && cut > 100);
}

#[test]
fn damage_names_file_place_expected_and_found() {
    let files = closed(&[20]);
    let mut bytes = files.bytes(LAST);
    bytes[300] ^= 1;
    files.put(LAST, bytes);
    let found = verified(&files);
    let damage = &found.faults[0];
    assert_eq!(damage.file, LAST);
    assert!(damage.offset > 124 && damage.offset <= 300 && damage.expected.contains("checksum"), "{damage}");
    let text = LogError::from(damage.clone()).to_string();
    for part in [LAST, &damage.offset.to_string(), &damage.expected, &damage.found] {
        assert!(text.contains(part), "{text}");
    }
    // Whoever reads it meets the same.
    let error = Log::open(options(Arc::new(files))).unwrap_err();
    assert_eq!(error.to_string(), text);
}

#[test]
fn damage_in_an_earlier_segment_is_met_by_whoever_reads_it_and_no_more() {
    let files = closed(&[30, 30, 30, 30, 30, 30]);
    let second = files.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).nth(1).unwrap();
    let mut bytes = files.bytes(&second);
    assert!(bytes.len() as u64 <= SEGMENT_BYTES);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x80;
    files.put(&second, bytes);
    let log = Log::open(options(Arc::new(files.clone()))).unwrap();
    let reader = log.reader();
    let unreadable: Vec<u64> = (0..180).filter(|index| reader.read(*index).is_err()).collect();
    assert!(!unreadable.is_empty() && unreadable.len() <= 30, "{unreadable:?}");
    assert!(reader.iter(0).any(|found| matches!(found, Err(LogError::Damaged(damage)) if damage.file == second)));
    assert!(verified(&files).faults.iter().any(|damage| damage.file == second));
}

#[test]
fn a_file_that_is_missing_is_named() {
    let whole = closed(&[30, 30, 30, 30, 30, 30]);
    let segments: Vec<String> = whole.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    for name in ["checkpoint", &segments[0], &segments[1], &segments[segments.len() - 1]] {
        let files = whole.copy();
        files.remove(name).unwrap();
        let found = verified(&files);
        assert!(found.faults.iter().any(|damage| damage.file == *name), "{name}: {found:?}");
    }
    for name in ["checkpoint", &segments[0], &segments[segments.len() - 1]] {
        let files = whole.copy();
        files.remove(name).unwrap();
        assert!(matches!(Log::open(options(Arc::new(files))), Err(LogError::Damaged(_))), "{name}");
    }
    let files = whole.copy();
    segments.iter().for_each(|name| files.remove(name).unwrap());
    assert!(matches!(Log::open(options(Arc::new(files))), Err(LogError::Damaged(_))));
}

#[test]
fn a_checkpoint_of_another_history_is_refused() {
    let files = closed(&[5]);
    let other = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(other.clone()))).unwrap();
    log.append(&records(1..6)).unwrap();
    log.close().unwrap();
    files.put("checkpoint", other.bytes("checkpoint"));
    assert!(
        verified(&files).faults.iter().any(|damage| damage.file == "checkpoint" && damage.expected.contains("root"))
    );
    assert!(
        matches!(Log::open(options(Arc::new(files))), Err(LogError::Damaged(damage)) if damage.file == "checkpoint")
    );
}

/// What was written and cut never counts as a record again.
#[test]
fn a_torn_end_is_cut_and_written_over() {
    let files = left_open();
    let bytes = files.bytes(LAST);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    files.put(LAST, bytes[..end - 3].to_vec());
    let found = verified(&files);
    assert!(found.faults.is_empty() && !found.unfinished.is_empty(), "{found:?}");
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    assert_eq!(all(&log), records(0..10));
    fill(&mut log, &[2]);
    log.close().unwrap();
    assert!(verified(&files).is_sound());
    assert_eq!(all(&Log::open(options(Arc::new(files))).unwrap()), records(0..12));
}

/// Files that were cut, extended, swapped and filled with anything: an answer, never a panic.
#[test]
fn whatever_the_files_hold_is_an_answer() {
    let whole = closed(&[100, 250, 1, 90]);
    let names = whole.list().unwrap();
    let mut chance = chance("anything", 0);
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..times(option_env!("PEERMARK_FLIPS"), 600).min(20_000) {
        let files = whole.copy();
        for _ in 0..1 + chance.next_u32() % 3 {
            let name = &names[chance.next_u64() as usize % names.len()];
            let mut bytes = files.bytes(name);
            let at = chance.next_u64() as usize % (bytes.len() + 1);
            let mut any = vec![0; chance.next_u64() as usize % 300];
            chance.fill_bytes(&mut any);
            match chance.next_u32() % 5 {
                0 => bytes.truncate(at),
                1 => drop(bytes.splice(at..at, any)),
                2 => drop(bytes.splice(at..(at + any.len()).min(bytes.len()), any)),
                3 => bytes = files.bytes(&names[chance.next_u64() as usize % names.len()]),
                _ => bytes.extend(vec![0; any.len()]),
            }
            files.put(name, bytes);
        }
        let before = verified(&files);
        match Log::open(options(Arc::new(files.clone()))) {
            Ok(log) => {
                // Whatever can be read was written, in its place.
                let there = log.reader().iter(0).map_while(Result::ok);
                assert!(there.into_iter().all(|(index, record)| record == crate::log_fixture::record(index)));
                opened += 1;
            }
            Err(error) => {
                assert!(!before.is_sound(), "{error}");
                refused += 1;
            }
        }
    }
    println!("{opened} opened, {refused} refused");
    assert!(opened > 20 && refused > 100);
}
