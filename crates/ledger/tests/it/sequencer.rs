//! Taking entries, cutting blocks, starting again, proving everything.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use peermark_core::Clock;
use peermark_core::sealed::{Bytes, Sealed, Value};
use peermark_ledger::directory::{Directory, DirectoryError};
use peermark_ledger::item::hosting::RawReason;
use peermark_ledger::log::{AppendError, LogOptions, Receipt};
use peermark_ledger::outcome::Refusal;
use peermark_ledger::sequencer::{Sequencer, SequencerError, SubmitError};
use peermark_ledger::transaction::{ReportChange, Transaction};
use peermark_ledger::verify::{ProveError, Proven, Signatures, prove};
use peermark_probe::clock::MonotonicClock;
use peermark_testkit::FakeClock;

use crate::actor::{Actor, genesis, grant, transfer};
use crate::log_disk::{Fault, FaultyFiles};

const DEADLINE: Duration = Duration::from_secs(20);

fn create(path: &Path) -> Directory {
    Directory::create(path, genesis(), [1; 32]).unwrap()
}

fn open(directory: &Directory) -> Sequencer {
    let fatal = Box::new(|error: &_| panic!("{error}"));
    Sequencer::open(directory, Arc::new(FakeClock::default()), fatal).unwrap()
}

fn submit(sequencer: &Sequencer, entry: &Sealed) -> Result<Receipt, SubmitError> {
    let (sender, answer) = mpsc::sync_channel(1);
    sequencer.submit(entry.bytes(), Box::new(move |receipt| drop(sender.send(receipt))))?;
    answer.recv_timeout(DEADLINE).unwrap()
}

fn proven(directory: &Directory, signatures: Signatures) -> Result<Proven, ProveError> {
    let (files, identity) = (directory.files().unwrap(), directory.identity().unwrap());
    prove(&files, &identity, directory.genesis().clone(), signatures, NonZeroUsize::new(2).unwrap())
}

#[test]
fn a_ledger_goes_on_where_it_ended_and_proves_everything() {
    let place = tempfile::tempdir().unwrap();
    let directory = create(&place.path().join("ledger"));
    let network = directory.genesis().network();
    let mut admin = Actor::new(2, &network);
    let mut user = Actor::new(3, &network);

    let sequencer = open(&directory);
    assert_eq!(submit(&sequencer, &admin.say(&grant(&user, 50))).unwrap().index, 0);
    let first = sequencer.close_block(None).unwrap();
    assert_eq!((first.height, first.index, first.outcomes.len()), (1, 1, 1));
    let waiting = user.say(&transfer(&admin, 20));
    let receipt = submit(&sequencer, &waiting).unwrap();
    assert_eq!(submit(&sequencer, &waiting).unwrap(), receipt, "the same entry again is acknowledged again");
    sequencer.close().unwrap();

    let sequencer = open(&directory);
    assert_eq!(sequencer.block_end().height, 1);
    assert_eq!(sequencer.chain_end(user.key.public()).sequence, 1, "what waited still waits");
    let second = sequencer.close_block(None).unwrap();
    assert_eq!(second.outcomes[0].entry, Bytes(waiting.hash()));
    let state = second.state;
    sequencer.close().unwrap();

    for signatures in [Signatures::All, Signatures::Trusted] {
        let proven = proven(&directory, signatures).unwrap();
        assert!(proven.log.is_sound(), "{:?}", proven.log);
        assert_eq!((proven.state(), proven.height(), proven.entries), (state, 2, 2));
    }
    assert!(matches!(
        Directory::create(&place.path().join("ledger"), genesis(), [1; 32]),
        Err(DirectoryError::Exists { .. })
    ));
}

#[test]
fn the_order_of_arrival_within_a_block_does_not_matter() {
    let place = tempfile::tempdir().unwrap();
    let run = |name: &str, order: &[usize]| {
        let directory = create(&place.path().join(name));
        let network = directory.genesis().network();
        let mut actors: Vec<_> = (2..6).map(|seed| Actor::new(seed, &network)).collect();
        let target = Actor::new(9, &network);
        let mut entries: Vec<Vec<_>> = actors
            .iter_mut()
            .map(|actor| vec![actor.say(&actor.register()), actor.say(&transfer(&target, 1))])
            .collect();
        let sequencer = open(&directory);
        for at in order {
            submit(&sequencer, &entries[*at].remove(0)).unwrap();
        }
        let state = sequencer.close_block(None).unwrap().state;
        sequencer.close().unwrap();
        state
    };
    let sorted = run("sorted", &[0, 0, 1, 1, 2, 2, 3, 3]);
    assert_eq!(sorted, run("shuffled", &[3, 1, 0, 2, 1, 3, 2, 0]));
    assert_ne!(sorted, run("less", &[3, 1, 0, 2, 1, 3, 2]));
}

#[test]
fn what_cannot_be_next_is_refused_and_two_histories_are_evidence() {
    let place = tempfile::tempdir().unwrap();
    let directory = create(&place.path().join("ledger"));
    let network = directory.genesis().network();
    let sequencer = open(&directory);
    let refused = |entry: &Sealed| match submit(&sequencer, entry) {
        Err(SubmitError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let mut user = Actor::new(3, &network);
    let first = user.say(&user.register());
    let one = user.draft(1, [0; 32], Value::text("another history"));
    assert!(matches!(refused(&user.draft(3, first.hash(), Value::Null)), Refusal::Sequence { expected: 1, found: 3 }));
    assert!(matches!(
        refused(&Actor::new(3, "lab-00000000").draft(1, [0; 32], Value::Null)),
        Refusal::WrongNetwork { .. }
    ));
    assert!(matches!(refused(&user.draft(1, [0; 32], Value::Null)), Refusal::Malformed { .. }));
    let mut forged = first.bytes().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(&Sealed::decode(&forged).unwrap()), Refusal::Signature));
    assert!(matches!(sequencer.submit(&vec![1; 65_536], Box::new(|_| ())), Err(SubmitError::Sealed(_))));

    submit(&sequencer, &first).unwrap();
    assert!(matches!(refused(&one), Refusal::Sequence { expected: 2, found: 1 }));
    let block = sequencer.close_block(None).unwrap();
    assert_eq!(block.outcomes.len(), 2, "the entry, and the sequencer's evidence");
    let end = sequencer.chain_end(user.key.public());
    assert!(end.suspended.is_some(), "{:?}", block.outcomes);
    assert!(matches!(refused(&user.say(&user.register())), Refusal::Suspended { .. }));
    sequencer.close().unwrap();
}

/// Two entries that are too long together for one proof are shown one after the other, in two blocks.
#[test]
fn two_long_histories_are_evidence_too() {
    let place = tempfile::tempdir().unwrap();
    let directory = create(&place.path().join("ledger"));
    let network = directory.genesis().network();
    let sequencer = open(&directory);
    let mut user = Actor::new(3, &network);
    let register = user.say(&user.register());
    submit(&sequencer, &register).unwrap();
    sequencer.close_block(None).unwrap();
    let long = |note: &str| {
        let change = ReportChange { reason: RawReason::Hardware, note: note.repeat(60_000) };
        user.draft(2, register.hash(), Transaction::ReportChange(change).payload().unwrap())
    };
    submit(&sequencer, &long("a")).unwrap();
    assert!(matches!(submit(&sequencer, &long("b")), Err(SubmitError::Refused(Refusal::Sequence { .. }))));
    for last in [false, true] {
        sequencer.close_block(None).unwrap();
        assert_eq!(sequencer.chain_end(user.key.public()).suspended.is_some(), last);
    }
    sequencer.close().unwrap();
}

/// What a full disk refuses is in no block and may come again; nothing is acknowledged that is not there.
#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let place = tempfile::tempdir().unwrap();
    let directory = create(&place.path().join("ledger"));
    let network = directory.genesis().network();
    let files = FaultyFiles::new();
    let open = || {
        let log = LogOptions { files: Arc::new(files.clone()), reserve_bytes: 0, ..directory.log_options().unwrap() };
        let fatal = Box::new(|error: &_| panic!("{error}"));
        Sequencer::open_with(&directory, log, Arc::new(FakeClock::default()), fatal).unwrap()
    };
    let sequencer = open();
    let mut admin = Actor::new(2, &network);
    let (first, second) =
        (admin.say(&transfer(&Actor::new(3, &network), 1)), admin.say(&transfer(&Actor::new(4, &network), 1)));
    let no_space = |result: Result<Receipt, SubmitError>| {
        assert!(matches!(result, Err(SubmitError::Append(AppendError::NoSpace))), "{result:?}");
    };
    files.fail(Some(Fault::Full(0)));
    no_space(submit(&sequencer, &first));
    no_space(submit(&sequencer, &first));
    assert!(
        matches!(submit(&sequencer, &second), Err(SubmitError::Refused(Refusal::Sequence { expected: 1, found: 2 }))),
        "no successor of an entry that was not written"
    );
    files.fail(None);
    assert_eq!(submit(&sequencer, &first).unwrap().index, 0);
    assert_eq!(submit(&sequencer, &second).unwrap().index, 1);
    files.fail(Some(Fault::Full(0)));
    assert!(matches!(sequencer.close_block(None), Err(SequencerError::Write { height: 1, .. })));
    no_space(submit(&sequencer, &admin.say(&transfer(&Actor::new(5, &network), 1))));
    files.fail(None);
    let block = sequencer.close_block(None).unwrap();
    assert_eq!((block.height, block.index), (1, 2));
    assert!(block.outcomes.iter().all(|outcome| outcome.result.is_ok()), "{:?}", block.outcomes);
    sequencer.close().unwrap();
    assert_eq!(open().block_end().height, 1);
}

/// Reads do not wait while a block is executed, and see one whole block or another: the longest wait is far below the block's time.
#[test]
fn readers_do_not_wait_for_a_block() {
    const PEOPLE: u16 = 3_000;
    let clock = MonotonicClock::new();
    let clock = &clock;
    let place = tempfile::tempdir().unwrap();
    let directory = create(&place.path().join("ledger"));
    let network = directory.genesis().network();
    let sequencer = open(&directory);
    let (sender, answers) = mpsc::sync_channel(usize::from(PEOPLE));
    for number in 0..PEOPLE {
        let mut user = Actor::numbered(number, &network);
        let entry = user.say(&user.register());
        let sender = sender.clone();
        sequencer.submit(entry.bytes(), Box::new(move |receipt| sender.send(receipt.is_ok()).unwrap())).unwrap();
    }
    assert!((0..PEOPLE).all(|_| answers.recv_timeout(DEADLINE).unwrap()));
    let done = std::sync::atomic::AtomicBool::new(false);
    let (block, longest, reads) = std::thread::scope(|scope| {
        let done = &done;
        let closing = scope.spawn({
            let sequencer = &sequencer;
            move || {
                let started = clock.now_ns();
                sequencer.close_block(None).unwrap();
                done.store(true, std::sync::atomic::Ordering::Release);
                clock.now_ns() - started
            }
        });
        let (mut longest, mut reads) = (0, 0_u64);
        while !done.load(std::sync::atomic::Ordering::Acquire) {
            let started = clock.now_ns();
            let (height, stored) =
                sequencer.read(|machine| (machine.state().height(), machine.state().storage().len()));
            assert_eq!(stored, height * u64::from(PEOPLE), "half a block");
            let signer = peermark_core::sealed::SigningKey::from_seed([2; 32]).public();
            assert_eq!(sequencer.chain_end(signer).sequence, 0);
            longest = longest.max(clock.now_ns() - started);
            reads += 1;
            std::thread::yield_now();
        }
        (closing.join().unwrap(), longest, reads)
    });
    println!("a block of {PEOPLE} took {block} ns; longest of {reads} reads {longest} ns");
    assert!(longest * 2 < block, "{longest} of {block} ns");
    assert_eq!(
        (sequencer.block_end().height, sequencer.read(|machine| machine.state().storage().len())),
        (1, u64::from(PEOPLE))
    );
    sequencer.close().unwrap();
}
