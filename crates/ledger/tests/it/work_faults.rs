//! Lies, deletions and pauses at bad moments, through real entries: nobody pays for what another did, and nothing stops.

use peermark_core::sealed::Bytes;
use peermark_ledger::Id;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::hosting::{Amendment, ChallengeStatus, PerformanceChallenge, RawReason, StorageChallenge};
use peermark_ledger::item::plan::{PlanStatus, Until};
use peermark_ledger::item::{Contract, Plan};
use peermark_ledger::outcome::{Event, Refusal};
use peermark_ledger::statement;
use peermark_ledger::transaction::hosting::{Found, Place};
use peermark_ledger::transaction::plan::{FeedUpdate, PlanAt, VersionDraft};
use peermark_ledger::transaction::report::Measured;
use peermark_ledger::transaction::{Pause, ReportChange, Transaction};

use crate::driver::{CHUNK_BYTES, Wish, World};
use crate::rounds::{commit, reveal};
use crate::work_performance::{begun_with, wait, working};

fn named<'e>(events: &'e [Event], name: &str) -> Vec<&'e [Id]> {
    events.iter().filter(|event| event.name == name).map(|event| event.ids.as_slice()).collect()
}

/// Storage challenges alone.
fn quiet() -> Policy {
    Policy { committee: 200, ..Policy::default() }
}

/// Performance challenges with time to do something between commits and reveals; everybody is measured already.
fn measured() -> World {
    let (forced_pause_blocks, not_back_blocks) = (1, 1000);
    let policy = Policy { committee: 5, reveal_blocks: 20, forced_pause_blocks, not_back_blocks, ..Policy::default() };
    let mut world = World::new(16, Policy { raw_pause_blocks: 1, ..policy });
    world.answer_raw(200);
    world
}

/// Deletes an account as soon as it holds no task, within some blocks.
fn delete(world: &mut World, actor: usize) {
    for _ in 0..15 {
        if world.state().jobs_of(world.actors[actor].id).next().is_none() {
            world.say(actor, Transaction::DeleteAccount {}).0.unwrap();
            return;
        }
        world.live(1);
    }
    panic!("it still holds tasks: {:?}", world.state().jobs_of(world.actors[actor].id).collect::<Vec<_>>());
}

fn refused(events: &[Event]) -> Vec<&Event> {
    events.iter().filter(|event| event.name.ends_with("Refused")).collect()
}

/// Who deletes its account while it is measured takes nothing with it: the committee is free and paid its grade.
#[test]
fn a_user_deletes_its_account_while_it_is_measured() {
    let mut world = measured();
    let change = ReportChange { reason: RawReason::Hardware, note: String::new() };
    world.submit(5, Transaction::ReportChange(change));
    let challenge = world.until("rawBenchmark", 3)[0];
    let item: PerformanceChallenge = world.item(challenge);
    let report = world.raw_report(challenge);
    for actor in world.committee(challenge) {
        commit(&mut world, challenge, actor, &report);
    }
    world.block_ok();
    wait(&mut world, challenge, ChallengeStatus::Committed);
    delete(&mut world, 5);
    for actor in world.committee(challenge) {
        reveal(&mut world, challenge, actor, report.clone());
    }
    world.block_ok();
    let events = wait(&mut world, challenge, ChallengeStatus::Settled);
    assert!(refused(&events).is_empty(), "{events:?}");
    for attester in item.attester_ids {
        assert!(!world.state().jobs_of(attester).any(|(_, task, _)| task == challenge));
    }
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// An attester that failed a round and deleted its account does not keep the plan from ending while the round is under way.
#[test]
fn a_deleted_attester_does_not_keep_a_plan_from_ending() {
    let mut world = measured();
    let (contract, challenge) = begun_with(&mut world, Wish::default());
    let plan = world.item::<Contract>(contract).plan;
    let report = working(&world, challenge, 40, |_| 20);
    let committee = world.committee(challenge);
    for actor in &committee[..4] {
        commit(&mut world, challenge, *actor, &report);
    }
    world.block_ok();
    wait(&mut world, challenge, ChallengeStatus::Committed);
    delete(&mut world, committee[4]);
    assert_eq!(world.item::<PerformanceChallenge>(challenge).status, ChallengeStatus::Committed);
    world.say(0, Transaction::UnpublishPlan(PlanAt { plan })).0.unwrap();
    assert_eq!(world.item::<Plan>(plan).status, PlanStatus::Cancelled);
    assert_eq!(world.item::<PerformanceChallenge>(challenge).status, ChallengeStatus::Cancelled);
    let events = world.live(30);
    assert!(refused(&events).is_empty(), "{events:?}");
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// A hoster that stops and deletes its account between commits and reveals does not make its committee fail: what it signed before
/// still counts.
#[test]
fn a_deleted_hoster_does_not_make_its_committee_fail() {
    let mut world = measured();
    let (_, challenge) = begun_with(&mut world, Wish::default());
    let report = working(&world, challenge, 40, |_| 20);
    let committee = world.committee(challenge);
    for actor in &committee {
        commit(&mut world, challenge, *actor, &report);
    }
    world.block_ok();
    wait(&mut world, challenge, ChallengeStatus::Committed);
    let hoster = world.actor(world.item::<PerformanceChallenge>(challenge).hosters[1]);
    world.say(hoster, Transaction::Pause(Pause { until: None })).0.unwrap();
    delete(&mut world, hoster);
    for actor in &committee {
        reveal(&mut world, challenge, *actor, report.clone());
    }
    let (results, _) = world.block();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let events = wait(&mut world, challenge, ChallengeStatus::Settled);
    assert!(named(&events, "attesterFailed").iter().all(|ids| ids[0] != challenge));
}

/// Who is paused is neither challenged nor paid; what it earned before it has; and nobody pauses below the floor.
#[test]
fn a_paused_hoster_is_not_paid() {
    let mut world = World::new(12, Policy { pay_blocks: 10, ..quiet() });
    let (contract, _) = world.hosted_contract(Wish { price: 84, ..Wish::default() });
    let start = world.height();
    let hosters = world.item::<Contract>(contract).active_hosters;
    let (paused, other) = (world.actor(hosters[0]), hosters[1]);
    let before = world.money(hosters[0]);
    world.live(4);
    let until = world.height() + 35;
    world.say(paused, Transaction::Pause(Pause { until: Some(until) })).0.unwrap();
    // A third of the price, a quarter of it in the lowest tier.
    let earned = world.money(hosters[0]) - before;
    assert_eq!(earned % 10, (world.height() - start) * 7 % 10);
    let (at_pause, of_other) = (world.money(hosters[0]), world.money(other));
    while world.height() < until - 1 {
        world.live(1);
    }
    assert_eq!(world.money(hosters[0]), at_pause);
    assert!(world.money(other) >= of_other + 20 * 7);
    world.live(1);
    assert!(!world.is_paused(hosters[0]));
    let (back, at_end) = (world.height(), world.money(hosters[0]));
    let plan = world.item::<Contract>(contract).plan;
    world.say(0, Transaction::UnpublishPlan(PlanAt { plan })).0.unwrap();
    assert_eq!(world.money(hosters[0]) - at_end, (world.height() - back) * 7);

    let idle = world.actors.len() - 1;
    let pause = |world: &mut World| {
        let until = Some(world.height() + 5);
        let result = world.say(idle, Transaction::Pause(Pause { until })).0;
        world.submit(idle, Transaction::Unpause {});
        world.block();
        result
    };
    let results: Vec<_> = (0..8).map(|_| pause(&mut world)).collect();
    assert!(results[0].is_ok() && matches!(results[7], Err(Refusal::NotAllowed { .. })), "{results:?}");
    assert!(world.reputation(world.actors[idle].id) >= world.state().policy().reputation_floor);
}

/// What became of the entries of a block.
type Outcomes = Vec<Result<Vec<Id>, Refusal>>;

/// One round of a plan with this limit of traffic, in which attesters say that so many bytes came.
fn round(limit: u64, bytes: impl Fn(usize) -> Option<u64>) -> (World, Id, Vec<Event>, Outcomes) {
    let mut world = measured();
    let until = Until { traffic_bytes: Some(limit), ..Until::default() };
    let (contract, challenge) = begun_with(&mut world, Wish { until, ..Wish::default() });
    let committee = world.committee(challenge);
    let report = |world: &World, place: usize| {
        let Measured::Working(mut report) = working(world, challenge, 40, |_| 20) else { panic!("another class") };
        for performance in &mut report.hoster_performances {
            performance.bytes = bytes(place).unwrap_or(performance.bytes);
        }
        Measured::Working(report)
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
    let (results, mut events) = world.block();
    events.extend(wait(&mut world, challenge, ChallengeStatus::Settled));
    events.extend(world.live(2));
    (world, contract, events, results)
}

/// S43: a plan ends when its traffic was served, and one attester's word does not end it.
#[test]
fn s43_traffic_ends_a_plan_and_no_single_attester_does() {
    let served = 3 * 5 * 20 * CHUNK_BYTES;
    let end = |events: &[Event]| events.iter().find(|event| event.name == "end-plan").cloned();
    let (world, contract, events, _) = round(served, |_| None);
    assert_eq!(end(&events).unwrap().detail.as_deref(), Some("traffic"));
    let plan: Plan = world.item(world.item::<Contract>(contract).plan);
    assert_eq!((plan.status, plan.traffic_bytes), (PlanStatus::Ended, served));
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
    // The most that may be said of twenty requests.
    let most = 20 << 20;
    let (world, contract, events, results) = round(served + 1, |place| (place == 0).then_some(most));
    assert!(results.iter().all(Result::is_ok) && end(&events).is_none());
    let plan: Plan = world.item(world.item::<Contract>(contract).plan);
    assert_eq!((plan.status, plan.traffic_bytes), (PlanStatus::Active, served));
    let (.., results) = round(served + 1, |place| (place == 0).then_some(most + 1));
    assert_eq!(results.iter().filter(|result| matches!(result, Err(Refusal::Invalid { .. }))).count(), 1);
}

fn signed(world: &World, mut version: VersionDraft) -> VersionDraft {
    let key = Bytes(world.feed.public().0);
    let said = statement::feed_version(world.machine.network(), &key, &version);
    version.signature = Bytes(world.feed.sign(said.as_bytes()));
    version
}

/// A publisher that replaces a proven root by one of nothing harms nobody.
#[test]
fn a_corrected_root_does_not_take_back_what_was_proven() {
    let mut world = World::new(14, quiet());
    let (contract, _) = world.hosted_contract(Wish::default());
    let Contract { feed, active_hosters, .. } = world.item(contract);
    let first = world.storage_challenge_of(active_hosters[0], 20);
    world.prove(first);
    world.block_ok();
    let version = VersionDraft { root: World::digest(66), ..world.version(world.tree.len()) };
    let version = signed(&world, version);
    world.say(0, Transaction::UpdateFeed(FeedUpdate { feed, version })).0.unwrap();
    let events = world.live(60);
    assert!(named(&events, "storageChallengeConfirmed").len() > 6);
    assert_eq!(named(&events, "storageChallengeFailed"), Vec::<&[Id]>::new());
    assert_eq!(world.item::<Contract>(contract).active_hosters, active_hosters);
}

/// What a publisher says of a version's bytes is no proof against encoders: nobody is blamed for a number that nobody proved.
#[test]
fn a_false_size_of_a_version_blames_no_encoder() {
    let mut world = World::new(12, quiet());
    let contract = world.publish(Wish::default())[0];
    let feed = world.item::<Contract>(contract).feed;
    let amendment = world.until("hostingSetup", 3)[0];
    let version = VersionDraft { bytes: 999, ..world.version(10) };
    let version = signed(&world, version);
    world.say(0, Transaction::UpdateFeed(FeedUpdate { feed, version })).0.unwrap();
    assert_eq!(world.state().range_bytes(feed, 0, 9), Some(999));
    let places = world.all_hosted(amendment);
    let (result, events) = world.report_setup(amendment, places);
    result.unwrap();
    assert_eq!(named(&events, "hostingStarted"), [[amendment]]);
    assert_eq!(named(&events, "encoderFailed"), Vec::<&[Id]>::new());
}

/// Attesters alone do not fail anybody in a set-up: only when as many as the policy asks said the same.
#[test]
fn an_attesters_bare_word_fails_nobody() {
    let mut world = World::new(7, quiet());
    let mut accused: Vec<(Id, Id)> = Vec::new();
    for round in 0..20 {
        let contract = world.publish(Wish::default())[0];
        let amendment = world.until("hostingSetup", 3)[0];
        let Amendment { providers, .. } = world.item(amendment);
        let attester = providers.attesters[0];
        let money = world.money(attester);
        let (result, events) = world.report_setup(amendment, vec![Place::HosterFailed { made: None }; 3]);
        result.unwrap();
        assert_eq!(world.money(attester), money, "nobody is paid for a bare word");
        let failed: Vec<Id> = named(&events, "hosterFailed").iter().map(|ids| ids[1]).collect();
        for hoster in &providers.hosters {
            let others = accused.iter().filter(|(user, by)| user == hoster && *by != attester).count();
            assert_eq!(failed.contains(hoster), others > 0, "round {round}");
            assert_eq!(world.is_paused(*hoster), others > 0);
            accused.push((*hoster, attester));
        }
        if !failed.is_empty() {
            return;
        }
        let plan = world.item::<Contract>(contract).plan;
        world.say(0, Transaction::UnpublishPlan(PlanAt { plan })).0.unwrap();
    }
    panic!("nobody was accused by two");
}

/// Nothing follows for a hoster that paused in time, from a round or from a challenge that was under way.
#[test]
fn who_paused_is_not_blamed_for_being_away() {
    let mut world = measured();
    let (_, challenge) = begun_with(&mut world, Wish::default());
    let victim = world.item::<PerformanceChallenge>(challenge).hosters[1];
    let until = Some(world.height() + 60);
    let actor = world.actor(victim);
    let before = world.reputation(victim);
    world.say(actor, Transaction::Pause(Pause { until })).0.unwrap();
    let report = working(&world, challenge, 40, |hoster| if hoster == victim { 0 } else { 20 });
    for actor in world.committee(challenge) {
        commit(&mut world, challenge, actor, &report);
    }
    world.block_ok();
    wait(&mut world, challenge, ChallengeStatus::Committed);
    for actor in world.committee(challenge) {
        reveal(&mut world, challenge, actor, report.clone());
    }
    world.block_ok();
    let events = wait(&mut world, challenge, ChallengeStatus::Settled);
    assert_eq!(named(&events, "performanceChallengeFailed"), Vec::<&[Id]>::new());
    assert!(world.reputation(victim) >= before - world.state().policy().pause_cost);

    let mut world = World::new(14, Policy { accusers: 1, ..quiet() });
    world.hosted_contract(Wish::default());
    let challenge = world.until("storageChallenge", 20)[0];
    let hoster = world.item::<StorageChallenge>(challenge).hoster;
    let until = Some(world.height() + 60);
    let actor = world.actor(hoster);
    world.say(actor, Transaction::Pause(Pause { until })).0.unwrap();
    let before = world.reputation(hoster);
    world.report_storage(challenge, Found::NoContact {}).0.unwrap();
    assert_eq!(world.item::<StorageChallenge>(challenge).status, ChallengeStatus::Cancelled);
    assert_eq!(world.reputation(hoster), before);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}

/// What challenges do to a feed is kept in no version of it.
#[test]
fn challenges_add_no_version_of_a_feed() {
    let mut world = measured();
    let (contract, _) = begun_with(&mut world, Wish::default());
    let feed = world.item::<Contract>(contract).feed;
    let before = world.state().storage().versions(feed).len();
    let events = world.live(60);
    assert!(named(&events, "performanceChallenge").len() > 1 && named(&events, "storageChallenge").len() > 6);
    assert_eq!(world.state().storage().versions(feed).len(), before);
}

/// R17: a user makes committees measure it at most once in a while.
#[test]
fn r17_a_user_is_not_measured_again_at_will() {
    let mut world = World::new(12, Policy { committee: 5, forced_pause_blocks: 1, ..Policy::default() });
    let change =
        |note: &str| Transaction::ReportChange(ReportChange { reason: RawReason::Location, note: note.into() });
    let early = world.say(5, change("while it is measured")).0;
    assert!(matches!(early, Err(Refusal::NotNow { .. })), "{early:?}");
    world.answer_raw(80);
    let before = world.state().storage().len();
    let again = world.say(5, change("just after")).0;
    assert!(matches!(again, Err(Refusal::NotNow { .. })), "{again:?}");
    assert_eq!(world.state().storage().len(), before);
}

/// An accusation that nobody else can check is dropped in time: it does not stop the challenges for good.
#[test]
fn an_accusation_does_not_stop_the_challenges() {
    let mut world = World::new(12, quiet());
    world.hosted_contract(Wish::default());
    let challenge = world.until("storageChallenge", 20)[0];
    let StorageChallenge { hoster, attester, .. } = world.item(challenge);
    world.report_storage(challenge, Found::NoContact {}).0.unwrap();
    let since = world.height();
    for actor in 2..world.actors.len() {
        let id = world.actors[actor].id;
        if id != hoster && id != attester {
            world.submit(actor, Transaction::Pause(Pause { until: Some(since + 300) }));
        }
    }
    world.block();
    while named(&world.live(1), "accusationDropped").is_empty() {
        assert!(world.height() < since + 150);
    }
    assert!((since + 100..=since + 103).contains(&world.height()), "{since} {}", world.height());
    let next = world.storage_challenge_of(hoster, 2);
    assert_eq!(world.item::<StorageChallenge>(next).attester, attester);
}

/// S31: a pilot that cannot begin does not keep the contracts of other plans from beginning; it waits for its own turn.
#[test]
fn a_pilot_that_cannot_begin_makes_room() {
    let mut world = World::new(12, quiet());
    world.publish_quietly(Wish::default());
    let first = world.block_ok().into_iter().flatten().find(|id| world.state().is(*id, "contract")).unwrap();
    let plan = world.item::<Contract>(first).plan;
    world.say(0, Transaction::PausePlan(PlanAt { plan })).0.unwrap();
    let second = world.publish(Wish { ranges: vec![(20, 29)], ..Wish::default() })[0];
    let feed = world.item::<Contract>(first).feed;
    assert_eq!(world.state().pilot_of(feed).unwrap().contract, first);
    let amendment = world.until("hostingSetup", 30)[0];
    assert_eq!(world.item::<Amendment>(amendment).contract, second);
    let places = world.all_hosted(amendment);
    world.report_setup(amendment, places).0.unwrap();
    world.say(0, Transaction::ResumePlan(PlanAt { plan })).0.unwrap();
    let hosters = world.item::<Contract>(second).active_hosters;
    let challenge = world.storage_challenge_of(hosters[0], 20);
    world.prove(challenge);
    for _ in 0..30 {
        if world.item::<Contract>(first).amendments.is_empty() {
            world.block();
        }
    }
    assert_eq!(world.item::<Contract>(first).amendments.len(), 1);
    assert_eq!(world.state().capacity_leaks(), Vec::<String>::new());
}
