use super::*;
use crate::fixed::Fixed;
use crate::robust::{Epoch, Observation, Settings, evaluate};

/// A history in which each of `groups` groups measured every hoster at its level, some doublings more or less by its own link.
fn history(levels: &[i32], groups: u32, except: impl Fn(u32, usize) -> i32) -> History {
    let mut observations = Vec::new();
    for attester in 0..groups {
        for (hoster, level) in levels.iter().enumerate() {
            let link = attester as i32 % 5;
            let value = Fixed::from_int(level + link + except(attester, hoster));
            observations.push(Observation { hoster: hoster as u32, attester, value });
        }
    }
    let names: Vec<u32> = (0..groups).collect();
    let (hosters, mut history) = (levels.len() as u32, History::default());
    let epoch = Epoch { number: 0, hosters, groups: &names, barred: &[], exact: true, observations: &observations };
    evaluate(&mut history, &epoch, &Settings::default()).unwrap();
    history
}

fn ranks(history: &History, hosters: &[u32], better: Side) -> Vec<(u32, u32)> {
    ranked(hosters, &[Contest::remembered(history, hosters, better)])
}

fn ranked(hosters: &[u32], contests: &[Contest]) -> Vec<(u32, u32)> {
    rank(hosters, &compare(hosters, contests)).iter().map(|rank| (rank.best, rank.worst)).collect()
}

/// What is compared by more has more chances to be wrong: seven groups separate three hosters by one metric, and not by three.
#[test]
fn all_duels_of_a_ranking_are_one_family() {
    let found = history(&[5, 9, 7], 7, |_, _| 0);
    let contest = || Contest::remembered(&found, &[0, 1, 2], Side::AtLeast);
    let equal = history(&[6, 6, 6], 30, |_, _| 0);
    let nothing = || Contest::remembered(&equal, &[0, 1, 2], Side::AtLeast);
    assert_eq!(ranked(&[0, 1, 2], &[contest()]), [(3, 3), (1, 1), (2, 2)]);
    // 2 / 128 is below 5 % / 3 and above 5 % / 9.
    assert_eq!(ranked(&[0, 1, 2], &[contest(), nothing(), nothing()]), [(1, 3); 3]);
    // Better in one thing and worse in another is neither.
    let (strong, weak) = (history(&[5, 9], 10, |_, _| 0), history(&[9, 5], 10, |_, _| 0));
    let both = [&strong, &weak].map(|history| Contest::remembered(history, &[0, 1], Side::AtLeast));
    assert_eq!(compare(&[0, 1], &both).len(), 2);
    assert_eq!(ranked(&[0, 1], &both), [(1, 2), (1, 2)]);
}

#[test]
fn sign_tests_are_the_tabled_ones() {
    let share = |above, below| two_sided(above, below) as f64 / 2_f64.powi(127);
    for (above, below, p) in
        [(6, 0, 0.03125), (0, 7, 0.015625), (9, 1, 22.0 / 1024.0), (5, 5, 1.0), (0, 0, 1.0), (1, 0, 1.0)]
    {
        assert_eq!(share(above, below), p, "{above}:{below}");
    }
    // Normal approximation with continuity correction: z = 1.9889.
    assert!((share(75, 51) - 0.0404).abs() < 0.001, "{}", share(75, 51));
    assert!(share(1_000, 0) < 1e-30 && share(600, 400) > share(76, 50));
}

#[test]
fn old_and_doubted_voices_count_less() {
    let counted = |voices: &[(u32, u32, bool)]| {
        let mut signs = Signs::default();
        voices.iter().for_each(|(weight, recency, is_above)| signs.add(*weight, *recency, *is_above));
        signs.counted()
    };
    assert_eq!(counted(&[(FULL_PPM, FULL_PPM, true); 6]), (6, 0));
    assert_eq!(counted(&[]), (0, 0));
    // Half as recent, half as many.
    assert_eq!(counted(&[(500_000, 500_000, true); 10]), (5, 0));
    // Trusted less but all alike: as many as they are.
    assert_eq!(counted(&[(900_000, FULL_PPM, false); 8]), (0, 8));
    let nine = [(FULL_PPM, FULL_PPM, true); 9];
    let with = |weight| counted(&[&nine[..], &[(weight, FULL_PPM, false)]].concat());
    assert_eq!(with(FULL_PPM), (9, 1));
    // Kish: (9.01)^2 / (9 + 0.0001) = 9.02: a doubted voice is no tenth one, and still not nothing.
    assert_eq!(with(10_000), (8, 1));
    // Levels that are two half-lives old do not rank what fresh ones of as many groups do.
    let mut found = history(&[5, 9], 8, |_, _| 0);
    assert_eq!(ranks(&found, &[0, 1], Side::AtLeast), [(2, 2), (1, 1)]);
    let names: Vec<u32> = (0..8).collect();
    let silence = Epoch { number: 20, hosters: 2, groups: &names, barred: &[], exact: true, observations: &[] };
    evaluate(&mut found, &silence, &Settings::default()).unwrap();
    assert_eq!(ranks(&found, &[0, 1], Side::AtLeast), [(1, 2), (1, 2)]);
}

/// R73: the three hosters of a contract are ordered strictly once their differences are beyond chance, whatever the links do.
#[test]
fn r73_three_hosters_are_ordered() {
    let found = history(&[5, 9, 7], 8, |_, _| 0);
    assert_eq!(ranks(&found, &[0, 1, 2], Side::AtLeast), [(3, 3), (1, 1), (2, 2)]);
    assert_eq!(ranks(&found, &[0, 1, 2], Side::AtMost), [(1, 1), (3, 3), (2, 2)]);
    assert_eq!(ranks(&found, &[2, 0], Side::AtLeast), [(1, 1), (2, 2)]);
}

/// R73: ties have a rule: equal intervals, until the test can separate.
#[test]
fn r73_six_groups_cannot_separate_three() {
    // 2 / 64 is above 5 % / 3; with two hosters it is below 5 %.
    let found = history(&[5, 9, 7], 6, |_, _| 0);
    assert_eq!(ranks(&found, &[0, 1, 2], Side::AtLeast), [(1, 3); 3]);
    assert_eq!(ranks(&found, &[0, 1], Side::AtLeast), [(2, 2), (1, 1)]);
    let equal = history(&[6, 6, 6], 30, |_, _| 0);
    assert_eq!(ranks(&equal, &[0, 1, 2], Side::AtLeast), [(1, 3); 3]);
}

#[test]
fn a_partial_order_prints_as_a_tie() {
    // Hosters 0 and 1 win against each other in every other group; hoster 2 is below both.
    let found = history(&[9, 9, 3], 10, |attester, hoster| {
        i32::from(hoster == 0 && attester % 2 == 0) - i32::from(hoster == 0 && attester % 2 == 1)
    });
    assert_eq!(ranks(&found, &[0, 1, 2], Side::AtLeast), [(1, 2), (1, 2), (3, 3)]);
}

#[test]
fn unknown_and_repeated_hosters_tie() {
    let found = history(&[5, 9], 10, |_, _| 0);
    assert_eq!(ranks(&found, &[1, 7, 1], Side::AtLeast), [(1, 3); 3]);
    assert_eq!(ranks(&found, &[], Side::AtLeast), []);
}
