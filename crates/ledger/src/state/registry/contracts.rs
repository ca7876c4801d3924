//! How datasets become contracts.

use crate::outcome::Refusal;

/// Bounds of contracts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most chunks of one.
    pub(crate) chunks: u64,
    /// Most bytes of one, where sizes are known (S34).
    pub(crate) bytes: u64,
    /// Most contracts.
    pub(crate) contracts: u64,
}

/// Cuts ranges of chunks, first and last both within, into sets: in the order given, as many chunks as a contract takes, each set as
/// ranges again. Overlaps stay: who asks for a chunk twice gets it twice.
///
/// # Errors
/// [`Refusal::TooMany`] contracts; [`Refusal::Invalid`] where one chunk alone is too large for a contract.
pub(crate) fn cut(
    ranges: &[(u64, u64)],
    bounds: Bounds,
    bytes_of: impl Fn(u64) -> Option<u64>,
) -> Result<Vec<Vec<(u64, u64)>>, Refusal> {
    let mut sets: Vec<Vec<(u64, u64)>> = Vec::new();
    let (mut chunks, mut bytes) = (bounds.chunks, 0_u64);
    for chunk in ranges.iter().flat_map(|&(first, last)| first..=last) {
        // Chunks of unknown size count by their number alone.
        let size = bytes_of(chunk).unwrap_or(0);
        if size > bounds.bytes {
            let why = format!("{size} bytes, a contract holds {}", bounds.bytes);
            return Err(Refusal::invalid(format!("chunk {chunk}"), why));
        }
        if chunks >= bounds.chunks || bytes.saturating_add(size) > bounds.bytes {
            if sets.len() as u64 >= bounds.contracts {
                let found = bounds.contracts.saturating_add(1);
                return Err(Refusal::TooMany { what: "contracts".into(), found, limit: bounds.contracts });
            }
            sets.push(Vec::new());
            (chunks, bytes) = (0, 0);
        }
        (chunks, bytes) = (chunks + 1, bytes.saturating_add(size));
        let Some(set) = sets.last_mut() else { break };
        match set.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(chunk) => *last = chunk,
            _ => set.push((chunk, chunk)),
        }
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { chunks: 10, bytes: 1 << 20, contracts: 100 };

    fn plain(ranges: &[(u64, u64)]) -> Vec<Vec<(u64, u64)>> {
        cut(ranges, BOUNDS, |_| None).unwrap()
    }

    /// The vectors of the model, those included that its code got wrong: single chunks, and what one set left over for the next.
    #[test]
    fn sets_of_ten_are_those_of_the_model() {
        assert_eq!(plain(&[(0, 3), (5, 8), (10, 14)]), [vec![(0, 3), (5, 8), (10, 11)], vec![(12, 14)]]);
        assert_eq!(plain(&[(7, 23)]), [vec![(7, 16)], vec![(17, 23)]]);
        assert_eq!(plain(&[(0, 10)]), [vec![(0, 9)], vec![(10, 10)]]);
        assert_eq!(plain(&[(20, 25), (28, 31), (3, 5)]), [vec![(20, 25), (28, 31)], vec![(3, 5)]]);
        assert_eq!(plain(&[(5, 5)]), [vec![(5, 5)]]);
        assert_eq!(plain(&[(0, 9), (20, 20)]), [vec![(0, 9)], vec![(20, 20)]]);
        assert_eq!(plain(&[(0, 3), (2, 5)]), [vec![(0, 3), (2, 5)]]);
    }

    /// S34: where sizes are known a set holds at most a mebibyte.
    #[test]
    fn s34_sets_are_cut_by_bytes_too() {
        let size = |chunk: u64| (chunk < 20).then_some(if chunk < 10 { 400 << 10 } else { 10 });
        assert_eq!(
            cut(&[(0, 4), (8, 12), (20, 31)], BOUNDS, size).unwrap(),
            [vec![(0, 1)], vec![(2, 3)], vec![(4, 4), (8, 8)], vec![(9, 12), (20, 25)], vec![(26, 31)]]
        );
        let large = cut(&[(0, 0)], BOUNDS, |_| Some((1 << 20) + 1)).unwrap_err();
        assert!(matches!(large, Refusal::Invalid { .. }), "{large}");
    }

    #[test]
    fn more_contracts_than_allowed_are_refused_without_counting_to_the_end() {
        let many = cut(&[(0, u64::MAX - 1)], BOUNDS, |_| None).unwrap_err();
        assert_eq!(many, Refusal::TooMany { what: "contracts".into(), found: 101, limit: 100 });
    }

    proptest! {
        #[test]
        fn sets_hold_all_chunks_in_order_and_no_more_than_they_may(
            ranges in prop::collection::vec((0_u64..50, 0_u64..30), 1..6),
            sizes in prop::collection::vec(1_u64..400_000, 80),
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(first, more)| (first, first + more)).collect();
            let size = |chunk: u64| sizes.get(chunk as usize).copied();
            let sets = cut(&ranges, BOUNDS, size).unwrap();
            let flat = |ranges: &[(u64, u64)]| ranges.iter().flat_map(|(first, last)| *first..=*last).collect::<Vec<_>>();
            prop_assert_eq!(flat(&sets.concat()), flat(&ranges));
            for (at, set) in sets.iter().enumerate() {
                let chunks = flat(set);
                let bytes: u64 = chunks.iter().filter_map(|chunk| size(*chunk)).sum();
                prop_assert!(!chunks.is_empty() && chunks.len() <= 10 && bytes <= 1 << 20);
                // Greedy: the next chunk would not have fitted.
                if let Some(next) = sets.get(at + 1) {
                    prop_assert!(chunks.len() == 10 || bytes + size(next[0].0).unwrap() > 1 << 20);
                }
            }
        }
    }
}
