//! Roots of feeds that may be signed wrongly: who finds out, by when, and what follows.

use peermark_core::sealed::Bytes;
use peermark_ledger::Id;
use peermark_ledger::feed_tree::Tree;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::hosting::{ContractStatus, StorageChallenge};
use peermark_ledger::item::{Contract, Feed};
use peermark_ledger::outcome::{Event, Refusal};
use peermark_ledger::transaction::hosting::{Check, RootFound};
use peermark_ledger::transaction::{RootReport, Transaction};

use crate::driver::{Wish, World};

fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e [Id]> {
    events.iter().filter(|event| event.name == name).map(|event| event.ids.as_slice()).collect()
}

/// The pilot of three contracts is hosted, and its feed not proven. Gives the contracts.
fn pilot() -> (World, Vec<Id>) {
    let policy = Policy { committee: 200, setup_failures: 2, ..Policy::default() };
    let mut world = World::new(20, policy);
    let contracts = world.publish(Wish { ranges: vec![(0, 29)], ..Wish::default() });
    let amendment = world.until("hostingSetup", 3)[0];
    let places = world.all_hosted(amendment);
    world.report_setup(amendment, places).0.unwrap();
    (world, contracts)
}

/// A hoster signs a path that leads nowhere. Gives the hoster and what happened.
fn garbage(world: &mut World) -> (Id, Vec<Event>) {
    let challenge = world.until("storageChallenge", 20)[0];
    let mut checks = world.proofs(challenge);
    if let Check::Proved { proof, .. } = &mut checks[0] {
        proof.digest = Bytes([3; 32]);
    }
    let found = world.answered(challenge, checks);
    let (result, events) = world.report_storage(challenge, found);
    result.unwrap();
    (world.item::<StorageChallenge>(challenge).hoster, events)
}

/// Garbage until an attester is asked: the feed and the attester.
fn requested(world: &mut World) -> (Id, Id) {
    for _ in 0..5 {
        let (_, events) = garbage(world);
        if let Some(ids) = named(&events, "rootRequested").first() {
            return (ids[0], ids[1]);
        }
    }
    panic!("nobody was asked");
}

fn say(world: &mut World, attester: Id, feed: Id, found: RootFound) -> (Result<Vec<Id>, Refusal>, Vec<Event>) {
    let actor = world.actor(attester);
    world.say(actor, Transaction::SubmitRoot(RootReport { feed, found }))
}

fn path(world: &World, feed: Id) -> RootFound {
    let doubt = world.state().root_doubt_of(feed).unwrap();
    RootFound::Proved { corrected: None, proof: world.tree.proof(doubt.chunk, doubt.length).unwrap() }
}

/// Hosters that give nothing but garbage were in doubt for ever. Now somebody shows that the root is right, is paid for it, and the same
/// garbage is their failure.
#[test]
fn s32_garbage_is_a_failure_once_the_root_is_confirmed() {
    let (mut world, contracts) = pilot();
    let (feed, attester) = requested(&mut world);
    // Nobody else may say it, and nothing that leads nowhere.
    let right = path(&world, feed);
    let other = world.item::<Contract>(contracts[0]).active_hosters[0];
    assert!(matches!(say(&mut world, other, feed, right.clone()).0, Err(Refusal::NotAllowed { .. })));
    let RootFound::Proved { proof, .. } = &right else { unreachable!() };
    let mut wrong = proof.clone();
    wrong.digest = Bytes([3; 32]);
    let refused = say(&mut world, attester, feed, RootFound::Proved { corrected: None, proof: wrong }).0;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    let (money, reputation) = (world.money(attester), world.reputation(attester));
    let (result, events) = say(&mut world, attester, feed, right);
    result.unwrap();
    assert_eq!(named(&events, "rootConfirmed"), [[feed, attester]]);
    assert_eq!(world.money(attester), money + world.state().policy().pay.storage);
    assert_eq!(world.reputation(attester), reputation + 1);
    assert!(world.state().root_doubt_of(feed).is_none());
    let (hoster, events) = garbage(&mut world);
    assert_eq!(named(&events, "storageChallengeFailed").len(), 1);
    assert!(world.is_paused(hoster) && !world.item::<Contract>(contracts[0]).active_hosters.contains(&hoster));
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// S31: the root was signed wrongly: the attester brings the corrected one with a path to it, and the hosters are fine.
#[test]
fn s31_an_attester_brings_the_corrected_root() {
    let policy = Policy { committee: 200, setup_failures: 2, ..Policy::default() };
    let mut world = World::new(20, policy);
    let right = std::mem::replace(&mut world.tree, Tree::of_chunks((0..64_u8).map(|chunk| vec![chunk ^ 1; 64])));
    let contracts = world.publish(Wish { ranges: vec![(0, 29)], ..Wish::default() });
    world.tree = right;
    let amendment = world.until("hostingSetup", 3)[0];
    let places = world.all_hosted(amendment);
    world.report_setup(amendment, places).0.unwrap();
    let attester = loop {
        let challenge = world.until("storageChallenge", 20)[0];
        let found = world.answered(challenge, world.proofs(challenge));
        if let Some(ids) = named(&world.report_storage(challenge, found).1, "rootRequested").first() {
            break ids[1];
        }
    };
    let feed = world.item::<Contract>(contracts[0]).feed;
    let RootFound::Proved { proof, .. } = path(&world, feed) else { unreachable!() };
    let proved = |corrected| RootFound::Proved { corrected, proof: proof.clone() };
    let refused = say(&mut world, attester, feed, proved(None)).0;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    let other = Some(Box::new(world.version(60)));
    let refused = say(&mut world, attester, feed, proved(other)).0;
    assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    let corrected = Some(Box::new(world.version(64)));
    let (result, events) = say(&mut world, attester, feed, proved(corrected));
    result.unwrap();
    assert_eq!((named(&events, "feedCorrected").len(), named(&events, "rootConfirmed").len()), (1, 1));
    let challenge = world.until("storageChallenge", 20)[0];
    let found = world.answered(challenge, world.proofs(challenge));
    let (_, events) = world.report_storage(challenge, found);
    assert_eq!(named(&events, "storageChallengeConfirmed").len(), 1);
    assert!(world.state().pilot_of(feed).unwrap().proven);
}

/// Where nobody has a path there is nothing to host: the contract ends, its publisher loses a grade, and the next one is tried.
#[test]
fn s32_a_root_that_nobody_can_show_ends_the_contract() {
    let (mut world, contracts) = pilot();
    let (feed, first) = requested(&mut world);
    let publisher = world.item::<Feed>(feed).publisher;
    let (before, money) = (world.reputation(publisher), world.money(first));
    let (result, events) = say(&mut world, first, feed, RootFound::Unobtainable {});
    result.unwrap();
    // Another one of another operator is asked; one alone ends nothing, and is not paid for it.
    let second = named(&events, "rootRequested")[0][1];
    assert_ne!(first, second);
    assert_eq!((world.money(first), world.item::<Contract>(contracts[0]).status), (money, ContractStatus::Active));
    let (result, events) = say(&mut world, second, feed, RootFound::Unobtainable {});
    result.unwrap();
    assert_eq!(named(&events, "rootGivenUp"), [[feed, contracts[0]]]);
    assert_eq!(world.item::<Contract>(contracts[0]).status, ContractStatus::Ended);
    assert_eq!(world.reputation(publisher), before - 1);
    let next = world.until("hostingSetup", 3)[0];
    assert_eq!(world.item::<peermark_ledger::item::hosting::Amendment>(next).contract, contracts[1]);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    assert_eq!(world.replayed().state().hash(), world.state().hash());
}

/// Who says nothing until the deadline failed, and another one is asked; a hoster that proves a chunk meanwhile ends the search.
#[test]
fn s32_a_search_for_a_root_has_a_deadline() {
    let (mut world, _) = pilot();
    let (feed, first) = requested(&mut world);
    let mut second = first;
    for _ in 0..world.state().policy().task_blocks + 2 {
        second = named(&world.block().1, "rootRequested").first().map_or(second, |ids| ids[1]);
    }
    assert_ne!(first, second);
    assert!(world.is_paused(first));
    let right = path(&world, feed);
    // Whatever is asked of hosters is proved from now on.
    let events = world.live(4);
    assert!(named(&events, "storageChallengeConfirmed").len() + named(&events, "storageChallenge").len() > 0);
    assert!(world.state().root_doubt_of(feed).is_none());
    assert!(named(&events, "attesterFailed").iter().all(|ids| *ids != [feed, second]));
    assert!(say(&mut world, second, feed, right).0.is_err());
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}
