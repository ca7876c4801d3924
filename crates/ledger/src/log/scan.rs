//! Reading a segment from some record on.

use super::MAX_RECORD_BYTES;
use super::error::{Damage, LogError};
use super::files::File;
use super::segment::{Decoded, FRAME_BYTES, HEADER_BYTES, Header, decode_record, index_at, length_at, name_of};

/// Bytes that are read at once, when many records are wanted.
pub(crate) const MANY: usize = 1 << 18;

/// Bytes that are read at once, when one record is wanted.
pub(crate) const FEW: usize = 1 << 13;

/// A place in a segment, with what has been read around it.
#[derive(Debug)]
pub(crate) struct Scan {
    name: String,
    salt: u32,
    /// Of the record that comes next.
    index: u64,
    offset: u64,
    /// What was read of the file, from `start` on.
    buffer: Vec<u8>,
    start: u64,
    chunk: usize,
}

/// What a scan meets.
#[derive(Debug)]
pub(crate) enum Step<'s> {
    /// A record.
    Record { index: u64, bytes: &'s [u8] },
    /// The end of the file, or zeros up to there.
    End,
    /// Something else.
    Invalid(Damage),
}

/// Opens a segment and reads its header.
pub(crate) fn open(files: &dyn super::Files, first: u64) -> Result<(Box<dyn File>, Header), LogError> {
    let name = name_of(first);
    let file = files.open(&name).map_err(LogError::io("open", &name))?;
    let mut bytes = vec![0; HEADER_BYTES];
    let length = file.read_at(&mut bytes, 0).map_err(LogError::io("read", &name))?;
    let header = Header::decode(&name, &bytes[..length])?;
    Ok((file, header))
}

impl Scan {
    /// From the first record of a segment on.
    pub(crate) fn new(header: &Header) -> Self {
        Self::at(header.first, header.salt(), header.first, HEADER_BYTES as u64, MANY)
    }

    /// From record `index` on, which begins at `offset` of the segment that begins with `first`.
    pub(crate) fn at(first: u64, salt: u32, index: u64, offset: u64, chunk: usize) -> Self {
        Self { name: name_of(first), salt, index, offset, buffer: Vec::new(), start: offset, chunk }
    }

    /// Index of the record that comes next.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Where it begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The segment's file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reads on. After anything but a record it stays where it is.
    pub(crate) fn next(&mut self, file: &dyn File) -> Result<Step<'_>, LogError> {
        self.fill(file, FRAME_BYTES)?;
        let frame = self.rest();
        let frame = &frame[..frame.len().min(FRAME_BYTES)];
        if frame.iter().all(|byte| *byte == 0) {
            return self.end(file);
        }
        let length = if frame.len() == FRAME_BYTES { length_at(frame) } else { 0 };
        self.fill(file, FRAME_BYTES + length)?;
        let (index, offset) = (self.index, self.offset);
        let at = self.position();
        match decode_record(self.salt, index, &self.buffer[at..]) {
            Decoded::Record(bytes) => {
                self.index += 1;
                self.offset += (FRAME_BYTES + bytes.len()) as u64;
                Ok(Step::Record { index, bytes })
            }
            Decoded::Invalid { expected, found } => {
                Ok(Step::Invalid(Damage { file: self.name.clone(), offset, expected, found }))
            }
        }
    }

    /// Whether a whole record that was the first of its group stands anywhere behind this place: everything before it was on the disk
    /// when it was written.
    pub(crate) fn group_follows(&mut self, file: &dyn File) -> Result<bool, LogError> {
        let (index, end) = (self.index, file.len().map_err(LogError::io("read", &self.name))?);
        let mut at = self.offset + 1;
        while at + (FRAME_BYTES as u64) < end {
            self.seek(at);
            self.fill(file, self.chunk.max(FRAME_BYTES + MAX_RECORD_BYTES))?;
            let rest = self.rest();
            // What could reach beyond what was read is looked at with the next piece, unless the file ends there.
            let whole = self.start + self.buffer.len() as u64 >= end;
            let places = if whole { rest.len() } else { rest.len() - FRAME_BYTES - MAX_RECORD_BYTES + 1 };
            for place in 0..places {
                let Some(frame) = rest.get(place..).filter(|frame| frame.len() > FRAME_BYTES) else { break };
                let stated = index_at(frame);
                // Between here and there lie at least frames.
                if stated <= index || stated - index > (end - self.offset) / FRAME_BYTES as u64 {
                    continue;
                }
                if matches!(decode_record(self.salt, stated, frame), Decoded::Record(_) if super::segment::begins_group(frame))
                {
                    return Ok(true);
                }
            }
            at += places as u64;
        }
        Ok(false)
    }

    /// Whether only zeros are left.
    fn end(&mut self, file: &dyn File) -> Result<Step<'_>, LogError> {
        let mut at = self.offset;
        let mut chunk = vec![0; self.chunk];
        loop {
            let length = file.read_at(&mut chunk, at).map_err(LogError::io("read", &self.name))?;
            if length == 0 {
                return Ok(Step::End);
            }
            if let Some(place) = chunk[..length].iter().position(|byte| *byte != 0) {
                let found = format!("{:02x}", chunk[place]);
                return Ok(Step::Invalid(Damage::new(
                    &self.name,
                    at + place as u64,
                    "zeros after the last record",
                    found,
                )));
            }
            at += length as u64;
        }
    }

    fn position(&self) -> usize {
        // The offset lies in the buffer or at its end.
        usize::try_from(self.offset - self.start).unwrap_or(usize::MAX)
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.position()..).unwrap_or_default()
    }

    fn seek(&mut self, offset: u64) {
        if offset > self.start + self.buffer.len() as u64 {
            self.buffer.clear();
            self.start = offset;
        }
        self.offset = offset;
    }

    /// Sees that `bytes` from the offset on are in the buffer, where the file has them.
    fn fill(&mut self, file: &dyn File, bytes: usize) -> Result<(), LogError> {
        let there = self.rest().len();
        if there >= bytes {
            return Ok(());
        }
        let position = self.position();
        self.buffer.drain(..position);
        self.start = self.offset;
        let wanted = bytes.max(self.chunk);
        self.buffer.resize(wanted, 0);
        let read = file.read_at(&mut self.buffer[there..], self.start + there as u64);
        let read = read.map_err(LogError::io("read", &self.name))?;
        self.buffer.truncate(there + read);
        Ok(())
    }
}
