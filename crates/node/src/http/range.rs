//! `Range: bytes=…` of one range (RFC 9110 §14). Several ranges, or another unit, are answered with the whole.

use std::ops::Range;

/// What a Range header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Everything: no range, or one that need not be understood.
    Whole,
    /// A part that lies within the content.
    Part(Range<u64>),
    /// A part that does not.
    Unsatisfiable,
}

/// Reads the header for content of this size.
pub(crate) fn parse(header: Option<&str>, size: u64) -> Wanted {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else { return Wanted::Whole };
    let number = |text: &str| text.trim().parse::<u64>();
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Ok(0) => return Wanted::Unsatisfiable,
            Ok(length) => size.saturating_sub(length)..size,
            Err(_) => return Wanted::Whole,
        },
        (first, "") => match number(first) {
            Ok(first) => first..size,
            Err(_) => return Wanted::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
            _ => return Wanted::Whole,
        },
    };
    if range.start < size && range.start < range.end { Wanted::Part(range) } else { Wanted::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_as_the_standard_reads_them() {
        let cases = [
            (None, Wanted::Whole),
            (Some("bytes=0-0"), Wanted::Part(0..1)),
            (Some("bytes=5-"), Wanted::Part(5..10)),
            (Some("bytes=-3"), Wanted::Part(7..10)),
            (Some("bytes=-30"), Wanted::Part(0..10)),
            (Some("bytes=2-100"), Wanted::Part(2..10)),
            (Some("bytes=10-"), Wanted::Unsatisfiable),
            (Some("bytes=-0"), Wanted::Unsatisfiable),
            (Some("bytes=5-2"), Wanted::Whole),
            (Some("bytes=0-1,3-4"), Wanted::Whole),
            (Some("lines=0-1"), Wanted::Whole),
            (Some("bytes=x-y"), Wanted::Whole),
        ];
        for (header, wanted) in cases {
            assert_eq!(parse(header, 10), wanted, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn a_part_always_lies_within(text in "bytes=[0-9]{0,20}-[0-9]{0,20}", size in 0u64..100) {
            if let Wanted::Part(part) = parse(Some(&text), size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
