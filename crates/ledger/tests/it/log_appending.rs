//! What is appended is there, in its order, also for the next one who opens it.

use std::sync::Arc;

use peermark_ledger::log::tree::leaf_hash;
use peermark_ledger::log::{Checkpoint, Log, LogError, LogOptions, MAX_RECORD_BYTES};

use crate::log_disk::FaultyFiles;
use crate::log_fixture::{SEGMENT_BYTES, all, identity, on_disk, options, record, records, verified};

#[test]
fn what_is_appended_is_read_now_and_after_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut there = 0;
    for groups in [vec![1, 1, 7], vec![64, 3], vec![1]] {
        let mut log = Log::open(on_disk(directory.path())).unwrap();
        assert_eq!(all(&log), records(0..there));
        for group in groups {
            let receipts = log.append(&records(there..there + group)).unwrap();
            for (receipt, index) in receipts.iter().zip(there..) {
                assert_eq!((receipt.index, receipt.leaf), (index, leaf_hash(&record(index))));
            }
            there += group;
            assert_eq!(log.reader().size(), there);
        }
        assert_eq!(all(&log), records(0..there));
        for index in 0..there {
            assert_eq!(log.reader().read(index).unwrap(), record(index));
        }
        let reader = log.reader();
        assert!(
            matches!(reader.read(there), Err(LogError::NoRecord { index, size }) if index == size && size == there)
        );
        // The second is dropped as if the process had ended.
        if there != 76 {
            log.close().unwrap();
        }
    }
    let found = verified(&peermark_ledger::log::Disk::open(directory.path()).unwrap());
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.size, found.checkpoint.unwrap().size), (77, 77));
    assert!(found.segments > 1, "{} segments", found.segments);
}

#[test]
fn iteration_begins_anywhere_and_goes_on_when_there_is_more() {
    let files = Arc::new(FaultyFiles::new());
    let mut log = Log::open(options(files)).unwrap();
    log.append(&records(0..300)).unwrap();
    for from in [0, 1, 15, 16, 17, 150, 299, 300, 301] {
        let found: Vec<_> = log.reader().iter(from).map(Result::unwrap).collect();
        assert!(found.into_iter().eq((from..300).map(|index| (index, record(index)))), "from {from}");
    }
    let mut ahead = log.reader().iter(299);
    assert_eq!(ahead.next().unwrap().unwrap().0, 299);
    assert!(ahead.next().is_none());
    log.append(&records(300..400)).unwrap();
    assert_eq!(ahead.map(|found| found.unwrap().0).collect::<Vec<_>>(), (300..400).collect::<Vec<_>>());
}

#[test]
fn records_of_1_to_65535_bytes_are_taken_and_a_group_stays_whole() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::open(on_disk(directory.path())).unwrap();
    let largest = vec![7; MAX_RECORD_BYTES];
    log.append(&[&[1][..], &largest, &[2]]).unwrap();
    for refused in [vec![], vec![0; MAX_RECORD_BYTES + 1]] {
        let length = refused.len();
        let refused = log.append(&[vec![3], refused]);
        assert!(matches!(refused, Err(LogError::RecordSize { bytes }) if bytes == length));
    }
    assert_eq!(log.append(&[[]; 0] as &[[u8; 0]]).unwrap(), []);
    assert_eq!(log.size(), 3);
    log.append(std::slice::from_ref(&largest)).unwrap();
    drop(log);
    let log = Log::open(on_disk(directory.path())).unwrap();
    assert_eq!(all(&log), [vec![1], largest.clone(), vec![2], largest]);
}

#[test]
fn segments_hold_about_what_they_should_and_name_their_first_record() {
    let files = Arc::new(FaultyFiles::new());
    let mut log = Log::open(options(Arc::clone(&files) as _)).unwrap();
    for number in 0..400 {
        log.append(&[record(number)]).unwrap();
    }
    log.close().unwrap();
    let names = peermark_ledger::log::Files::list(&*files).unwrap();
    let segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".seg")).collect();
    assert_eq!(segments[0], "00000000000000000000.seg");
    assert!(segments.len() > 5, "{names:?}");
    for name in segments {
        assert!(files.bytes(name).len() as u64 <= SEGMENT_BYTES, "{name}");
    }
}

#[test]
fn a_second_writer_is_refused_while_the_first_one_lives() {
    let directory = tempfile::tempdir().unwrap();
    let first = Log::open(on_disk(directory.path())).unwrap();
    assert!(matches!(Log::open(on_disk(directory.path())), Err(LogError::Locked { .. })));
    drop(first);
    Log::open(on_disk(directory.path())).unwrap();
}

#[test]
fn the_checkpoint_follows_when_asked_and_names_the_tree() {
    let files = Arc::new(FaultyFiles::new());
    let mut log = Log::open(options(Arc::clone(&files) as _)).unwrap();
    assert_eq!(log.reader().checkpoint().size, 0);
    log.append(&records(0..100)).unwrap();
    assert_eq!(log.reader().checkpoint().size, 0);
    let checkpoint = log.checkpoint().unwrap();
    let expected = Checkpoint { origin: "example.org/ledger".into(), size: 100, root: log.root() };
    assert_eq!(checkpoint, expected);
    let note = log.reader().checkpoint_note();
    assert_eq!(note.as_bytes(), files.bytes("checkpoint"));
    assert_eq!(identity().signer.open(note.as_bytes()).unwrap(), expected);
    // Without a record in between there is nothing to sign.
    let before = files.operations();
    log.checkpoint().unwrap();
    assert_eq!(files.operations(), before);
}

#[test]
fn the_hashes_are_made_anew_where_they_are_lost_or_wrong() {
    let files = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    log.append(&records(0..150)).unwrap();
    log.append(&records(150..300)).unwrap();
    log.close().unwrap();
    let nodes = files.bytes("nodes");
    let mut wrong = nodes.clone();
    wrong[100..2_000].fill(0);
    for damaged in [Vec::new(), nodes[..30].to_vec(), nodes[..2_000].to_vec(), vec![0; nodes.len()], wrong] {
        let files = files.copy();
        files.put("nodes", damaged);
        let log = Log::open(options(Arc::new(files.clone()))).unwrap();
        let reader = log.reader();
        for index in [0, 1, 149, 150, 299] {
            // What lies inside is not looked at when the log is opened, but never handed out.
            match reader.inclusion(index, 300) {
                Ok(proof) => assert!(proof.verify(&leaf_hash(&record(index)), &log.root())),
                Err(error) => assert!(matches!(error, LogError::Damaged(damage) if damage.file == "nodes")),
            }
        }
    }
    let removed = files.copy();
    peermark_ledger::log::Files::remove(&removed, "nodes").unwrap();
    drop(Log::open(options(Arc::new(removed.clone()))).unwrap());
    assert_eq!(removed.bytes("nodes"), nodes);
    assert!(verified(&removed).is_sound());
}

#[test]
fn another_log_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = Log::open(on_disk(directory.path())).unwrap();
    log.append(&records(0..3)).unwrap();
    log.close().unwrap();
    let other = LogOptions { genesis: [1; 32], ..on_disk(directory.path()) };
    match Log::open(other) {
        Err(LogError::Damaged(damage)) => {
            assert_eq!((damage.offset, damage.file.as_str()), (16, "00000000000000000000.seg"))
        }
        other => panic!("{other:?}"),
    }
    let other = LogOptions { origin: "example.org/other".into(), ..on_disk(directory.path()) };
    assert!(matches!(Log::open(other), Err(LogError::Checkpoint(_))));
    let key = peermark_core::sealed::SigningKey::from_seed([8; 32]);
    assert!(matches!(Log::open(LogOptions { key, ..on_disk(directory.path()) }), Err(LogError::Checkpoint(_))));
    assert!(matches!(
        Log::open(LogOptions { origin: "a b".into(), ..on_disk(directory.path()) }),
        Err(LogError::Checkpoint(_))
    ));
}
