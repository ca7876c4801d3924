//! The file under construction: lines gather in a frame, whole frames are compressed and appended while they fit.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::row::RowEncoder;
use super::writer::{WriteError, Written};
use super::{Header, Observation, partial_path};

/// Text that closes a frame, some 2,600 rows. Larger frames compress little better, and what is in the open one when the process is
/// killed is lost.
const FRAME_BYTES: usize = 1 << 20;

/// zstd's fastest ordinary level: rows resemble each other so much that higher ones cost CPU of the machine that is being
/// measured and save little.
const LEVEL: i32 = 1;

/// Kept free below the cap for the last line as a frame of its own: 36 bytes of text and zstd's header and checksum.
const LAST_LINE_BYTES: u64 = 128;

/// A `.partial` file that grows by frames.
pub(super) struct FrameFile {
    file: File,
    path: PathBuf,
    compressor: Compressor<'static>,
    encoder: RowEncoder,
    /// Lines of the open frame.
    text: Vec<u8>,
    text_rows: u64,
    cap_bytes: u64,
    /// The cap was reached: whatever comes is counted and left out.
    full: bool,
    written: Written,
}

impl FrameFile {
    /// Creates the `.partial` of `path` and writes the header as a frame of its own.
    pub(super) fn create(path: &Path, header: &Header, cap_bytes: u64) -> Result<Self, WriteError> {
        let partial = partial_path(path);
        for taken in [path, &partial] {
            if taken.exists() {
                return Err(WriteError::Exists { path: taken.to_owned() });
            }
        }
        let failed = |source| WriteError::Io { action: "create", path: partial.clone(), source };
        let mut compressor = Compressor::new(LEVEL).map_err(failed)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true)).map_err(failed)?;
        let file = OpenOptions::new().write(true).create_new(true).open(&partial).map_err(failed)?;
        let mut text = serde_json::to_vec(header).map_err(|source| WriteError::Encode { source })?;
        text.push(b'\n');
        let mut frames = Self {
            file,
            path: path.to_owned(),
            compressor,
            encoder: RowEncoder::default(),
            text,
            text_rows: 0,
            cap_bytes,
            full: false,
            written: Written { rows: 0, left_out: 0, bytes: 0 },
        };
        frames.end_frame()?;
        if frames.full {
            // Nothing was written, so nothing is left behind.
            std::fs::remove_file(&partial).map_err(failed)?;
            return Err(WriteError::CapTooSmall { cap_bytes });
        }
        Ok(frames)
    }

    /// Appends rows; frames that become full on the way are written.
    pub(super) fn append(&mut self, batch: &[Observation]) -> Result<(), WriteError> {
        for (done, observation) in batch.iter().enumerate() {
            if self.full {
                self.written.left_out += (batch.len() - done) as u64;
                return Ok(());
            }
            self.encoder.encode(observation, &mut self.text).map_err(|source| WriteError::Encode { source })?;
            self.text_rows += 1;
            if self.text.len() >= FRAME_BYTES {
                self.end_frame()?;
            }
        }
        Ok(())
    }

    /// Writes the open frame, if there is anything in it.
    pub(super) fn end_frame(&mut self) -> Result<(), WriteError> {
        if self.text.is_empty() {
            return Ok(());
        }
        let frame = self.compressor.compress(&self.text).map_err(|source| self.failed("compress", source))?;
        let after = self.written.bytes + frame.len() as u64;
        if after + LAST_LINE_BYTES > self.cap_bytes {
            self.full = true;
            self.written.left_out += self.text_rows;
        } else {
            self.write(&frame)?;
            self.written.rows += self.text_rows;
        }
        self.text.clear();
        self.text_rows = 0;
        Ok(())
    }

    /// Completes the file: last frame, last line if rows were left out, sync, final name.
    pub(super) fn complete(mut self) -> Result<Written, WriteError> {
        self.end_frame()?;
        if self.written.left_out > 0 {
            let line = format!("{{\"truncated\": {}}}\n", self.written.left_out);
            let frame = self.compressor.compress(line.as_bytes()).map_err(|source| self.failed("compress", source))?;
            self.write(&frame)?;
        }
        self.file.sync_all().map_err(|source| self.failed("sync", source))?;
        std::fs::rename(partial_path(&self.path), &self.path).map_err(|source| self.failed("rename", source))?;
        self.sync_directory().map_err(|source| self.failed("sync the directory of", source))?;
        Ok(self.written)
    }

    fn write(&mut self, frame: &[u8]) -> Result<(), WriteError> {
        self.file.write_all(frame).map_err(|source| self.failed("write", source))?;
        self.written.bytes += frame.len() as u64;
        Ok(())
    }

    /// The new name is durable when its directory is.
    fn sync_directory(&self) -> io::Result<()> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }

    pub(super) fn failed(&self, action: &'static str, source: io::Error) -> WriteError {
        WriteError::Io { action, path: partial_path(&self.path), source }
    }
}
