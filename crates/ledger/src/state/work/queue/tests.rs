use std::collections::BTreeSet;

use super::{MOST_STAFFED, MOST_VAIN, Subject};
use crate::genesis::Policy;
use crate::item::hosting::{ContractStatus, PerformanceChallenge, RawReason};
use crate::item::user::Role;
use crate::item::{Contract, Feed};
use crate::state::agenda::Task;
use crate::state::work::Cycle;
use crate::town::{Offer, Town, plan};
use crate::transaction::Transaction;

/// However many tasks wait in vain, a block tries a bounded number of them, and all of them have their turn.
#[test]
fn a_block_tries_a_bounded_number_of_tasks_and_forgets_none() {
    let mut town = Town::new(Policy::default());
    // An attester alone: tasks are tried, and nobody is found.
    let user = town.settle(1, Offer::new("u33", "one").only(Role::Attester));
    let mut state = town.state().clone();
    let count = 5 * u64::from(MOST_VAIN);
    let waiting: Vec<_> = state.queue.iter().map(|(key, _)| *key).collect();
    for key in &waiting {
        state.queue.take(key);
    }
    for _ in 0..count {
        state.enqueue(7, Task::RawBenchmark { user, reason: RawReason::Registration });
    }
    state.keep();
    let mut turns = BTreeSet::new();
    for height in 0..10 {
        state.begin(town.height() + 1 + height, crate::town::beacon(height));
        state.staff_queue();
        assert_eq!(state.queue.len() as u64, count, "nobody is there");
        turns.extend(state.queue_turn.get(&()).map(|turn| turn.2));
        state.end();
    }
    // The first ones in every block, the others by turns: 32 of 128 in each of four, after the last of which it begins anew.
    assert_eq!(turns.len(), 3, "{turns:?}");
    const { assert!(MOST_STAFFED > MOST_VAIN) };
}

/// What a sponsor says of its plan's weight counts for as much as it pays, and never before challenges.
#[test]
fn a_plan_weighs_no_more_than_it_pays() {
    let mut town = Town::new(Policy::default());
    town.settle(1, Offer::new("u33", "one").only(Role::Hoster));
    town.register(2);
    for (author, price, expected) in [(50, 0, 1), (51, 3, 3)] {
        let mut draft = plan(&town, author);
        (draft.importance, draft.price, draft.deposit) = (u32::MAX, price, 100_000);
        town.say(2, Transaction::PublishPlan(draft)).unwrap();
        town.go_to(town.height() + 1);
        let weights: BTreeSet<u32> = town.state().queue.iter().map(|(key, _)| key.0.0).collect();
        assert!(weights.contains(&expected), "{weights:?}");
        assert!(weights.iter().all(|weight| *weight <= expected), "{weights:?}");
    }
}

/// Who gets a task is drawn before a block's own entries: nobody that knows the randomness can still change who is there.
#[test]
fn tasks_are_drawn_before_the_entries_of_a_block() {
    let mut town = Town::new(Policy { committee: 1, ..Policy::default() });
    for who in [1, 2] {
        town.settle(who, Offer::new("u33", format!("operator {who}")).only(Role::Attester));
        assert!(town.state().active_performance.is_empty(), "the offer of {who} came after the draw");
    }
    town.go_to(town.height() + 1);
    assert!(!town.state().active_performance.is_empty());
}

/// A report has to fit into an entry: of many hosters of a feed a challenge is about 64, others the next time.
#[test]
fn a_challenge_is_about_a_bounded_number_of_hosters() {
    let mut town = Town::new(Policy { committee: 1, ..Policy::default() });
    let hosters: Vec<_> =
        (1..=70).map(|who| town.settle(who, Offer::new("u33", format!("h{who}")).only(Role::Hoster))).collect();
    town.settle(80, Offer::new("u33", "attester").only(Role::Attester));
    let published = town.say(80, Transaction::PublishPlan(plan(&town, 50))).unwrap();
    town.settle(81, Offer::new("u33", "another").only(Role::Attester));
    let contract = published.into_iter().find(|id| town.state().is(*id, "contract")).unwrap();
    let mut state = town.state().clone();
    let feed = state.item::<Contract>(contract).unwrap().feed;
    let change = |contract: &mut Contract| {
        (contract.status, contract.active_hosters) = (ContractStatus::Active, hosters.clone());
    };
    state.change(contract, change).unwrap();
    state.change::<Feed>(feed, |feed| feed.contracts.push(contract)).unwrap();
    state.keep();
    let mut drawn = BTreeSet::new();
    for height in 0..2 {
        state.begin(town.height() + 1 + height, crate::town::beacon(height));
        assert!(state.try_challenge(Subject::Performance(feed)).unwrap());
        let Some(Cycle::Live(id)) = state.cycles.get(&Subject::Performance(feed)) else { panic!("no challenge") };
        let challenge = state.item::<PerformanceChallenge>(*id).unwrap();
        assert_eq!(challenge.hosters.len(), 64);
        drawn.insert(challenge.hosters.clone());
        state.take_back();
    }
    assert_eq!(drawn.len(), 2, "chance takes others the next time");
}
