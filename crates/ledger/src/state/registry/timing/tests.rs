use proptest::prelude::*;

use super::*;

fn timing(delay: Height, duration: Option<Height>, pause: Height, repeat: Option<u32>) -> Timing {
    Timing { delay, duration, pause, repeat }
}

fn active(timings: &[Timing], until: Option<Height>) -> Vec<Height> {
    (0..40).filter(|height| is_active(10, until, timings, *height)).collect()
}

/// S51: delay, duration, pause, repeat; from the beginning on, before the end.
#[test]
fn s51_windows_follow_the_four_values() {
    assert_eq!(active(&[], Some(13)), [10, 11, 12]);
    assert_eq!(active(&[timing(2, None, 0, None)], Some(15)), [12, 13, 14]);
    assert_eq!(active(&[timing(2, Some(3), 0, None)], None), [12, 13, 14]);
    assert_eq!(active(&[timing(0, Some(2), 3, Some(2))], None), [10, 11, 15, 16, 20, 21]);
    assert_eq!(active(&[timing(1, Some(1), 9, None)], None), [11, 21, 31]);
    assert_eq!(active(&[timing(1, Some(1), 9, None), timing(0, Some(2), 0, None)], Some(30)), [10, 11, 21]);
    // A pause of nothing joins the activities.
    assert_eq!(active(&[timing(0, Some(2), 0, Some(1))], None), [10, 11, 12, 13]);
}

#[test]
fn extreme_values_do_not_overflow() {
    let most = timing(Height::MAX, Some(Height::MAX), Height::MAX, Some(u32::MAX));
    assert!(!is_active(Height::MAX, None, std::slice::from_ref(&most), Height::MAX));
    let _ = next_change(1, None, &[most], 5);
    assert_eq!(next_change(10, Some(20), &[], 20), None);
    assert_eq!(next_change(10, None, &[], 15), None);
}

proptest! {
    /// The closed form answers as block by block.
    #[test]
    fn the_next_change_is_the_first(
        from in 0_u64..20, length in prop::option::of(1_u64..60), height in 0_u64..70,
        parts in prop::collection::vec((0_u64..9, prop::option::of(1_u64..7), 0_u64..7, prop::option::of(0_u32..4)), 0..4),
    ) {
        let timings: Vec<_> = parts.into_iter().map(|(d, l, p, r)| timing(d, l, p, r)).collect();
        let until = length.map(|length| from + length);
        let now = is_active(from, until, &timings, height);
        let expected = (height + 1..height + 500).find(|at| is_active(from, until, &timings, *at) != now);
        let found = next_change(from, until, &timings, height);
        match expected {
            Some(expected) => prop_assert_eq!(found, Some(expected)),
            // Nothing changes any more: either it knows, or it says where to ask again.
            None => prop_assert!(found.is_none_or(|at| at > height && is_active(from, until, &timings, at) == now)),
        }
    }
}
