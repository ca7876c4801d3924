//! The compact text of requested chunks: `5x i=1(64kb), 10x i=232(70kb), 12x i=120(50kb)`.

use std::fmt::Write;

use thiserror::Error;

use super::{IndexCount, MAX_INDICES};

/// Longest text that is read.
const MAX_TEXT: usize = 256 * 1024;

/// Why a text is no compact report.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CompactError {
    /// Too long.
    #[error("longer than {MAX_TEXT} bytes or {MAX_INDICES} entries")]
    TooLong,
    /// An entry that is not `COUNTx i=INDEX(SIZE)`.
    #[error("entry {entry}: {text:?} is not like 5x i=1(64kb)")]
    Entry {
        /// Its number, from 1.
        entry: usize,
        /// What stands there, at most 64 characters of it.
        text: String,
    },
    /// An index that is there twice.
    #[error("entry {entry}: index {index} is there twice")]
    Twice {
        /// Its number, from 1.
        entry: usize,
        /// The index.
        index: u64,
    },
}

/// Reads the compact text, in any order of indices; gives them sorted. `x` may be `×` or `*`, sizes are in `b` or `kb` (1 kb is 1000 bytes).
///
/// # Errors
/// The first entry that cannot be read.
pub fn parse_compact(text: &str) -> Result<Vec<IndexCount>, CompactError> {
    if text.len() > MAX_TEXT {
        return Err(CompactError::TooLong);
    }
    let mut found: Vec<IndexCount> = Vec::new();
    if text.trim().is_empty() {
        return Ok(found);
    }
    for (at, text) in text.split(',').map(str::trim).enumerate() {
        if at >= MAX_INDICES {
            return Err(CompactError::TooLong);
        }
        let entry = at + 1;
        let read = parse_entry(text);
        let read = read.ok_or_else(|| CompactError::Entry { entry, text: text.chars().take(64).collect() })?;
        match found.binary_search_by_key(&read.index, |other| other.index) {
            Ok(_) => return Err(CompactError::Twice { entry, index: read.index }),
            Err(place) => found.insert(place, read),
        }
    }
    Ok(found)
}

/// Writes the compact text, sizes in `kb` where they are whole.
pub fn print_compact(per_index: &[IndexCount]) -> String {
    let mut text = String::new();
    for IndexCount { index, count, size } in per_index {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _written = match size {
            size if size % 1_000 == 0 && *size > 0 => write!(text, "{separator}{count}x i={index}({}kb)", size / 1_000),
            size => write!(text, "{separator}{count}x i={index}({size}b)"),
        };
    }
    text
}

fn parse_entry(text: &str) -> Option<IndexCount> {
    let (count, rest) = text.split_once(['x', '×', '*'])?;
    let (index, rest) = rest.trim_start().strip_prefix("i=")?.split_once('(')?;
    let size = rest.strip_suffix(')')?.trim().to_ascii_lowercase();
    let (size, factor) = match size.strip_suffix("kb") {
        Some(thousands) => (thousands.trim_end().to_owned(), 1_000),
        None => (size.strip_suffix('b')?.trim_end().to_owned(), 1),
    };
    let size = number(&size)?.checked_mul(factor)?;
    Some(IndexCount { index: number(index)?, count: number(count)?, size })
}

/// Digits only: the standard parser also takes a plus sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
