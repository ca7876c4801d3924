//! The reading side: frame by frame, each checked as a whole before a row of it is handed out.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;
use zstd::stream::read::Decoder;

use super::row::{RowProblem, decode};
use super::{Header, Labels, MAX_FRAME_BYTES, MAX_LINE_BYTES, Observation, PARTIAL, SCHEMA};

/// Largest window that a frame may ask of the decoder, as a power of two: 8 MiB. Our own frames need less.
const WINDOW_LOG_MAX: u32 = 23;

/// How the last line begins when rows were left out.
const LAST_LINE: &[u8] = b"{\"truncated\"";

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEnd {
    /// Every row that was measured was handed out. A copy that was cut exactly between two frames looks the same; whoever must tell
    /// compares with [`super::Written`].
    Whole,
    /// The size cap was reached: the run has more rows than the file.
    Capped {
        /// How many more.
        left_out: u64,
    },
    /// The file was cut or never completed: every row before the cut was handed out, what came after is unknown.
    Truncated,
}

/// Why a file cannot be read on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file ends before its header does.
    #[error("no header")]
    NoHeader,
    /// The first line is no header.
    #[error("not a header")]
    BadHeader {
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A file of another format or version.
    #[error("unknown schema: expected={SCHEMA:?}, found={found:?}")]
    UnknownSchema {
        /// What the header says.
        found: String,
    },
    /// A frame that does not decompress, or not to what was compressed.
    #[error("damaged frame {frame}")]
    DamagedFrame {
        /// Its number, from 0.
        frame: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A frame whose text is longer than any that is written.
    #[error("frame {frame} too large: more than {MAX_FRAME_BYTES} bytes of text")]
    FrameTooLarge {
        /// Its number, from 0.
        frame: u64,
    },
    /// A line that is longer than any that is written.
    #[error("line {line} too long: {bytes} bytes, at most {MAX_LINE_BYTES}")]
    LineTooLong {
        /// Its number, from 1.
        line: u64,
        /// Its length.
        bytes: usize,
    },
    /// A line without its end at the end of a frame.
    #[error("line {line} does not end")]
    OpenLine {
        /// Its number, from 1.
        line: u64,
    },
    /// A line that is no observation.
    #[error("line {line} is unreadable")]
    Row {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        source: RowProblem,
    },
    /// Something follows the line that says it is the last.
    #[error("line {line} follows the last line")]
    AfterEnd {
        /// Its number, from 1.
        line: u64,
    },
}

/// Reads observations one by one. After `None` or an error it stays at its end; [`Self::end`] then says which end it was.
#[derive(Debug)]
pub struct ObservationReader<R> {
    input: R,
    header: Header,
    /// The name said that the file was never completed.
    partial: bool,
    /// Text of the current frame.
    text: Vec<u8>,
    /// Where the next line begins in it.
    at: usize,
    /// Frames that were decompressed.
    frames: u64,
    /// Lines that were read.
    lines: u64,
    last: Option<Arc<Labels>>,
    left_out: Option<u64>,
    end: Option<FileEnd>,
    stopped: bool,
}

impl ObservationReader<BufReader<File>> {
    /// Opens a file, or the `.partial` that a crash left behind: its name says that it was never completed, so it ends as
    /// [`FileEnd::Truncated`] however clean its last frame is.
    ///
    /// # Errors
    /// [`ReadError`] when there is no such file or no header in it.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = File::open(path).map_err(|source| ReadError::Open { path: path.to_owned(), source })?;
        let mut reader = Self::new(BufReader::new(file))?;
        reader.partial = path.extension().is_some_and(|extension| extension == PARTIAL);
        Ok(reader)
    }
}

impl<R: BufRead> ObservationReader<R> {
    /// Reads the header from `input`, which is taken for a completed file.
    ///
    /// # Errors
    /// [`ReadError`] when there is no header of this version.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let header = Header { schema: String::new(), run: String::new(), series_schema: 0, columns: Vec::new() };
        let mut reader = Self {
            input,
            header,
            partial: false,
            text: Vec::new(),
            at: 0,
            frames: 0,
            lines: 0,
            last: None,
            left_out: None,
            end: None,
            stopped: false,
        };
        let Some(line) = reader.next_line()? else { return Err(ReadError::NoHeader) };
        reader.header = parse_header(&reader.text[line])?;
        Ok(reader)
    }

    /// The run and the columns.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How the file ended; `None` before its end, and for good when an error stopped the reading.
    pub fn end(&self) -> Option<FileEnd> {
        self.end
    }

    fn next_row(&mut self) -> Result<Option<Observation>, ReadError> {
        let Some(line) = self.next_line()? else { return Ok(None) };
        let line = &self.text[line];
        if self.left_out.is_some() {
            return Err(ReadError::AfterEnd { line: self.lines });
        }
        let unreadable = |source| ReadError::Row { line: self.lines, source };
        if line.starts_with(LAST_LINE) {
            let last: LastLine = serde_json::from_slice(line).map_err(|source| unreadable(source.into()))?;
            self.left_out = Some(last.truncated);
            return self.next_row();
        }
        let row = decode(line, &self.header, self.last.as_ref()).map_err(unreadable)?;
        self.last = Some(Arc::clone(&row.labels));
        Ok(Some(row))
    }

    /// Where in the text the next line is, without its end; `None` at the end of the file, which is then known.
    fn next_line(&mut self) -> Result<Option<Range<usize>>, ReadError> {
        while self.at >= self.text.len() {
            if !self.next_frame()? {
                return Ok(None);
            }
        }
        self.lines += 1;
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(ReadError::OpenLine { line: self.lines })?;
        if length > MAX_LINE_BYTES {
            return Err(ReadError::LineTooLong { line: self.lines, bytes: length });
        }
        let line = self.at..self.at + length;
        self.at += length + 1;
        Ok(Some(line))
    }

    /// Decompresses the next frame. False at the end of the file, cut or not.
    fn next_frame(&mut self) -> Result<bool, ReadError> {
        let frame = self.frames;
        let damaged = |source| ReadError::DamagedFrame { frame, source };
        self.text.clear();
        self.at = 0;
        if self.input.fill_buf().map_err(damaged)?.is_empty() {
            self.end = Some(match self.left_out {
                Some(left_out) => FileEnd::Capped { left_out },
                None if self.partial => FileEnd::Truncated,
                None => FileEnd::Whole,
            });
            return Ok(false);
        }
        let mut decoder = Decoder::with_buffer(&mut self.input).map_err(damaged)?.single_frame();
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
        let read = decoder.take(MAX_FRAME_BYTES as u64 + 1).read_to_end(&mut self.text);
        match read {
            Ok(length) if length > MAX_FRAME_BYTES => Err(ReadError::FrameTooLarge { frame }),
            Ok(_) => {
                self.frames += 1;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.text.clear();
                self.end = Some(FileEnd::Truncated);
                Ok(false)
            }
            Err(error) => Err(damaged(error)),
        }
    }
}

impl<R: BufRead> Iterator for ObservationReader<R> {
    type Item = Result<Observation, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped {
            return None;
        }
        let next = self.next_row().transpose();
        self.stopped = !matches!(next, Some(Ok(_)));
        next
    }
}

/// The last line where rows were left out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LastLine {
    truncated: u64,
}

fn parse_header(line: &[u8]) -> Result<Header, ReadError> {
    /// The one field that every version has.
    #[derive(Deserialize)]
    struct Version {
        schema: String,
    }
    let bad = |source| ReadError::BadHeader { source };
    let version: Version = serde_json::from_slice(line).map_err(bad)?;
    if version.schema != SCHEMA {
        return Err(ReadError::UnknownSchema { found: version.schema });
    }
    serde_json::from_slice(line).map_err(bad)
}
