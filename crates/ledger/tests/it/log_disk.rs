//! A disk in memory that loses, tears and refuses when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use peermark_ledger::log::{File, Files, Lock};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What a disk does beside what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The operation of this number, counted from 0 over all that change or sync something, fails, and so does everything after it:
    /// the power is gone. A write may have been begun.
    PowerCut(u64),
    /// The operation of this number fails, once. A write has written its first half.
    Once(u64, io::ErrorKind),
    /// Files together hold no more than this many bytes.
    Full(u64),
}

/// Files in memory that keep apart what has been synced and what has not.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyFiles(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The directory as programs see it, and as it is on the disk: numbers of files by name.
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    /// Changes of the directory since its last sync, in order.
    pending_names: Vec<NameChange>,
    contents: Vec<Content>,
    operations: u64,
    fault: Option<Fault>,
    off: bool,
    log: Vec<&'static str>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Put(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

#[derive(Debug)]
struct FaultyFile {
    state: Arc<Mutex<State>>,
    number: usize,
}

#[derive(Debug)]
struct NoLock;

impl Lock for NoLock {}

/// What is written or lost as a whole when the power goes.
const SECTOR: usize = 512;

impl FaultyFiles {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Operations so far that change or sync something.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What they were.
    pub(crate) fn operation_names(&self) -> Vec<&'static str> {
        self.state().log.clone()
    }

    /// A copy that shares nothing.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state();
        let copy = State {
            names: state.names.clone(),
            synced_names: state.synced_names.clone(),
            pending_names: state.pending_names.clone(),
            contents: state.contents.clone(),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(copy)))
    }

    /// The disk as the next start finds it after the power went: everything that was synced, and of the rest what chance kept. Of the
    /// directory's changes the first ones are kept, as a journal does; of a file's writes any sectors.
    pub(crate) fn after_power_cut(&self, chance: &mut ChaCha8Rng) -> Self {
        let state = self.state();
        let mut names = state.synced_names.clone();
        let kept = chance.next_u64() as usize % (state.pending_names.len() + 1);
        state.pending_names[..kept].iter().for_each(|change| change.apply(&mut names));
        let contents = state.contents.iter().map(|content| Content::synced(content.survivor(chance))).collect();
        let after = State { synced_names: names.clone(), names, contents, ..State::default() };
        Self(Arc::new(Mutex::new(after)))
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.contents[state.names[name]].now.clone()
    }

    /// Puts bytes in the place of a file's, as if something else had.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        let content = Content::synced(bytes);
        if let Some(number) = state.names.get(name).copied() {
            state.contents[number] = content;
            return;
        }
        let number = state.contents.len();
        state.contents.push(content);
        state.names.insert(name.to_owned(), number);
        state.synced_names.insert(name.to_owned(), number);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Put(name, number) => drop(names.insert(name.clone(), *number)),
            Self::Rename(from, to) => {
                let number = names.remove(from);
                names.extend(number.map(|number| (to.clone(), number)));
            }
            Self::Remove(name) => drop(names.remove(name)),
        }
    }
}

impl Content {
    fn synced(bytes: Vec<u8>) -> Self {
        Self { now: bytes.clone(), synced: bytes, pending: Vec::new() }
    }

    fn survivor(&self, chance: &mut ChaCha8Rng) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for change in &self.pending {
            match change {
                Change::SetLen(length) => {
                    if chance.next_u32().is_multiple_of(2) {
                        bytes.resize(*length as usize, 0);
                    }
                }
                Change::Write(offset, written) => {
                    // Either all of it, or nothing, or sector by sector.
                    let mode = chance.next_u32() % 4;
                    let (from, to) = (*offset as usize, *offset as usize + written.len());
                    for start in (from / SECTOR * SECTOR..to).step_by(SECTOR) {
                        let kept = mode == 0 || (mode > 1 && chance.next_u32().is_multiple_of(2));
                        let (start, end) = (start.max(from), (start + SECTOR).min(to));
                        if kept {
                            bytes.resize(bytes.len().max(end), 0);
                            bytes[start..end].copy_from_slice(&written[start - from..end - from]);
                        } else if mode == 3 && bytes.len() < end {
                            // The file grew, and what was on the disk there before shows.
                            let before = bytes.len().max(start);
                            bytes.resize(end, 0);
                            chance.fill_bytes(&mut bytes[before..end]);
                        }
                    }
                }
            }
        }
        bytes
    }

    fn apply(&mut self, change: Change) {
        match &change {
            Change::SetLen(length) => self.now.resize(*length as usize, 0),
            Change::Write(offset, written) => {
                let (from, to) = (*offset as usize, *offset as usize + written.len());
                self.now.resize(self.now.len().max(to), 0);
                self.now[from..to].copy_from_slice(written);
            }
        }
        self.pending.push(change);
    }
}

impl State {
    /// Counts an operation, and says whether it fails.
    fn operate(&mut self, what: &'static str) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        self.log.push(what);
        match self.fault {
            _ if self.off => Err(power_off()),
            Some(Fault::PowerCut(at)) if number >= at => {
                self.off = true;
                Err(power_off())
            }
            Some(Fault::Once(at, kind)) if number == at => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn change(&mut self, number: usize, what: &'static str, change: Change) -> io::Result<()> {
        if self.off {
            return Err(power_off());
        }
        if let (Some(Fault::Full(most)), Change::Write(offset, written)) = (self.fault, &change) {
            let held: usize = self.names.values().map(|number| self.contents[*number].now.len()).sum();
            let grown = (*offset as usize + written.len()).saturating_sub(self.contents[number].now.len());
            if grown > 0 && (held + grown) as u64 > most {
                self.operations += 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let operated = self.operate(what);
        let change = match (&operated, change) {
            (Ok(()), change) => change,
            (Err(_), Change::Write(offset, mut written)) => {
                written.truncate(written.len() / 2);
                Change::Write(offset, written)
            }
            (Err(_), Change::SetLen(_)) => return operated,
        };
        self.contents[number].apply(change);
        operated
    }

    fn change_name(&mut self, what: &'static str, change: NameChange) -> io::Result<()> {
        self.operate(what)?;
        change.apply(&mut self.names);
        self.pending_names.push(change);
        Ok(())
    }
}

fn power_off() -> io::Error {
    io::Error::other("the power is off")
}

impl Files for FaultyFiles {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        let number = state.contents.len();
        state.contents.push(Content::default());
        state.change_name("create", NameChange::Put(name.to_owned(), number))?;
        Ok(Box::new(FaultyFile { state: Arc::clone(&self.0), number }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let number = *self.state().names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(FaultyFile { state: Arc::clone(&self.0), number }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state().change_name("rename", NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().change_name("remove", NameChange::Remove(name.to_owned()))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate("sync_dir")?;
        state.pending_names.clear();
        state.synced_names = state.names.clone();
        Ok(())
    }

    fn lock(&self, _name: &str) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(NoLock))
    }
}

impl FaultyFile {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl File for FaultyFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.state().change(self.number, "write", Change::Write(offset, bytes.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.operate("sync")?;
        let content = &mut state.contents[self.number];
        content.synced = content.now.clone();
        content.pending.clear();
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state();
        let bytes = state.contents[self.number].now.get(offset as usize..).unwrap_or_default();
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state().contents[self.number].now.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.state().change(self.number, "set_len", Change::SetLen(bytes))
    }
}
