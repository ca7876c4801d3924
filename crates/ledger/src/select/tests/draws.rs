use peermark_core::sealed::Bytes;

use super::super::Draws;

/// The stream is fixed: whoever recomputes a draw elsewhere needs these numbers.
#[test]
fn the_stream_is_fixed_and_even() {
    let mut draws = Draws::new(Bytes([3; 32]));
    let first: Vec<u64> = (0..5).map(|_| draws.next_u64()).collect();
    let mut again = Draws::new(Bytes([3; 32]));
    assert_eq!((0..5).map(|_| again.next_u64()).collect::<Vec<_>>(), first);
    assert_ne!(Draws::new(Bytes([4; 32])).next_u64(), first[0]);
    let mut counts = [0_u32; 7];
    for _ in 0..14_000 {
        counts[usize::try_from(draws.below(7)).unwrap()] += 1;
    }
    assert!(counts.iter().all(|count| count.abs_diff(2000) < 210), "{counts:?}");
    assert_eq!((draws.below(0), draws.below(1)), (0, 0));
}
