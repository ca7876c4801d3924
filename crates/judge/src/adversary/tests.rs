//! The suite itself: worlds, liars and baselines behave as they are described, and the figures are those of the seed alone.

use peermark_core::Seed;

use super::report::Reporter;
use super::*;

mod small_gates;

fn drawn(setting: &Setting, trial: u64) -> (World, Vec<Vec<Observation>>) {
    let world = World::draw(setting, Seed(5), trial);
    let mut reporter = Reporter::new(setting, &world, Seed(5), trial);
    let reports = (0..setting.epochs).map(|epoch| sorted(reporter.epoch(epoch))).collect();
    (world, reports)
}

fn sorted(mut reports: Vec<Observation>) -> Vec<Observation> {
    reports.sort_by_key(|report| (report.hoster, report.attester));
    reports
}

fn row(setting: &Setting, contender: Contender, trials: u32) -> Figures {
    measure(setting, &[contender], trials, Seed(1), 2)[0].figures
}

#[test]
fn figures_depend_on_the_seed_and_on_nothing_else() {
    let setting = Setting { epochs: 3, ..Setting::usual(Kind::Promise, Attack::OnOff) };
    let rows = |seed, threads| measure(&setting, &Contender::ALL, 7, Seed(seed), threads);
    assert_eq!(rows(3, 1), rows(3, 4));
    assert_eq!(rows(3, 1), rows(3, 1_000));
    assert_ne!(rows(3, 1), rows(4, 1));
}

#[test]
fn worlds_have_the_rates_that_their_kind_promises() {
    for trial in 0..20 {
        let range = World::draw(&Setting::usual(Kind::Range, Attack::Loud), Seed(1), trial);
        assert!(range.rates_mbit.iter().all(|rate| (10.0..=1000.0).contains(rate)), "{range:?}");
        let promise = World::draw(&Setting::usual(Kind::Promise, Attack::Loud), Seed(1), trial);
        assert_eq!(promise.liars.iter().filter(|lies| **lies).count(), 40);
        for (hoster, &rate) in promise.rates_mbit.iter().enumerate() {
            let relative = rate / promise.threshold_mbit;
            match promise.roles[hoster] {
                Role::Friend => assert!((relative - 0.8).abs() < 1e-12),
                Role::Victim => assert!((relative - 1.25).abs() < 1e-12),
                Role::Bystander => assert_eq!(rate, range.rates_mbit[hoster], "the same draw in both kinds"),
            }
        }
        let count = |role| promise.roles.iter().filter(|other| **other == role).count();
        assert_eq!((count(Role::Friend), count(Role::Victim)), (6, 6));
    }
}

#[test]
fn committees_are_drawn_from_the_pool_and_change() {
    for committee in [5, 7, 9, 15, 31] {
        let setting = Setting { committee, epochs: 2, ..Setting::usual(Kind::Range, Attack::Loud) };
        let (_, epochs) = drawn(&setting, 0);
        for reports in &epochs {
            let members = |hoster: u32| -> Vec<u32> {
                reports.iter().filter(|r| r.hoster == hoster).map(|r| r.attester).collect()
            };
            for hoster in 0..setting.hosters {
                let mut members = members(hoster);
                assert_eq!(members.len(), committee as usize);
                members.dedup();
                assert_eq!(members.len(), committee as usize, "nobody sits twice");
            }
            assert_ne!(members(0), members(1));
        }
        let seats = |reports: &[Observation]| reports.iter().map(|r| (r.hoster, r.attester)).collect::<Vec<_>>();
        assert_ne!(seats(&epochs[0]), seats(&epochs[1]));
    }
}

/// What honest attesters report is the same whatever the liars do: attacks are compared on the same noise. Liars of every attack but the
/// late ones change something in the first epoch, and all of them do by the last.
#[test]
fn liars_lie_and_nobody_else_does() {
    for attack in Attack::ALL {
        let setting = Setting { epochs: 12, liar_share: 0.55, ..Setting::usual(Kind::Range, attack) };
        let (world, lied) = drawn(&setting, 0);
        let none = Setting { liar_share: 0.0, attack: Attack::Loud, ..setting };
        let (_, honest) = drawn(&none, 0);
        if matches!(attack, Attack::SybilBurst | Attack::SybilSpread) {
            let there = |reports: &[Observation]| reports.iter().any(|r| world.liars[r.attester as usize]);
            assert!(lied[..9].iter().all(|reports| !there(reports)) && lied[9..].iter().all(|reports| there(reports)));
            continue;
        }
        let mut changed = false;
        for (lied, honest) in lied.iter().zip(&honest) {
            let said = |report: &Observation| {
                let same = |other: &&Observation| (other.hoster, other.attester) == (report.hoster, report.attester);
                lied.iter().find(same).map(|other| other.rate_mbit)
            };
            for report in honest {
                let is_same = said(report) == Some(report.rate_mbit);
                assert!(is_same || world.liars[report.attester as usize], "{attack:?} {report:?}");
                changed |= !is_same;
            }
        }
        assert!(changed, "{attack:?} changes nothing");
    }
}

#[test]
fn loud_liars_praise_friends_and_run_down_victims_by_four() {
    let setting = Setting { epochs: 1, ..Setting::usual(Kind::Range, Attack::Loud) };
    let (world, lied) = drawn(&setting, 0);
    let (_, honest) = drawn(&Setting { liar_share: 0.0, ..setting }, 0);
    for (lied, honest) in lied[0].iter().zip(&honest[0]) {
        let factor = match (world.liars[lied.attester as usize], world.roles[lied.hoster as usize]) {
            (true, Role::Friend) => 4.0,
            (true, Role::Victim) => 0.25,
            _ => 1.0,
        };
        assert!((lied.rate_mbit / honest.rate_mbit - factor).abs() < 1e-9, "{lied:?} {honest:?}");
        // The seconds tell the same story as their median: half of them are above it.
        let above = f64::from(lied.met) / f64::from(lied.probes);
        assert!(lied.rate_mbit < 150.0 || above > 0.9, "{lied:?}");
        assert!(lied.rate_mbit > 66.0 || above < 0.1, "{lied:?}");
    }
}

#[test]
fn sybils_of_a_burst_share_two_groups_and_spread_ones_share_none() {
    let groups = |attack| {
        let world = World::draw(&Setting::usual(Kind::Range, attack), Seed(1), 0);
        let mut groups: Vec<u32> =
            (0..world.attesters()).filter(|&a| world.liars[a]).map(|a| world.groups[a]).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.len()
    };
    assert_eq!((groups(Attack::SybilBurst), groups(Attack::SybilSpread)), (2, 40));
}

#[test]
fn a_measured_on_off_bloc_lies_in_the_measured_epoch() {
    let setting = Setting::usual(Kind::Range, Attack::OnOffNow);
    let (world, lied) = drawn(&setting, 0);
    let (_, honest) = drawn(&Setting { liar_share: 0.0, ..setting }, 0);
    let rates = |reports: &[Observation]| reports.iter().map(|report| report.rate_mbit).collect::<Vec<_>>();
    let lies: Vec<bool> = lied.iter().zip(&honest).map(|(lied, honest)| rates(lied) != rates(honest)).collect();
    let expected: Vec<bool> = (1..=20).map(|epoch| epoch % 5 == 0).collect();
    assert_eq!(lies, expected);
    assert!(world.liars.contains(&true));
}

/// Reliability reference §2.6: at one third of liars x4 the mean gives friends 2.11 times the truth, the trimmed mean 1.46, the median 1.29,
/// and victims 0.79, 0.70, 0.80; tau 0.859, 0.889, 0.917.
#[test]
fn baselines_behave_as_in_the_reference() {
    let setting = Setting { epochs: 1, ..Setting::usual(Kind::Range, Attack::Loud) };
    let expected = [
        (Contender::Mean, 1.11, -0.21, 0.859),
        (Contender::Trimmed, 0.46, -0.30, 0.889),
        (Contender::Median, 0.29, -0.20, 0.917),
    ];
    let contenders = expected.map(|row| row.0);
    let rows = measure(&setting, &contenders, 60, Seed(1), 2);
    for ((contender, friend, victim, tau), row) in expected.into_iter().zip(rows) {
        let figures = row.figures;
        let near = |value: Option<f64>, expected: f64, within: f64| {
            let value = value.unwrap();
            assert!((value - expected).abs() <= within, "{contender:?}: {value} is not {expected}: {figures:?}");
        };
        near(figures.friend_bias, friend, 0.1 * (1.0 + friend));
        near(figures.victim_bias, victim, 0.05);
        near(figures.tau, tau, 0.02);
        assert_eq!(figures.flag_precision, None, "baselines flag nobody");
    }
}

#[test]
fn without_liars_every_rate_is_near_the_truth() {
    let setting = Setting { liar_share: 0.0, epochs: 1, ..Setting::usual(Kind::Range, Attack::Loud) };
    for contender in [Contender::Trimmed, Contender::Median] {
        let figures = row(&setting, contender, 40);
        assert!(figures.friend_bias.unwrap().abs() < 0.03 && figures.tau.unwrap() > 0.95, "{contender:?} {figures:?}");
        assert_eq!((figures.flag_recall, figures.absent), (None, Some(0.0)));
    }
    // The mean of lognormal rates is above their median by half of the variance: exp(0.107 / 2) = 1.055.
    let mean = row(&setting, Contender::Mean, 40).bystander_bias.unwrap();
    assert!((mean - 0.055).abs() < 0.02, "{mean}");
}
