//! Who is how far from whom, and what light allows, through entries alone.

use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::Contract;
use peermark_ledger::item::component::Region;
use peermark_ledger::item::hosting::{ChallengeStatus, RawReason};
use peermark_ledger::item::record::{Body, Record};
use peermark_ledger::outcome::Refusal;
use peermark_ledger::transaction::plan::Components;
use peermark_ledger::transaction::report::Coordinates;
use peermark_ledger::transaction::{ReportChange, Transaction};

use crate::driver::{Wish, World};
use crate::rounds::{commit, reveal};
use crate::work_performance::{begun_with, wait, working};

fn coordinates(lags_us: Vec<(Id, u32)>) -> Transaction {
    Transaction::PublishCoordinates(Coordinates { position_us: [0; 8], height_us: 1000, error_ppm: 100_000, lags_us })
}

/// S63: the seed's four cities and their lags, which differ by direction: Berlin, South London, East London, Rome, tenths of a second.
#[test]
fn s63_the_four_cities_of_the_seed() {
    const LAGS: [[u32; 4]; 4] = [[0, 1, 3, 1], [2, 0, 2, 3], [5, 3, 0, 2], [1, 2, 5, 0]];
    let mut world = World::new(4, Policy::default());
    let cities: Vec<Id> = (2..6).map(|actor| world.actors[actor].id).collect();
    for (place, lags) in LAGS.iter().enumerate() {
        let others = cities.iter().zip(lags).filter(|(_, lag)| **lag > 0);
        let mut lags: Vec<(Id, u32)> = others.map(|(city, lag)| (*city, lag * 100_000)).collect();
        lags.sort_unstable();
        world.say(place + 2, coordinates(lags)).0.unwrap();
    }
    let state = world.state();
    let [berlin, south, east, rome] = cities[..] else { panic!("four cities") };
    assert_eq!((state.lag(berlin, south), state.lag(south, berlin)), (Some(100_000), Some(200_000)));
    let pairs = [(berlin, south), (berlin, east), (berlin, rome), (south, east), (south, rome), (east, rome)];
    let pairs = pairs.map(|(one, other)| state.symmetric_lag(one, other).map(|us| us / 100_000));
    assert_eq!(pairs, [Some(1), Some(3), Some(1), Some(2), Some(2), Some(2)]);
    assert!(state.lags_from(berlin).all(|(_, lag)| lag.said) && state.lags_from(berlin).count() == 3);
    let found = world.machine.query(&format!("map/{berlin}/{south}")).unwrap();
    assert_eq!((&found["there_us"], &found["back_us"]), (&100_000.into(), &200_000.into()));
    assert!(found["predicted_us"].is_null(), "nobody measured it");
}

/// Says that somebody is elsewhere.
fn move_to(world: &mut World, actor: usize, area: &str) {
    let regions = vec![Region { geohashes: vec![area.parse().unwrap()] }];
    let components = Components { regions, ..Components::default() };
    let region = world.say(actor, Transaction::PublishComponents(components)).0.unwrap()[0];
    world.offer_with(actor, 10, |form| form.region = i64::try_from(region).unwrap());
    world.block_ok();
}

/// S61, reliability.md 2.2: what came faster than light is flagged and not admitted, whoever of the two is not where it says; nobody
/// is blamed, and what was measured of others counts.
#[test]
fn s61_what_is_faster_than_light_is_not_admitted() {
    let policy = Policy { forced_pause_blocks: 1, raw_pause_blocks: 1, ..Policy::default() };
    let mut world = World::new(16, policy);
    world.answer_raw(80);
    let (contract, challenge) = begun_with(&mut world, Wish::default());
    let hosters = world.item::<Contract>(contract).active_hosters;
    // Berlin to Sydney and back is 160 ms of glass at least.
    let liar = world.actor(hosters[0]);
    move_to(&mut world, liar, "r3gx");
    let report = working(&world, challenge, 40, |_| 20);
    let committee = world.committee(challenge);
    for actor in &committee {
        commit(&mut world, challenge, *actor, &report);
    }
    world.block_ok();
    wait(&mut world, challenge, ChallengeStatus::Committed);
    let before: Vec<i64> = committee.iter().map(|actor| world.reputation(world.actors[*actor].id)).collect();
    for actor in &committee {
        reveal(&mut world, challenge, *actor, report.clone());
    }
    let (results, events) = world.block();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let flagged = events.iter().filter(|event| event.name == "fasterThanLight");
    let mut flagged: Vec<Vec<Id>> = flagged.map(|event| event.ids.clone()).collect();
    let mut expected: Vec<Vec<Id>> =
        committee.iter().map(|actor| vec![challenge, world.actors[*actor].id, hosters[0]]).collect();
    flagged.sort_unstable();
    expected.sort_unstable();
    assert_eq!(flagged, expected);
    let measured = world.state().observations().filter(|(key, _)| key.challenge == challenge);
    let measured: Vec<Id> = measured.map(|(key, _)| key.hoster).collect();
    assert_eq!((measured.len(), measured.contains(&hosters[0])), (2 * committee.len(), false));
    wait(&mut world, challenge, ChallengeStatus::Settled);
    for (actor, before) in committee.iter().zip(before) {
        assert!(world.reputation(world.actors[*actor].id) > before, "paid and graded as usual");
    }
    assert!(!world.is_paused(hosters[0]));
    // Measured anew where it says that it is now, it has no baseline.
    let raw = |world: &World| match world.item::<Record>(world.state().baseline_of(hosters[0]).unwrap()).body {
        Body::RawBenchmark(raw) => (raw.reason, raw.latency_us.is_some(), raw.egress_bps.is_some()),
        _ => panic!("another record"),
    };
    assert_eq!(raw(&world), (RawReason::Registration, true, true));
    let change = ReportChange { reason: RawReason::Location, note: "Sydney".to_owned() };
    world.say(liar, Transaction::ReportChange(change)).0.unwrap();
    world.answer_raw(30);
    assert_eq!(raw(&world), (RawReason::Location, false, false));
    // What somebody says about itself is refused.
    let (near, there) = (world.actors[3].id, world.actors[liar].id);
    let actor = world.actor(near);
    let said = world.say(actor, coordinates(vec![(there, 20_000)])).0;
    assert!(matches!(said, Err(Refusal::Invalid { ref what, .. }) if what == "lags_us"), "{said:?}");
    world.say(actor, coordinates(vec![(there, 300_000)])).0.unwrap();
    assert_eq!(world.state().lag(near, there), Some(300_000));
}
