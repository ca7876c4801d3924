//! How fast the ledger's log acknowledges, beside a database that promises the same, and how fast entries are executed.

mod replay;
mod transitions;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use peermark_core::sealed::SigningKey;
use peermark_core::{Clock, Seed};
use peermark_ledger::log::{Disk, Log, LogError, LogOptions};
use peermark_probe::clock::MonotonicClock;
use rand::Rng;
use rusqlite::Connection;

use crate::BenchError;
use crate::figure::{Figure, Hold};

/// Bytes of an entry: a transfer with its signature has about as many.
const ENTRY_BYTES: usize = 200;

/// Groups of how many entries, and how many groups of them are one round.
const SHAPES: [(&str, usize, usize); 3] =
    [("ledger.ack_ratio_1", 1, 400), ("ledger.ack_ratio_16", 16, 300), ("ledger.ack_ratio_256", 256, 100)];

/// Rounds of each, log and database in turn.
const ROUNDS: usize = 9;

/// From one checkpoint of the log to the next, as its writer makes them.
const CHECKPOINT_NS: u64 = 500_000_000;

/// What the ratio should reach; it must hold 1.
const REACH: f64 = 3.0;

/// Acknowledged entries per second, one `fdatasync` per group, beside SQLite (WAL, `synchronous=FULL`), one transaction per group.
/// Both write to `scratch`. Then transitions and signatures per second, and a million entries from the log back to the state.
///
/// # Errors
/// [`BenchError`].
pub fn ledger(scratch: &Path) -> Result<Vec<Figure>, BenchError> {
    let clock = MonotonicClock::new();
    let acked = SHAPES.iter().map(|(name, group, groups)| ack(scratch, &clock, name, *group, *groups));
    let mut figures = acked.collect::<Result<Vec<_>, _>>()?;
    figures.extend(transitions::figures(&clock)?);
    figures.extend(replay::figures(scratch, &clock)?);
    Ok(figures)
}

fn ack(
    scratch: &Path,
    clock: &dyn Clock,
    name: &'static str,
    group: usize,
    groups: usize,
) -> Result<Figure, BenchError> {
    let directory = scratch.join(name);
    let mut subject = Subject::open(&directory.join("log"))?;
    let mut reference = Reference::open(&directory)?;
    let mut entries = Entries::new(group);
    // The first round of each begins its files, and is not counted.
    subject.round(clock, &mut entries, groups / 4)?;
    reference.round(clock, &mut entries, groups / 4)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Who comes first takes turns too.
        if round % 2 == 0 {
            ours.push(subject.round(clock, &mut entries, groups)?);
            theirs.push(reference.round(clock, &mut entries, groups)?);
        } else {
            theirs.push(reference.round(clock, &mut entries, groups)?);
            ours.push(subject.round(clock, &mut entries, groups)?);
        }
    }
    reference.check(subject.check()?)?;
    let base = ("SQLite (WAL, synchronous=FULL), one transaction per group", &theirs[..]);
    let mut figure = Figure::of_ratio(name, "entries/s", &ours, base, Hold::AtLeast(1.0));
    let reached = figure.ratio.is_some_and(|ratio| ratio >= REACH);
    figure.notes.push(format!(
        "{ENTRY_BYTES}-byte entries in groups of {group}, one fdatasync each, {groups} groups a round; reach {REACH:.0}: {}",
        if reached { "reached" } else { "not reached" }
    ));
    Ok(figure)
}

/// Entries that resemble nothing, so that nothing can be saved on them.
struct Entries {
    seed: Seed,
    group: Vec<[u8; ENTRY_BYTES]>,
    drawn: u64,
}

impl Entries {
    fn new(group: usize) -> Self {
        let mut entries = Self { seed: Seed(5), group: vec![[0; ENTRY_BYTES]; group], drawn: 0 };
        let mut stream = entries.seed.stream("entries");
        entries.group.iter_mut().for_each(|entry| stream.fill_bytes(entry));
        entries
    }

    /// The next group: making it costs next to nothing, and neither side sees the same twice.
    fn next(&mut self) -> &[[u8; ENTRY_BYTES]] {
        for entry in &mut self.group {
            self.drawn += 1;
            entry[..8].copy_from_slice(&self.drawn.to_le_bytes());
        }
        &self.group
    }
}

struct Subject {
    log: Log,
    entries: u64,
    checkpoint_ns: u64,
    /// Signs beside the thread that appends, as the log's writer has it done.
    sign: SyncSender<()>,
    signing: JoinHandle<Result<(), LogError>>,
}

impl Subject {
    fn open(directory: &Path) -> Result<Self, BenchError> {
        let files = Disk::create(directory).map_err(BenchError::io("create the log's directory"))?;
        let key = SigningKey::from_seed([1; 32]);
        let log = Log::open(LogOptions::new(Arc::new(files), [0; 32], "bench", key)).map_err(failed)?;
        let (sign, asked) = mpsc::sync_channel(1);
        let checkpoints = log.checkpoints();
        let signing = std::thread::spawn(move || {
            while asked.recv().is_ok() {
                checkpoints.write()?;
            }
            Ok(())
        });
        Ok(Self { log, entries: 0, checkpoint_ns: 0, sign, signing })
    }

    /// Entries per second.
    fn round(&mut self, clock: &dyn Clock, entries: &mut Entries, groups: usize) -> Result<f64, BenchError> {
        let (before, started_ns) = (self.entries, clock.now_ns());
        for _ in 0..groups {
            self.entries += self.log.append(entries.next()).map_err(failed)?.len() as u64;
            let now_ns = clock.now_ns();
            let due = now_ns.saturating_sub(self.checkpoint_ns) >= CHECKPOINT_NS;
            // While one is being signed, the next waits.
            if due && self.sign.try_send(()).is_ok() {
                self.checkpoint_ns = now_ns;
            }
        }
        Ok((self.entries - before) as f64 * 1e9 / (clock.now_ns() - started_ns) as f64)
    }

    /// Whether everything is there and signed. Returns how much.
    fn check(self) -> Result<u64, BenchError> {
        drop(self.sign);
        self.signing.join().map_err(|_| failed("a panic while signing"))?.map_err(failed)?;
        let there = self.log.reader().iter(0).filter(Result::is_ok).count() as u64;
        same("entries in the log", there, self.entries)?;
        self.log.close().map_err(failed)?;
        Ok(self.entries)
    }
}

struct Reference {
    database: Connection,
    entries: u64,
}

impl Reference {
    fn open(directory: &Path) -> Result<Self, BenchError> {
        let database = Connection::open(directory.join("reference.db")).map_err(refused)?;
        let mode: String = database.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(refused)?;
        if mode != "wal" {
            return Err(BenchError::subject("opening SQLite with a write-ahead log", mode));
        }
        let schema = "PRAGMA synchronous = FULL; CREATE TABLE entries (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL)";
        database.execute_batch(schema).map_err(refused)?;
        Ok(Self { database, entries: 0 })
    }

    /// Entries per second.
    fn round(&mut self, clock: &dyn Clock, entries: &mut Entries, groups: usize) -> Result<f64, BenchError> {
        let (before, started_ns) = (self.entries, clock.now_ns());
        for _ in 0..groups {
            let transaction = self.database.transaction().map_err(refused)?;
            {
                let mut insert =
                    transaction.prepare_cached("INSERT INTO entries (bytes) VALUES (?1)").map_err(refused)?;
                for entry in entries.next() {
                    insert.execute([&entry[..]]).map_err(refused)?;
                    self.entries += 1;
                }
            }
            transaction.commit().map_err(refused)?;
        }
        Ok((self.entries - before) as f64 * 1e9 / (clock.now_ns() - started_ns) as f64)
    }

    fn check(&self, expected: u64) -> Result<(), BenchError> {
        let there = self.database.query_row("SELECT COUNT(*) FROM entries", [], |row| row.get::<_, i64>(0));
        same("entries in SQLite", u64::try_from(there.map_err(refused)?).unwrap_or_default(), expected)
    }
}

fn same(what: &'static str, there: u64, expected: u64) -> Result<(), BenchError> {
    if there == expected { Ok(()) } else { Err(BenchError::subject(what, format!("{there} of {expected}"))) }
}

fn failed(error: impl ToString) -> BenchError {
    BenchError::subject("appending to the log", error)
}

fn refused(error: impl ToString) -> BenchError {
    BenchError::subject("writing to SQLite", error)
}
