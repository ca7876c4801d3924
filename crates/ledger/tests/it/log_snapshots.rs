//! Snapshots of the state beside the log.

use std::sync::Arc;

use peermark_ledger::log::{KEEP, Log, LogError, Snapshot};

use crate::log_disk::{Fault, FaultyFiles};
use crate::log_fixture::{options, records};

fn snapshot(log: &Log, height: u64, bytes: usize) -> Snapshot {
    let state_hash = [height as u8; 32];
    Snapshot { height, size: log.size(), root: log.root(), state_hash, bytes: vec![height as u8; bytes] }
}

#[test]
fn the_last_three_are_kept_and_read_after_the_next_start() {
    let files = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    let mut written = Vec::new();
    for height in [3, 7, 8, 20, 100] {
        log.append(&records(log.size()..log.size() + 5)).unwrap();
        let snapshot = snapshot(&log, height, 1_000 * height as usize);
        log.snapshots().write(&snapshot).unwrap();
        written.push(snapshot);
    }
    log.close().unwrap();
    let log = Log::open(options(Arc::new(files))).unwrap();
    let snapshots = log.snapshots();
    assert_eq!(snapshots.heights().unwrap(), [8, 20, 100]);
    assert_eq!(written.len() - KEEP, 2);
    for snapshot in &written[2..] {
        assert_eq!(snapshots.read(snapshot.height).unwrap(), *snapshot);
    }
    assert!(matches!(snapshots.read(3), Err(LogError::Snapshot { height: 3, .. })));
}

#[test]
fn one_of_another_root_or_of_what_is_not_synced_is_refused() {
    let mut log = Log::open(options(Arc::new(FaultyFiles::new()))).unwrap();
    log.append(&records(0..5)).unwrap();
    let right = snapshot(&log, 1, 10);
    for wrong in [
        Snapshot { size: 6, ..right.clone() },
        Snapshot { size: 4, ..right.clone() },
        Snapshot { root: [0; 32], ..right.clone() },
    ] {
        assert!(matches!(log.snapshots().write(&wrong), Err(LogError::Snapshot { .. })), "{wrong:?}");
    }
    assert!(log.snapshots().heights().unwrap().is_empty());
}

#[test]
fn damage_is_found_when_it_is_read_and_the_others_stay() {
    let files = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    log.append(&records(0..5)).unwrap();
    for height in 1..=3 {
        log.snapshots().write(&snapshot(&log, height, 50)).unwrap();
    }
    let name = "00000000000000000002.snapshot";
    let whole = files.bytes(name);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        files.put(name, flipped);
        assert!(matches!(log.snapshots().read(2), Err(LogError::Damaged(damage)) if damage.file == name), "byte {at}");
        files.put(name, whole[..at].to_vec());
        assert!(matches!(log.snapshots().read(2), Err(LogError::Damaged(_))), "cut to {at}");
    }
    // A snapshot under another's name.
    files.put(name, files.bytes("00000000000000000003.snapshot"));
    assert!(matches!(log.snapshots().read(2), Err(LogError::Damaged(damage)) if damage.expected == "height 2"));
    assert_eq!(log.snapshots().read(1).unwrap().height, 1);
}

#[test]
fn a_full_disk_keeps_the_old_ones() {
    let files = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    log.append(&records(0..5)).unwrap();
    log.snapshots().write(&snapshot(&log, 1, 50)).unwrap();
    files.fail(Some(Fault::Full(10_000)));
    assert!(matches!(log.snapshots().write(&snapshot(&log, 2, 20_000)), Err(LogError::NoSpace { .. })));
    assert_eq!(log.snapshots().heights().unwrap(), [1]);
    log.append(&records(5..6)).unwrap();
    files.fail(None);
    log.snapshots().write(&snapshot(&log, 2, 20_000)).unwrap();
    assert_eq!(log.snapshots().heights().unwrap(), [1, 2]);
}
