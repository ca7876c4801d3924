//! Appending: one group of records, one sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use peermark_core::sealed::Digest32;

use super::checkpoint::Checkpoint;
use super::checkpoints::Checkpoints;
use super::error::LogError;
use super::files::{Lock, replace};
use super::reader::{Reader, Segment, Shared, write};
use super::segment::{FIRST_OF_GROUP, FRAME_BYTES, HEADER_BYTES, Header, encode_record, name_of};
use super::snapshot::Snapshots;
use super::tree::{Frontier, chain_next, leaf_hash};
use super::{LogOptions, MAX_RECORD_BYTES, Receipt};

/// A log that this process writes. One thread has it; see [`super::Writer`] for many callers.
#[derive(Debug)]
pub struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) options: LogOptions,
    pub(super) frontier: Frontier,
    pub(super) chain: Digest32,
    /// The last segment, which is written.
    pub(super) segment: Arc<Segment>,
    /// Where its last record ends, bytes.
    pub(super) end: u64,
    /// Bytes of its file; what lies behind the end are zeros.
    pub(super) reserved: u64,
    /// Room for a group's bytes and hashes, kept from one to the next.
    pub(super) bytes: Vec<u8>,
    pub(super) kept: Vec<Digest32>,
    pub(super) _lock: Box<dyn Lock>,
}

impl Log {
    /// Appends records as one group and syncs them. All of them are on the disk when this returns `Ok`, and none is acknowledged
    /// otherwise.
    ///
    /// # Errors
    /// [`LogError::RecordSize`] and [`LogError::NoSpace`]: nothing was appended, and the log goes on. [`LogError::Fatal`]: the
    /// process must end, and whether the records are there shows when the log is opened anew; [`LogError::Stopped`] ever after.
    pub fn append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<Vec<Receipt>, LogError> {
        let appended = self.try_append(records);
        self.shared.note(appended)
    }

    /// Signs the tree as it is and puts the checkpoint in the place of the last one. Nothing is done where that has this size already.
    ///
    /// # Errors
    /// As [`Checkpoints::write`].
    pub fn checkpoint(&mut self) -> Result<Checkpoint, LogError> {
        self.checkpoints().write()
    }

    /// Signs checkpoints in another thread, which this one need not wait for.
    pub fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(Arc::clone(&self.shared), self.options.key.clone())
    }

    /// Reads and proves, also in other threads and while this one appends.
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.shared))
    }

    /// The snapshots beside the log.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.reader())
    }

    /// Records in it.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Value of the hash chain after the last record: `SHA-256(value before || leaf hash)`, from the genesis hash on.
    pub fn chain(&self) -> Digest32 {
        self.chain
    }

    /// Root of the tree of all records.
    pub fn root(&self) -> Digest32 {
        self.frontier.root()
    }

    /// Ends with a checkpoint over everything, and gives back the room that was taken ahead. Dropping the log instead loses nothing.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub fn close(mut self) -> Result<(), LogError> {
        self.checkpoint()?;
        self.shared.writing()?;
        // Hashes of a group that was refused may be left.
        self.shared.nodes.cut(self.frontier.size())?;
        self.trim()
    }

    fn try_append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<Vec<Receipt>, LogError> {
        self.shared.writing()?;
        let mut group_bytes = 0;
        for record in records {
            let bytes = record.as_ref().len();
            if bytes == 0 || bytes > MAX_RECORD_BYTES {
                return Err(LogError::RecordSize { bytes });
            }
            group_bytes += (FRAME_BYTES + bytes) as u64;
        }
        if records.is_empty() {
            return Ok(Vec::new());
        }
        if self.end > HEADER_BYTES as u64 && self.end + group_bytes > self.options.segment_bytes {
            self.begin_segment()?;
        }
        let (before, mut frontier, mut chain) = (self.frontier.size(), self.frontier.clone(), self.chain);
        self.bytes.clear();
        self.kept.clear();
        let mut receipts = Vec::with_capacity(records.len());
        let mut offsets = Vec::with_capacity(records.len());
        for record in records {
            let (index, leaf) = (frontier.size(), leaf_hash(record.as_ref()));
            let flags = if index == before { FIRST_OF_GROUP } else { 0 };
            offsets.push(self.end + self.bytes.len() as u64);
            encode_record(self.segment.salt, flags, index, record.as_ref(), &mut self.bytes);
            frontier.push(leaf, &mut self.kept);
            chain = chain_next(&chain, &leaf);
            receipts.push(Receipt { index, leaf });
        }
        // First the hashes: when there is no room for them, nothing else has happened. What is there too much is made anew.
        self.shared.nodes.write(before, &self.kept)?;
        self.write_group()?;
        self.segment.file.sync_data().map_err(LogError::fatal("sync", &name_of(self.segment.first)))?;
        for (receipt, offset) in receipts.iter().zip(offsets) {
            self.segment.mark(receipt.index, offset);
        }
        self.end += group_bytes;
        (self.frontier, self.chain) = (frontier, chain);
        *write(&self.shared.tree) = self.frontier.clone();
        self.shared.size.store(self.frontier.size(), Ordering::Release);
        Ok(receipts)
    }

    /// Writes the group's bytes behind the last record. Where there is no room, the file ends with that record as before.
    fn write_group(&mut self) -> Result<(), LogError> {
        let name = name_of(self.segment.first);
        let needed = self.end + self.bytes.len() as u64;
        if needed > self.reserved && self.options.reserve_bytes > 0 {
            let zeros = vec![0; usize::try_from(self.options.reserve_bytes).unwrap_or(usize::MAX)];
            let from = self.reserved.max(needed);
            match self.segment.file.write_all_at(&zeros, from) {
                Ok(()) => self.reserved = from + zeros.len() as u64,
                // There may be room for the group alone.
                Err(source) => self.give_back(LogError::writing(&name, source))?,
            }
        }
        if let Err(source) = self.segment.file.write_all_at(&self.bytes, self.end) {
            let refused = LogError::writing(&name, source);
            self.give_back(refused)?;
            return Err(LogError::NoSpace { file: name, source: std::io::ErrorKind::StorageFull.into() });
        }
        self.reserved = self.reserved.max(needed);
        Ok(())
    }

    /// Cuts the file behind its last record, after it could not grow for want of space; any other failure stays one.
    fn give_back(&mut self, failure: LogError) -> Result<(), LogError> {
        if !matches!(failure, LogError::NoSpace { .. }) {
            return Err(failure);
        }
        self.trim()
    }

    /// Cuts the file behind its last record, for good: what was refused does not come back after a crash.
    fn trim(&mut self) -> Result<(), LogError> {
        let name = name_of(self.segment.first);
        self.segment.file.set_len(self.end).map_err(LogError::fatal("cut", &name))?;
        self.reserved = self.end;
        self.segment.file.sync_data().map_err(LogError::fatal("sync", &name))
    }

    /// Closes the last segment and begins the next.
    fn begin_segment(&mut self) -> Result<(), LogError> {
        if self.reserved > self.end {
            self.trim()?;
        }
        // The hashes of a segment that is closed are not made anew at the next start.
        self.shared.nodes.sync()?;
        let header = Header {
            genesis: self.options.genesis,
            first: self.frontier.size(),
            chain: self.chain,
            root: self.frontier.root(),
        };
        let segment = create(&self.options, &header)?;
        write(&self.shared.segments).push(Arc::clone(&segment));
        (self.segment, self.end, self.reserved) = (segment, HEADER_BYTES as u64, HEADER_BYTES as u64);
        Ok(())
    }
}

/// Creates a segment without records: under its name there is a whole header or nothing.
pub(super) fn create(options: &LogOptions, header: &Header) -> Result<Arc<Segment>, LogError> {
    let file = replace(&*options.files, &name_of(header.first), &header.encode())?;
    Ok(Arc::new(Segment::new(file, header)))
}
