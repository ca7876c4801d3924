//! Disks that refuse: every operation of a run fails once, in turn, and disks that are full.

use std::io::ErrorKind;
use std::sync::Arc;

use peermark_ledger::log::{Log, LogError, LogOptions, Snapshot};

use crate::log_disk::{Fault, FaultyFiles};
use crate::log_fixture::{all, chance, options, record, records, verified};

/// A run that does everything a log does: groups, segments, checkpoints, a snapshot, an end. Returns the records that were
/// acknowledged, in order, and the failure that ended it.
fn run(options: LogOptions) -> (Vec<Vec<u8>>, Option<LogError>) {
    let mut acknowledged = Vec::new();
    let go = || -> Result<(), LogError> {
        let mut log = Log::open(options)?;
        acknowledged = all(&log);
        let mut number = acknowledged.len() as u64;
        for group in [1, 3, 40, 1, 30, 2] {
            let group = records(number..number + group);
            match log.append(&group) {
                Ok(_) => {
                    number += group.len() as u64;
                    acknowledged.extend(group);
                }
                Err(LogError::NoSpace { .. }) => {
                    assert_eq!(all(&log), acknowledged, "after a refusal");
                    continue;
                }
                Err(error) => {
                    assert!(error.is_fatal(), "{error:?}");
                    assert!(matches!(log.append(&[[1]]), Err(LogError::Stopped)));
                    assert!(matches!(log.checkpoint(), Ok(_) | Err(LogError::Stopped)));
                    assert_eq!(log.reader().size(), acknowledged.len() as u64);
                    return Err(error);
                }
            }
            match log.checkpoint() {
                Err(LogError::NoSpace { .. }) => {}
                done => drop(done?),
            }
            let snapshot =
                Snapshot { height: number, size: number, root: log.root(), state_hash: [1; 32], bytes: vec![9; 700] };
            match log.snapshots().write(&snapshot) {
                Err(LogError::NoSpace { .. }) => {}
                done => done?,
            }
        }
        log.close()
    };
    let ended = go().err();
    (acknowledged, ended)
}

/// The operations of a run without faults.
fn operations() -> u64 {
    let files = FaultyFiles::new();
    let (acknowledged, ended) = run(options(Arc::new(files.clone())));
    assert!(ended.is_none() && acknowledged == records(0..77));
    for what in ["create", "write", "sync", "set_len", "rename", "remove", "sync_dir"] {
        assert!(files.operation_names().contains(&what), "{what}");
    }
    files.operations()
}

#[test]
fn every_operation_fails_once_and_nothing_acknowledged_is_lost() {
    for at in 0..operations() {
        let files = FaultyFiles::new();
        files.fail(Some(Fault::Once(at, ErrorKind::Other)));
        let (acknowledged, ended) = run(options(Arc::new(files.clone())));
        let what = files.operation_names()[at as usize];
        // Nothing but a log that has not been opened yet may take an error lightly.
        assert!(ended.is_some(), "operation {at}, {what}");
        // The process ends, and what the system still had in memory may or may not get to the disk.
        for after in [files.copy(), files.after_power_cut(&mut chance("faults", at))] {
            let log =
                Log::open(options(Arc::new(after))).unwrap_or_else(|error| panic!("operation {at}, {what}: {error}"));
            let there = all(&log);
            assert!(there.starts_with(&acknowledged), "operation {at}, {what}");
            assert_eq!(there, records(0..there.len() as u64), "operation {at}, {what}");
        }
    }
}

#[test]
fn a_sync_that_failed_is_never_followed_by_an_acknowledgement() {
    let files = FaultyFiles::new();
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    log.append(&records(0..5)).unwrap();
    // Hashes, then records, then the sync.
    files.fail(Some(Fault::Once(files.operations() + 2, ErrorKind::Other)));
    let failed = log.append(&[record(5)]).unwrap_err();
    assert_eq!(*files.operation_names().last().unwrap(), "sync");
    assert!(matches!(failed, LogError::Fatal { action: "sync", .. }), "{failed:?}");
    let operations = files.operations();
    assert!(matches!(log.append(&[record(6)]), Err(LogError::Stopped)));
    assert!(matches!(log.checkpoint(), Err(LogError::Stopped)));
    assert!(matches!(log.close(), Err(LogError::Stopped)));
    assert_eq!(files.operations(), operations, "something was written after the failure");
}

#[test]
fn every_write_finds_a_full_disk_once_and_the_log_goes_on() {
    let mut refused = 0;
    for at in 0..operations() {
        let files = FaultyFiles::new();
        files.fail(Some(Fault::Once(at, ErrorKind::StorageFull)));
        let (acknowledged, ended) = run(options(Arc::new(files.clone())));
        if files.operation_names()[at as usize] == "write" && ended.is_none() {
            refused += 1;
            // Only the group that was refused is missing, and what came after has its place.
            assert!(
                acknowledged == records(0..acknowledged.len() as u64) && acknowledged.len() >= 37,
                "operation {at}"
            );
            assert!(verified(&files).is_sound(), "operation {at}: {:?}", verified(&files));
        }
        for after in [files.copy(), files.after_power_cut(&mut chance("full", at))] {
            let there = all(&Log::open(options(Arc::new(after))).unwrap());
            assert!(there.starts_with(&acknowledged), "operation {at}");
            assert!(ended.is_some() || there == acknowledged, "operation {at}: what was refused is there");
        }
    }
    assert!(refused > 20, "{refused} refusals");
}

#[test]
fn a_full_disk_refuses_reads_go_on_and_space_is_used_once_there_is_some() {
    for reserve_bytes in [0, 1_024] {
        let files = FaultyFiles::new();
        let mut log = Log::open(LogOptions { reserve_bytes, ..options(Arc::new(files.clone())) }).unwrap();
        let mut there = 0;
        for space in [10_000, 20_000, 40_000] {
            files.fail(Some(Fault::Full(space)));
            loop {
                match log.append(&records(there..there + 4)) {
                    Ok(_) => there += 4,
                    Err(LogError::NoSpace { .. }) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert_eq!(all(&log), records(0..there));
            assert!(log.reader().inclusion(there - 1, there).is_ok());
            assert!(matches!(log.checkpoint(), Ok(_) | Err(LogError::NoSpace { .. })));
        }
        assert!(there > 200, "{there} records");
        files.fail(None);
        log.append(&records(there..there + 4)).unwrap();
        log.close().unwrap();
        let found = verified(&files);
        assert!(found.is_sound() && found.size == there + 4, "{found:?}");
    }
}
