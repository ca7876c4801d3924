//! Accusations, replacements, pauses and pilots through real entries.

use peermark_core::sealed::Bytes;
use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::hosting::{Amendment, AmendmentKind, ChallengeStatus, ContractStatus, StorageChallenge};
use peermark_ledger::item::{Contract, User};
use peermark_ledger::outcome::Event;
use peermark_ledger::transaction::hosting::{Check, Found};
use peermark_ledger::transaction::{Pause, Transaction};

use crate::driver::{Wish, World};

fn policy() -> Policy {
    Policy { committee: 200, challenge_pause_blocks: 5, ..Policy::default() }
}

fn world() -> World {
    World::new(14, policy())
}

fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e [Id]> {
    events.iter().filter(|event| event.name == name).map(|event| event.ids.as_slice()).collect()
}

/// A hosted contract, and the first challenge.
fn challenged(world: &mut World) -> (Id, Id) {
    let (contract, _) = world.hosted_contract(Wish::default());
    (contract, world.until("storageChallenge", 10)[0])
}

/// An accused hoster is asked for the same chunks by somebody of another operator; who accused it wrongly loses a grade, and who is
/// accused by two is paused and replaced.
#[test]
fn an_accusation_is_checked_by_others_with_the_same_chunks() {
    for proves in [true, false] {
        let mut world = world();
        let (contract, challenge) = challenged(&mut world);
        let first: StorageChallenge = world.item(challenge);
        let before = world.reputation(first.attester);
        let (result, events) = world.report_storage(challenge, Found::NoContact {});
        result.unwrap();
        assert_eq!(named(&events, "hosterAccused"), [[challenge, first.hoster]]);
        let first: StorageChallenge = world.item(challenge);
        let next = world.storage_challenge_of(first.hoster, 20);
        let second: StorageChallenge = world.item(next);
        assert!(first.checks.values().all(Option::is_some));
        assert_eq!(second.checks, first.checks);
        assert_ne!(second.attester, first.attester);
        if proves {
            let found = world.answered(next, world.proofs(next));
            let (result, events) = world.report_storage(next, found);
            result.unwrap();
            assert_eq!(named(&events, "accusationRefuted"), [[first.hoster, first.attester]]);
            assert_eq!(world.reputation(first.attester), before - 1);
            assert!(!world.is_paused(first.hoster));
        } else {
            world.report_storage(next, Found::Unsigned {}).0.unwrap();
            assert!(world.is_paused(first.hoster));
            assert!(!world.item::<Contract>(contract).active_hosters.contains(&first.hoster));
        }
        assert!(world.state().accused(first.hoster).is_none());
    }
}

/// §2.5: the place of a failed hoster goes to another with a new encoder; the others help and keep what they have.
#[test]
fn a_failed_hoster_is_replaced() {
    let mut world = World::new(14, Policy { accusers: 1, ..policy() });
    let (contract, challenge) = challenged(&mut world);
    let hoster = world.item::<StorageChallenge>(challenge).hoster;
    let before: Contract = world.item(contract);
    let (result, events) = world.report_storage(challenge, Found::NoContact {});
    result.unwrap();
    assert_eq!(named(&events, "dropHosting"), [[before.amendments[0], hoster]]);
    let replacement = world.until("hosterReplacement", 2)[0];
    let item: Amendment = world.item(replacement);
    let place = before.active_hosters.iter().position(|active| *active == hoster).unwrap();
    assert_eq!((item.kind, item.positions.clone()), (AmendmentKind::HosterReplacement, vec![place as u32]));
    assert_eq!(item.reference, Some(before.amendments[0]));
    assert_ne!(item.providers.hosters[place], hoster);
    let old: Amendment = world.item(before.amendments[0]);
    for other in (0..3).filter(|other| *other != place) {
        assert_eq!(item.providers.hosters[other], old.providers.hosters[other]);
        assert_eq!(item.providers.encoders[other], old.providers.encoders[other]);
    }
    assert!(!old.providers.encoders.contains(&item.providers.encoders[place]));
    let places = world.all_hosted(replacement);
    let (result, events) = world.report_setup(replacement, places);
    result.unwrap();
    assert_eq!(named(&events, "hostingStarted"), [[replacement]]);
    let after: Contract = world.item(contract);
    assert_eq!((after.active_hosters.len(), after.status), (3, ContractStatus::Active));
    // The new one is challenged with its own encoding.
    let next = world.storage_challenge_of(item.providers.hosters[place], 20);
    let found = world.answered(next, world.proofs(next));
    world.report_storage(next, found).0.unwrap();
    assert_eq!(world.item::<StorageChallenge>(next).status, ChallengeStatus::Settled);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// §2.5: never without a source. The last hoster that has the data keeps its place, although it failed, until another one has it.
#[test]
fn the_last_source_stays_until_another_has_the_data() {
    let mut world = World::new(14, Policy { accusers: 1, not_back_blocks: 1000, forced_pause_blocks: 30, ..policy() });
    let (contract, _) = world.hosted_contract(Wish::default());
    let mut failed = Vec::new();
    let mut lost = None;
    for _ in 0..60 {
        let (_, events) = world.block();
        for challenge in named(&events, "storageChallenge") {
            let challenge = challenge[0];
            let hoster = world.item::<StorageChallenge>(challenge).hoster;
            let original = world.item::<Contract>(contract).amendments[0];
            if world.item::<Amendment>(original).providers.hosters.contains(&hoster) && !failed.contains(&hoster) {
                let (_, events) = world.report_storage(challenge, Found::NoContact {});
                failed.push(hoster);
                lost = lost.or(named(&events, "sourceLost").first().map(|ids| ids[1]));
            }
        }
        if lost.is_some() {
            break;
        }
    }
    let lost = lost.unwrap();
    assert_eq!(failed.len(), 3, "no replacement was reported");
    assert_eq!(world.item::<Contract>(contract).active_hosters, [lost]);
    // Nothing begins while it is away: a replacement without a source would replace nothing.
    while world.is_paused(lost) {
        let (_, events) = world.block();
        if world.is_paused(lost) {
            assert_eq!(named(&events, "hosterReplacement").len(), 0);
        }
    }
    let replacement = world.item::<Contract>(contract).amendments.last().copied().unwrap();
    assert_eq!(world.item::<Amendment>(replacement).positions.len(), 2);
    let places = world.all_hosted(replacement);
    let (result, events) = world.report_setup(replacement, places);
    result.unwrap();
    assert_eq!(named(&events, "dropHosting").last().unwrap()[1], lost);
    let last = world.until("hosterReplacement", 2)[0];
    let places = world.all_hosted(last);
    world.report_setup(last, places).0.unwrap();
    assert_eq!(world.item::<Contract>(contract).active_hosters.len(), 3);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// §2.6: who stops for good is replaced everywhere without a penalty; who pauses is not challenged and goes on afterwards.
#[test]
fn stopping_hands_over_and_pausing_does_not() {
    let mut world = world();
    let (contract, _) = world.hosted_contract(Wish::default());
    let hosters = world.item::<Contract>(contract).active_hosters;
    let (stops, pauses) = (world.actor(hosters[0]), world.actor(hosters[1]));
    let until = world.height() + 40;
    world.say(pauses, Transaction::Pause(Pause { until: Some(until) })).0.unwrap();
    let before = world.reputation(hosters[0]);
    let (result, events) = world.say(stops, Transaction::Pause(Pause { until: None }));
    result.unwrap();
    assert_eq!(named(&events, "dropHosting").len(), 1);
    assert_eq!(world.reputation(hosters[0]), before);
    world.until("hosterReplacement", 2);
    let mut challenged = Vec::new();
    while world.height() < until + 12 {
        for challenge in named(&world.live(1), "storageChallenge") {
            challenged.push((world.height(), world.item::<StorageChallenge>(challenge[0]).hoster));
        }
    }
    let of = |user: Id| challenged.iter().filter(move |(_, hoster)| *hoster == user);
    assert_eq!(of(hosters[0]).count(), 0);
    assert!(of(hosters[1]).all(|(height, _)| *height > until) && of(hosters[1]).count() > 0);
    assert!(of(hosters[2]).count() > 2);
}

/// §2.6: a hoster that failed and is not back in time is replaced; who comes back in time keeps what it has.
#[test]
fn who_is_not_back_in_time_is_replaced() {
    for back in [true, false] {
        let mut world = world();
        let (contract, _) = world.hosted_contract(Wish::default());
        let hosters = world.item::<Contract>(contract).active_hosters;
        // As an attester it misses a challenge, so it is paused although nothing is said about its hosting.
        let challenge = loop {
            let next = world.until("storageChallenge", 20)[0];
            if hosters.contains(&world.item::<StorageChallenge>(next).attester) {
                break next;
            }
        };
        let late = world.item::<StorageChallenge>(challenge).attester;
        while !world.is_paused(late) {
            world.block();
        }
        if back {
            let actor = world.actor(late);
            world.say(actor, Transaction::Unpause {}).0.unwrap();
        }
        for _ in 0..world.state().policy().not_back_blocks + 1 {
            world.block();
        }
        assert_eq!(world.item::<Contract>(contract).active_hosters.contains(&late), back);
        assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    }
}

/// S31-S33: one contract is tried first; while no hoster proved a chunk a proof that does not lead to the signed root blames nobody and
/// at last an attester is asked for a corrected root; with the first proof all other contracts begin.
#[test]
fn s32_s33_one_contract_is_the_pilot_of_its_feed() {
    let mut world = World::new(20, Policy { setup_failures: 2, ..policy() });
    let contracts = world.publish(Wish { ranges: vec![(0, 29)], ..Wish::default() });
    assert_eq!(contracts.len(), 3);
    let pilot = world.until("hostingSetup", 3)[0];
    assert_eq!(world.item::<Amendment>(pilot).contract, contracts[0]);
    let places = world.all_hosted(pilot);
    let (_, events) = world.report_setup(pilot, places);
    assert_eq!(named(&events, "hostingSetup").len(), 0);
    assert_eq!(world.item::<Contract>(contracts[1]).status, ContractStatus::Pending);
    let mut doubts = 0;
    let requested = loop {
        let challenge = world.until("storageChallenge", 20)[0];
        let mut checks = world.proofs(challenge);
        if let Check::Proved { proof, .. } = &mut checks[0] {
            proof.digest = Bytes([3; 32]);
        }
        let hoster = world.item::<StorageChallenge>(challenge).hoster;
        let before = world.reputation(hoster);
        let found = world.answered(challenge, checks);
        let (result, events) = world.report_storage(challenge, found);
        result.unwrap();
        assert_eq!((world.reputation(hoster), world.is_paused(hoster)), (before, false));
        doubts += 1;
        if let Some(ids) = named(&events, "rootRequested").first() {
            break ids[1];
        }
    };
    assert_eq!(doubts, 2);
    let feed = world.item::<Contract>(contracts[0]).feed;
    assert_eq!(world.state().root_doubt_of(feed).unwrap().attester, Some(requested));
    assert!(world.item::<User>(requested).roles.contains(&peermark_ledger::item::user::Role::Attester));
    let challenge = world.until("storageChallenge", 20)[0];
    let found = world.answered(challenge, world.proofs(challenge));
    world.report_storage(challenge, found).0.unwrap();
    assert!(world.state().pilot_of(feed).unwrap().proven);
    let (_, events) = world.block();
    let begun: Vec<Id> = named(&events, "hostingSetup").iter().map(|ids| ids[0]).collect();
    let of: Vec<Id> = begun.iter().map(|amendment| world.item::<Amendment>(*amendment).contract).collect();
    assert_eq!(of, contracts[1..]);
}
