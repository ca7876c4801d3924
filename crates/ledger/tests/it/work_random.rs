//! Random lives of a network: whatever everybody does, in any order, nothing is lost, doubled or left hanging.

use std::collections::BTreeMap;

use peermark_core::sealed::Bytes;
use peermark_ledger::genesis::Policy;
use peermark_ledger::item::hosting::{
    Amendment, AmendmentStatus, ChallengeStatus, ContractStatus, PerformanceChallenge, StorageChallenge,
};
use peermark_ledger::item::plan::Until;
use peermark_ledger::item::user::{Job, Role, User};
use peermark_ledger::item::{Contract, Resources};
use peermark_ledger::state::accounts::Account;
use peermark_ledger::state::work::{Cycle, Subject};
use peermark_ledger::transaction::hosting::{Answer, Check, Found, Place};
use peermark_ledger::transaction::plan::PlanAt;
use peermark_ledger::transaction::{Commit, Pause, SetupAnswer, SetupReport, StorageReport, Transaction};
use peermark_ledger::{Digest, Id};
use proptest::prelude::*;

use crate::driver::{Wish, World};

/// One thing that somebody does, or a block. The number chooses who and how.
#[derive(Clone, Copy, Debug)]
enum Step {
    Block(u8),
    Publish(u8),
    Unpublish(u8),
    Setup(u8),
    Answer(u8),
    Storage(u8),
    Commit(u8),
    Pause(u8),
    Back(u8),
    Offer(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u8..6).prop_map(Step::Block),
        1 => any::<u8>().prop_map(Step::Publish),
        1 => any::<u8>().prop_map(Step::Unpublish),
        6 => any::<u8>().prop_map(Step::Setup),
        2 => any::<u8>().prop_map(Step::Answer),
        8 => any::<u8>().prop_map(Step::Storage),
        4 => any::<u8>().prop_map(Step::Commit),
        1 => any::<u8>().prop_map(Step::Pause),
        2 => any::<u8>().prop_map(Step::Back),
        1 => any::<u8>().prop_map(Step::Offer),
    ]
}

fn policy() -> Policy {
    let (forced_pause_blocks, not_back_blocks) = (12, 4);
    Policy {
        committee: 3,
        pay_blocks: 7,
        funded_blocks: 1,
        forced_pause_blocks,
        not_back_blocks,
        epoch_blocks: 25,
        ..Policy::default()
    }
}

fn live<T>(world: &World, kind: &str, is: impl Fn(Id) -> Option<T>) -> Vec<T> {
    let storage = world.state().storage();
    (0..storage.len()).filter(|id| world.state().is(*id, kind)).filter_map(is).collect()
}

fn open_amendments(world: &World) -> Vec<Id> {
    live(world, "amendment", |id| (world.item::<Amendment>(id).status == AmendmentStatus::InProgress).then_some(id))
}

fn open_storage(world: &World) -> Vec<Id> {
    live(world, "storage_challenge", |id| {
        (world.item::<StorageChallenge>(id).status == ChallengeStatus::Assigned).then_some(id)
    })
}

fn open_performance(world: &World) -> Vec<Id> {
    live(world, "performance_challenge", |id| {
        let status = world.item::<PerformanceChallenge>(id).status;
        matches!(status, ChallengeStatus::Assigned | ChallengeStatus::Committed).then_some(id)
    })
}

fn pick<T: Copy>(from: &[T], number: u8) -> Option<T> {
    from.get(usize::from(number) % from.len().max(1)).copied()
}

fn places(world: &World, amendment: Id, number: u8) -> Vec<Place> {
    let mut places = world.all_hosted(amendment);
    let at = usize::from(number / 8) % places.len().max(1);
    if let Some(place) = places.get_mut(at) {
        *place = match number % 8 {
            0 => Place::HosterFailed { made: None },
            1 => Place::EncoderFailed {},
            2 => Place::Hosted { made: world.made(amendment, 0, world.copy(amendment, 0)), hoster: Bytes([1; 64]) },
            _ => place.clone(),
        };
    }
    places
}

fn act(world: &mut World, step: Step) {
    match step {
        Step::Block(count) => (0..count).for_each(|_| check(world)),
        Step::Publish(number) => {
            let until = Until { time: (number % 2 == 0).then_some(world.height() + 40), ..Until::default() };
            let last = u64::from(number % 24);
            world.publish_quietly(Wish {
                ranges: vec![(0, last)],
                until,
                deposit: 3000,
                price: u64::from(number % 30),
                ..Wish::default()
            });
        }
        Step::Unpublish(number) => {
            let plans = live(world, "plan", Some);
            if let Some(plan) = pick(&plans, number) {
                world.submit(0, Transaction::UnpublishPlan(PlanAt { plan }));
            }
        }
        Step::Setup(number) => {
            if let Some(amendment) = pick(&open_amendments(world), number) {
                let attester = world.actor(world.item::<Amendment>(amendment).providers.attesters[0]);
                let places = places(world, amendment, number);
                world.submit(attester, Transaction::HostingSetupReport(SetupReport { amendment, places }));
            }
        }
        Step::Answer(number) => {
            if let Some(amendment) = pick(&open_amendments(world), number) {
                let item: Amendment = world.item(amendment);
                let place = pick(&item.positions, number).unwrap();
                let answer = match number % 3 {
                    0 => Answer::Refused {},
                    1 => Answer::NothingCame {},
                    _ => Answer::Took(world.made(amendment, place, world.copy(amendment, place))),
                };
                let hoster = world.actor(item.providers.hosters[place as usize]);
                world.submit(hoster, Transaction::AnswerSetup(SetupAnswer { amendment, answer }));
            }
        }
        Step::Storage(number) => storage(world, number),
        Step::Commit(number) => {
            if let Some(challenge) = pick(&open_performance(world), number) {
                let committee = world.committee(challenge);
                let actor = pick(&committee, number / 3).unwrap();
                let hash: Digest = World::digest(number);
                world.submit(actor, Transaction::CommitPerformance(Commit { challenge, hash }));
            }
        }
        Step::Pause(number) => {
            let until = (number % 4 > 0).then_some(world.height() + 1 + u64::from(number % 20));
            world.submit(2 + usize::from(number) % (world.actors.len() - 2), Transaction::Pause(Pause { until }));
        }
        Step::Back(number) => {
            world.submit(2 + usize::from(number) % (world.actors.len() - 2), Transaction::Unpause {});
        }
        Step::Offer(number) => {
            let actor = 2 + usize::from(number) % (world.actors.len() - 2);
            world.offer(actor, 3 + u32::from(number % 5));
        }
    }
}

fn storage(world: &mut World, number: u8) {
    let Some(challenge) = pick(&open_storage(world), number) else { return };
    let item: StorageChallenge = world.item(challenge);
    let has = |contract: &Id| {
        world
            .state()
            .staffing_of(*contract)
            .is_some_and(|staffing| staffing.holders.values().any(|holder| holder.hoster == item.hoster))
    };
    let found = match number % 8 {
        0 => Found::NoContact {},
        1 => world.answered(challenge, vec![Check::NoData {}; item.checks.len()]),
        2 => world.answered(challenge, vec![]),
        _ if item.checks.keys().all(has) => world.answered(challenge, world.proofs(challenge)),
        _ => Found::Unsigned {},
    };
    let (attester, draw) = (world.actor(item.attester), world.drawn(challenge));
    world.submit(attester, Transaction::SubmitStorageChallenge(StorageReport { challenge, draw, found }));
}

/// Executes a block and holds everything against what must always be true.
fn check(world: &mut World) {
    let (_, events) = world.block();
    for event in &events {
        assert!(event.name != "actionRefused" && event.name != "taskRefused", "{event:?}");
    }
    let state = world.state();
    let mut money = 0;
    let mut slots: BTreeMap<(Id, Role), u64> = BTreeMap::new();
    let mut bytes: BTreeMap<Id, u64> = BTreeMap::new();
    for (account, amount) in state.accounts() {
        match account {
            Account::Money(_) | Account::Plan(_) | Account::Held { .. } => money += amount,
            Account::FreeSlots(user, role) | Account::HeldSlot { user, role, .. } => {
                *slots.entry((*user, *role)).or_default() += amount
            }
            Account::FreeBytes(user) | Account::HeldBytes { user, .. } => *bytes.entry(*user).or_default() += amount,
        }
    }
    assert_eq!(money, 100_000_000, "money");
    let mut held: BTreeMap<Id, u64> = BTreeMap::new();
    for (account, amount) in state.accounts() {
        if let Account::Held { plan, .. } = account {
            *held.entry(*plan).or_default() += amount;
        }
    }
    for plan in live(world, "plan", Some) {
        assert_eq!(state.held_of(plan), held.get(&plan).copied().unwrap_or(0), "held of plan {plan}");
    }
    for actor in &world.actors[2..] {
        let user: User = world.item(actor.id);
        let form = user.form.unwrap();
        for (role, capacity) in form.capacity {
            assert_eq!(
                slots.get(&(actor.id, role)).copied().unwrap_or(0),
                u64::from(capacity),
                "{role:?} of {}",
                actor.id
            );
        }
        let offered = world.item::<Resources>(form.resources).storage_bytes;
        assert_eq!(bytes.get(&actor.id).copied().unwrap_or(0), offered, "bytes of {}", actor.id);
        for (role, task, job) in state.jobs_of(actor.id) {
            assert!(is_live(world, actor.id, task, job), "{role:?} {job:?} {task} of {} is over", actor.id);
        }
    }
    assert_eq!(state.capacity_leaks(), Vec::<String>::new());
    check_cycles(world);
}

/// Every hold belongs to a task that is under way.
fn is_live(world: &World, user: Id, task: Id, job: Job) -> bool {
    match job {
        Job::HostingSetup | Job::HosterReplacement => {
            world.item::<Amendment>(task).status == AmendmentStatus::InProgress
        }
        Job::Hosting => world.item::<Contract>(task).active_hosters.contains(&user),
        Job::StorageChallenge => world.item::<StorageChallenge>(task).status == ChallengeStatus::Assigned,
        Job::RootCheck => world.state().root_doubt_of(task).is_some_and(|doubt| doubt.attester == Some(user)),
        Job::PerformanceChallenge | Job::RawBenchmark => open_performance(world).contains(&task),
    }
}

/// One live challenge of a subject, none that is forgotten, and a cycle for everything that is hosted; nothing beyond its deadline.
fn check_cycles(world: &World) {
    let state = world.state();
    let mut live = BTreeMap::new();
    for challenge in open_storage(world) {
        let item: StorageChallenge = world.item(challenge);
        assert_eq!(live.insert(item.hoster, challenge), None, "two challenges of {}", item.hoster);
        assert_eq!(state.cycle_of(Subject::Storage(item.hoster)), Some(Cycle::Live(challenge)));
        assert!(world.height() <= item.deadline);
        assert_paid(world, challenge, world.state().policy().pay.storage);
    }
    for challenge in open_performance(world) {
        let item: PerformanceChallenge = world.item(challenge);
        let subject = item.feed.map_or(Subject::Raw(item.hosters[0]), Subject::Performance);
        assert_eq!(state.cycle_of(subject), Some(Cycle::Live(challenge)));
        assert!(world.height() <= item.reveal_by);
        if item.feed.is_some() && item.reveals.is_empty() {
            assert_paid(world, challenge, 3 * world.state().policy().pay.performance);
        }
    }
    for amendment in open_amendments(world) {
        let item: Amendment = world.item(amendment);
        assert_eq!(state.staffing_of(item.contract).unwrap().open, Some(amendment));
        let pay = world.state().policy().pay;
        assert_paid(world, amendment, pay.setup + pay.encoder * item.positions.len() as u64);
        assert!(world.height() <= item.deadline);
    }
    for contract in live_contracts(world) {
        let item: Contract = world.item(contract);
        let staffing = state.staffing_of(contract);
        if let Some(staffing) = staffing {
            let held: Vec<Id> = staffing.holders.values().map(|holder| holder.hoster).collect();
            let mut active = item.active_hosters.clone();
            let mut sorted = held.clone();
            active.sort_unstable();
            sorted.sort_unstable();
            assert_eq!(active, sorted);
            let ends = state.lack_of(item.plan).is_some();
            let busy = staffing.open.is_some() || staffing.queued || held.len() == 3 || ends;
            assert!(busy, "contract {contract} is forgotten: {staffing:?}");
        }
        if item.status == ContractStatus::Active {
            for hoster in item.active_hosters.iter().filter(|hoster| !world.is_paused(**hoster)) {
                assert!(state.cycle_of(Subject::Storage(*hoster)).is_some(), "nobody challenges {hoster}");
            }
        }
    }
}

/// What a task earns was put aside before it began.
fn assert_paid(world: &World, of: Id, earns: u64) {
    let held = |(account, amount): (&Account, u64)| match account {
        Account::Held { task, .. } if *task == of => amount,
        _ => 0,
    };
    assert_eq!(world.state().accounts().map(held).sum::<u64>(), earns, "task {of}");
}

fn live_contracts(world: &World) -> Vec<Id> {
    live(world, "contract", |id| {
        let status = world.item::<Contract>(id).status;
        (!matches!(status, ContractStatus::Ended | ContractStatus::Cancelled)).then_some(id)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: peermark_testkit::times(option_env!("PEERMARK_LIVES"), 24), max_shrink_iters: 100, ..ProptestConfig::default() })]

    /// §6: money and capacity as double entry, single live challenge of a subject, no task forgotten: after every block of any life.
    #[test]
    fn s7_nothing_is_lost_doubled_or_forgotten(steps in prop::collection::vec(step(), 30..90)) {
        let mut world = World::new(15, policy());
        world.publish(Wish { ranges: vec![(0, 14)], ..Wish::default() });
        for step in steps {
            act(&mut world, step);
        }
        // At last every plan ends: nothing is held any more.
        check(&mut world);
        for plan in live(&world, "plan", Some) {
            world.submit(0, Transaction::UnpublishPlan(PlanAt { plan }));
        }
        for _ in 0..20 {
            check(&mut world);
        }
        prop_assert_eq!(world.replayed().state().hash(), world.state().hash(), "another order within the blocks");
        let hosting = |(account, _): (&Account, u64)| matches!(account, Account::HeldBytes { .. });
        prop_assert!(!world.state().accounts().any(hosting));
    }
}
