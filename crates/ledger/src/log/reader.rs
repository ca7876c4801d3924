//! Reading and proving what has been synced, beside the writer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use peermark_core::sealed::Digest32;

use super::checkpoint::Checkpoint;
use super::error::{Damage, LogError};
use super::files::{File, Files};
use super::nodes::{NODES, Nodes};
use super::proof::{Consistency, Inclusion};
use super::scan::{FEW, MANY, Scan, Step};
use super::segment::{HEADER_BYTES, Header, name_of};
use super::tree::{Frontier, leaf_hash};
use super::{Identity, hex};

/// Records from one place that is remembered to the next.
const MARK_EVERY: u64 = 16;

/// Reads and proves the records of a log that have been synced. Copies share everything.
#[derive(Clone, Debug)]
pub struct Reader(pub(crate) Arc<Shared>);

/// What the writer and the readers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) files: Arc<dyn Files>,
    pub(crate) identity: Identity,
    pub(crate) nodes: Nodes,
    pub(crate) segments: RwLock<Vec<Arc<Segment>>>,
    /// Records that have been synced.
    pub(crate) size: AtomicU64,
    /// The tree of these.
    pub(crate) tree: RwLock<Frontier>,
    pub(crate) checkpoint: RwLock<(Checkpoint, String)>,
    /// One checkpoint and one snapshot is written at a time.
    pub(crate) writing_checkpoint: Mutex<()>,
    pub(crate) writing_snapshot: Mutex<()>,
    /// After a failure that leaves the disk unknown nothing is written any more.
    pub(crate) stopped: AtomicBool,
}

/// A segment that is read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) salt: u32,
    pub(crate) file: Box<dyn File>,
    /// Where every [`MARK_EVERY`]th record begins; those of a segment that is complete are looked for when first needed.
    marks: RwLock<Vec<u64>>,
}

/// Records one after another, from [`Reader::iter`].
#[derive(Debug)]
pub struct Iter {
    reader: Reader,
    index: u64,
    place: Option<(Arc<Segment>, Scan)>,
    failed: bool,
}

impl Segment {
    pub(crate) fn new(file: Box<dyn File>, header: &Header) -> Self {
        Self { first: header.first, salt: header.salt(), file, marks: RwLock::default() }
    }

    /// Remembers where a record begins. They come in their order.
    pub(crate) fn mark(&self, index: u64, offset: u64) {
        if (index - self.first).is_multiple_of(MARK_EVERY) {
            write(&self.marks).push(offset);
        }
    }

    /// A scan that stands at record `index`, which the segment has.
    fn scan_to(&self, index: u64, chunk: usize) -> Result<Scan, LogError> {
        let nearest = |marks: &[u64]| {
            let wanted = usize::try_from((index - self.first) / MARK_EVERY).unwrap_or(usize::MAX);
            let at = wanted.min(marks.len().checked_sub(1)?);
            Some((self.first + at as u64 * MARK_EVERY, marks[at]))
        };
        // Of a segment without marks its beginning is known.
        let (at, offset) = nearest(&read(&self.marks)).unwrap_or((self.first, HEADER_BYTES as u64));
        let far = index - at > MARK_EVERY;
        let mut scan = Scan::at(self.first, self.salt, at, offset, if far { MANY } else { chunk });
        let mut found = Vec::new();
        while scan.index() < index {
            if far && (scan.index() - self.first).is_multiple_of(MARK_EVERY) {
                found.push((scan.index(), scan.offset()));
            }
            self.step(&mut scan)?;
        }
        let mut marks = write(&self.marks);
        for (index, offset) in found {
            if (index - self.first) / MARK_EVERY == marks.len() as u64 {
                marks.push(offset);
            }
        }
        Ok(scan)
    }

    /// The next record of a scan, which must be there.
    fn step<'s>(&self, scan: &'s mut Scan) -> Result<&'s [u8], LogError> {
        let (index, offset) = (scan.index(), scan.offset());
        match scan.next(&*self.file)? {
            Step::Record { bytes, .. } => Ok(bytes),
            Step::Invalid(damage) => Err(damage.into()),
            Step::End => Err(Damage::new(&name_of(self.first), offset, format!("record {index}"), "the end").into()),
        }
    }
}

impl Shared {
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Refuses where writing has ended.
    pub(crate) fn writing(&self) -> Result<(), LogError> {
        if self.stopped.load(Ordering::Acquire) { Err(LogError::Stopped) } else { Ok(()) }
    }

    /// Ends writing after a failure that leaves the disk unknown.
    pub(crate) fn note<T>(&self, done: Result<T, LogError>) -> Result<T, LogError> {
        if done.as_ref().is_err_and(LogError::is_fatal) {
            self.stopped.store(true, Ordering::Release);
        }
        done
    }

    /// The segment that has this record.
    fn segment_of(&self, index: u64) -> Option<Arc<Segment>> {
        let segments = read(&self.segments);
        let after = segments.partition_point(|segment| segment.first <= index);
        segments.get(after.checked_sub(1)?).cloned()
    }
}

impl Reader {
    /// Records that have been synced.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Which log it is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The last checkpoint, at most as large as [`Self::size`].
    pub fn checkpoint(&self) -> Checkpoint {
        read(&self.0.checkpoint).0.clone()
    }

    /// The last checkpoint as the text that is published, with its signature.
    pub fn checkpoint_note(&self) -> String {
        read(&self.0.checkpoint).1.clone()
    }

    /// One record.
    ///
    /// # Errors
    /// [`LogError::NoRecord`]; [`LogError::Damaged`] and [`LogError::Io`] where it cannot be read.
    pub fn read(&self, index: u64) -> Result<Vec<u8>, LogError> {
        let size = self.size();
        let none = LogError::NoRecord { index, size };
        let Some(segment) = Some(index).filter(|index| *index < size).and_then(|index| self.0.segment_of(index)) else {
            return Err(none);
        };
        let mut scan = segment.scan_to(index, FEW)?;
        Ok(segment.step(&mut scan)?.to_vec())
    }

    /// The records from `index` on. It ends with what is synced at that moment, and goes on when asked again after there is more.
    pub fn iter(&self, index: u64) -> Iter {
        Iter { reader: self.clone(), index, place: None, failed: false }
    }

    /// The root of the tree of the first `size` records.
    ///
    /// # Errors
    /// [`LogError::NoProof`] for a size that the log has not; [`LogError::Io`].
    pub fn root(&self, size: u64) -> Result<Digest32, LogError> {
        self.check_size(0, size)?;
        let checkpoint = self.checkpoint();
        // What was signed is known without the file, and guards the proofs up to it.
        if checkpoint.size == size { Ok(checkpoint.root) } else { Ok(self.0.nodes.frontier(size)?.root()) }
    }

    /// The proof that record `index` is in the tree of the first `size` records. It is checked before it is returned.
    ///
    /// # Errors
    /// [`LogError::NoProof`] unless `index < size <= self.size()`; [`LogError::Damaged`] and [`LogError::Io`] where a file cannot be
    /// read.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Inclusion, LogError> {
        self.check_size(index, size)?;
        if index == size {
            return Err(LogError::NoProof { from: index, to: size, size: self.size() });
        }
        let proof = Inclusion::build(index, size, |level, number| self.0.nodes.get(level, number))?;
        let leaf = leaf_hash(&self.read(index)?);
        let root = self.root(size)?;
        if proof.verify(&leaf, &root) { Ok(proof) } else { Err(unproven(&root)) }
    }

    /// The proof that the tree of `new_size` begins with that of `old_size`. It is checked before it is returned.
    ///
    /// # Errors
    /// [`LogError::NoProof`] unless `old_size <= new_size <= self.size()`; [`LogError::Damaged`] and [`LogError::Io`] where a file
    /// cannot be read.
    pub fn consistency(&self, old_size: u64, new_size: u64) -> Result<Consistency, LogError> {
        self.check_size(old_size, new_size)?;
        let proof = Consistency::build(old_size, new_size, |level, number| self.0.nodes.get(level, number))?;
        let root = self.root(new_size)?;
        if proof.verify(&self.root(old_size)?, &root) { Ok(proof) } else { Err(unproven(&root)) }
    }

    fn check_size(&self, from: u64, to: u64) -> Result<(), LogError> {
        let size = self.size();
        if from <= to && to <= size { Ok(()) } else { Err(LogError::NoProof { from, to, size }) }
    }
}

impl Iterator for Iter {
    type Item = Result<(u64, Vec<u8>), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.index >= self.reader.size() {
            return None;
        }
        let found = self.step();
        self.failed = found.is_err();
        Some(found)
    }
}

impl Iter {
    fn step(&mut self) -> Result<(u64, Vec<u8>), LogError> {
        let index = self.index;
        let segment = self.reader.0.segment_of(index);
        let segment = segment.ok_or(LogError::NoRecord { index, size: self.reader.size() })?;
        let (segment, scan) = match &mut self.place {
            Some(place) if place.0.first == segment.first => place,
            place => {
                let scan = segment.scan_to(index, MANY)?;
                place.insert((segment, scan))
            }
        };
        let bytes = segment.step(scan)?.to_vec();
        self.index += 1;
        Ok((index, bytes))
    }
}

fn unproven(root: &Digest32) -> LogError {
    Damage::new(NODES, 0, format!("hashes that lead to the root {}", hex(root)), "others").into()
}

/// A lock that was held by a thread that panicked guards nothing half done: every change under it is one step.
pub(crate) fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// See [`read`].
pub(crate) fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
