//! The power goes at any operation: what was synced is there, of the rest any part.

use std::sync::Arc;

use peermark_ledger::log::{Log, LogError, LogOptions, Snapshot};
use peermark_testkit::times;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::log_disk::{Fault, FaultyFiles};
use crate::log_fixture::{all, chance, options, records, verified};

/// `make prove-ledger-cuts` asks for 1,000.
#[test]
fn power_cuts_lose_nothing_that_was_acknowledged() {
    let cuts = u64::from(times(option_env!("PEERMARK_CUTS"), 150));
    let mut files = FaultyFiles::new();
    let (mut total, mut in_recovery, mut unacknowledged) = (0, 0, 0);
    let mut acknowledged = Vec::new();
    for cut in 0..cuts {
        let mut chance = chance("cuts", cut);
        // A log that has become large is put aside.
        if acknowledged.len() > 400 {
            files = FaultyFiles::new();
            total += acknowledged.len();
            acknowledged.clear();
        }
        let most = if chance.next_u32().is_multiple_of(4) { 12 } else { 120 };
        files.fail(Some(Fault::PowerCut(files.operations() + 1 + chance.next_u64() % most)));
        in_recovery += u64::from(!write_until_dark(&files, &mut acknowledged, &mut chance));
        let torn = files.after_power_cut(&mut chance);
        // Nothing that was acknowledged looks damaged, also to one who only looks.
        let found = verified(&torn);
        let opened_before = !acknowledged.is_empty();
        assert!(!opened_before || found.faults.is_empty(), "cut {cut}: {found:?}");
        let there = all(&open(&torn, cut));
        assert!(there.len() >= acknowledged.len(), "cut {cut}: {} of {} are there", there.len(), acknowledged.len());
        assert_eq!(there, records(0..there.len() as u64), "cut {cut}");
        unacknowledged += there.len() - acknowledged.len();
        let found = verified(&torn);
        assert!(found.is_sound(), "cut {cut}: {found:?}");
        acknowledged = there;
        files = torn;
    }
    total += acknowledged.len();
    println!(
        "{cuts} cuts, {in_recovery} of them while opening, {total} records, {unacknowledged} of them unacknowledged, none lost"
    );
    assert!(in_recovery > 0 && unacknowledged > 0);
}

fn open(files: &FaultyFiles, cut: u64) -> Log {
    Log::open(options(Arc::new(files.clone()))).unwrap_or_else(|error| panic!("cut {cut}: {error}"))
}

/// Appends until the power goes; `false` where it went before the log was open.
fn write_until_dark(files: &FaultyFiles, acknowledged: &mut Vec<Vec<u8>>, chance: &mut ChaCha8Rng) -> bool {
    let reserve_bytes = [0, 700, 5_000][chance.next_u64() as usize % 3];
    let mut log = match Log::open(LogOptions { reserve_bytes, ..options(Arc::new(files.clone())) }) {
        Ok(log) => log,
        Err(error) => {
            assert!(matches!(error, LogError::Fatal { .. } | LogError::Io { .. }), "{error:?}");
            return false;
        }
    };
    loop {
        let next = log.size();
        let group = records(next..next + 1 + chance.next_u64() % 30);
        match log.append(&group) {
            Ok(_) => acknowledged.extend(group),
            Err(error) => return assert_fatal(&error),
        }
        if chance.next_u32().is_multiple_of(4)
            && let Err(error) = log.checkpoint()
        {
            return assert_fatal(&error);
        }
        if chance.next_u32().is_multiple_of(8) {
            let bytes = vec![next as u8; chance.next_u64() as usize % 2_000];
            let snapshot = Snapshot { height: next, size: log.size(), root: log.root(), state_hash: [2; 32], bytes };
            match log.snapshots().write(&snapshot) {
                Err(LogError::Io { .. }) | Ok(()) => {}
                Err(error) => return assert_fatal(&error),
            }
        }
    }
}

fn assert_fatal(error: &LogError) -> bool {
    assert!(error.is_fatal(), "{error:?}");
    true
}
