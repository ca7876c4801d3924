use std::collections::BTreeSet;

use peermark_core::sealed::Bytes;

use crate::genesis::Policy;
use crate::item::User;
use crate::item::user::{Job, Role};
use crate::outcome::Refusal;
use crate::state::accounts::Account;
use crate::statement::{possession, registration_bits};
use crate::town::{Offer, Town, address, key, plan, region, register};
use crate::transaction::{Pause, Possession, Register, RegisterForWork, Roles, RotateKeys, Transaction};

fn town() -> Town {
    Town::new(Policy::default())
}

/// S1, S3, S11, S12: dense ids from 0, three lookups, each key once.
#[test]
fn s11_a_registration_fills_the_lookups_once() {
    let mut town = town();
    assert_eq!((town.register(1), town.register(2)), (0, 1));
    let user = town.state().item::<User>(0).unwrap().clone();
    assert_eq!(user.address, address(1));
    assert_eq!(town.state().user_by_address.get(&address(1)), Some(&0));
    assert_eq!(town.state().user_by_noise_key.get(&user.noise_key), Some(&0));
    assert_eq!(town.state().user_by_signing_key.get(&user.signing_key), Some(&0));
    let hash_before = town.state().storage().len();
    assert!(matches!(town.say(1, register(1)), Err(Refusal::Exists { .. })));
    let Transaction::Register(own) = register(3) else { unreachable!() };
    for taken in
        [Register { noise_key: user.noise_key, ..own.clone() }, Register { signing_key: user.signing_key, ..own }]
    {
        assert!(matches!(town.say(3, Transaction::Register(taken)), Err(Refusal::Exists { .. })));
        assert!(!town.state().user_by_address.contains(&address(3)));
    }
    assert_eq!(town.state().storage().len(), hash_before);
    assert!(matches!(town.say(9, Transaction::Unpause {}), Err(Refusal::NotAllowed { .. })));
}

#[test]
fn a_registration_needs_its_proof_of_work() {
    let mut town = Town::new(Policy { work_bits: 6, ..Policy::default() });
    let network = town.machine.network().to_owned();
    let Transaction::Register(own) = register(1) else { unreachable!() };
    let bits = |work| registration_bits(&network, address(1), &own.noise_key, &own.signing_key, work);
    let good = (0..).find(|work| bits(*work) >= 6).unwrap();
    let bad = (0..).find(|work| bits(*work) < 6).unwrap();
    // Work that was done for other keys is none for these.
    let other = Bytes(address(300).0);
    assert!((0..64).any(|work| registration_bits(&network, address(1), &other, &other, work) != bits(work)));
    let refused = town.say(1, Transaction::Register(Register { work: bad, ..own.clone() }));
    assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    town.say(1, Transaction::Register(Register { work: good, ..own })).unwrap();
}

fn own_of(who: u16) -> Register {
    let Transaction::Register(own) = register(who) else { unreachable!() };
    own
}

/// S12: keys of the past still name their user, and nobody else takes them.
#[test]
fn s12_lookups_are_never_changed() {
    let mut town = town();
    let (one, two) = (town.register(1), town.register(2));
    let old = town.state().item::<User>(one).unwrap().clone();
    let network = town.machine.network().to_owned();
    let rotate = |noise: u16, signing: u16| {
        let (noise_key, signing_key) = (Bytes(address(noise).0), Bytes(address(signing).0));
        let said = possession(&network, address(1), &noise_key, &signing_key);
        let sign = |who| Some(Bytes(key(who).sign(said.as_bytes())));
        RotateKeys { noise_key, signing_key, possession: Possession { noise: sign(noise), signing: sign(signing) } }
    };
    let new = rotate(400, 500);
    let (of_others, right) = ([rotate(401, 501).possession, rotate(400, 501).possession], new.possession);
    let unproven = [
        Possession::default(),
        Possession { noise: None, ..right },
        Possession { signing: None, ..right },
        Possession { noise: right.signing, signing: right.noise },
        of_others[0],
        of_others[1],
    ];
    for possession in unproven {
        let refused = town.say(1, Transaction::RotateKeys(RotateKeys { possession, ..new.clone() }));
        assert!(matches!(refused, Err(Refusal::Invalid { .. })), "{refused:?}");
    }
    // Somebody that is not registered has its keys for itself too: nobody takes the key on the network that it has there.
    let theft = Register { noise_key: Bytes(address(600).0), ..own_of(7) };
    assert!(matches!(town.say(7, Transaction::Register(theft)), Err(Refusal::Invalid { .. })));
    town.say(1, Transaction::RotateKeys(new.clone())).unwrap();
    assert_eq!(town.state().item::<User>(one).unwrap().noise_key, new.noise_key);
    for key in [old.noise_key, new.noise_key] {
        assert_eq!(town.state().user_by_noise_key.get(&key), Some(&one));
    }
    let theft = RotateKeys { noise_key: old.noise_key, ..rotate(400, 502) };
    assert!(matches!(town.say(2, Transaction::RotateKeys(theft)), Err(Refusal::Exists { .. })));
    // One change at a time, whichever key it is.
    let hasty = rotate(404, 500);
    assert!(matches!(town.say(1, Transaction::RotateKeys(hasty)), Err(Refusal::NotNow { .. })));
    // Back to the old ones is allowed to their owner, once the key before holds no longer for what it signed.
    town.go_to(town.height() + 20);
    let back = RotateKeys { noise_key: old.noise_key, signing_key: old.signing_key, possession: Possession::default() };
    town.say(1, Transaction::RotateKeys(back)).unwrap();
    assert_eq!(town.state().storage().versions(one).len(), 3);
    assert_eq!(town.state().storage().versions(two).len(), 1);
}

/// S4, S21, S53: an offer fills pools and capacity; a new one replaces it; what is held stays held.
#[test]
fn s4_an_offer_fills_the_pools() {
    let mut town = town();
    let user = town.settle(1, Offer::new("u33", "one"));
    for role in [Role::Encoder, Role::Hoster, Role::Attester] {
        assert!(town.state().idle.contains(&(role, user)));
        assert_eq!(town.state().balance(&Account::FreeSlots(user, role)), 20);
    }
    assert_eq!(town.state().balance(&Account::FreeBytes(user)), 1 << 30);
    let rows = town.state().cells.len();
    assert_eq!(rows, 3);
    let mut next = Offer::new("dr5", "one").only(Role::Hoster);
    next.storage_bytes = 100;
    next.form.radius = 2;
    town.say(1, next.clone().transaction()).unwrap();
    assert_eq!(town.state().balance(&Account::FreeBytes(user)), 100);
    assert!(!town.state().idle.contains(&(Role::Encoder, user)));
    assert_eq!(town.state().balance(&Account::FreeSlots(user, Role::Encoder)), 0);
    let cells: BTreeSet<_> = town.state().cells.iter().map(|(key, ())| key.role).collect();
    assert_eq!(cells, [Role::Hoster].into());
    // Back as it was: no row of the offer between is left.
    town.say(1, Offer::new("u33", "one").transaction()).unwrap();
    assert_eq!(town.state().cells.len(), rows);
    // A task holds bytes and a slot: an offer of less is refused.
    let mut state = town.state().clone();
    state.transfer(&Account::FreeBytes(user), Account::HeldBytes { user, task: 9 }, 200).unwrap();
    let Transaction::RegisterForWork(work) = next.transaction() else { unreachable!() };
    assert!(matches!(state.register_for_work(user, &work), Err(Refusal::OverBudget { .. })));
}

#[test]
fn offers_that_make_no_sense_are_refused() {
    let mut town = town();
    town.register(1);
    let before = town.state().storage().len();
    let work = |change: &dyn Fn(&mut RegisterForWork)| {
        let Transaction::RegisterForWork(mut work) = Offer::new("u33", "one").transaction() else { unreachable!() };
        change(&mut work);
        Transaction::RegisterForWork(work)
    };
    let cases: Vec<(&str, Transaction)> = vec![
        ("no role", work(&|work| work.roles.clear())),
        ("two places", work(&|work| work.components.regions = vec![region(&["u33", "u34"])])),
        ("no capacity", work(&|work| _ = work.form.capacity.insert(Role::Hoster, 0))),
        ("too much capacity", work(&|work| _ = work.form.capacity.insert(Role::Hoster, u32::MAX))),
        ("capacity without role", work(&|work| _ = work.roles.remove(&Role::Hoster))),
        ("radius", work(&|work| work.form.radius = 200)),
        ("operator", work(&|work| work.form.operator = String::new())),
        ("long operator", work(&|work| work.form.operator = "x".repeat(65))),
        ("prefix", work(&|work| work.form.prefix = vec![1])),
        ("share", work(&|work| work.form.measuring_share = 1_000_001)),
        ("ends before", work(&|work| work.form.until = Some(1))),
        ("ends before it begins", work(&|work| (work.form.from, work.form.until) = (50, Some(50)))),
        ("unknown region", work(&|work| work.form.region = -2)),
        ("unknown timing", work(&|work| work.form.timings = vec![4000])),
        ("wrong type", work(&|work| work.form.region = 0)),
    ];
    for (what, case) in cases {
        let refused = town.say(1, case);
        assert!(refused.is_err(), "{what}");
        assert_eq!(town.state().storage().len(), before, "{what}");
        assert!(town.state().idle.is_empty() && town.state().cells.is_empty(), "{what}");
    }
}

/// Pauses: no longer than allowed, they cost reputation, end by themselves or by the user, and take it out of the pools.
#[test]
fn pauses_are_bounded_and_end() {
    let mut town = Town::new(Policy { reputation_floor: -30, ..Policy::default() });
    let user = town.settle(1, Offer::new("u33", "one"));
    let pause = |until| Transaction::Pause(Pause { until });
    // A pause begins with the next block.
    for away in [-1, 0, 1 + 600] {
        let until = (town.height() + 1).saturating_add_signed(away);
        assert!(matches!(town.say(1, pause(Some(until))), Err(Refusal::Invalid { .. })), "{away}");
    }
    let until = town.height() + 10;
    town.say(1, pause(Some(until))).unwrap();
    assert!(town.happened("paused") && !town.state().idle.contains(&(Role::Hoster, user)));
    assert!(town.state().cells.is_empty());
    assert!(matches!(town.say(1, pause(Some(until + 3))), Err(Refusal::NotNow { .. })));
    town.go_to(until - 1);
    assert!(town.state().item::<User>(user).unwrap().paused.is_some());
    town.go_to(until);
    assert!(town.happened("unpaused") && town.state().idle.contains(&(Role::Hoster, user)));
    assert_eq!(town.state().item::<User>(user).unwrap().reputation, -10);
    // By itself before the end; the planned end then does nothing, also not to a later pause.
    let (first, second) = (town.height() + 5, town.height() + 50);
    town.say(1, pause(Some(first))).unwrap();
    town.say(1, Transaction::Unpause {}).unwrap();
    assert!(matches!(town.say(1, Transaction::Unpause {}), Err(Refusal::NotNow { .. })));
    town.say(1, pause(Some(second))).unwrap();
    town.go_to(first + 1);
    assert!(town.state().item::<User>(user).unwrap().paused.is_some());
    // For good, without a cost.
    town.say(1, Transaction::Unpause {}).unwrap();
    let before = town.state().item::<User>(user).unwrap().reputation;
    town.say(1, pause(None)).unwrap();
    assert!(town.happened("stopped"));
    town.go_to(second + 1);
    let stopped = town.state().item::<User>(user).unwrap();
    assert_eq!((stopped.reputation, stopped.paused.is_some()), (before, true));
    town.say(1, Transaction::Unpause {}).unwrap();
    assert!(town.state().idle.contains(&(Role::Hoster, user)));
}

/// S66: a tombstone; the id and the keys are not given again; not while plans run or tasks are held.
#[test]
fn s66_a_deleted_account_leaves_a_tombstone() {
    let mut town = town();
    let user = town.settle(1, Offer::new("u33", "one"));
    let draft = plan(&town, 50);
    let created = town.say(1, Transaction::PublishPlan(draft)).unwrap();
    assert!(matches!(town.say(1, Transaction::DeleteAccount {}), Err(Refusal::NotNow { .. })));
    let plan = *created.iter().find(|id| town.state().is(**id, "plan")).unwrap();
    town.say(1, Transaction::UnpublishPlan(crate::transaction::PlanAt { plan })).unwrap();
    let mut held = town.state().clone();
    held.jobs.put((user, Role::Encoder, 9), Job::HostingSetup);
    assert!(matches!(held.delete_account(user), Err(Refusal::NotNow { .. })));
    let last = town.state().storage().len();
    town.say(1, Transaction::DeleteAccount {}).unwrap();
    let state = town.state();
    assert!(state.item::<User>(user).is_err() && state.storage().get(user).is_none());
    assert!(state.storage().versions(user).len() > 1);
    assert!(state.idle.is_empty() && state.cells.is_empty());
    assert_eq!(state.user_by_address.get(&address(1)), Some(&user));
    assert!(matches!(town.say(1, register(1)), Err(Refusal::Exists { .. })));
    assert!(matches!(town.say(1, Transaction::Unpause {}), Err(Refusal::NotAllowed { .. })));
    assert!(town.register(2) >= last);
}

#[test]
fn roles_are_given_up_when_nothing_is_held() {
    let mut town = town();
    let user = town.settle(1, Offer::new("u33", "one"));
    let give_up = |roles: &[Role]| Transaction::UnregisterRoles(Roles { roles: roles.iter().copied().collect() });
    town.say(1, give_up(&[Role::Hoster])).unwrap();
    assert_eq!(town.state().item::<User>(user).unwrap().roles, [Role::Encoder, Role::Attester].into());
    assert_eq!(town.state().balance(&Account::FreeBytes(user)), 0);
    assert!(town.state().idle.contains(&(Role::Encoder, user)));
    assert!(!town.state().idle.contains(&(Role::Hoster, user)));
    assert!(matches!(town.say(1, give_up(&[Role::Hoster])), Err(Refusal::NotAllowed { .. })));
    let mut held = town.state().clone();
    let task = Account::HeldSlot { user, role: Role::Encoder, task: 5 };
    held.transfer(&Account::FreeSlots(user, Role::Encoder), task, 1).unwrap();
    assert!(matches!(held.unregister_roles(user, &[Role::Encoder].into()), Err(Refusal::NotNow { .. })));
}
