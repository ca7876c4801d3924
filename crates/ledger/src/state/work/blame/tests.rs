use std::collections::BTreeSet;

use peermark_core::sealed::{Bytes, PublicKey, SigningKey};

use super::*;
use crate::genesis::{Genesis, Policy};
use crate::item::Contract;
use crate::item::hosting::ContractStatus;
use crate::transaction::{self, Transaction};

fn key() -> PublicKey {
    SigningKey::from_seed([9; 32]).public()
}

/// A state with one user, that holds a place of a contract which nobody staffs.
fn state() -> (State, Id) {
    let mut state = State::new(Genesis {
        name: "lab".into(),
        sequencer: SigningKey::from_seed([1; 32]).public(),
        admins: vec![],
        admin_threshold: 1,
        grants: vec![],
        beacon: crate::beacon::BeaconRule::Checkpoint,
        policy: Policy { epoch_blocks: 1000, forced_pause_blocks: 100, not_back_blocks: 10, ..Policy::default() },
    });
    let user = state.create(User {
        address: key(),
        noise_key: Bytes([1; 32]),
        signing_key: Bytes([2; 32]),
        old_key: None,
        form: None,
        roles: BTreeSet::new(),
        paused: None,
        reputation: 100,
        since: 0,
    });
    state.user_by_address.put(key(), user);
    let contract = state.create(Contract {
        feed: 0,
        plan: 0,
        program: 0,
        ranges: vec![],
        amendments: vec![],
        active_hosters: vec![],
        status: ContractStatus::Dormant,
    });
    state.hostings.put((user, contract), 0);
    (state, user)
}

fn at(state: &mut State, height: Height) {
    state.begin(height, Bytes([1; 32]));
}

/// Who came back and failed again has its whole time to come back: what was planned for the pause before is stale.
#[test]
fn a_second_pause_has_a_time_of_its_own() {
    let (mut state, user) = state();
    at(&mut state, 1);
    state.fails(user, 1).unwrap();
    assert_eq!(state.away.get(&user), Some(&11));
    at(&mut state, 3);
    state.fails(user, 1).unwrap();
    assert_eq!(state.away.get(&user), Some(&11), "a second failure gives no more time");
    state.apply(key(), Bytes([0; 32]), &Transaction::Unpause {}).unwrap();
    assert_eq!(state.away.get(&user), None);
    at(&mut state, 8);
    state.fails(user, 1).unwrap();
    at(&mut state, 11);
    state.replace_if_paused(user).unwrap();
    assert_eq!(state.away.get(&user), Some(&18), "not yet");
    at(&mut state, 18);
    state.replace_if_paused(user).unwrap();
    assert_eq!(state.away.get(&user), None);
}

/// An alert's pause stays one, whatever the user asks for and however it fails.
#[test]
fn a_pause_of_an_alert_cannot_be_left() {
    let (mut state, user) = state();
    at(&mut state, 1);
    let pause = Pause { until: Some(20), by: PausedBy::Alert };
    state.change::<User>(user, |user| user.paused = Some(pause)).unwrap();
    state.fails(user, 1).unwrap();
    assert_eq!(state.item::<User>(user).unwrap().paused, Some(Pause { until: Some(101), by: PausedBy::Alert }));
    let stop = Transaction::Pause(transaction::Pause { until: None });
    state.apply(key(), Bytes([0; 32]), &stop).unwrap();
    assert_eq!(state.item::<User>(user).unwrap().paused, Some(Pause { until: None, by: PausedBy::Alert }));
    let back = state.apply(key(), Bytes([0; 32]), &Transaction::Unpause {});
    assert!(matches!(back, Err(Refusal::NotAllowed { .. })), "{back:?}");
}

/// A report has room for so many: of more, a draw decides, another one each round.
#[test]
fn a_round_measures_no_more_than_a_report_has_room_for() {
    let (mut state, _) = state();
    let all: BTreeSet<Id> = (0..200).collect();
    at(&mut state, 1);
    let first = state.some_of(5, all.clone());
    state.begin(2, Bytes([2; 32]));
    let second = state.some_of(5, all);
    for drawn in [&first, &second] {
        assert!(drawn.len() == 64 && drawn.windows(2).all(|pair| pair[0] < pair[1]));
    }
    assert_ne!(first, second);
    assert_eq!(state.some_of(5, (0..64).collect()).len(), 64);
}

/// What does not change is not written.
#[test]
fn an_unchanged_item_gets_no_version() {
    let (mut state, user) = state();
    let before = state.storage.versions(user).len();
    state.change::<User>(user, |user| user.reputation += 0).unwrap();
    assert_eq!(state.storage.versions(user).len(), before);
    state.change::<User>(user, |user| user.reputation += 1).unwrap();
    assert_eq!(state.storage.versions(user).len(), before + 1);
}
