//! Performance challenges and raw benchmarks through real entries.

use peermark_core::sealed::Bytes;
use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::hosting::{ChallengeStatus, PerformanceChallenge, RawReason};
use peermark_ledger::item::record::{Body, Record};
use peermark_ledger::item::{Contract, Plan};
use peermark_ledger::outcome::{Event, Refusal};
use peermark_ledger::state::work::{Cycle, Subject};
use peermark_ledger::transaction::report::{Measured, SwarmBusyness, WorkingReport};
use peermark_ledger::transaction::{Commit, ReportChange, Reveal, Transaction};

use crate::driver::{Wish, World};
use crate::rounds::{commit, hash, named, performance, reveal, status};

fn policy() -> Policy {
    Policy { committee: 5, ..Policy::default() }
}

/// Lives until the raw benchmarks of the registrations are over: nobody answers them, so they are only cleared out of the way.
fn world(workers: usize) -> World {
    let mut world = World::new(workers, Policy { forced_pause_blocks: 1, not_back_blocks: 1000, ..policy() });
    world.answer_raw(80);
    world
}

pub(crate) fn working(world: &World, challenge: Id, latency_ms: u64, ok: impl Fn(Id) -> u64) -> Measured {
    let item: PerformanceChallenge = world.item(challenge);
    let busyness = SwarmBusyness {
        window_s: 60,
        requests: 27,
        unique_peers: 9,
        per_index: vec![(1, 5), (2, 10)],
        want_ranges: vec![],
    };
    Measured::Working(WorkingReport {
        region: "u33".parse().unwrap(),
        hosting_health: Default::default(),
        swarm_busyness: busyness,
        hoster_performances: item
            .hosters
            .iter()
            .map(|hoster| performance(world, challenge, *hoster, latency_ms, ok(*hoster)))
            .collect(),
        raw_root: Bytes([8; 32]),
    })
}

pub(crate) fn wait(world: &mut World, challenge: Id, until: ChallengeStatus) -> Vec<Event> {
    let mut all = Vec::new();
    for _ in 0..40 {
        if status(world, challenge) == until {
            return all;
        }
        all.extend(world.live(1));
    }
    panic!("it is {:?}", status(world, challenge));
}

fn begun(world: &mut World) -> (Id, Id) {
    begun_with(world, Wish::default())
}

/// A hosted contract and its first performance challenge.
pub(crate) fn begun_with(world: &mut World, wish: Wish) -> (Id, Id) {
    let (contract, _) = world.hosted_contract(wish);
    for _ in 0..20 {
        if let Some(ids) = named(&world.live(1), "performanceChallenge").first() {
            return (contract, ids[0]);
        }
    }
    panic!("no performance challenge");
}

/// S14, §6: drawn, committed, revealed, settled; every valid reveal is paid and kept for the evaluation; the next round is planned.
#[test]
fn s14_a_round_is_committed_revealed_and_settled() {
    let mut world = world(16);
    let (contract, challenge) = begun(&mut world);
    let item: PerformanceChallenge = world.item(challenge);
    let hosting: Contract = world.item(contract);
    let mut hosters = hosting.active_hosters.clone();
    hosters.sort_unstable();
    assert_eq!((item.hosters.clone(), item.attester_ids.len(), item.feed), (hosters.clone(), 5, Some(hosting.feed)));
    assert!(item.attester_ids.iter().all(|attester| !hosters.contains(attester)));
    let report = working(&world, challenge, 40, |_| 20);
    let committee = world.committee(challenge);
    for actor in &committee {
        commit(&mut world, challenge, *actor, &report);
    }
    world.block_ok();
    // S37: not before all had the time to commit.
    reveal(&mut world, challenge, committee[0], report.clone());
    assert!(matches!(world.block().0[0], Err(Refusal::NotNow { .. })));
    wait(&mut world, challenge, ChallengeStatus::Committed);
    let before: Vec<_> = item.attester_ids.iter().map(|id| (world.money(*id), world.reputation(*id))).collect();
    for actor in &committee {
        reveal(&mut world, challenge, *actor, report.clone());
    }
    world.block_ok();
    let events = wait(&mut world, challenge, ChallengeStatus::Settled);
    assert_eq!(named(&events, "performanceChallengeConfirmed"), [[challenge]]);
    let pay = world.state().policy().pay.performance;
    for (id, (money, reputation)) in item.attester_ids.iter().zip(before) {
        assert!(world.money(*id) >= money + pay && world.reputation(*id) > reputation);
    }
    let of_round = world.state().observations().filter(|(key, _)| key.challenge == challenge).count();
    assert_eq!(of_round, 15);
    let (key, row) = world.state().observations().find(|(key, _)| key.challenge == challenge).unwrap();
    assert!(hosters.contains(&key.hoster) && row.latency.len() == 20 && row.busyness_per_min == 27);
    let Body::Working(short) = world.item::<Record>(row.record).body else { panic!("another record") };
    assert_eq!((short.challenge, short.requests), (challenge, 27));
    assert!(matches!(world.state().cycle_of(Subject::Performance(hosting.feed)), Some(Cycle::Planned(_))));
    assert_eq!(world.item::<Plan>(hosting.plan).traffic_bytes, 15 * 20 * 64);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// §6, §2.8: a missed deadline costs that attester alone, and below two thirds nothing follows from the round.
#[test]
fn missing_attesters_fail_and_too_few_say_nothing() {
    for (commits, reveals, end) in [
        (5, 4, ChallengeStatus::Settled),
        (4, 4, ChallengeStatus::Settled),
        (3, 3, ChallengeStatus::TooSmall),
        (5, 3, ChallengeStatus::TooSmall),
    ] {
        let mut world = world(16);
        let (_, challenge) = begun(&mut world);
        let report = working(&world, challenge, 40, |_| 0);
        let item: PerformanceChallenge = world.item(challenge);
        let committee = world.committee(challenge);
        let before: Vec<i64> = item.attester_ids.iter().map(|id| world.reputation(*id)).collect();
        for actor in &committee[..commits] {
            commit(&mut world, challenge, *actor, &report);
        }
        world.block_ok();
        let mut events = Vec::new();
        while status(&world, challenge) == ChallengeStatus::Assigned {
            events.extend(world.live(1));
        }
        if status(&world, challenge) == ChallengeStatus::Committed {
            for actor in &committee[..reveals] {
                reveal(&mut world, challenge, *actor, report.clone());
            }
            events.extend(wait(&mut world, challenge, end));
        }
        assert_eq!(status(&world, challenge), end, "{commits} {reveals}");
        let failed: Vec<Id> =
            named(&events, "attesterFailed").iter().filter(|ids| ids[0] == challenge).map(|ids| ids[1]).collect();
        let good = if commits < 4 { commits } else { reveals };
        assert_eq!(failed, item.attester_ids[good..].to_vec(), "{commits} {reveals}");
        assert!(
            item.attester_ids[good..].iter().zip(&before[good..]).all(|(id, before)| world.reputation(*id) < *before)
        );
        // Nobody could be reached: where the round counts, hosters pause; where it does not, nothing is said about them.
        let paused = named(&events, "performanceChallengeFailed").len();
        assert_eq!(paused, if end == ChallengeStatus::Settled { 3 } else { 0 });
        let kept = world.state().observations().filter(|(key, _)| key.challenge == challenge).count();
        assert_eq!(kept, if end == ChallengeStatus::Settled { 3 * good } else { 0 });
        assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    }
}

/// §2.8, design "Never": what one attester, or half of them, could not reach counts against nobody.
#[test]
fn a_hoster_pauses_only_where_more_than_half_could_not_reach_it() {
    for (cannot, paused) in [(1, false), (2, false), (3, true)] {
        let mut world = world(16);
        let (_, challenge) = begun(&mut world);
        let victim = world.item::<PerformanceChallenge>(challenge).hosters[1];
        let committee = world.committee(challenge);
        let report = |world: &World, place: usize| {
            working(world, challenge, 40, |hoster| if hoster == victim && place < cannot { 0 } else { 20 })
        };
        for (place, actor) in committee.iter().enumerate() {
            let report = report(&world, place);
            commit(&mut world, challenge, *actor, &report);
        }
        world.block_ok();
        wait(&mut world, challenge, ChallengeStatus::Committed);
        for (place, actor) in committee.iter().enumerate() {
            let report = report(&world, place);
            reveal(&mut world, challenge, *actor, report);
        }
        world.block_ok();
        let events = wait(&mut world, challenge, ChallengeStatus::Settled);
        let failed = named(&events, "performanceChallengeFailed");
        assert_eq!(failed.iter().any(|ids| ids[1] == victim), paused, "{cannot}");
        assert!(failed.iter().all(|ids| ids[1] == victim));
    }
}

/// R61, §6: what does not hold is refused with its reason and counts as not revealed; a copied commitment cannot be revealed.
#[test]
fn r61_what_does_not_hold_is_not_revealed() {
    let mut world = world(16);
    let (_, challenge) = begun(&mut world);
    let committee = world.committee(challenge);
    let good = working(&world, challenge, 40, |_| 20);
    let wrong = |change: &dyn Fn(&mut WorkingReport)| {
        let Measured::Working(mut report) = good.clone() else { panic!("another class") };
        change(&mut report);
        Measured::Working(report)
    };
    let cases = [
        wrong(&|report| report.region = "ezs".parse().unwrap()),
        wrong(&|report| report.hoster_performances[0].contact = None),
        wrong(&|report| report.hoster_performances.truncate(2)),
        wrong(&|report| report.swarm_busyness.requests = 1),
    ];
    for (actor, report) in committee.iter().zip(&cases) {
        commit(&mut world, challenge, *actor, report);
    }
    // The last one copies the commitment of the first.
    let copied = hash(&world, challenge, committee[0], World::digest(committee[0] as u8), &cases[0]);
    world.submit(committee[4], Transaction::CommitPerformance(Commit { challenge, hash: copied }));
    world.block_ok();
    wait(&mut world, challenge, ChallengeStatus::Committed);
    let state = world.item::<PerformanceChallenge>(challenge);
    for (actor, report) in committee.iter().zip(cases.clone()) {
        reveal(&mut world, challenge, *actor, report);
    }
    let salt = World::digest(committee[0] as u8);
    let copy = Transaction::RevealPerformance(Reveal { challenge, salt, report: cases[0].clone() });
    world.submit(committee[4], copy);
    for result in world.block().0 {
        assert!(matches!(result, Err(Refusal::Invalid { .. })), "{result:?}");
    }
    assert_eq!(world.item::<PerformanceChallenge>(challenge).reveals, state.reveals);
    wait(&mut world, challenge, ChallengeStatus::TooSmall);
}

/// R15, R16, R18, R21: who registers is measured while idle by a committee; a change that it reports makes it measured again, and every
/// result is kept.
#[test]
fn r15_r16_r18_r21_a_user_is_measured_while_idle() {
    let policy = Policy { forced_pause_blocks: 1, raw_pause_blocks: 1, ..policy() };
    let mut world = World::new(12, policy);
    world.answer_raw(80);
    let user = world.actors[5].id;
    let first = world.state().baseline_of(user).unwrap();
    let Body::RawBenchmark(raw) = world.item::<Record>(first).body else { panic!("another record") };
    assert_eq!((raw.reason, raw.attesters.len()), (RawReason::Registration, 5));
    assert!(!raw.attesters.contains(&user));
    let latency = raw.latency_us.unwrap();
    assert!((30_000..=40_000).contains(&latency.p50) && latency.n == 5 * 20, "{latency:?}");
    let note = "a new disk".to_owned();
    let change = Transaction::ReportChange(ReportChange { reason: RawReason::Hardware, note: note.clone() });
    world.say(5, change).0.unwrap();
    world.answer_raw(20);
    let second = world.state().baseline_of(user).unwrap();
    assert_ne!(first, second);
    let Body::RawBenchmark(again) = world.item::<Record>(second).body else { panic!("another record") };
    assert_eq!(again.reason, RawReason::Hardware);
    assert_ne!(again.blob_seed, raw.blob_seed);
    assert!(matches!(world.item::<Record>(first).body, Body::RawBenchmark(_)));
    let own = Transaction::ReportChange(ReportChange { reason: RawReason::Registration, note });
    assert!(matches!(world.say(5, own).0, Err(Refusal::Invalid { .. })));
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}
