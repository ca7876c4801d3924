//! How one place of an amendment ended, from what the attester reports and what the hoster says itself. Pure: the whole table of blame.

use crate::item::hosting::{HeldCopy, HosterAnswer};
use crate::transaction::hosting::Place;

/// How a place ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlaceEnd {
    /// The hoster holds the copy; both signed for it.
    Hosted(HeldCopy),
    /// The encoder failed: it is rated and changed. The hoster stays.
    EncoderFailed,
    /// The attester alone says that the encoder failed: it is changed, and rated only when others say the same.
    EncoderAccused,
    /// The attester alone says that the hoster failed: it is changed, and rated only when others say the same. The encoder stays; what it
    /// made counts, if it is shown.
    HosterAccused(Option<HeldCopy>),
    /// The hoster says that what the encoder made is wrong, and nobody proved who is right: the encoder is changed, nobody is rated.
    EncoderDoubted,
    /// The attester says that the hoster failed, the hoster that nothing came: it is changed, nobody is rated.
    HosterDoubted,
    /// Nobody said anything: both stay.
    Unknown,
}

/// What the attester's word about a place is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Nothing speaks against it.
    Holds,
    /// Somebody else says or signed the contrary, which proves nothing about the attester: encoder and hoster may have kept it out. It
    /// earns nothing and loses nothing.
    Doubted,
    /// It is caught: it shows signatures that do not hold, or reported nothing in time.
    False,
}

/// Whether the signatures that a report shows for a place hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) encoder: bool,
    pub(super) hoster: bool,
}

/// How a place ended, and what the attester's word about it is worth. `report` is `None` where it reported nothing in time.
///
/// What a hoster says itself counts for more than what is said about it (S36, S41): where it took its copy it holds its place whatever
/// the attester reports, and a hoster that refuses a wrong copy is never blamed for it.
pub(super) fn resolve(report: Option<&Place>, held: Held, answer: Option<&HosterAnswer>) -> (PlaceEnd, Word) {
    let otherwise = |end| match answer {
        Some(HosterAnswer::Took(copy)) => (PlaceEnd::Hosted(*copy), Word::Doubted),
        _ => (end, Word::Holds),
    };
    match report {
        Some(Place::Hosted { made, .. }) if held.encoder && held.hoster => (PlaceEnd::Hosted(made.copy), Word::Holds),
        // It shows a signature that does not hold: it checked nothing, or made it up.
        Some(Place::Hosted { .. }) => (said(answer), Word::False),
        Some(Place::HosterFailed { made: Some(_) }) if !held.encoder => (said(answer), Word::False),
        Some(Place::HosterFailed { made }) => match answer {
            Some(HosterAnswer::Refused) => (PlaceEnd::EncoderDoubted, Word::Holds),
            Some(HosterAnswer::NothingCame) => (PlaceEnd::HosterDoubted, Word::Doubted),
            _ => otherwise(PlaceEnd::HosterAccused(made.map(|made| made.copy))),
        },
        // Two people of different operators say the same of it.
        Some(Place::EncoderFailed {}) if answer == Some(&HosterAnswer::Refused) => {
            (PlaceEnd::EncoderFailed, Word::Holds)
        }
        Some(Place::EncoderFailed {}) => otherwise(PlaceEnd::EncoderAccused),
        None => (said(answer), Word::False),
    }
}

/// What is left where the attester's word counts for nothing.
fn said(answer: Option<&HosterAnswer>) -> PlaceEnd {
    match answer {
        Some(HosterAnswer::Took(copy)) => PlaceEnd::Hosted(*copy),
        Some(HosterAnswer::Refused) => PlaceEnd::EncoderDoubted,
        Some(HosterAnswer::NothingCame) | None => PlaceEnd::Unknown,
    }
}

/// Bytes by which two encodings of one chunk may differ: each begins with a name of its own.
const ENCODED_TOLERANCE: u64 = 5;

/// What the copies of a contract say about each other (S37, S38).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// All agree, or there are too few to tell.
    Agree,
    /// This place differs from the two others, or from what is proved: its encoder signed what is not so.
    Differs(u32),
    /// No two agree, and nothing is proved.
    Nobody,
}

/// Compares the copies of a contract, with its plain bytes where proofs of the feed tell them. The median of three decides: plain bytes
/// are equal or wrong, encoded ones may differ by a few bytes a chunk. The first place that differs is named; after it is gone the rest
/// is compared again.
pub(super) fn compare(copies: &[(u32, HeldCopy)], plain: Option<u64>, chunks: u64) -> Compared {
    if let Some(plain) = plain
        && let Some((place, _)) = copies.iter().find(|(_, copy)| copy.sizes.plain_bytes != plain)
    {
        return Compared::Differs(*place);
    }
    if copies.len() < 3 {
        return Compared::Agree;
    }
    let tolerance = chunks.saturating_mul(ENCODED_TOLERANCE);
    let plains = odd_one(copies.iter().map(|(place, copy)| (*place, copy.sizes.plain_bytes)), 0);
    match plains {
        Compared::Agree => odd_one(copies.iter().map(|(place, copy)| (*place, copy.sizes.encoded_bytes)), tolerance),
        other => other,
    }
}

fn odd_one(values: impl Iterator<Item = (u32, u64)>, tolerance: u64) -> Compared {
    let mut values: Vec<(u64, u32)> = values.map(|(place, value)| (value, place)).collect();
    values.sort_unstable();
    let Some((median, _)) = values.get(values.len() / 2).copied() else { return Compared::Agree };
    let far: Vec<u32> =
        values.iter().filter(|(value, _)| value.abs_diff(median) > tolerance).map(|(_, place)| *place).collect();
    match far.as_slice() {
        [] => Compared::Agree,
        [place] => Compared::Differs(*place),
        _ => Compared::Nobody,
    }
}

#[cfg(test)]
mod tests;
