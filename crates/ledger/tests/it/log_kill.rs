//! A writer that is killed loses nothing that it acknowledged, doubles nothing and changes no order.
//!
//! The test starts this test binary again as the writer, kills it with SIGKILL at some moment, and opens what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use peermark_core::sealed::Digest32;
use peermark_ledger::log::tree::leaf_hash;
use peermark_ledger::log::{Disk, Log, LogOptions, Snapshot, Writer, WriterOptions, verify};
use peermark_probe::clock::MonotonicClock;
use peermark_testkit::times;
use rand::Rng;

use crate::log_fixture::{chance, identity, on_disk};

/// Tells the child where to write. Without it, the child's test does nothing.
const DIRECTORY: &str = "PEERMARK_TEST_LOG_DIRECTORY";

/// Callers that append at the same time.
const CALLERS: u64 = 4;

/// Kills of one log, before the next one is begun.
const KILLS_EACH: u64 = 20;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how a test says to the process it starts that it is not an ordinary run"
)]
fn log_child_appends_until_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    append_for_ever(Path::new(&directory));
}

/// Small segments and frequent checkpoints and snapshots, so that kills fall into all of them.
fn open(directory: &Path) -> Log {
    Log::open(LogOptions { segment_bytes: 20_000, reserve_bytes: 4_096, ..on_disk(directory) }).unwrap()
}

fn append_for_ever(directory: &Path) {
    let log = open(directory);
    let settings = WriterOptions { checkpoint_after: Duration::from_millis(2), ..WriterOptions::default() };
    let clock = Arc::new(MonotonicClock::new());
    let writer = Arc::new(Writer::start(log, settings, clock, Box::new(|error| panic!("{error}"))).unwrap());
    let process = std::process::id();
    for caller in 0..CALLERS {
        let writer = Arc::clone(&writer);
        std::thread::spawn(move || {
            for number in 0u64.. {
                let mut record = format!("{process}.{caller}.{number}.").into_bytes();
                record.resize(200 + (number as usize * 7 % 50), b'x');
                let receipt = writer.append(record, Duration::from_secs(30)).unwrap();
                // A line of its own: the test harness writes to the same output.
                let line =
                    format!("\nstored {} {process}.{caller}.{number}. {:02x?}\n", receipt.index, &receipt.leaf[..4]);
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        });
    }
    let first = writer.snapshots().heights().unwrap().last().map_or(0, |height| height + 1);
    for height in first.. {
        let size = writer.reader().size();
        let root = writer.reader().root(size).unwrap();
        let snapshot = Snapshot { height, size, root, state_hash: [3; 32], bytes: vec![4; 5_000] };
        writer.snapshots().write(&snapshot).unwrap();
    }
}

/// `make prove-ledger-kills` asks for 1,000.
#[test]
fn log_survives_kills() {
    let kills = u64::from(times(option_env!("PEERMARK_KILLS"), 8));
    let (mut acknowledged, mut there, mut torn) = (0, 0, 0);
    let mut moments = chance("kills", 0);
    let mut kill = 0;
    while kill < kills {
        let directory = tempfile::tempdir().unwrap();
        let mut told = BTreeMap::new();
        for _ in 0..KILLS_EACH.min(kills - kill) {
            kill += 1;
            let after = moments.next_u64() % 40;
            let delay = Duration::from_micros(moments.next_u64() % 4_000);
            let mut child = start(directory.path());
            kill_after(&mut child, after, delay, &mut told);
            let (size, was_torn) = check(directory.path(), &told, kill);
            torn += u64::from(was_torn);
            there += if kill == kills || kill.is_multiple_of(KILLS_EACH) { size } else { 0 };
        }
        acknowledged += told.len() as u64;
    }
    println!("{kills} kills, {torn} torn ends, {acknowledged} records acknowledged, {there} there, none lost");
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "log_kill::log_child_appends_until_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child some time after it has told of `count` records, and adds what it told before it died.
fn kill_after(child: &mut Child, count: u64, delay: Duration, told: &mut BTreeMap<u64, (String, String)>) {
    let (mut heard, mut killed) = (0, false);
    let output = child.stdout.take().unwrap();
    let mut kill = |child: &mut Child, heard: u64| {
        if heard >= count && !killed {
            std::thread::sleep(delay);
            child.kill().unwrap();
            killed = true;
        }
    };
    if count == 0 {
        // Also while the log is opened.
        kill(child, 0);
    }
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        let Some(line) = line.strip_prefix("stored ") else { continue };
        // The last line may have been cut.
        let Some((index, rest)) = line.split_once(' ') else { continue };
        let Some((name, leaf)) = rest.split_once(' ').filter(|(_, leaf)| leaf.ends_with(']')) else { continue };
        let before = told.insert(index.parse().unwrap(), (name.to_owned(), leaf.to_owned()));
        assert_eq!(before, None, "record {index} was acknowledged twice");
        heard += 1;
        kill(child, heard);
    }
    assert!(!child.wait().unwrap().success() && killed, "the child ended by itself");
}

/// Compares what is there with what was told. Returns how much there is, and whether an end was torn.
fn check(directory: &Path, told: &BTreeMap<u64, (String, String)>, kill: u64) -> (u64, bool) {
    let files = Disk::open(directory).unwrap();
    let torn = told.is_empty() || !verify(&files, &identity(), |_, _| {}).unwrap().unfinished.is_empty();
    drop(open(directory));
    let (mut names, mut last) = (BTreeSet::new(), BTreeMap::new());
    let mut there: Vec<(String, Digest32)> = Vec::new();
    let found = verify(&files, &identity(), |_, record| {
        let text = String::from_utf8(record.to_vec()).unwrap();
        let name = text.trim_end_matches('x').to_owned();
        there.push((name, leaf_hash(record)));
    });
    let found = found.unwrap();
    assert!(found.is_sound(), "kill {kill}: {found:?}");
    for (name, _) in &there {
        assert!(names.insert(name), "kill {kill}: {name} is there twice");
        let (caller, number) = name.trim_end_matches('.').rsplit_once('.').unwrap();
        let number: u64 = number.parse().unwrap();
        let before = last.insert(caller, number);
        assert_eq!(before.map_or(0, |before| before + 1), number, "kill {kill}: records of {caller} are out of order");
    }
    for (index, (name, leaf)) in told {
        let record = there.get(*index as usize);
        let (found, hash) =
            record.unwrap_or_else(|| panic!("kill {kill}: record {index} was acknowledged and is gone"));
        assert_eq!((found, &format!("{:02x?}", &hash[..4])), (name, leaf), "kill {kill}: record {index}");
    }
    (found.size, torn)
}
