//! Sizes of ranges, from sizes of nodes.

use super::build::{number, peaks_of};

/// Bytes of the first `length` chunks (`feed/:id/chunk/:v`), where all peaks of that length are known; `None` otherwise.
pub fn prefix_bytes(sizes: impl Fn(u64) -> Option<u64>, length: u64) -> Option<u64> {
    peaks_of(length).into_iter().try_fold(0_u64, |sum, (depth, offset)| sum.checked_add(sizes(number(depth, offset))?))
}

/// Bytes of the chunks from `first` to `last`, both within, as the difference of two prefixes whose bytes are known: `prefix` gives
/// those of a version, the sizes of nodes give others. `None` where one of them is not known; chunks whose own size is known are
/// added one by one instead.
pub fn range_bytes(
    sizes: impl Fn(u64) -> Option<u64>,
    prefix: impl Fn(u64) -> Option<u64>,
    first: u64,
    last: u64,
) -> Option<u64> {
    let end = last.checked_add(1)?;
    let of = |length| prefix(length).or_else(|| prefix_bytes(&sizes, length));
    if let (Some(before), Some(until)) = (of(first), of(end)) {
        return until.checked_sub(before);
    }
    // A range of a contract is short; a long one is not added up chunk by chunk.
    if last.checked_sub(first)? >= LONGEST_SUM {
        return None;
    }
    (first..end).try_fold(0_u64, |sum, chunk| sum.checked_add(sizes(number(0, chunk))?))
}

/// Most chunks that are added one by one.
const LONGEST_SUM: u64 = 1024;
