//! A ledger on the disk in which everybody did their part for some epochs: people of the ledger's own tests sign, a sequencer writes.

use std::path::Path;
use std::sync::{Arc, mpsc};

use peermark_ledger::directory::Directory;
use peermark_ledger::sequencer::Sequencer;
use peermark_testkit::FakeClock;

use crate::driver::World;
use crate::rounds::{Town, asked, policy, truth};

/// The seed of the sequencer of every [`World`].
const SEQUENCER: [u8; 32] = [250; 32];

/// Eighteen people, of whom six host and the others attest; the first hoster is slow, the second fails half of what it is asked for.
pub(crate) fn judged_town(epochs: u64) -> Town {
    let mut town = Town::of(World::begun(18, policy(), true), asked());
    town.epochs(epochs, &|place, _| truth(place));
    town
}

/// Has a sequencer of its own execute and write everything that was said in a world; it comes to the same state.
pub(crate) fn write(world: &World, path: &Path) {
    let directory = Directory::create(path, world.state().genesis().clone(), SEQUENCER).unwrap();
    let on_fatal = Box::new(|error: &_| panic!("{error}"));
    let sequencer = Sequencer::open(&directory, Arc::new(FakeClock::new()), on_fatal).unwrap();
    for entries in &world.history {
        for entry in entries {
            let (sender, answer) = mpsc::sync_channel(1);
            sequencer.submit(entry.bytes(), Box::new(move |receipt| sender.send(receipt).unwrap())).unwrap();
            answer.recv().unwrap().unwrap();
        }
        sequencer.close_block(None).unwrap();
    }
    assert_eq!(sequencer.read(|machine| machine.state().hash()), world.state().hash());
    sequencer.close().unwrap();
}
