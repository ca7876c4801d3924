//! A monitor that is killed loses no attempt that it acknowledged, and its chain verifies.
//!
//! The test starts this test binary again as the one that appends and prunes, kills it with SIGKILL at some moment, and opens what it
//! left. Ten times here; `make prove-monitor-kills` does it two hundred times.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use peermark_core::Seed;
use peermark_monitor::config::HistoryConfig;
use peermark_monitor::history::History;
use peermark_testkit::fake_clock::START_WALL_MS;
use peermark_testkit::times;
use rand::Rng;

use crate::history_fixture::{DAY_MS, config, failure, options, success};

/// Tells the child where to write. Without it, the child's test does nothing.
const DIRECTORY: &str = "PEERMARK_TEST_HISTORY_DIRECTORY";

/// Attempts of a simulated day. One day is kept, so that there is always something to prune.
const A_DAY: u64 = 40;

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how a test says to the process it starts that it is not an ordinary run"
)]
fn history_child_appends_until_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    runtime().block_on(append_for_ever(Path::new(&directory)));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn open(directory: &Path) -> History {
    let config = HistoryConfig { attempts_days: 1, rollups_days: 100_000, ..config() };
    History::open(directory, options(config)).await.unwrap()
}

async fn append_for_ever(directory: &Path) {
    let history = open(directory).await;
    let mut output = std::io::stdout();
    for _ in 0u64.. {
        let at_ms = history.head().seq * DAY_MS / A_DAY;
        let task = ["disk", "clock", "iperf"][(history.head().seq % 3) as usize];
        let new = if history.head().seq % 5 == 4 { failure(task, at_ms) } else { success(task, at_ms, 7) };
        let attempt = history.append(new).await.unwrap();
        // A line of its own: the test harness writes to the same output.
        writeln!(output, "\nstored {}", attempt.seq).unwrap();
        if attempt.seq % 10 == 0 {
            history.prune(START_WALL_MS + at_ms).await.unwrap();
        }
    }
}

/// `make prove-monitor-kills` asks for 200.
#[test]
fn history_survives_kills() {
    let kills = times(option_env!("PEERMARK_KILLS"), 10);
    let (acknowledged, there) = kill_and_check(kills.into());
    println!("{kills} kills, {acknowledged} attempts acknowledged, {there} there, none lost");
}

/// How many attempts were acknowledged, and how many there are.
fn kill_and_check(kills: u64) -> (u64, u64) {
    let directory = tempfile::tempdir().unwrap();
    let mut moments = Seed(4).stream("kills");
    let (mut acknowledged, mut there) = (0, 0);
    for kill in 1..=kills {
        let after = 1 + moments.next_u64() % 30;
        let delay = Duration::from_micros(moments.next_u64() % 3_000);
        let mut child = start(directory.path());
        let seqs = kill_after(&mut child, after, delay);
        acknowledged += seqs.len() as u64;
        let attempts = runtime().block_on(check(directory.path(), &seqs));
        // At most one more than it told of: what was being written when it was killed.
        let (least, most) = (there + seqs.len() as u64, there + seqs.len() as u64 + 1);
        assert!(
            (least..=most).contains(&attempts),
            "kill {kill}: {attempts} attempts, {least} were there or acknowledged"
        );
        there = attempts;
    }
    (acknowledged, there)
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "history_kill::history_child_appends_until_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the child some time after it has reported `count` attempts, and returns what it reported before it died.
fn kill_after(child: &mut Child, count: u64, delay: Duration) -> Vec<u64> {
    let mut seqs = Vec::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        seqs.extend(line.strip_prefix("stored ").and_then(|seq| seq.parse::<u64>().ok()));
        if seqs.len() as u64 >= count && !killed {
            std::thread::sleep(delay);
            child.kill().unwrap();
            killed = true;
        }
    }
    assert!(!child.wait().unwrap().success() && killed, "the child ended by itself");
    seqs
}

/// How many attempts there are altogether, kept or rolled up.
async fn check(directory: &Path, acknowledged: &[u64]) -> u64 {
    let history = open(directory).await;
    let verified = history.verify().await.unwrap();
    assert!(verified.is_sound(), "{:?}", verified.faults);
    let records = history.records(0, 10_000).await.unwrap();
    for seq in acknowledged {
        let there = *seq <= verified.pruned_upto || records.iter().any(|record| record.seq == *seq);
        assert!(there, "attempt {seq} was acknowledged and is gone");
    }
    let mut attempts = records.iter().filter(|record| record.kind == "attempt").count() as u64;
    for task in history.tasks() {
        attempts += history.days(&task).await.unwrap().iter().map(|day| day.ok + day.failed).sum::<u64>();
    }
    history.close().await;
    attempts
}
