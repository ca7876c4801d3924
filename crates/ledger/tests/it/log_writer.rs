//! Many callers, one thread that writes.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use peermark_core::Clock;
use peermark_ledger::log::{AppendError, File, Files, Lock, Log, LogError, LogOptions, OnFatal, Writer, WriterOptions};
use peermark_probe::clock::MonotonicClock;

use crate::log_disk::{Fault, FaultyFiles};
use crate::log_fixture::{on_disk, options, record, verified};

const LONG: Duration = Duration::from_secs(30);

fn clock() -> Arc<dyn Clock> {
    Arc::new(MonotonicClock::new())
}

fn never() -> OnFatal {
    Box::new(|error| panic!("{error}"))
}

/// Polls until it holds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let clock = clock();
    while !holds() {
        assert!(clock.now_ns() < LONG.as_nanos() as u64, "{what} within {LONG:?}");
        std::thread::yield_now();
    }
}

/// Files whose syncs wait until they are let through, so that a test knows what gathers meanwhile.
#[derive(Debug)]
struct Gated {
    files: FaultyFiles,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    /// Who syncs asks for leave here.
    leave: Mutex<mpsc::Receiver<()>>,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct GatedFile(Box<dyn File>, Arc<Gate>);

impl Files for Gated {
    fn create(&self, name: &str) -> std::io::Result<Box<dyn File>> {
        Ok(Box::new(GatedFile(self.files.create(name)?, Arc::clone(&self.gate))))
    }

    fn open(&self, name: &str) -> std::io::Result<Box<dyn File>> {
        Ok(Box::new(GatedFile(self.files.open(name)?, Arc::clone(&self.gate))))
    }

    fn rename(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> std::io::Result<()> {
        self.files.remove(name)
    }

    fn list(&self) -> std::io::Result<Vec<String>> {
        self.files.list()
    }

    fn sync_dir(&self) -> std::io::Result<()> {
        self.files.sync_dir()
    }

    fn lock(&self, name: &str) -> std::io::Result<Box<dyn Lock>> {
        self.files.lock(name)
    }
}

impl File for GatedFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.1.waiting.fetch_add(1, Ordering::SeqCst);
        // When the test has let go of its end, everything passes.
        self.1.leave.lock().unwrap().recv().unwrap_or_default();
        self.1.waiting.fetch_sub(1, Ordering::SeqCst);
        self.0.sync_data()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, bytes: u64) -> std::io::Result<()> {
        self.0.set_len(bytes)
    }
}

fn gated(files: &FaultyFiles) -> (Arc<Gated>, Arc<Gate>, mpsc::SyncSender<()>) {
    let (open, leave) = mpsc::sync_channel(1_000);
    let gate = Arc::new(Gate { leave: Mutex::new(leave), waiting: AtomicUsize::new(0) });
    (Arc::new(Gated { files: files.clone(), gate: Arc::clone(&gate) }), gate, open)
}

#[test]
fn what_many_callers_append_is_there_once_and_in_each_ones_order() {
    let directory = tempfile::tempdir().unwrap();
    let writer =
        Writer::start(Log::open(on_disk(directory.path())).unwrap(), WriterOptions::default(), clock(), never());
    let writer = Arc::new(writer.unwrap());
    let callers: Vec<_> = (0..8u64)
        .map(|caller| {
            let writer = Arc::clone(&writer);
            std::thread::spawn(move || {
                let append =
                    |number: u64| writer.append([caller.to_le_bytes(), number.to_le_bytes()].concat(), LONG).unwrap();
                (0..100).map(|number| append(number).index).collect::<Vec<u64>>()
            })
        })
        .collect();
    let indices: Vec<Vec<u64>> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    let reader = writer.reader().clone();
    assert_eq!(reader.size(), 800);
    for (caller, indices) in indices.iter().enumerate() {
        assert!(indices.is_sorted());
        for (number, index) in indices.iter().enumerate() {
            let expected = [(caller as u64).to_le_bytes(), (number as u64).to_le_bytes()].concat();
            assert_eq!(reader.read(*index).unwrap(), expected);
        }
    }
    Arc::into_inner(writer).unwrap().close().unwrap();
    assert_eq!(reader.checkpoint().size, 800);
    assert!(verified(&peermark_ledger::log::Disk::open(directory.path()).unwrap()).is_sound());
}

#[test]
fn what_arrives_during_a_sync_is_the_next_group() {
    let files = FaultyFiles::new();
    drop(Log::open(options(Arc::new(files.clone()))).unwrap());
    let (gated, gate, open) = gated(&files);
    open.send(()).unwrap();
    let log = Log::open(LogOptions { segment_bytes: 1 << 20, ..options(gated) }).unwrap();
    let settings = WriterOptions { queue_records: 300, checkpoint_after: LONG, ..WriterOptions::default() };
    let writer = Writer::start(log, settings, clock(), never()).unwrap();
    // Goes before the writer, should something fail: it could not end otherwise.
    let open = open;
    let (sender, answers) = mpsc::sync_channel(1_000);
    let submit = |number: u64| {
        let sender = sender.clone();
        writer.submit(record(number), Box::new(move |answer| sender.send(answer).unwrap()))
    };
    submit(0).unwrap();
    eventually("the first sync begins", || gate.waiting.load(Ordering::SeqCst) == 1);
    (1..=300).for_each(|number| submit(number).unwrap());
    // The queue is full, and says so at once.
    assert_eq!(submit(301), Err(AppendError::Busy));
    assert!(answers.try_recv().is_err(), "acknowledged before the sync");
    assert_eq!(writer.reader().size(), 0);
    let before = files.operation_names().iter().filter(|what| **what == "sync").count();
    for expected in [1, 257, 301] {
        open.send(()).unwrap();
        eventually("a group is synced", || writer.reader().size() == expected);
    }
    let syncs = files.operation_names().iter().filter(|what| **what == "sync").count() - before;
    assert_eq!(syncs, 3);
    let indices: Vec<u64> = (0..301).map(|_| answers.recv().unwrap().unwrap().index).collect();
    assert_eq!(indices, (0..301).collect::<Vec<_>>());
    drop(open);
    writer.close().unwrap();
}

#[test]
fn bytes_that_wait_are_bounded_too() {
    let files = FaultyFiles::new();
    drop(Log::open(options(Arc::new(files.clone()))).unwrap());
    let (gated, gate, open) = gated(&files);
    open.send(()).unwrap();
    let settings = WriterOptions { queue_bytes: 1_000, ..WriterOptions::default() };
    let writer = Writer::start(Log::open(options(gated)).unwrap(), settings, clock(), never()).unwrap();
    let submit = |bytes: usize| writer.submit(vec![1; bytes], Box::new(drop));
    let open = open;
    submit(600).unwrap();
    eventually("the sync begins", || gate.waiting.load(Ordering::SeqCst) == 1);
    submit(600).unwrap();
    assert_eq!(submit(600), Err(AppendError::Busy));
    submit(400).unwrap();
    drop(open);
    eventually("the queue empties", || submit(900) == Ok(()));
    assert_eq!(submit(0), Err(AppendError::RecordSize { bytes: 0 }));
    assert_eq!(submit(65_536), Err(AppendError::RecordSize { bytes: 65_536 }));
    writer.close().unwrap();
}

#[test]
fn the_checkpoint_follows_by_itself() {
    let files = FaultyFiles::new();
    let log = Log::open(options(Arc::new(files.clone()))).unwrap();
    let settings = WriterOptions { checkpoint_after: Duration::from_millis(20), ..WriterOptions::default() };
    let writer = Writer::start(log, settings, clock(), never()).unwrap();
    for size in 1..=3 {
        writer.append(record(size), LONG).unwrap();
        eventually("a checkpoint", || writer.reader().checkpoint().size == size);
    }
    // Also over what a killed writer has left.
    drop(writer);
    let mut log = Log::open(options(Arc::new(files.clone()))).unwrap();
    log.append(&[record(9)]).unwrap();
    drop(log);
    let writer = Writer::start(Log::open(options(Arc::new(files))).unwrap(), settings, clock(), never()).unwrap();
    eventually("a checkpoint over what was there", || writer.reader().checkpoint().size == 4);
}

#[test]
fn a_failed_sync_calls_the_end_before_anybody_hears_and_nobody_is_acknowledged() {
    let files = FaultyFiles::new();
    let log = Log::open(options(Arc::new(files.clone()))).unwrap();
    let (told, fatal) = mpsc::sync_channel(2);
    let ended = told.clone();
    let on_fatal = Box::new(move |error: &LogError| ended.send(error.to_string()).unwrap());
    let settings = WriterOptions { checkpoint_after: LONG, ..WriterOptions::default() };
    let writer = Writer::start(log, settings, clock(), on_fatal).unwrap();
    writer.append(record(0), LONG).unwrap();
    // Hashes, then records, then the sync.
    files.fail(Some(Fault::Once(files.operations() + 2, ErrorKind::Other)));
    let answered = move |answer: Result<_, AppendError>| told.send(format!("{answer:?}")).unwrap();
    writer.submit(record(1), Box::new(answered)).unwrap();
    let heard = [fatal.recv_timeout(LONG).unwrap(), fatal.recv_timeout(LONG).unwrap()];
    assert!(heard[0].starts_with("cannot sync 00000000000000000000.seg"), "{heard:?}");
    assert_eq!(heard[1], "Err(Stopped)");
    eventually("nothing is taken", || writer.append(record(2), LONG) == Err(AppendError::Stopped));
    assert_eq!(writer.reader().size(), 1);
    assert_eq!(writer.reader().read(0).unwrap(), record(0));
    assert!(matches!(writer.close(), Err(LogError::Fatal { action: "sync", .. })));
}

#[test]
fn a_full_disk_is_an_answer_and_the_writer_lives() {
    let files = FaultyFiles::new();
    let log = Log::open(options(Arc::new(files.clone()))).unwrap();
    let settings = WriterOptions { checkpoint_after: Duration::from_millis(1), ..WriterOptions::default() };
    let writer = Writer::start(log, settings, clock(), never()).unwrap();
    writer.append(record(0), LONG).unwrap();
    files.fail(Some(Fault::Full(0)));
    // What was reserved is still used.
    eventually("the disk is full", || writer.append(vec![1; 200], LONG) == Err(AppendError::NoSpace));
    assert_eq!(writer.reader().read(0).unwrap(), record(0));
    files.fail(None);
    writer.append(record(1), LONG).unwrap();
    writer.close().unwrap();
    assert!(verified(&files).is_sound());
}

#[test]
fn groups_wait_for_more_when_told_to_and_callers_no_longer_than_they_say() {
    let files = FaultyFiles::new();
    drop(Log::open(options(Arc::new(files.clone()))).unwrap());
    let (gated, _gate, open) = gated(&files);
    open.send(()).unwrap();
    let log = Log::open(options(gated)).unwrap();
    let settings = WriterOptions { linger: LONG, group_records: 4, ..WriterOptions::default() };
    let writer = Arc::new(Writer::start(log, settings, clock(), never()).unwrap());
    let open = open;
    assert_eq!(writer.append(record(0), Duration::from_millis(5)), Err(AppendError::Timeout));
    drop(open);
    let barrier = Arc::new(Barrier::new(3));
    let callers: Vec<_> = (1..4)
        .map(|number| {
            let (writer, barrier) = (Arc::clone(&writer), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                writer.append(record(number), LONG).unwrap().index
            })
        })
        .collect();
    let mut indices: Vec<u64> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    indices.sort_unstable();
    assert_eq!(indices, [1, 2, 3]);
}
