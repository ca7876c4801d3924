//! Storage challenges, blame, pauses and replacements through real entries.

use peermark_core::sealed::Bytes;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::Contract;
use peermark_ledger::item::hosting::{ChallengeStatus, StorageChallenge};
use peermark_ledger::outcome::{Event, Refusal};
use peermark_ledger::state::work::{Cycle, Subject};
use peermark_ledger::statement;
use peermark_ledger::transaction::hosting::{Check, Found};
use peermark_ledger::transaction::{StorageReport, Transaction};
use peermark_ledger::{Digest, Id};

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

/// §2.7, S15: a chunk of each contract, proved: the hoster is graded by proofs, the attester paid, the next challenge planned.
#[test]
fn a_proved_challenge_grades_the_hoster_and_pays_the_attester() {
    let mut world = world();
    let (contract, challenge) = challenged(&mut world);
    let item: StorageChallenge = world.item(challenge);
    assert_eq!(item.checks.keys().copied().collect::<Vec<_>>(), [contract]);
    assert!(item.checks.values().all(Option::is_none));
    assert!(!world.item::<Contract>(contract).active_hosters.contains(&item.attester));
    let (before, money) = (world.reputation(item.hoster), world.money(item.attester));
    assert_eq!(world.state().cycle_of(Subject::Storage(item.hoster)), Some(Cycle::Live(challenge)));
    let found = world.answered(challenge, world.proofs(challenge));
    let (result, events) = world.report_storage(challenge, found);
    result.unwrap();
    assert_eq!(named(&events, "storageChallengeConfirmed"), [[challenge, item.hoster]]);
    assert_eq!(world.item::<StorageChallenge>(challenge).status, ChallengeStatus::Settled);
    assert_eq!(world.reputation(item.hoster), before + 1);
    assert_eq!(world.money(item.attester), money + world.state().policy().pay.storage);
    assert!(matches!(world.state().cycle_of(Subject::Storage(item.hoster)), Some(Cycle::Planned(_))));
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    // S27: the proof told the chunk's size.
    let asked = world.item::<StorageChallenge>(challenge).checks[&contract].unwrap();
    let (feed, chunk) = (world.item::<Contract>(contract).feed, asked);
    assert!(chunk < 10);
    assert_eq!(world.state().range_bytes(feed, chunk, chunk), Some(64));
}

/// Who is what after a challenge: (change of reputation, paused), of attester and hoster; where the challenge is; whether the hoster
/// still has the contract.
type Row = ((i64, bool), (i64, bool), ChallengeStatus, bool);

/// Runs one row of the matrix of §2.7 and holds what became of everybody against it.
fn check(name: &str, accusers: u32, row: Row, run: impl Fn(&mut World, Id)) {
    let mut world = World::new(14, Policy { accusers, ..policy() });
    let (contract, challenge) = challenged(&mut world);
    // The feed is proven before, so that no root is in doubt.
    let found = world.answered(challenge, world.proofs(challenge));
    world.report_storage(challenge, found).0.unwrap();
    let hosters = world.item::<Contract>(contract).active_hosters;
    let next = world.until("storageChallenge", 20)[0];
    let StorageChallenge { attester, hoster, .. } = world.item(next);
    let before = [world.reputation(attester), world.reputation(hoster)];
    run(&mut world, next);
    let change = |user, before| (world.reputation(user) - before, world.is_paused(user));
    let status = world.item::<StorageChallenge>(next).status;
    let has = world.item::<Contract>(contract).active_hosters.contains(&hoster);
    assert_eq!((change(attester, before[0]), change(hoster, before[1]), status, has), row, "{name}");
    assert_eq!(hosters.len(), 3);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new(), "{name}");
}

const FINE: (i64, bool) = (1, false);
const UNKNOWN: (i64, bool) = (0, false);
const FAILED: (i64, bool) = (-1, true);

fn report(world: &mut World, at: Id, found: Found) {
    world.report_storage(at, found).0.unwrap();
}

/// §2.7: what an attester alone says, under the rule of the seed and under ours.
#[test]
fn the_matrix_of_a_storage_challenge_without_the_hosters_signature() {
    check("proved", 1, (FINE, FINE, ChallengeStatus::Settled, true), |world, at| {
        let found = world.answered(at, world.proofs(at));
        report(world, at, found);
    });
    check("no contact", 1, (UNKNOWN, FAILED, ChallengeStatus::Failed, false), |world, at| {
        report(world, at, Found::NoContact {});
    });
    check("reached, nothing signed", 1, (UNKNOWN, FAILED, ChallengeStatus::Failed, false), |world, at| {
        report(world, at, Found::Unsigned {});
    });
    // One attester alone moves nothing where two must say the same.
    check("no contact, of two", 2, (UNKNOWN, UNKNOWN, ChallengeStatus::Unconfirmed, true), |world, at| {
        report(world, at, Found::NoContact {});
    });
    check("no data, signed", 2, (FINE, FAILED, ChallengeStatus::Failed, false), |world, at| {
        let found = world.answered(at, vec![Check::NoData {}]);
        report(world, at, found);
    });
}

/// §2.7: what a hoster signed and does not hold is its fault at once.
#[test]
fn the_matrix_of_a_storage_challenge_with_the_hosters_signature() {
    check("a bad proof, signed by the hoster", 2, (FINE, FAILED, ChallengeStatus::Failed, false), |world, at| {
        let mut checks = world.proofs(at);
        if let Check::Proved { proof, .. } = &mut checks[0] {
            proof.bytes += 1;
        }
        let found = world.answered(at, checks);
        report(world, at, found);
    });
    check("another encoding than was set up", 2, (FINE, FAILED, ChallengeStatus::Failed, false), |world, at| {
        let mut checks = world.proofs(at);
        if let Check::Proved { encoded, .. } = &mut checks[0] {
            encoded[0].digest = Bytes([1; 32]);
        }
        let found = world.answered(at, checks);
        report(world, at, found);
    });
    check("a version that does not exist", 2, (FINE, FAILED, ChallengeStatus::Failed, false), |world, at| {
        let mut checks = world.proofs(at);
        if let Check::Proved { length, .. } = &mut checks[0] {
            *length += 1;
        }
        let found = world.answered(at, checks);
        report(world, at, found);
    });
}

/// §2.7: what does not hold of an attester's report is the attester's fault alone.
#[test]
fn the_matrix_of_a_storage_challenge_that_its_attester_fails() {
    let fault = ChallengeStatus::AttesterFault;
    check("a signature of nobody", 2, (FAILED, UNKNOWN, fault, true), |world, at| {
        let checks = world.proofs(at);
        report(world, at, Found::Answered { checks, contact: Bytes([9; 64]) });
    });
    check("a proof that the attester changed", 2, (FAILED, UNKNOWN, fault, true), |world, at| {
        let Found::Answered { mut checks, contact } = world.answered(at, world.proofs(at)) else { return };
        checks[0] = Check::NoData {};
        report(world, at, Found::Answered { checks, contact });
    });
    check("fewer checks than were asked for", 2, (FAILED, UNKNOWN, fault, true), |world, at| {
        let found = world.answered(at, vec![]);
        report(world, at, found);
    });
    check("no report", 2, (FAILED, UNKNOWN, ChallengeStatus::TimedOut, true), |world, at| {
        while world.item::<StorageChallenge>(at).status == ChallengeStatus::Assigned {
            world.block();
        }
    });
}

#[test]
fn reports_of_others_and_second_ones_are_refused() {
    let mut world = world();
    let (_, challenge) = challenged(&mut world);
    let hoster = world.actor(world.item::<StorageChallenge>(challenge).hoster);
    let report = StorageReport { challenge, draw: world.drawn(challenge), found: Found::NoContact {} };
    let other = world.say(hoster, Transaction::SubmitStorageChallenge(report)).0;
    assert!(matches!(other, Err(Refusal::NotAllowed { .. })), "{other:?}");
    let found = world.answered(challenge, world.proofs(challenge));
    world.report_storage(challenge, found.clone()).0.unwrap();
    let again = world.report_storage(challenge, found).0;
    assert!(matches!(again, Err(Refusal::NotNow { .. })), "{again:?}");
}

/// A challenge says whom it asks, not for what: a hoster that keeps one chunk of ten and fetches what it is asked for cannot know it before
/// the attester shows its draw, which nobody else can make, and which it cannot exchange after the hoster answered.
#[test]
fn nobody_knows_the_chunk_before_the_attester_asks() {
    let mut world = world();
    let (_, challenge) = challenged(&mut world);
    let item: StorageChallenge = world.item(challenge);
    assert!(item.checks.values().all(Option::is_none), "{item:?}");
    let attester = world.actor(item.attester);
    let said = |seed: Digest| statement::storage_draw(world.machine.network(), challenge, &seed);
    let sign = |actor: usize, seed| Bytes(world.actors[actor].key.sign(said(seed).as_bytes()));
    let hoster = world.actor(item.hoster);
    let wrong = [sign(hoster, item.seed), sign(attester, World::digest(1)), Bytes([7; 64])];
    let answer = world.answered(challenge, world.proofs(challenge));
    for draw in wrong {
        assert!(world.state().drawn_chunks(challenge, &draw).is_err());
        let report = StorageReport { challenge, draw, found: answer.clone() };
        let refused = world.say(attester, Transaction::SubmitStorageChallenge(report)).0;
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    }
    world.report_storage(challenge, answer).0.unwrap();
    assert_eq!(world.item::<StorageChallenge>(challenge).status, ChallengeStatus::Settled);
    // Over many challenges every chunk is asked for.
    let mut asked = std::collections::BTreeSet::new();
    for _ in 0..160 {
        for event in world.live(1).iter().filter(|event| event.name == "storageChallengeConfirmed") {
            asked.extend(world.item::<StorageChallenge>(event.ids[0]).checks.into_values().flatten());
        }
    }
    assert_eq!(asked.len(), 10, "{asked:?}");
}

/// S7: never more than one live challenge of a subject.
#[test]
fn a_hoster_has_one_live_challenge_at_a_time() {
    let mut world = world();
    world.hosted_contract(Wish::default());
    let mut live: std::collections::BTreeMap<Id, Id> = Default::default();
    for _ in 0..60 {
        let (_, events) = world.block();
        for challenge in named(&events, "storageChallenge") {
            let hoster = world.item::<StorageChallenge>(challenge[0]).hoster;
            if let Some(before) = live.insert(hoster, challenge[0]) {
                assert_ne!(world.item::<StorageChallenge>(before).status, ChallengeStatus::Assigned);
            }
        }
    }
    assert_eq!(live.len(), 3);
}
