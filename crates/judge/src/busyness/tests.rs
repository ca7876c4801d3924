use super::*;

const RANGES: [(u64, u64); 2] = [(0, 4), (10, 14)];

fn block(index: u64) -> Asked {
    Asked::Block { index }
}

/// R22, R23, R25: requests are counted within the contract's ranges, coarse wants apart from them.
#[test]
fn requests_within_the_contract_count() {
    let mut harvest = Harvest::new(&RANGES);
    assert_eq!(harvest.take(1, block(3)), Taken::Counted);
    assert_eq!(harvest.take(2, block(7)), Taken::Outside);
    assert_eq!(harvest.take(3, Asked::Want { first: 0, length: 100_000 }), Taken::Counted);
    assert_eq!(harvest.take(3, Asked::Want { first: 5, length: 5 }), Taken::Outside);
    assert_eq!(harvest.take(3, Asked::Want { first: 5, length: 0 }), Taken::Outside);
    let found = harvest.finish(30);
    let expected = Busyness {
        window_s: 30,
        requests: 1,
        unique_peers: 1,
        per_index: vec![(3, 1)],
        want_ranges: vec![(0, 100_000, 1)],
    };
    assert_eq!(found, expected);
    assert_eq!(found.check(&RANGES), Ok(()));
}

/// R27, R28: one sample of each peer, until enough requests or enough time.
#[test]
fn a_harvest_ends_by_requests_or_time() {
    let policy = HarvestPolicy::default();
    let mut harvest = Harvest::new(&RANGES);
    for peer in 0..49 {
        assert_eq!(harvest.take(peer, block(peer % 5)), Taken::Counted);
    }
    assert_eq!(harvest.take(7, block(2)), Taken::Repeated);
    assert!(!harvest.is_complete(59, &policy));
    assert!(harvest.is_complete(60, &policy));
    assert_eq!(harvest.take(49, block(2)), Taken::Counted);
    assert!(harvest.is_complete(0, &policy));
}

/// R24: a very large number of peers is seen, and no more than there is room for.
#[test]
fn many_peers_are_visible_and_memory_is_bounded() {
    let mut harvest = Harvest::new(&RANGES);
    for peer in 0..MAX_PEERS as u64 {
        assert_eq!(harvest.take(peer, block(1)), Taken::Counted);
    }
    assert_eq!(harvest.take(u64::MAX, block(1)), Taken::Full);
    assert_eq!(harvest.finish(1).unique_peers, MAX_PEERS as u64);
}

/// R29: the output has a rate, counts by index and a popularity list, and windows add up.
#[test]
fn windows_add_up() {
    let one = Busyness {
        window_s: 60,
        requests: 3,
        unique_peers: 3,
        per_index: vec![(1, 2), (3, 1)],
        want_ranges: vec![(0, 9, 1)],
    };
    let two = Busyness {
        window_s: 60,
        requests: 5,
        unique_peers: 2,
        per_index: vec![(3, 5)],
        want_ranges: vec![(0, 9, 2), (1, 1, 1)],
    };
    let (mut ab, mut ba) = (one.clone(), two.clone());
    ab.merge(&two);
    ba.merge(&one);
    assert_eq!(ab, ba);
    assert_eq!((ab.per_minute_milli(), ab.popularity()), (Some(4_000), vec![(3, 750_000), (1, 250_000)]));
    assert_eq!(ab.want_ranges, [(0, 9, 3), (1, 1, 1)]);
    assert_eq!(Busyness::default().per_minute_milli(), None);
}

#[test]
fn a_record_that_contradicts_itself_is_refused() {
    let good = Busyness { requests: 3, unique_peers: 3, per_index: vec![(1, 2), (3, 1)], ..Busyness::default() };
    let refused = |per_index: &[(u64, u64)]| {
        Busyness { per_index: per_index.to_vec(), ..good.clone() }.check(&RANGES).unwrap_err()
    };
    assert_eq!(good.check(&RANGES), Ok(()));
    assert_eq!(refused(&[(3, 1), (1, 2)]), BusynessError::Entry { entry: 1 });
    assert_eq!(refused(&[(1, 0), (3, 3)]), BusynessError::Entry { entry: 0 });
    assert_eq!(refused(&[(7, 3)]), BusynessError::Outside { index: 7 });
    assert_eq!(refused(&[(1, 2)]), BusynessError::WrongTotal { said: 3, sum: 2 });
    assert_eq!(refused(&[(1, 2); MAX_ENTRIES + 1]), BusynessError::TooLong);
}

/// R32: probes mimic the harvest; without one they are uniform over the contract's ranges.
#[test]
fn probes_look_like_customers() {
    let harvested = Busyness { requests: 4, per_index: vec![(3, 3), (12, 1)], ..Busyness::default() };
    let mut numbers = 0..;
    assert_eq!(harvested.mimic(&RANGES, 8, |below| numbers.next().unwrap_or(0) % below), [3, 3, 3, 12, 3, 3, 3, 12]);
    let mut numbers = 0..;
    let uniform = Busyness::default().mimic(&RANGES, 10, |below| numbers.next().unwrap_or(0) % below);
    assert_eq!(uniform, [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]);
    assert_eq!(Busyness::default().mimic(&[], 5, |_| 0), [0; 0]);
}
